"""How an assistant is trained otherwise than the settings of training say. Kept in `assistant.recipe`.

Pure: nothing here reads a row. training/in_force.py lays it over the settings; a test holds the bounds here
against those there.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from feedback.errors import Invalid
from feedback.settings import Rank, between_commas, names_in, once_each
from feedback.tables import Assistant

Epochs = Annotated[float | None, Field(gt=0)]
LearningRate = Annotated[float | None, Field(gt=0)]
Beta = Annotated[float | None, Field(gt=0)]


class Recipe(BaseModel):
    """What of the settings of training an assistant has for itself. None: as the settings say."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    stages: Annotated[
        list[Literal["sft", "dpo", "kto"]] | None,
        BeforeValidator(between_commas),
        AfterValidator(once_each),
        Field(min_length=1),
    ] = Field(None, description="What an adapter goes through, in this order.")
    start: Literal["base", "live"] | None = Field(
        None, description="What a cycle trains on from: the base model or the live adapter."
    )
    lora_rank: Rank | None = Field(None, description="Rank of the adapter.")
    lora_alpha: Annotated[int | None, Field(ge=1)] = Field(
        None, description="Scale of the adapter: alpha / rank."
    )
    lora_dropout: Annotated[float | None, Field(ge=0, lt=1)] = Field(
        None, description="Dropout before the adapter."
    )
    lora_modules: Annotated[str | None, Field(min_length=1, max_length=400)] = Field(
        None, description="Modules with LoRA: 'all-linear', or names between commas."
    )
    schedule: Literal["constant", "linear", "cosine"] | None = Field(
        None, description="How the learning rate falls after the warm-up."
    )
    warmup: Annotated[float | None, Field(ge=0, lt=1)] = Field(
        None, description="Share of the steps over which the learning rate rises."
    )
    batch_size: Annotated[int | None, Field(ge=1)] = Field(
        None, description="Rows per optimizer step."
    )
    patience: Annotated[int | None, Field(ge=0)] = Field(
        None,
        description="After so many checkpoints in a row without a lower loss on the validation rows a stage "
        "ends, and the adapter with the lowest is kept. 0: never.",
    )
    sft_epochs: Epochs = Field(None, description="Passes over the SFT rows.")
    sft_learning_rate: LearningRate = Field(None, description="Peak learning rate of SFT.")
    dpo_epochs: Epochs = Field(None, description="Passes over the DPO pairs.")
    dpo_learning_rate: LearningRate = Field(None, description="Peak learning rate of DPO.")
    dpo_beta: Beta = Field(None, description="How strongly DPO is held to the adapter before it.")
    kto_epochs: Epochs = Field(None, description="Passes over the KTO rows.")
    kto_learning_rate: LearningRate = Field(None, description="Peak learning rate of KTO.")
    kto_beta: Beta = Field(None, description="How strongly KTO is held to the adapter before it.")

    @property
    def own(self) -> dict[str, Any]:
        """Only what the assistant has for itself."""
        return self.model_dump(exclude_none=True)

    @property
    def modules(self) -> list[str]:
        """The names in lora_modules, if it says any."""
        return names_in(self.lora_modules or "")


def check_recipe(given: Mapping[str, Any]) -> Recipe:
    """A recipe as a person gave it, or Invalid with what is wrong."""
    try:
        return Recipe.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        what = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = ", ".join(Recipe.model_fields)
            raise Invalid(f"Found {what!r} in a recipe; expected one of {known}.") from None
        raise Invalid(f"Found {what} {problem['input']!r}: {problem['msg']}.") from None


def recipe_of(assistant: Assistant) -> Recipe:
    """What an assistant has for itself."""
    return Recipe(**assistant.recipe)
