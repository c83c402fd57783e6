"""What became of corrections: counts, lineage, rechecks."""

import pytest
from sqlmodel import Session

from feedback import corrections, freezing, learned, rechecks
from feedback.desk_tables import RecheckState
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import Assistant, FeedbackKind, Role
from tests.feedback.said import NIGHT, SHOES, SPOON, answered, corrected


def test_an_author_sees_their_own_newest_first(assistant: Assistant, session: Session) -> None:
    one = corrected(session, assistant, SHOES, "Yes.", author="mara")
    two = corrected(session, assistant, SPOON, "None.", author="mara")
    corrected(session, assistant, NIGHT, "Wash it.", author="nils")
    found = learned.by_author(session, assistant, "mara")
    assert [row.feedback.id for row in found] == [two.id, one.id]
    assert found[0].question == SPOON
    assert [row.feedback.id for row in learned.by_author(session, assistant, "mara", two.id)] == [
        one.id
    ]
    assert learned.counts(session, assistant, None)["given"] == 3


def test_what_was_taken_back_is_not_listed(assistant: Assistant, session: Session) -> None:
    row = corrected(session, assistant, SHOES, "Yes.")
    corrections.withdraw(session, row.id, "mara")
    assert learned.by_author(session, assistant, "mara") == []
    assert learned.counts(session, assistant, "mara")["given"] == 0


def test_a_correction_names_the_datasets_it_is_in(assistant: Assistant, session: Session) -> None:
    corrected(session, assistant, SHOES, "Yes.", customer="ann")
    corrected(session, assistant, SPOON, "None.", customer="bob")
    sft, dpo, _ = freezing.freeze(session, assistant)
    found = learned.by_author(session, assistant, "mara")[0]
    assert {dataset.id for dataset in found.datasets} == {sft.id, dpo.id}
    assert found.adapters == []


def test_the_newest_recheck_counts(assistant: Assistant, session: Session) -> None:
    row = corrected(session, assistant, SHOES, "Yes.")
    for state in (RecheckState.NOT_YET, RecheckState.FIXED):
        asked = rechecks.request(session, row, "mara")
        rechecks.finish(session, asked, state, None, "Yes.", 90.0, 20.0)
    counts = learned.counts(session, assistant, "mara")
    assert (counts["fixed"], counts.get("not_yet", 0)) == (1, 0)
    newest = learned.by_author(session, assistant, "mara")[0].recheck
    assert newest and newest.state == RecheckState.FIXED


def test_a_correction_is_checked_once_at_a_time(assistant: Assistant, session: Session) -> None:
    row = corrected(session, assistant, SHOES, "Yes.")
    rechecks.request(session, row, "mara")
    with pytest.raises(Conflict, match="being checked already"):
        rechecks.request(session, row, "mara")


def test_only_what_teaches_an_answer_can_be_checked(assistant: Assistant, session: Session) -> None:
    _, answer = answered(session, assistant, SHOES)
    row = corrections.give(session, answer.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    with pytest.raises(Invalid, match="Only corrections"):
        rechecks.request(session, row, "mara")
    with pytest.raises(NotFound):
        rechecks.get(session, "nothing")
