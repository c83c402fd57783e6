"""`understudy training search`: looks for a better recipe with Optuna; a person adopts what it finds."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from sqlmodel import Session

from feedback import assistants, datasets, exports, reliability
from feedback.database import reading
from feedback.errors import Invalid
from feedback.ids import new_id
from feedback.printing import AssistantOption, JsonOption, print_json, say
from feedback.settings import feedback_settings
from feedback.tables import Assistant, Dataset, DatasetKind
from service.engine.embedded_model import base_model
from service.settings import service_settings
from training import fits, search_files, starting
from training.in_force import settings_of
from training.search_files import PAGE, Spec
from training.settings import StageName, TrainingSettings, training_settings

if TYPE_CHECKING:
    from training.searching import News

FEW_ROWS = 20
"""Fewer validation rows tell recipes apart only where they differ much."""


def search(
    assistant: AssistantOption = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Time in all, also over several starts.")
    ] = 60.0,
    trials: Annotated[
        int | None, typer.Option(min=1, help="End after so many trials, if time is left.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The search's folder; by default a new one, or the one that was cut off."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="A frozen dataset, once per stage; by default the newest of each."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try out recipes on what the last freeze holds, the one in force first, and report the best.

    Killed or stopped, the same command goes on where it was. Nothing is changed: see `recipe set`.
    """
    if find_spec("optuna") is None:
        raise Invalid("A search needs Optuna; install the extra 'training'.")
    from training.searching import Search  # optuna takes half a second: only where it is needed

    with reading() as session:
        owner = assistants.only(session, assistant)
    folder = _folder(owner, out)
    spec = search_files.read_spec(folder)
    if spec is None:
        spec = _begin(owner, folder, dataset or [])
    elif spec.assistant != owner.name:
        raise Invalid(f"{folder.name!r} is a search for {spec.assistant!r}; name another --out.")
    _export(owner, spec)
    with _Shown(minutes * 60, trials) as shown:
        report = Search(folder, spec, minutes * 60, trials).run(shown.tell)
    if as_json:
        print_json(report)
    else:
        _sum_up(report, folder)


def _folder(owner: Assistant, out: Path | None) -> Path:
    """The named folder, else that of a search that was cut off, else a new one."""
    if out is not None:
        return out.resolve()
    runs = feedback_settings().runs_dir.resolve()
    if found := search_files.unfinished(runs, owner.name):
        Console(stderr=True).print(f"Going on with {found.name}, which was cut off.")
        return found
    return runs / f"search-{new_id()}"


def _begin(owner: Assistant, folder: Path, names: list[str]) -> Spec:
    """Write down what is searched, once it is known that it can be trained and measured."""
    from training.search_space import space_of

    settings = training_settings()
    present = settings_of(owner, settings)
    fits.check(present, service_settings())
    with reading() as session:
        found = _datasets(session, owner, names)
        noise = reliability.noise_of(session, owner).epsilon
    stages = [stage for stage in present.stages if stage in found and found[stage].train_rows]
    sft = _measurable(found, stages, present)
    start = starting.name_of_start(owner, present)
    model = base_model(owner.base_model, feedback_settings().models_dir)
    spec = Spec(
        assistant=owner.name,
        base_model=model,
        settings=settings.model_dump(mode="json"),
        recipe=owner.recipe,
        stages=stages,
        datasets={kind: each.name for kind, each in found.items()},
        rows={kind: each.train_rows for kind, each in found.items()},
        validation_rows=sft.validation_rows,
        start=start,
        label_noise=noise,
        space=space_of(
            present, stages, model, service_settings().engine_max_lora_rank, start is not None
        ),
    )
    search_files.write_spec(folder, spec)
    return spec


def _datasets(session: Session, owner: Assistant, names: list[str]) -> dict[StageName, Dataset]:
    """The named datasets, and of each other kind the newest."""
    named = [datasets.get(session, name, owner) for name in names]
    newest = [each for each in datasets.every(session, owner) if each.frozen_at is not None]
    kinds: dict[StageName, DatasetKind] = {kind.value: kind for kind in DatasetKind}
    return {
        stage: found[0]
        for stage, kind in kinds.items()
        if (found := [each for each in [*named, *newest] if each.kind == kind])
    }


