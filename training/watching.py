"""A cycle on a terminal: one line per stage, with a bar, the loss and the time left."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from feedback import cycles
from feedback.tables import Cycle, CycleState, Stage, StageState, now

MARKS = {
    StageState.DONE: "[green]✓[/]",
    StageState.RUNNING: "[yellow]…[/]",
    StageState.SKIPPED: "-",
    StageState.FAILED: "[red]✗[/]",
}
TITLES = {
    "topics": "name topics",
    "hold_out": "hold out tickets",
    "redact": "redact",
    "freeze": "freeze datasets",
    "sft": "train: SFT",
    "dpo": "train: DPO",
    "kto": "train: KTO",
    "publish": "publish adapter",
    "exam": "exam and gate",
    "sealed_exam": "sealed exam",
    "promote": "promote",
}


class CycleView:
    """Renders a cycle's row and its stages."""

    def __init__(self, cycle: Cycle, stages: list[Stage]) -> None:
        self._cycle = cycle
        self._stages = stages

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One grid, then how it ended."""
        grid = Table.grid(padding=(0, 1))
        for stage in self._stages:
            grid.add_row(
                MARKS[StageState(stage.state)],
                TITLES.get(stage.name, stage.name),
                _bar(stage),
                _time(stage),
                _loss(stage),
                cycles.measured(stage),
                stage.error or "",
            )
        yield grid
        if self._cycle.reason:
            good = self._cycle.state in (CycleState.PROMOTED, CycleState.AWAITING)
            yield Text(
                f"{self._cycle.state.replace('_', ' ')}: {self._cycle.reason}",
                style="green" if good else "yellow",
            )


def _bar(stage: Stage) -> ProgressBar | str:
    if stage.state == StageState.RUNNING and stage.total:
        return ProgressBar(total=stage.total, completed=stage.done, width=24)
    return f"{stage.done}/{stage.total}" if stage.total else ""


def _time(stage: Stage) -> str:
    seconds = ((stage.finished_at or now()) - stage.started_at).total_seconds()
    left = f", {stage.eta_seconds:.0f} s left" if stage.eta_seconds else ""
    return f"{seconds:.0f} s{left}"


def _loss(stage: Stage) -> str:
    return f"loss {stage.loss:.3f}" if stage.loss is not None else ""
