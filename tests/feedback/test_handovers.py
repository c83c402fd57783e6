"""A person takes over: one at a time, and what they write teaches."""

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import conversations, corrections, handovers, staff
from feedback.database import writing
from feedback.desk_tables import HandoverReason, Staff
from feedback.errors import Conflict, Invalid
from feedback.tables import Assistant, Conversation, Handling, MessageState
from tests.feedback.said import answered, at_the_same_time

CLOSED_ALWAYS = {"hours": {"monday": [{"opens": "00:00", "closes": "00:00"}]}}


def person(session: Session, name: str = "mara") -> Staff:
    return staff.invite(session, f"{name}@example.com", name.title(), "test")[0]


def talk(session: Session, assistant: Assistant) -> Conversation:
    asked, _ = answered(session, assistant, "Where is it?")
    return conversations.get(session, asked.conversation_id)


def taken(session: Session, assistant: Assistant) -> tuple[Conversation, Staff]:
    mara, conversation = person(session), talk(session, assistant)
    handovers.take(session, conversation, mara)
    return conversation, mara


def test_asking_twice_waits_once_and_says_how_many_are_ahead(
    assistant: Assistant, session: Session
) -> None:
    first, second = talk(session, assistant), talk(session, assistant)
    for conversation in (first, first, second):
        handovers.request(session, conversation, HandoverReason.CUSTOMER_ASKED)
    assert len(handovers.history(session, first)) == 1
    assert handovers.people_ahead(session, first) == 0
    assert handovers.people_ahead(session, second) == 1


def test_out_of_hours_is_noted(assistant: Assistant, session: Session) -> None:
    session.get_one(Assistant, assistant.id).desk = CLOSED_ALWAYS
    made = handovers.request(session, talk(session, assistant), HandoverReason.RULE, "refunds")
    assert made.out_of_hours


def test_of_two_who_take_at_once_one_gets_it(assistant: Assistant, database_engine: Engine) -> None:
    with writing(database_engine) as session:
        people = [person(session, name) for name in ("mara", "nils")]
        conversation = talk(session, assistant)

    def take(who: Staff) -> None:
        with writing(database_engine) as session:
            handovers.take(session, conversation, who)

    raised = at_the_same_time(*(lambda who=who: take(who) for who in people))
    assert [type(error) for error in raised] == [Conflict]
    with writing(database_engine) as session:
        assert len(handovers.history(session, conversation)) == 1


def test_an_answer_being_written_ends_when_a_person_takes_over(
    assistant: Assistant, session: Session
) -> None:
    conversation = talk(session, assistant)
    _, writing_one = answered(
        session, assistant, "And?", conversation=conversation, state=MessageState.WRITING
    )
    handovers.take(session, conversation, person(session))
    assert conversations.message(session, writing_one.id).state == MessageState.INTERRUPTED


def test_only_who_has_a_conversation_hands_it_back_or_writes_in_it(
    assistant: Assistant, session: Session
) -> None:
    conversation, _ = taken(session, assistant)
    nils = person(session, "nils")
    with pytest.raises(Conflict, match="Mara has this conversation"):
        handovers.hand_back(session, conversation, nils)
    with pytest.raises(Conflict, match="Take this conversation first"):
        handovers.send(session, conversation, nils, "Hello")


def test_handed_back_the_bot_answers_and_closed_it_is_done(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    handovers.hand_back(session, conversation, mara)
    assert handovers.current(session, conversation) is None
    assert conversation.handling == Handling.BOT
    closed = handovers.close(session, conversation, mara)
    assert (closed.handling, closed.closed_at is None) == (Handling.CLOSED, False)


def test_who_ended_a_hand_over_is_kept_and_how(assistant: Assistant, session: Session) -> None:
    conversation, mara = taken(session, assistant)
    handovers.hand_back(session, conversation, mara)
    handovers.take(session, conversation, mara)
    handovers.close(session, conversation, mara)
    ends = [(each.outcome, each.ended_by_id) for each in handovers.history(session, conversation)]
    assert ends == [("handed_back", mara.id), ("closed", mara.id)]


def test_a_customer_who_leaves_no_longer_waits_and_the_reason_is_kept(
    assistant: Assistant, session: Session
) -> None:
    first, second = talk(session, assistant), talk(session, assistant)
    for conversation in (first, second):
        handovers.request(session, conversation, HandoverReason.CUSTOMER_ASKED, "a refund")
    left = handovers.leave(session, first)
    assert (left.handling, left.waiting_since) == (Handling.CLOSED, None)
    assert handovers.people_ahead(session, second) == 0
    [kept] = handovers.history(session, first)
    assert (kept.reason, kept.detail) == ("customer_asked", "a refund")
    assert (kept.outcome, kept.ended_by_id) == ("customer_left", None)
    assert kept.ended_at is not None
    when = left.closed_at
    assert handovers.leave(session, first).closed_at == when


def test_a_customer_who_leaves_frees_the_person(assistant: Assistant, session: Session) -> None:
    conversation, mara = taken(session, assistant)
    handovers.leave(session, conversation)
    assert conversation.assigned_to_id is None
    with pytest.raises(Conflict, match="Take this conversation first"):
        handovers.send(session, conversation, mara, "Still there?")


def test_what_an_agent_sends_teaches_by_how_it_came_about(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    draft = handovers.keep_draft(session, conversation, "On Monday.")
    edited = handovers.send(session, conversation, mara, "On Tuesday.", draft.id)
    assert edited.feedback and edited.feedback.kind == "correction"
    other = handovers.keep_draft(session, conversation, "On Friday.")
    same = handovers.send(session, conversation, mara, " On Friday. ", other.id)
    assert same.feedback and same.feedback.kind == "approval"
    conversations.write(session, conversation, "And my tent?")
    scratch = handovers.send(session, conversation, mara, "Here it is.")
    assert scratch.feedback and scratch.feedback.kind == "demonstration"
    assert handovers.send(session, conversation, mara, "Anything else?").feedback is None


def test_sent_again_under_its_key_it_is_sent_once(assistant: Assistant, session: Session) -> None:
    conversation, mara = taken(session, assistant)
    one = handovers.send(session, conversation, mara, "Hello", idempotency_key="k")
    again = handovers.send(session, conversation, mara, "Hello", idempotency_key="k")
    assert again.message.id == one.message.id
    assert again.feedback is None


def test_a_draft_of_another_conversation_is_refused(assistant: Assistant, session: Session) -> None:
    conversation, mara = taken(session, assistant)
    draft = handovers.keep_draft(session, talk(session, assistant), "Other.")
    with pytest.raises(Invalid, match="not a draft of this conversation"):
        handovers.send(session, conversation, mara, "Hello", draft.id)


def test_a_word_on_a_draft_does_not_count_as_a_review(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    draft = handovers.keep_draft(session, conversation, "On Monday.")
    sent = handovers.send(session, conversation, mara, "On Tuesday.", draft.id)
    assert conversation.reviewed_at is None
    assert sent.feedback
    assert list(corrections.about_conversation(session, conversation.id)) == [draft.id]