def _measurable(
    found: dict[StageName, Dataset], stages: list[StageName], present: TrainingSettings
) -> Dataset:
    """The SFT dataset, on whose validation answers recipes are measured; Invalid where there is none."""
    sft = found.get("sft")
    if sft is None or not stages:
        wanted = ", ".join(present.stages)
        raise Invalid(
            f"There is nothing to train on (stages: {wanted}). Run a cycle first, or freeze: "
            "`understudy feedback datasets freeze`."
        )
    if sft.validation_rows == 0:
        raise Invalid(
            f"The dataset {sft.name!r} has no validation rows to measure recipes on. Raise "
            "FEEDBACK_VALIDATION_PERCENT and freeze again; a share of the customers then only measures."
        )
    return sft


def _export(owner: Assistant, spec: Spec) -> None:
    """The datasets as files; what was erased since is in none of them."""
    folder = feedback_settings().datasets_dir.resolve()
    with reading() as session:
        for name in spec.datasets.values():
            exports.export(session, datasets.get(session, name, owner), folder / f"{name}.jsonl")


class _Shown:
    """The search on the terminal: what is tried, what was found, and the time left."""

    def __init__(self, seconds: float, trials: int | None) -> None:
        self._seconds = seconds
        self._trials = trials
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[left]}"),
        )
        self._bar = Progress(*columns, console=Console(stderr=True))

    def __enter__(self) -> "_Shown":
        self._bar.start()
        self._task = self._bar.add_task("starting", total=self._seconds, left="")
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, news: "News") -> None:
        """Show how far it is."""
        left = self._left(news)
        self._bar.update(
            self._task,
            description=_in_words(news),
            completed=news.spent_seconds,
            total=news.spent_seconds + left,
            left=f"{left / 60:.0f} min left" if left >= 60 else f"{left:.0f} s left",
        )

    def _left(self, news: "News") -> float:
        """Until the time is up, or the trials are through at the pace so far."""
        left = max(0.0, self._seconds - news.spent_seconds)
        if self._trials is None or not news.ended:
            return left
        return min(left, news.spent_seconds / news.ended * max(0, self._trials - news.ended))


def _in_words(news: "News") -> str:
    parts = [f"trial {news.number}"]
    if news.progress is not None:
        steps = f" {news.progress.step}/{news.progress.total}" if news.progress.total else ""
        parts.append(f"{news.stage} {news.progress.phase}{steps}")
    if news.present is not None:
        parts.append(f"in force {news.present:.4f}")
    if news.best is not None:
        parts.append(f"best {news.best:.4f} (trial {news.best_number})")
    return ", ".join(parts)


def _caution(report: dict[str, Any]) -> str:
    """What a lead is worth that was looked for on the answers it is measured on."""
    lead, whole = report["lead"], sum(each["state"] == "whole" for each in report["trials"])
    chosen = f"It is the lowest of {whole} on these answers, each trained once, which flatters it."
    if lead["low"] is not None and lead["low"] <= 0:
        return f"{chosen} The interval holds zero: the difference may be chance."
    return chosen


def _sum_up(report: dict[str, Any], folder: Path) -> None:
    winner, lead, rows = report["winner"], report["lead"], report["validation_rows"]
    if rows < FEW_ROWS:
        say(f"Only {rows} validation rows: small differences between recipes are chance.")
    if winner is None:
        again = f"understudy training search --assistant {report['assistant']}"
        say(f"No trial came to its end. Go on with: {again} --out {folder} --minutes MORE")
    elif not winner["changes"]:
        say(f"None of the {len(report['trials'])} trials was better than what is in force.")
    else:
        changes = ", ".join(f"{name} {each['to']}" for name, each in winner["changes"].items())
        say(f"Best: trial {winner['number']}, loss {winner['loss']:.4f} ({changes}).")
        if lead is not None:
            say(
                f"In force: {report['present']['loss']:.4f}, {lead['mean']:.4f} more{_interval(lead)}."
            )
            say(_caution(report))
        else:
            say("What is in force was measured on other answers (some were erased): search anew.")
        say(f"Adopt it: {report['adopt']}")
    say(f"The report: {folder / PAGE}")


def _interval(lead: dict[str, Any]) -> str:
    if lead["low"] is None:
        return ""
    return f" ({lead['low']:.4f} to {lead['high']:.4f}, {lead['confidence']:.0%} interval)"
