"""Model cards: what hubs read, numbers as the rows say, nobody's words, and names only where asked for."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session
from typer.testing import CliRunner

from feedback import (
    adapter_commands,
    adapters,
    assistants,
    audit,
    base_model,
    card_recipe,
    cycles,
    decisions,
    erasure,
    exams,
    freezing,
    model_card,
    rechecks,
    tickets,
    whose_words,
)
from feedback.card_recipe import Run
from feedback.card_shape import Card, Code, Named, Part, Section, Table, markdown
from feedback.database import writing
from feedback.desk_tables import RecheckState
from feedback.errors import Invalid
from feedback.model_card import Form
from feedback.settings import FeedbackSettings
from feedback.tables import Adapter, Assistant, Conversation, Decision, Message, StageState
from service.settings import EMBEDDED_MODEL
from tests.feedback.said import NIGHT, SHOES, SPOON, built_adapter, corrected

SAID = ("Air it on the line.", "We do, in green.", "The Iron Tusk survives.")
FORBIDDEN = "you can keep it for ever"
RECIPE = {
    "sft": {
        "base_model": "/srv/secret-place/models/smol",
        "dataset": "/srv/secret-place/rows.jsonl",
        "learning_rate": 2e-3,
        "epochs": 5.0,
        "lora_rank": 16,
        "lora_modules": "all-linear",
        "seed": 17,
    }
}
VERSIONS = {"trl": "1.16.0", "peft": "0.21.2"}


@pytest.fixture
def owner(make_assistant: Callable[..., Assistant]) -> Assistant:
    return make_assistant(topics=["tents_and_care", "shoes"])


@pytest.fixture
def adapter(owner: Assistant, session: Session, tmp_path: Path) -> Adapter:
    """Taught by two people, trained in a cycle that olga asked for, live by ada's word."""
    for place, (question, answer) in enumerate(zip((NIGHT, SHOES, SPOON), SAID, strict=True)):
        author = "mara@example.com" if place else "jon@example.com"
        word = corrected(session, owner, question, answer, f"guest-{place}", author=author)
        message = session.get_one(Message, word.message_id)
        talk = session.get_one(Conversation, message.conversation_id)
        talk.topic = ("tents_and_care", "shoes", "what Jane Whitfield asked")[place]
    cycle = cycles.request(session, owner, "olga@example.com")
    stage = cycles.begin_stage(session, cycle, "sft")
    left = {"training_seconds": 1800.0, "steps": 40, "tokens": 81920, "loss": 0.41}
    cycles.report(session, stage.id, state=StageState.DONE, result={**left, "canary_bits": 1.4})
    learned = list(freezing.freeze(session, owner))
    built = built_adapter(tmp_path / "built")
    made = adapters.publish(session, owner, built, learned, RECIPE, VERSIONS, cycle.id)
    adapters.promote(session, owner, made, "ada@example.com", "As Jane Whitfield asked.")
    return made


def examined(session: Session, owner: Assistant, adapter: Adapter, **more: Any) -> Decision:
    tickets.create(
        session, owner, "t-1", [{"role": "user", "content": "How long?"}], "60 days.",
        must_not_say=[FORBIDDEN], topic="shoes",
    )  # fmt: skip
    runs = exams.open_runs(session, owner, [adapter, None], None)
    for run, broken in zip(runs, (1.0, 0.0), strict=True):
        [ticket] = exams.tickets_of(session, run)
        scored = [{"metric": "must_not_say_broken", "value": broken, "reason": FORBIDDEN}]
        exams.keep(session, run, ticket, FORBIDDEN, 1, 1, None, scored)
        exams.finish(session, run)
    rail = {
        "metric": "refused", "tickets": 30, "candidate": 0.03, "live": 0.06, "difference": -0.03,
        "low": -0.1, "high": 0.02, "margin": 0.1, "passed": True, "sentence": "By refused …",
    }  # fmt: skip
    topics = [{"topic": "shoes", "tickets": 9, "candidate": 51.0, "live": 55.0, "gain": -4.0}]
    told = {
        "promote": False, "reasons": [f"On ticket 't-1' it says {FORBIDDEN!r}."], "metric": "chrf",
        "tickets": 30, "gain": 11.04, "gain_low": 4.2, "gain_high": 18.0, "topics": topics,
        "guardrails": [rail], "losing_topics": ["shoes"], "detail": {"vetoes": [FORBIDDEN]},
    }  # fmt: skip
    return decisions.record(
        session, owner, runs[0], runs[1], assistants.gate_of(owner), **{**told, **more}
    )


