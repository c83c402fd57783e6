"""`understudy training recipe`: shown with where each value comes from, set, taken away, on record."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from feedback import assistants, audit
from feedback.database import reading
from feedback.errors import Invalid
from feedback.tables import Assistant
from training.commands import app

pytestmark = [
    pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("assistant"),
]


def recipe(*words: str) -> str:
    done = CliRunner().invoke(app, ["recipe", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def stored(database_engine: Engine) -> dict[str, Any]:
    with reading(database_engine) as session:
        return assistants.get(session, "shop").recipe


def test_it_is_set_by_name_shown_with_its_origin_and_taken_away(database_engine: Engine) -> None:
    assert "has no recipe of its own" in recipe("show")
    recipe("set", "sft_epochs=3", "stages=sft,kto", "--by", "mara")
    said = recipe("set", "lora_modules=q_proj,v_proj", "--by", "mara")
    assert "from its next cycle on" in said
    own = {"stages": ["sft", "kto"], "sft_epochs": 3.0, "lora_modules": "q_proj,v_proj"}
    assert stored(database_engine) == own
    assert "sft_epochs 3.0 recipe" in recipe("show")
    assert "Changed last by mara" in recipe("show")
    told = json.loads(recipe("show", "--json"))
    assert told["recipe"] == own
    assert told["in_force"]["lora_rank"] == 16 and told["in_force"]["sft_epochs"] == 3
    assert recipe("set", "sft_epochs=3", "--by", "mara") == "Nothing was different."
    recipe("reset", "stages", "--by", "olga")
    recipe("set", "sft_epochs=null", "--by", "olga")
    assert stored(database_engine) == {"lora_modules": "q_proj,v_proj"}
    assert "all as the settings say" in recipe("reset", "--by", "olga")
    assert stored(database_engine) == {}
    with reading(database_engine) as session:
        entries = audit.every(session, act="assistant.change")
    assert [entry.detail["by"] for entry in entries] == ["olga", "olga", "olga", "mara", "mara"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["set", "epochs=3"], "expected NAME=VALUE with one of these names: stages"),
        (["set", "lora_rank=12"], "Input should be 1, 8, 16"),
        (["set", "lora_rank=512"], "takes adapters up to rank 16"),
        (["set", "lora_modules=lm_head"], "does not take from an adapter"),
        (["set"], "Name values to set, or a search"),
        (["reset", "epochs"], "Found 'epochs'; expected one of stages"),
        (["set", "--from-search", "nowhere"], "holds no search's report"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    words: list[str], sentence: str, assistant: Assistant, database_engine: Engine
) -> None:
    with pytest.raises(Invalid, match=sentence):
        recipe(*words, "--by", "mara")
    assert stored(database_engine) == {}
