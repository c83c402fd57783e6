"""`understudy training sft | dpo | kto | publish`: the loop's steps one by one, by hand.

The loop does the same in one go (`understudy training cycle`); these are for looking closer.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from feedback import adapters, assistants, audit, datasets, exports, reliability
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.ids import new_id
from feedback.settings import feedback_settings
from feedback.tables import DatasetKind
from service.engine.embedded_model import base_model
from service.settings import service_settings
from training import fits
from training.in_force import settings_of
from training.job import ADAPTER, JOB, MODULES, RESULT, job_for, read_json, write_job
from training.progress import Progress
from training.settings import StageName, training_settings
from training.supervise import supervise

console = Console()

AssistantOption = Annotated[
    str | None,
    typer.Option("--assistant", "-a", help="Which assistant; needed if there are several."),
]
OutOption = Annotated[
    Path | None, typer.Option(help="The run folder; a new one under <var_dir>/runs by default.")
]
StartOption = Annotated[
    Path, typer.Option("--from", help="The run folder of the stage before, such as SFT's.")
]


def sft(
    dataset: Annotated[str, typer.Argument(help="See `understudy feedback datasets list`.")],
    out: OutOption = None,
    assistant: AssistantOption = None,
) -> None:
    """Train an adapter on a frozen SFT dataset. Run again with the same --out, it goes on."""
    _train("sft", dataset, None, out, assistant)


def dpo(
    dataset: Annotated[str, typer.Argument(help="See `understudy feedback datasets list`.")],
    start: StartOption,
    out: OutOption = None,
    assistant: AssistantOption = None,
) -> None:
    """Train on from another stage's run with a frozen DPO dataset."""
    _train("dpo", dataset, _adapter_of(start), out, assistant)


def kto(
    dataset: Annotated[str, typer.Argument(help="See `understudy feedback datasets list`.")],
    start: StartOption,
    out: OutOption = None,
    assistant: AssistantOption = None,
) -> None:
    """Train on from another stage's run with a frozen KTO dataset."""
    _train("kto", dataset, _adapter_of(start), out, assistant)


def _adapter_of(run: Path) -> Path:
    if read_json(run / RESULT) is None:
        raise Invalid(f"The run folder {str(run)!r} holds no finished run.")
    return (run / ADAPTER).resolve()


def publish(
    run: Annotated[Path, typer.Argument(help="The run folder of the last stage.")],
    dataset: Annotated[
        list[str], typer.Option("--dataset", help="What it learned from; once per stage.")
    ],
    assistant: AssistantOption = None,
) -> None:
    """Register a trained adapter under a name of its own. It is not live until promoted."""
    result, job = read_json(run / RESULT), read_json(run / JOB)
    if result is None or job is None:
        raise Invalid(f"The run folder {str(run)!r} holds no finished run.")
    with writing() as session:
        owner = assistants.only(session, assistant)
        learned = [datasets.get(session, name, owner) for name in dataset]
        config = {job["stage"]: job}
        adapter = adapters.publish(
            session, owner, run / ADAPTER, learned, config, result.get("versions", {})
        )
        audit.record(session, audit.here(), "adapter.publish", adapter.name, owner.id)
    console.print(f"Published [bold]{adapter.name}[/] ({adapter.size_bytes / 1e6:.0f} MB).")
    console.print(f"Next: `understudy evals compare --candidate {adapter.name} --against live`.")


def _train(
    stage: StageName, dataset: str, start: Path | None, out: Path | None, assistant: str | None
) -> None:
    places = feedback_settings()
    with reading() as session:
        owner = assistants.only(session, assistant)
        settings = settings_of(owner, training_settings())
        fits.check(settings, service_settings())
        frozen = datasets.get(session, dataset, owner)
        if frozen.kind != DatasetKind(stage):
            raise Invalid(
                f"The dataset {dataset!r} is for {frozen.kind}; expected one for {stage}."
            )
        rows = places.datasets_dir.resolve() / f"{frozen.name}.jsonl"
        exports.export(session, frozen, rows)
        noise = reliability.noise_of(session, owner).epsilon
    folder = (out or places.runs_dir / f"{stage}-{new_id()}").resolve()
    model = base_model(owner.base_model, places.models_dir)
    job = job_for(
        stage,
        settings,
        base_model=model,
        dataset=rows,
        start_adapter=start,
        estimated_noise=noise,
    )
    write_job(folder, job)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(f"{stage}: starting", total=None)

        def report(news: Progress) -> None:
            loss = "" if news.loss is None else f", loss {news.loss:.3f}"
            title = f"{stage}: {news.phase}{loss}"
            bar.update(task, description=title, completed=news.step, total=news.total)

        result = supervise(
            folder,
            MODULES[stage],
            report=report,
            should_stop=lambda: False,
            timeout_seconds=settings.stage_timeout_seconds,
            attempts=settings.attempts,
            grace_seconds=settings.stop_grace_seconds,
            silence_seconds=settings.silence_seconds,
        )
    console.print(f"Trained {result['steps']} steps. The run folder: {folder}")