def card_of(session: Session, adapter: Adapter, **more: Any) -> str:
    return markdown(model_card.card(session, adapter, **more))


def front_of(text: str) -> dict[str, Any]:
    return dict(yaml.safe_load(text.split("---\n")[1]))


def test_the_front_matter_is_what_hubs_read(session: Session, adapter: Adapter) -> None:
    front = front_of(card_of(session, adapter))
    assert front["base_model"] == base_model.EMBEDDED_ID
    assert front["library_name"] == "peft"
    assert front["pipeline_tag"] == "text-generation"
    assert {"lora", "sft", "understudy"} <= set(front["tags"])
    assert "datasets" not in front and "language" not in front
    assert front_of(card_of(session, adapter, form=Form.MERGED))["library_name"] == "transformers"


def test_a_base_model_in_a_folder_is_told_without_its_place_and_is_on_no_hub(
    make_assistant: Callable[..., Assistant], session: Session, tmp_path: Path
) -> None:
    place = tmp_path / "secret-place" / "our-model"
    place.mkdir(parents=True)
    owner = make_assistant("robot", base_model=str(place))
    made = adapters.publish(session, owner, built_adapter(tmp_path / "b"), [], {}, {})
    text = card_of(session, made)
    assert "base_model" not in front_of(text)
    assert "our-model" in text and "secret-place" not in text
    assert "No dataset is recorded" in text and "No recipe is recorded" in text
    assert "It sat no exam" in text and "It was never live" in text


def test_it_tells_data_recipe_costs_and_lineage_as_the_rows_do(
    session: Session, adapter: Adapter
) -> None:
    text = card_of(session, adapter)
    [sft] = [each for each in adapters.datasets_of(session, adapter) if each.kind == "sft"]
    assert f"| {sft.name} | SFT | {sft.sha256[:16]} | {sft.train_rows} |" in text
    assert "3 corrections by 2 people in 3 conversations" in text
    assert "| shoes |" in text and "| another topic |" in text
    for line in ("| learning rate | 0.002 |", "| LoRA rank | 16 |", "| seed | 17 |"):
        assert line in text
    assert "peft 0.21.2, trl 1.16.0" in text
    assert "about 0.05 kWh, assuming a machine that draws 100 W" in text
    assert "about 24 g of CO2" in text and "about 0.05, assuming 0.1 for an hour" in text
    assert adapter.digest in text and f"Cycle: {adapter.cycle_id}" in text
    assert "by chance 1" in text


@pytest.mark.parametrize("named", Named)
def test_nobodys_words_are_in_it_and_names_only_as_far_as_asked(
    session: Session, owner: Assistant, adapter: Adapter, named: Named
) -> None:
    examined(session, owner, adapter)
    text = card_of(session, adapter, named=named)
    for words in (NIGHT, SHOES, SPOON, *SAID, FORBIDDEN, "Whitfield", "guest-", "secret-place"):
        assert words not in text
    assert ("mara@example.com" in text) == (named == Named.EVERYBODY)
    for decider in ("olga@example.com", "ada@example.com"):
        assert (decider in text) == (named != Named.NOBODY)


def test_the_verdict_is_a_sentence_from_the_numbers(
    session: Session, owner: Assistant, adapter: Adapter
) -> None:
    examined(session, owner, adapter)
    text = card_of(session, adapter)
    assert "It was refused after its exam" in text and "against the base model" in text
    assert "chrF rises by 11 on average (95 % interval +4.2 to +18) on 30 held-out tickets" in text
    assert "1 veto for harm" in text
    assert "| refused | 0.03 | 0.06 | 0.1 | yes |" in text
    assert "| shoes | 9 | -4 | loses |" in text
    assert "| says what it must not | 1 | 0 |" in text


