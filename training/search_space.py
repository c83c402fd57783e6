"""What a search explores, around what the assistant has: learning rates, epochs, betas, rank and modules."""

import json
from pathlib import Path
from typing import Any, get_args

import optuna

from feedback.settings import Rank
from training.search_files import Space, Span, Spec
from training.settings import StageName, TrainingSettings

RATE_TIMES: dict[StageName, float] = {"sft": 4.0, "dpo": 10.0, "kto": 10.0}
"""A learning rate is looked for from so many times less to so many times more. SFT's are known better."""
EPOCHS_LESS, EPOCHS_MORE = 3.0, 2.0
"""Longer costs time, of customers' corrections and of the search."""
BETA_TIMES = 4.0
MOST_RANK = 128
MODULES = (
    "all-linear",
    "q_proj,k_proj,v_proj,o_proj",
    "gate_proj,up_proj,down_proj",
    "q_proj,v_proj",
)
DIGITS = 3


def space_of(
    present: TrainingSettings,
    stages: list[StageName],
    base_model: str,
    max_rank: int,
    goes_on: bool,
) -> Space:
    """What is explored. Where training goes on from an adapter, its rank and modules are given."""
    space: Space = {}
    for stage in stages:
        rate = getattr(present, f"{stage}_learning_rate")
        epochs = getattr(present, f"{stage}_epochs")
        times = RATE_TIMES[stage]
        space[f"{stage}_learning_rate"] = Span(low=rate / times, high=rate * times)
        space[f"{stage}_epochs"] = Span(low=epochs / EPOCHS_LESS, high=epochs * EPOCHS_MORE)
        if stage != "sft":
            beta = getattr(present, f"{stage}_beta")
            space[f"{stage}_beta"] = Span(low=beta / BETA_TIMES, high=beta * BETA_TIMES)
    if not goes_on:
        known = get_args(get_args(Rank)[0])
        space["lora_rank"] = _first(
            present.lora_rank, [rank for rank in known if rank <= min(max_rank, MOST_RANK)]
        )
        space["lora_modules"] = _first(present.lora_modules, _modules(base_model))
    return space


def _first(present: Any, others: list[Any]) -> list[Any]:
    return [present, *(each for each in others if each != present)]


def _modules(base_model: str) -> list[str]:
    """Of the usual choices those that the model has; of a hub id nothing is known beforehand."""
    names = linear_names(Path(base_model))
    return [each for each in MODULES if each == "all-linear" or set(each.split(",")) <= names]


def linear_names(folder: Path) -> set[str]:
    """The last names of a model's matrices, read from the heads of its files. No torch."""
    names = set()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        names |= {
            name.split(".")[-2]
            for name, about in head.items()
            if name.endswith(".weight") and len(about["shape"]) == 2
        }
    return names


def of_present(spec: Spec) -> dict[str, Any]:
    """Where in the space the assistant is now."""
    present = spec.present
    return {name: getattr(present, name) for name in spec.space}


def suggested(trial: optuna.Trial, spec: Spec) -> dict[str, Any]:
    """A trial's recipe: what it has otherwise than the settings. Asked again, it is the same."""
    if trial.number == 0:
        for name in spec.space:
            _suggest(trial, name, spec.space[name])
        return spec.recipe
    own = {name: _neat(_suggest(trial, name, spec.space[name])) for name in spec.space}
    present = spec.present
    if (rank := own.get("lora_rank", present.lora_rank)) != present.lora_rank:  # the same scale
        own["lora_alpha"] = max(1, round(present.lora_alpha / present.lora_rank * rank))
    return differing({**spec.recipe, **own}, spec)


def differing(own: dict[str, Any], spec: Spec) -> dict[str, Any]:
    """Of a recipe what is otherwise than in the settings."""
    common = TrainingSettings(**spec.settings).model_dump(mode="json")
    return {name: value for name, value in own.items() if common[name] != value}


def _suggest(trial: optuna.Trial, name: str, choice: Span | list[Any]) -> Any:
    if isinstance(choice, Span):
        return trial.suggest_float(name, choice.low, choice.high, log=True)
    return trial.suggest_categorical(name, choice)


def _neat(value: Any) -> Any:
    """A number as people write it."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
