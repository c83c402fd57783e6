"""A person takes over: one at a time, and what they write teaches."""

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import assistants, conversations, corrections, datasets, freezing, handovers, staff
from feedback.database import writing
from feedback.desk_tables import HandoverReason, Staff
from feedback.errors import Conflict, Invalid
from feedback.tables import Assistant, Conversation, Handling, MessageState, Role
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


def test_from_a_colleague_who_is_away_a_conversation_is_taken_over_and_both_are_on_record(
    assistant: Assistant, session: Session
) -> None:
    mara, olga, conversation = person(session), person(session, "olga"), talk(session, assistant)
    handovers.request(session, conversation, HandoverReason.RULE, "refunds")
    handovers.take(session, conversation, mara)
    assert handovers.take_over(session, conversation, olga) == mara
    with pytest.raises(Conflict, match="Take this conversation first"):
        handovers.send(session, conversation, mara, "Hello")
    handovers.send(session, conversation, olga, "Hello")
    handovers.close(session, conversation, olga)
    told = [
        (one.taken_by_id, one.ended_by_id, one.outcome, one.reason, one.detail)
        for one in handovers.history(session, conversation)
    ]
    assert told == [
        (mara.id, olga.id, "taken_over", "rule", "refunds"),
        (olga.id, olga.id, "closed", "rule", "refunds"),
    ]


def test_what_nobody_else_has_is_not_taken_over(assistant: Assistant, session: Session) -> None:
    conversation, mara = taken(session, assistant)
    with pytest.raises(Conflict, match="simply take it"):
        handovers.take_over(session, conversation, mara)
    handovers.hand_back(session, conversation, mara)
    with pytest.raises(Conflict, match="simply take it"):
        handovers.take_over(session, conversation, mara)


def test_who_is_shut_out_holds_nobody_and_the_customer_keeps_their_place(
    assistant: Assistant, session: Session
) -> None:
    mara, first, later = person(session), talk(session, assistant), talk(session, assistant)
    asked = handovers.request(session, first, HandoverReason.CUSTOMER_ASKED, "pressed the button")
    handovers.take(session, first, mara)
    handovers.request(session, later, HandoverReason.CUSTOMER_ASKED)
    staff.disable(session, mara)
    assert (first.handling, first.assigned_to_id) == (Handling.WAITING, None)
    assert first.waiting_since == asked.created_at
    assert handovers.people_ahead(session, later) == 1
    ended, waits = handovers.history(session, first)
    assert (ended.taken_by_id, ended.outcome) == (mara.id, "put_back")
    assert (waits.reason, waits.detail) == (HandoverReason.CUSTOMER_ASKED, "pressed the button")
    olga = person(session, "olga")
    assert handovers.take(session, first, olga).taken_by_id == olga.id


def test_who_loses_their_role_here_holds_nothing_here(
    assistant: Assistant, session: Session
) -> None:
    mara = person(session)
    bakery = assistants.create(session, "bakery", "Bakery", "embedded", "Bake.", "test")
    here, there = talk(session, assistant), talk(session, bakery)
    for owner, conversation in ((assistant, here), (bakery, there)):
        staff.grant(session, mara, Role.AGENT, owner, "test")
        handovers.take(session, conversation, mara)
    staff.grant(session, mara, Role.OPERATOR, assistant, "test")
    assert here.handling == Handling.PERSON
    staff.take_role(session, mara, assistant)
    assert (here.handling, there.handling) == (Handling.WAITING, Handling.PERSON)


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


def taught(session: Session, assistant: Assistant) -> set[tuple[str, str, str | None]]:
    """What a cycle would learn now: question, answer, and for a pair what it is better than."""
    sft, dpo, _ = freezing.freeze(session, assistant)
    rows = [*datasets.items(session, sft), *datasets.items(session, dpo)]
    return {(row.prompt[-1]["content"], row.chosen, row.rejected) for row in rows}


def test_all_that_is_written_until_the_customers_next_message_is_one_demonstration(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    for text in ("Hi, one moment.", "It is in Ghent.", "Anything else?"):
        sent = handovers.send(session, conversation, mara, text)
    whole = "Hi, one moment.\n\nIt is in Ghent.\n\nAnything else?"
    assert sent.feedback and sent.feedback.text == whole
    assert taught(session, assistant) == {("Where is it?", whole, None)}
    conversations.write(session, conversation, "And my tent?")
    handovers.send(session, conversation, mara, "At the gate.")
    assert taught(session, assistant) == {
        ("Where is it?", whole, None),
        ("And my tent?", "At the gate.", None),
    }


def test_a_colleague_who_takes_over_demonstrates_their_own_answer(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    handovers.send(session, conversation, mara, "One moment.")
    olga = person(session, "olga")
    handovers.take_over(session, conversation, olga)
    handovers.send(session, conversation, olga, "It is in Ghent.")
    assert taught(session, assistant) == {("Where is it?", "It is in Ghent.", None)}


def test_what_is_sent_before_and_after_a_draft_does_not_take_the_place_of_what_it_taught(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    handovers.send(session, conversation, mara, "One moment.")
    draft = handovers.keep_draft(session, conversation, "On Monday.")
    handovers.send(session, conversation, mara, "On Tuesday.", draft.id)
    assert handovers.send(session, conversation, mara, "Anything else?").feedback is None
    expected = ("Where is it?", "On Tuesday.")
    assert taught(session, assistant) == {(*expected, None), (*expected, "On Monday.")}


def test_an_untouched_draft_teaches_what_it_says(assistant: Assistant, session: Session) -> None:
    conversation, mara = taken(session, assistant)
    draft = handovers.keep_draft(session, conversation, "On Monday.")
    handovers.send(session, conversation, mara, "On Monday.", draft.id)
    assert taught(session, assistant) == {("Where is it?", "On Monday.", None)}


@pytest.mark.parametrize("text", ["At the gate.", "On Monday."], ids=["edited", "untouched"])
def test_a_draft_for_an_earlier_question_is_not_corrected_by_an_answer_to_a_newer_one(
    assistant: Assistant, session: Session, text: str
) -> None:
    conversation, mara = taken(session, assistant)
    draft = handovers.keep_draft(session, conversation, "On Monday.")
    newer = conversations.write(session, conversation, "And my tent?")
    sent = handovers.send(session, conversation, mara, text, draft.id)
    assert sent.feedback and (sent.feedback.kind, sent.feedback.message_id) == (
        "demonstration",
        newer.id,
    )
    assert [(chosen, worse) for _, chosen, worse in taught(session, assistant)] == [(text, None)]


def test_a_message_is_sent_even_when_all_together_is_too_long_for_one_lesson(
    assistant: Assistant, session: Session
) -> None:
    conversation, mara = taken(session, assistant)
    handovers.send(session, conversation, mara, "a" * 5000)
    assert handovers.send(session, conversation, mara, "b" * 5000).feedback is None
    assert [len(chosen) for _, chosen, _ in taught(session, assistant)] == [5000]


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
