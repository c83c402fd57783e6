"""The inbox's views, their pages and their counts."""

import math

import pytest
from sqlmodel import Session

from feedback import audit, conversations, corrections, handovers, inbox, rechecks, staff
from feedback.audit import Actor
from feedback.desk_tables import HandoverReason, RecheckState
from feedback.errors import Invalid
from feedback.inbox import View
from feedback.tables import (
    Assistant,
    Conversation,
    FeedbackKind,
    FlagReason,
    Message,
    MessageState,
    Role,
)
from tests.feedback.said import answered, corrected


def ids(session: Session, assistant: Assistant, view: View, **more: str | int | None) -> list[str]:
    return [row.conversation.id for row in inbox.page(session, assistant, view, **more)]  # type: ignore[arg-type]


def talk(session: Session, assistant: Assistant, sure: float = 0.9) -> tuple[Conversation, Message]:
    _, row = answered(session, assistant, "Where is it?")
    conversations.finish(
        session, row.id, MessageState.COMPLETE, text="Here.", mean_logprob=math.log(sure)
    )
    return conversations.get(session, row.conversation_id), row


def test_a_conversation_is_in_the_views_that_fit_it(assistant: Assistant, session: Session) -> None:
    calm, _ = talk(session, assistant)
    unsure, _ = talk(session, assistant, 0.2)
    waiting, _ = talk(session, assistant)
    handovers.request(session, waiting, HandoverReason.CUSTOMER_ASKED)
    bad, answer = talk(session, assistant)
    corrections.give(
        session, answer.id, FeedbackKind.FLAG, "ann", Role.CUSTOMER, reason=FlagReason.TONE
    )
    assert ids(session, assistant, View.WAITING) == [waiting.id]
    assert ids(session, assistant, View.FLAGGED) == [bad.id]
    assert ids(session, assistant, View.UNSURE) == [unsure.id]
    assert set(ids(session, assistant, View.ALL)) == {calm.id, unsure.id, waiting.id, bad.id}
    counts = inbox.counts(session, assistant)
    assert (counts[View.WAITING], counts[View.FLAGGED], counts[View.NOT_REVIEWED]) == (1, 1, 4)


def test_what_staff_looked_at_leaves_the_views_of_what_is_to_do(
    assistant: Assistant, session: Session
) -> None:
    _, answer = talk(session, assistant, 0.2)
    corrections.give(session, answer.id, FeedbackKind.RATING, "ann", Role.CUSTOMER, value=-1)
    corrections.give(session, answer.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    for view in (View.FLAGGED, View.UNSURE, View.NOT_REVIEWED):
        assert ids(session, assistant, view) == []


def test_a_word_taken_back_puts_the_conversation_where_it_was(
    assistant: Assistant, session: Session
) -> None:
    talked, answer = talk(session, assistant)
    disliked = corrections.give(
        session, answer.id, FeedbackKind.RATING, "ann", Role.CUSTOMER, value=-1
    )
    first = corrections.give(session, answer.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    other = corrections.give(session, answer.id, FeedbackKind.APPROVAL, "nils", Role.AGENT)
    corrections.withdraw(session, first.id, "mara")
    assert ids(session, assistant, View.NOT_REVIEWED) == []
    corrections.withdraw(session, other.id, "nils")
    assert ids(session, assistant, View.NOT_REVIEWED) == [talked.id]
    assert ids(session, assistant, View.FLAGGED) == [talked.id]
    corrections.withdraw(session, disliked.id, "ann")
    assert ids(session, assistant, View.FLAGGED) == []


@pytest.mark.parametrize("view", [View.ALL, View.UNSURE, View.WAITING, View.FLAGGED])
def test_pages_hold_every_conversation_once(
    assistant: Assistant, session: Session, view: View
) -> None:
    for _ in range(7):
        made, answer = talk(session, assistant, 0.3)  # equal values: the id decides
        handovers.request(session, made, HandoverReason.RULE)
        corrections.give(session, answer.id, FeedbackKind.RATING, "ann", Role.CUSTOMER, value=-1)
    whole = ids(session, assistant, view)
    seen: list[str] = []
    while page := ids(session, assistant, view, after=seen[-1] if seen else None, limit=3):
        seen += page
    assert seen == whole
    assert len(set(seen)) == 7


def test_a_page_after_what_is_no_conversation_here_is_refused(
    assistant: Assistant, session: Session
) -> None:
    with pytest.raises(Invalid, match="expected a conversation's id"):
        inbox.page(session, assistant, View.ALL, after="nothing")


def test_the_following_conversation_of_a_view_is_found_also_when_this_one_left_it(
    assistant: Assistant, session: Session
) -> None:
    older, _ = talk(session, assistant)
    newer, answer = talk(session, assistant)
    found = inbox.following(session, assistant, View.NOT_REVIEWED, None, newer.id)
    assert found and found.id == older.id
    corrections.give(session, answer.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    found = inbox.following(session, assistant, View.NOT_REVIEWED, None, newer.id)
    assert found and found.id == older.id
    assert inbox.following(session, assistant, View.NOT_REVIEWED, None, older.id) is None


def test_mine_are_the_open_ones_i_have(assistant: Assistant, session: Session) -> None:
    mara, _ = staff.invite(session, "mara@example.com", "Mara", "test")
    one, _ = talk(session, assistant)
    talk(session, assistant)
    handovers.take(session, one, mara)
    assert ids(session, assistant, View.MINE, staff_id=mara.id) == [one.id]
    handovers.close(session, one, mara)
    assert ids(session, assistant, View.MINE, staff_id=mara.id) == []


def test_the_mark_changes_with_everything_a_page_shows(
    assistant: Assistant, session: Session
) -> None:
    marks = [inbox.mark(session, assistant)]

    def changed() -> bool:
        marks.append(inbox.mark(session, assistant))
        return marks[-1] not in marks[:-1]

    row = corrected(session, assistant, "Where?", "There.")
    assert changed()
    assert not changed()
    audit.record(session, Actor("mara", "agent"), "conversation.take", "x", assistant.id)
    assert changed()
    asked = rechecks.request(session, row, "mara")
    assert changed()
    rechecks.finish(session, asked, RecheckState.FIXED, None)
    assert changed()
