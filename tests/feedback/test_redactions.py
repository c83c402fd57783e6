"""What is remembered of redacted texts: found again, shared, reported without a value, forgotten."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Engine
from sqlmodel import func, select
from typer.testing import CliRunner

from feedback import commands, redactions
from feedback.database import reading, writing
from feedback.redact_ahead import redact_ahead
from feedback.redaction import Redactor
from feedback.tables import Assistant
from feedback.trust_tables import Redaction
from tests.feedback.said import answered, at_the_same_time, corrected

SAID = "I am Jane Whitfield and my mail is jane.whitfield@example.com."
PLAIN = "A rental tent is 22 euros a night."


def count(database: Engine) -> int:
    with reading(database) as session:
        return session.exec(select(func.count()).select_from(Redaction)).one()


def test_a_text_is_redacted_once_and_then_remembered(database_engine: Engine) -> None:
    redactor = Redactor({})
    with writing(database_engine) as session:
        first = redactions.redacted(session, redactor, [SAID, PLAIN, SAID])
    with writing(database_engine) as session:
        row = redactions.remembered(session, redactor, [SAID])[SAID]
        row.text = "as it was remembered"
        session.add(row)
    with writing(database_engine) as session:
        again = redactions.redacted(session, redactor, [SAID, PLAIN])
    assert first == {SAID: "I am <PERSON> and my mail is <EMAIL_ADDRESS>.", PLAIN: PLAIN}
    assert again == {SAID: "as it was remembered", PLAIN: PLAIN}
    assert count(database_engine) == 2


def test_another_pattern_makes_other_rules_and_the_text_is_looked_through_again(
    database_engine: Engine,
) -> None:
    text = "Where is PP-123456?"
    with writing(database_engine) as session:
        assert redactions.redacted(session, Redactor({}), [text]) == {text: text}
        own = Redactor({"ORDER_NUMBER": "PP-[0-9]{6}"})
        assert redactions.redacted(session, own, [text]) == {text: "Where is <ORDER_NUMBER>?"}


def test_two_processes_may_store_the_same_texts_at_once(database_engine: Engine) -> None:
    texts = [f"My mail is m{number}@example.com" for number in range(50)]
    redactor = Redactor({})

    def store(texts: list[str]) -> Callable[[], None]:
        def act() -> None:
            with writing(database_engine) as session:
                assert set(redactions.redacted(session, redactor, texts)) == set(texts)

        return act

    assert at_the_same_time(store(texts), store(texts[::-1])) == []
    assert count(database_engine) == 50


def test_ahead_all_that_may_teach_is_redacted_and_nothing_else(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        corrected(session, assistant, SAID, "Thank you, Jane Whitfield!")
        answered(session, assistant, "Nobody corrected what Igor Petrov was told.")
        needed = list(redactions.needed(session, assistant))
        assert redactions.count_needed(session, assistant) == len(needed) == 3
    assert sum(new for _, new in redact_ahead(assistant, database_engine)) == 3
    assert sum(new for _, new in redact_ahead(assistant, database_engine)) == 0
    with reading(database_engine) as session:
        redactor = redactions.redactor_of(assistant)
        assert set(redactions.remembered(session, redactor, needed)) == set(needed)
    assert count(database_engine) == 3


def test_the_report_counts_an_assistants_own_texts_and_never_shows_a_value(
    database_engine: Engine, make_assistant: Callable[..., Assistant]
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        corrected(session, shop, SAID, "Thank you, Jane Whitfield!")
        corrected(session, bakery, "My card is 4111 1111 1111 1111.", "Keep it to yourself.")
    with reading(database_engine) as session:
        before = redactions.report(session, shop)
    for owner in (shop, bakery):
        list(redact_ahead(owner, database_engine))
    with reading(database_engine) as session:
        told = redactions.report(session, shop)
    assert (before.texts, before.looked_through) == (3, 0)
    assert (told.texts, told.looked_through, told.with_any) == (3, 3, 2)
    assert {type: (one.count, one.texts) for type, one in told.found.items()} == {
        "PERSON": (2, 2),
        "EMAIL_ADDRESS": (1, 1),
    }
    shown = [example for one in told.found.values() for example in one.examples]
    assert "I am <PERSON> and my mail is <EMAIL_ADDRESS>." in shown
    assert not any("Jane" in example or "example.com" in example for example in shown)


def test_a_report_of_the_first_texts_says_that_it_is_not_all(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        corrected(session, assistant, SAID, "Thank you!")
    with reading(database_engine) as session:
        assert not redactions.report(session, assistant, most=2).is_whole
        assert redactions.report(session, assistant, most=10).is_whole


def test_what_is_forgotten_is_gone_under_all_rules(database_engine: Engine) -> None:
    with writing(database_engine) as session:
        for redactor in (Redactor({}), Redactor({"THING": "tent"})):
            redactions.redacted(session, redactor, [SAID, PLAIN])
    with writing(database_engine) as session:
        assert redactions.forget(session, [SAID]) == 2
        assert redactions.forget(session, [SAID]) == 0
    assert count(database_engine) == 2


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
def test_on_the_command_line_one_tries_a_text_redacts_ahead_and_reads_the_report(
    database_engine: Engine, assistant: Assistant
) -> None:
    def redact(*words: str) -> dict[str, object]:
        result = CliRunner().invoke(
            commands.app, ["redact", *words, "--json"], catch_exceptions=False
        )
        told: dict[str, object] = json.loads(result.stdout)
        return told

    with writing(database_engine) as session:
        corrected(session, assistant, SAID, "Thank you!")
    tried = redact("--text", SAID)
    assert tried["text"] == "I am <PERSON> and my mail is <EMAIL_ADDRESS>."
    assert count(database_engine) == 0
    assert redact() == {"texts": 3, "new": 3}
    assert redact() == {"texts": 3, "new": 0}
    told = redact("--report")
    assert (told["texts"], told["with_personal_data"]) == (3, 1)
    assert "Whitfield" not in json.dumps(told)
