"""Can this recipe be trained here, and would the engine take its adapter? Asked before training. No torch."""

from importlib.util import find_spec

from feedback.errors import Invalid
from service.settings import ServiceSettings
from training.settings import TrainingSettings

NOT_SERVED = ("lm_head", "embed_tokens")
"""Modules that PEFT can adapt and the engine does not: the words a model reads and chooses among."""


def check(recipe: TrainingSettings, engine: ServiceSettings) -> None:
    """Invalid, with what to change, for an adapter that could not be made or served."""
    if recipe.lora_rank > engine.engine_max_lora_rank:
        raise Invalid(
            f"TRAINING_LORA_RANK is {recipe.lora_rank}, and the engine takes adapters up to rank "
            f"{engine.engine_max_lora_rank} (SERVICE_ENGINE_MAX_LORA_RANK), so it could not be served. Lower "
            "the first, or raise the second and restart the engine."
        )
    if refused := [name for name in recipe.modules if name in NOT_SERVED]:
        raise Invalid(
            f"TRAINING_LORA_MODULES names {refused[0]!r}, which the engine does not take from an adapter. "
            "Leave it out, or use 'all-linear'."
        )
    if missing := [name for name in recipe.report_to if find_spec(name) is None]:
        raise Invalid(
            f"TRAINING_REPORT_TO names {missing[0]!r}, which is not installed here. Install it beside "
            f"Understudy (`pip install {missing[0]}`), or leave it out."
        )
