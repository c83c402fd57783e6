"""Enough to learn from, or a sentence that says what is missing and why."""

from pathlib import Path

from sqlmodel import Session

from feedback import adapters, freezing, policies, signal
from feedback.tables import Assistant
from tests.feedback.said import built_adapter, corrected
from tests.feedback.test_freezing import teach


def test_too_few_rows_say_how_many_more_and_what_waits(
    assistant: Assistant, session: Session
) -> None:
    policy = policies.create(session, assistant, "returns", "31 days.", "olga")
    word = corrected(session, assistant, "How long may I return it?", "31 days.")
    word.policy_id = policy.id
    corrected(session, assistant, "Is there a shop in town?", "There is, by the river.")
    policies.retire(session, policy, "olga")
    sft, *_ = freezing.freeze(session, assistant)
    said = signal.missing(session, assistant, sft, 8, 1)
    assert "Found 1 row to learn from, expected at least 8" in said and "7 more" in said
    assert "1 that rest on a retired policy" in said


def test_what_the_newest_adapter_knows_already_is_not_new(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    teach(session, assistant)
    first, *_ = freezing.freeze(session, assistant)
    assert signal.missing(session, assistant, first, 8, 3) == ""
    adapters.publish(session, assistant, built_adapter(tmp_path / "a"), [first], {}, {})
    assert signal.new_rows(session, assistant, first) == 0
    corrected(session, assistant, "Do you mend umbrellas by any chance?", "Ribs and handles.")
    second, *_ = freezing.freeze(session, assistant)
    assert signal.new_rows(session, assistant, second) == 1
    said = signal.missing(session, assistant, second, 8, 3)
    assert "Found 1 row that the newest adapter has not learned" in said and "2 more" in said
    assert signal.missing(session, assistant, second, 8, 1) == ""
