"""A recipe of one's own: within the bounds of the settings, laid over them, changed only by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.fields import FieldInfo
from sqlalchemy import Engine

from feedback import assistants
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.recipes import Recipe, check_recipe, recipe_of
from feedback.tables import Assistant
from training.in_force import overridden, settings_of
from training.settings import TrainingSettings


def bounds(field: FieldInfo) -> set[str]:
    """What a value must keep to, without how text is read."""
    return {repr(each) for each in field.metadata if type(each).__module__ == "annotated_types"}


def test_a_recipe_has_the_names_and_bounds_of_the_settings() -> None:
    for name, field in Recipe.model_fields.items():
        theirs = TrainingSettings.model_fields[name]
        if name not in ("lora_modules", "stages"):  # text and lists: in the tests below
            ours = bounds(field) or {repr(each) for each in _inside(field)}
            assert ours == bounds(theirs), name


def _inside(field: FieldInfo) -> list[Any]:
    return [each for each in getattr(field.annotation, "__metadata__", ())]


@given(
    own=st.fixed_dictionaries(
        {},
        optional={
            "stages": st.lists(st.sampled_from(["sft", "dpo", "kto"]), min_size=1, unique=True),
            "start": st.sampled_from(["base", "live"]),
            "lora_rank": st.sampled_from([1, 8, 16, 32]),
            "lora_alpha": st.integers(1, 256),
            "lora_modules": st.sampled_from(["all-linear", "q_proj, v_proj"]),
            "sft_epochs": st.floats(0.1, 20),
            "sft_learning_rate": st.floats(1e-6, 1e-2),
            "dpo_beta": st.floats(0.01, 1),
            "patience": st.integers(0, 5),
        },
    )
)
def test_only_what_a_recipe_says_is_otherwise(own: dict[str, Any]) -> None:
    settings = TrainingSettings(seed=3)
    found = overridden(settings, check_recipe(own).own).model_dump(mode="json")
    for name, value in settings.model_dump(mode="json").items():
        assert found[name] == own.get(name, value)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"epochs": 3}, "Found 'epochs' in a recipe; expected one of stages, start"),
        ({"lora_rank": 12}, "Found lora_rank 12: Input should be 1, 8, 16"),
        ({"sft_epochs": 0}, "Found sft_epochs 0: Input should be greater than 0"),
        ({"sft_epochs": float("inf")}, "Input should be a finite number"),
        ({"stages": ""}, "at least 1 item"),
        ({"stages": "sft, ppo"}, "Input should be 'sft', 'dpo' or 'kto'"),
        ({"stages": "sft, dpo, sft"}, "each is to be named once"),
        ({"lora_dropout": 1}, "less than 1"),
    ],
)
def test_what_no_trainer_could_take_is_refused_in_a_sentence(
    wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        check_recipe(wrong)


def test_text_is_read_as_forms_and_commands_give_it() -> None:
    found = check_recipe({"stages": "sft, kto", "lora_rank": "8", "sft_learning_rate": "1e-3"})
    assert found.own == {"stages": ["sft", "kto"], "lora_rank": 8, "sft_learning_rate": 1e-3}


def test_it_is_kept_with_the_assistant_without_what_it_does_not_say(
    assistant: Assistant, database_engine: Engine
) -> None:
    with writing(database_engine) as session:
        own = {"sft_epochs": 3, "stages": ["sft"], "lora_rank": None}
        changed = assistants.change(session, assistant, recipe=own)
        assert changed == {"recipe": ({}, {"stages": ["sft"], "sft_epochs": 3.0})}
        assert assistants.change(session, assistant, recipe=own) == {}
    with reading(database_engine) as session:
        owner = assistants.get(session, assistant.name)
    assert recipe_of(owner).own == {"stages": ["sft"], "sft_epochs": 3.0}
    assert settings_of(owner, TrainingSettings()).sft_epochs == 3


def test_a_recipe_that_no_longer_goes_with_the_settings_says_so() -> None:
    with pytest.raises(Invalid, match=r"The recipe says lora_rank 12: .* training recipe set"):
        overridden(TrainingSettings(), {"lora_rank": 12})