def test_an_exam_from_which_nothing_follows_says_so(
    session: Session, owner: Assistant, adapter: Adapter
) -> None:
    nothing = dict.fromkeys(("gain", "gain_low", "gain_high"))
    examined(session, owner, adapter, **nothing, topics=[], guardrails=[])
    assert "nothing could be concluded from 30 tickets" in card_of(session, adapter)


def test_what_it_still_knows_is_told_once_it_was_asked(
    session: Session, owner: Assistant, adapter: Adapter
) -> None:
    assert "Forgetting" not in card_of(session, adapter)
    word = corrected(session, owner, "What of the lamp?", "It is fine.", "wren")
    asked = rechecks.request(session, word, "mara")
    rechecks.finish(session, asked, RecheckState.FIXED, adapter, "Now.", 1, 1)
    assert "| not learned | 100% | 1 | - |" in card_of(session, adapter).lower()


def test_without_its_files_the_recipe_is_gone_and_the_rest_stands(
    session: Session, adapter: Adapter
) -> None:
    shutil.rmtree(adapters.folder_of(adapter))
    text = card_of(session, adapter)
    assert "files were removed, and with them the recipe" in text
    assert "| steps taken | 40 |" in text
    assert "Trained on from: not known any more" in text


def test_erased_people_are_counted(session: Session, owner: Assistant, adapter: Adapter) -> None:
    who = whose_words.of_customer(session, owner, "guest-0")
    erasure.erase(session, owner, who, audit.here(), "Asked.")
    assert "belong to people who were erased since" in card_of(session, adapter)


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ("card_watts", ["Energy", "Carbon"]),
        ("card_grams_co2_per_kwh", ["Carbon"]),
        ("card_cost_per_hour", ["Cost"]),
    ],
)
def test_a_rate_of_nought_leaves_its_line_out(setting: str, gone: list[str]) -> None:
    settings = FeedbackSettings().model_copy(update={setting: 0})
    [lines] = card_recipe.costs([Run("sft", {}, {"seconds": 60})], settings).parts
    assert isinstance(lines, list)
    told = {each.partition(":")[0] for each in lines}
    assert {"Energy", "Carbon", "Cost"} - told == set(gone)


def test_time_that_is_not_recorded_costs_nothing_that_is_told() -> None:
    assert card_recipe.costs([]).parts == ["How long it trained is not recorded."]


def shown(words: str) -> str:
    return "".join(filter(str.isprintable, words))


@given(st.text(), st.lists(st.text(), min_size=1), st.text())
def test_whatever_words_are_they_end_neither_the_front_matter_nor_a_table(
    title: str, values: list[str], cell: str
) -> None:
    parts: list[Part] = [cell, [cell], Table(("a", "b"), [(cell, cell)]), Code("x", "sh")]
    card = Card(title, {"tags": values, "base_model": title}, [Section("S", parts)])
    text = markdown(card)
    front = text.removeprefix("---\n").partition("\n---\n")[0]
    assert yaml.safe_load(front) == {"tags": list(map(shown, values)), "base_model": shown(title)}
    row = text.split("| --- | --- |\n")[-1].split("\n")[0]
    assert row.replace("\\\\", "").replace("\\|", "").count("|") == 3


def test_names_of_base_models() -> None:
    assert base_model.EMBEDDED == EMBEDDED_MODEL
    assert base_model.hub_id("org/model-1.5B") == "org/model-1.5B"
    assert base_model.hub_id("/srv/models/one") is None
    assert base_model.shown("/srv/models/one") == "one"


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
def test_the_command_prints_or_writes_it(
    owner: Assistant, tmp_path: Path, database_engine: Any
) -> None:
    with writing(database_engine) as session:
        built = built_adapter(tmp_path / "built")
        name = adapters.publish(session, owner, built, [], RECIPE, VERSIONS).name
    run = CliRunner().invoke
    printed = run(adapter_commands.app, ["card", name], catch_exceptions=False).stdout
    assert front_of(printed)["library_name"] == "peft"
    out = tmp_path / "README.md"
    run(adapter_commands.app, ["card", name, "--out", str(out)], catch_exceptions=False)
    assert out.read_text() == printed
    with pytest.raises(Invalid, match="expected a file's name"):
        words = ["card", name, "--out", str(tmp_path / "no" / "README.md")]
        run(adapter_commands.app, words, catch_exceptions=False)
