"""A correction's question, asked again: fixed, not yet, regressed, or failed with the reason."""

import asyncio

from sqlmodel import Session

from evals.recheck import recheck
from evals.settings import EvalsSettings
from feedback import adapters, assistants, conversations, corrections, rechecks
from feedback.database import writing
from feedback.desk_tables import Recheck, RecheckState
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    Message,
    Role,
    Speaker,
)
from tests.evals.conftest import Room

TAUGHT = "Bring it back within forty days."


def correction(session: Session, assistant: Assistant, text: str = TAUGHT) -> Feedback:
    talk = conversations.begin(session, assistant, None, "wren")
    conversations.say(session, talk, Speaker.CUSTOMER, "May I bring it back?")
    wrong = conversations.say(session, talk, Speaker.ASSISTANT, "No idea, sorry.")
    return corrections.give(
        session, wrong.id, FeedbackKind.CORRECTION, "mara", Role.AGENT, text=text
    )


def again(room: Room, feedback: Feedback) -> Recheck:
    with writing(room.database) as session:
        asked = rechecks.request(session, feedback, "mara")
    return asyncio.run(recheck(room.swaps, room.database, asked, EvalsSettings()))


def test_a_correction_the_bot_now_says_is_fixed_and_losing_it_again_is_a_regression(
    room: Room,
) -> None:
    with writing(room.database) as session:
        given = correction(session, room.assistant)
    assert again(room, given).state == RecheckState.NOT_YET
    room.engine.says["base"] = lambda question: TAUGHT
    fixed = again(room, given)
    assert fixed.state == RecheckState.FIXED
    assert fixed.text == TAUGHT and fixed.chrf == 100.0
    assert fixed.chrf_before is not None and fixed.chrf_before < 60
    room.engine.says["base"] = lambda question: "Ask somebody else."
    assert again(room, given).state == RecheckState.REGRESSED


def test_a_price_that_is_nearly_right_is_not_fixed(room: Room) -> None:
    with writing(room.database) as session:
        given = correction(session, room.assistant, "Express costs 9 euros and leaves at 13:40.")
    room.engine.says["base"] = lambda question: "Express costs 8 euros and leaves at 13:40."
    almost = again(room, given)
    assert almost.chrf is not None and almost.chrf > 60
    assert almost.state == RecheckState.NOT_YET


def test_the_question_is_asked_as_it_stood_before_the_answer(room: Room) -> None:
    with writing(room.database) as session:
        given = correction(session, room.assistant)
    again(room, given)
    asked = room.engine.asked[-1]["messages"]
    assert asked[-1] == {"role": "user", "content": "May I bring it back?"}


def test_the_question_is_asked_of_what_answers_its_topic(room: Room) -> None:
    first, second = room.publish("one"), room.publish("two")
    with writing(room.database) as session:
        owner = assistants.get(session, "shop")
        owner.topics = ["returns", "fees"]
        session.add(owner)
        adapters.promote(session, owner, first, "olga", "good")
        adapters.promote(session, owner, second, "olga", "better", except_topics=["fees"])
        given = {topic: correction(session, owner) for topic in ("returns", "fees", None)}
        for topic, word in given.items():
            message = session.get_one(Message, word.message_id)
            session.get_one(Conversation, message.conversation_id).topic = topic
    asked = {topic: again(room, word).adapter_id for topic, word in given.items()}
    assert asked == {"returns": second.id, "fees": first.id, None: first.id}


def test_an_engine_that_is_down_leaves_a_failed_recheck_with_the_reason(room: Room) -> None:
    with writing(room.database) as session:
        given = correction(session, room.assistant)
    room.engine.down = True
    failed = again(room, given)
    assert failed.state == RecheckState.FAILED
    assert failed.text and "engine" in failed.text
