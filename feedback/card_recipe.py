"""The sections of a model card on the recipe, and on what training took: energy, carbon and cost."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from feedback import cycles
from feedback.adapter_folder import Manifest
from feedback.card_shape import Part, Section, Table
from feedback.settings import FeedbackSettings, feedback_settings
from feedback.tables import Adapter

LINES = {
    "learning_rate": "learning rate",
    "schedule": "schedule",
    "epochs": "epochs",
    "max_steps": "most steps (0: as epochs say)",
    "batch_size": "rows per step",
    "max_length": "longest row, in tokens",
    "lora_rank": "LoRA rank",
    "lora_alpha": "LoRA alpha",
    "lora_dropout": "LoRA dropout",
    "lora_modules": "LoRA modules",
    "beta": "beta",
    "loss": "loss",
    "label_noise": "label noise",
    "seed": "seed",
    "canaries": "canaries",
}
"""What of a stage's job is told. Paths are not: they are this machine's."""
MEASURED = {
    "steps": "steps taken",
    "tokens": "tokens seen",
    "loss": "last training loss",
    "eval_loss": "loss on validation rows",
    "canary_bits": "learned by heart, in bits",
    "training_seconds": "seconds of training",
}
"""What of a stage's result is told."""


@dataclass(frozen=True)
class Run:
    """One stage of training: its job, and what it left. Either may be empty: not recorded."""

    stage: str
    job: dict[str, Any]
    result: dict[str, Any]
    attempts: int = 1

    @property
    def seconds(self) -> float:
        """How long it trained, or else ran; 0: not recorded."""
        return float(self.result.get("training_seconds") or self.result.get("seconds") or 0.0)


def runs(session: Session, adapter: Adapter, manifest: Manifest | None) -> list[Run]:
    """The stages an adapter went through, in their order."""
    jobs = {
        name: job for name, job in (manifest.config if manifest else {}).items() if _is_job(job)
    }
    cycle = cycles.get(session, adapter.cycle_id) if adapter.cycle_id else None
    left = {each.name: each for each in cycles.stages(session, cycle)} if cycle else {}
    known = ("sft", "dpo", "kto")
    names = [*jobs, *(name for name in left if name in known and name not in jobs)]
    return [
        Run(
            name,
            jobs.get(name, {}),
            left[name].result if name in left else {},
            left[name].attempts if name in left else 1,
        )
        for name in names
    ]


def _is_job(value: object) -> bool:
    return isinstance(value, dict)


def recipe(found: list[Run], manifest: Manifest | None) -> Section:
    """Every stage's job and what came of it, and the libraries."""
    parts: list[Part] = []
    if manifest is None:
        parts.append("Its files were removed, and with them the recipe.")
    elif not any(run.job for run in found):
        parts.append("No recipe is recorded for it.")
    if found:
        parts.append(f"Stages, in this order: {', '.join(run.stage.upper() for run in found)}.")
        parts.append(_table(found))
    if manifest and manifest.versions:
        told = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
        parts.append(f"Libraries: {told}.")
    return Section("Recipe", parts)


def _table(found: list[Run]) -> Table:
    rows = []
    for key, title in LINES.items():
        if any(run.job.get(key) is not None for run in found):
            rows.append((title, *(_shown(run.job.get(key)) for run in found)))
    for key, title in MEASURED.items():
        if any(run.result.get(key) is not None for run in found):
            rows.append((title, *(_shown(run.result.get(key)) for run in found)))
    return Table(("", *(run.stage.upper() for run in found)), rows)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def costs(found: list[Run], settings: FeedbackSettings | None = None) -> Section:
    """What training took, at the rates in the settings; a rate of 0 leaves its line out."""
    settings = settings or feedback_settings()
    seconds = sum(run.seconds for run in found)
    if not seconds:
        return Section("Energy and cost", ["How long it trained is not recorded."])
    lines = [f"Training took {seconds:,.0f} seconds.", *_rated(seconds / 3600, settings)]
    if any(run.attempts > 1 for run in found):
        lines.append("A stage was cut off and resumed; the seconds of its last run are counted.")
    lines.append("Redaction, exams, serving, and what it was trained on from are not in it.")
    return Section("Energy and cost", [lines])


def _rated(hours: float, settings: FeedbackSettings) -> list[str]:
    """Assumptions are told as such: nobody measured the machine."""
    watts, grams = settings.card_watts, settings.card_grams_co2_per_kwh
    kwh = hours * watts / 1000
    lines = []
    if watts:
        lines.append(f"Energy: about {kwh:.3g} kWh, assuming a machine that draws {watts:g} W.")
    if watts and grams:
        lines.append(
            f"Carbon: about {kwh * grams:.3g} g of CO2, assuming {grams:g} g for each kWh of the grid."
        )
    if rate := settings.card_cost_per_hour:
        lines.append(
            f"Cost: about {hours * rate:.2g}, assuming {rate:g} for an hour of the machine."
        )
    return lines
