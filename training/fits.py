"""Can this recipe be trained here, and would the engine take its adapter? Asked before training. No torch."""

from importlib.util import find_spec

from feedback.errors import Invalid
from service.engine.fitting import check_adapter
from service.settings import ServiceSettings
from training.job import least_at_once
from training.settings import TrainingSettings


def check(recipe: TrainingSettings, engine: ServiceSettings) -> None:
    """Invalid, with what to change, for an adapter that could not be made or served."""
    check_adapter(recipe.lora_rank, recipe.modules, engine)
    if "kto" in recipe.stages and recipe.batch_size < least_at_once("kto"):
        raise Invalid(
            "KTO compares each prompt with another row's answer, so it needs a TRAINING_BATCH_SIZE of at "
            f"least 2; found {recipe.batch_size}."
        )
    if missing := [name for name in recipe.report_to if find_spec(name) is None]:
        raise Invalid(
            f"TRAINING_REPORT_TO names {missing[0]!r}, which is not installed here. Install it beside "
            f"Understudy (`pip install {missing[0]}`), or leave it out."
        )
