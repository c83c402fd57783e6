"""What changed between two datasets: the rows, and what became of the feedback behind them."""

from collections.abc import Callable

import pytest
from sqlmodel import Session

from feedback import corrections, freezing
from feedback.dataset_diff import diff
from feedback.errors import Invalid
from feedback.settings import feedback_settings
from feedback.tables import Assistant, Dataset, FeedbackKind, Role
from tests.feedback.said import NIGHT, SHOES, SPOON, corrected

Freeze = Callable[[], Dataset]


@pytest.fixture
def freeze(assistant: Assistant, session: Session) -> Freeze:
    return lambda: freezing.freeze(session, assistant)[0]


def test_a_dataset_does_not_differ_from_itself(
    assistant: Assistant, session: Session, freeze: Freeze
) -> None:
    corrected(session, assistant, NIGHT, "Air it.")
    same = diff(session, freeze(), freeze())
    assert (same.same, same.added, same.removed, same.moved) == (1, [], [], [])


def test_rows_come_and_go_and_one_way_is_the_other_turned_round(
    assistant: Assistant, session: Session, freeze: Freeze
) -> None:
    kept = corrected(session, assistant, NIGHT, "Air it.", "otis")
    gone = corrected(session, assistant, SHOES, "In yellow.", "wren")
    older = freeze()
    corrections.withdraw(session, gone.id, gone.author)
    corrections.give(
        session,
        kept.message_id,
        FeedbackKind.CORRECTION,
        kept.author,
        Role.AGENT,
        text="Air it well.",
    )
    corrected(session, assistant, SPOON, "None.")
    newer = freeze()
    there, back = diff(session, older, newer), diff(session, newer, older)
    assert {change.row.chosen: change.why for change in there.removed} == {
        "Air it.": "replaced by its author",
        "In yellow.": "taken back by its author",
    }
    assert {change.row.chosen for change in there.added} == {"Air it well.", "None."}
    assert [each.row.id for each in there.added] == [each.row.id for each in back.removed]
    assert [each.row.id for each in there.removed] == [each.row.id for each in back.added]
    assert there.same == back.same == 0
    assert all(change.sources for change in (*there.added, *there.removed))


def test_a_row_in_the_other_split_has_moved(
    assistant: Assistant, session: Session, freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        corrected(session, assistant, NIGHT, f"Air it {number} times.", f"c-{number}")
    splits = []
    for percent in ("0", "50"):
        monkeypatch.setenv("FEEDBACK_VALIDATION_PERCENT", percent)
        feedback_settings.cache_clear()
        splits.append(freeze())
    older, newer = splits
    found = diff(session, older, newer)
    assert found.added == found.removed == []
    assert len(found.moved) == newer.validation_rows > older.validation_rows == 0
    assert found.same + len(found.moved) == 12


def test_datasets_that_teach_different_things_are_not_compared(
    assistant: Assistant, session: Session
) -> None:
    corrected(session, assistant, NIGHT, "Air it.")
    sft, dpo, _ = freezing.freeze(session, assistant)
    with pytest.raises(Invalid, match="expected two datasets of one kind"):
        diff(session, sft, dpo)
