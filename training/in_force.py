"""What an assistant is trained with: the settings, overridden by the assistant's own recipe."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from feedback.errors import Invalid
from feedback.recipes import recipe_of
from feedback.tables import Assistant
from training.settings import TrainingSettings


def overridden(settings: TrainingSettings, own: Mapping[str, Any]) -> TrainingSettings:
    """The settings with what a recipe says for itself; Invalid where the two do not go together."""
    try:
        return TrainingSettings(**{**settings.model_dump(), **own})
    except ValidationError as error:
        problem = error.errors()[0]
        what = ".".join(str(part) for part in problem["loc"])
        raise Invalid(
            f"The recipe says {what} {problem['input']!r}: {problem['msg']}. Change it with "
            "`understudy training recipe set`."
        ) from None


def settings_of(assistant: Assistant, settings: TrainingSettings) -> TrainingSettings:
    """What this assistant is trained with."""
    return overridden(settings, recipe_of(assistant).own)
