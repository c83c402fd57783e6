"""The quick way to log a turn leaves the rows that the plain way leaves."""

from typing import Any

import pytest
from sqlalchemy import Engine, text

from feedback import assistants, conversations, turn_log
from feedback.database import writing
from feedback.errors import NotFound
from feedback.tables import Assistant, Handling, MessageState
from feedback.transcript import turns

HOW: dict[str, Any] = {"base_model": "embedded", "sampling": {"max_tokens": 8}, "writer": "me:1"}
RESULT = {
    "text": "Forty days.",
    "finish_reason": "stop",
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "time_to_first_token_ms": 12,
    "latency_ms": 34,
    "mean_logprob": -0.25,
    "error": None,
}
QUESTIONS = ["How long may I return it?", "And without a receipt?"]
UNALIKE = {"id", "conversation_id", "reply_to_id", "created_at", "finished_at", "last_message_at"}


def rows(database: Engine, table: str, order: str) -> list[dict[str, Any]]:
    with database.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()
        return [{name: row[name] for name in row if name not in UNALIKE} for row in found]


def plain(database: Engine, assistant: Assistant) -> None:
    with writing(database) as session:
        talk = conversations.begin(session, assistant, None, "ada")
        prompt = assistants.prompt_in_force(session, assistant)
    for question in QUESTIONS:
        with writing(database) as session:
            row = conversations.get(session, talk.id)
            sampling = HOW["sampling"]
            _, answer = conversations.ask(
                session, row, question, prompt, None, "embedded", sampling, question[:3], "me:1"
            )
        with writing(database) as session:
            conversations.finish(session, answer.id, MessageState.COMPLETE, **RESULT)


def quick(database: Engine, assistant: Assistant) -> None:
    with writing(database) as session:
        talk = turn_log.begin(session, assistant, None, "ada")
        prompt = assistants.prompt_in_force(session, assistant)
    for question in QUESTIONS:
        with writing(database) as session:
            stands = turn_log.before(session, talk.id)
            how = {**HOW, "prompt_id": prompt.id}
            asked, answer = turn_log.ask(session, stands, question, question[:3], **how)
            said = turns([*stands.said, asked])
        with writing(database) as session:
            row = turn_log.finish(session, answer, said, state=MessageState.COMPLETE, **RESULT)
            assert row is not None and row.text == RESULT["text"]


def test_both_ways_leave_the_same_rows(database_engine: Engine, assistant: Assistant) -> None:
    plain(database_engine, assistant)
    quick(database_engine, assistant)
    first, second = rows(database_engine, "conversation", "id")
    assert first == second
    assert first["transcript_sha256"] is not None
    said = rows(database_engine, "message", "conversation_id, position")
    assert said[:4] == said[4:]


@pytest.mark.parametrize("change", [{"handling": "person"}, {"state": "interrupted"}])
def test_what_is_out_of_the_ordinary_is_not_stored_quickly(
    database_engine: Engine, assistant: Assistant, change: dict[str, str]
) -> None:
    with writing(database_engine) as session:
        talk = conversations.begin(session, assistant, None)
        how = {**HOW, "prompt_id": assistants.prompt_in_force(session, assistant).id}
        stands = turn_log.before(session, talk.id)
        _, answer = turn_log.ask(session, stands, "Hello?", None, **how)
    with writing(database_engine) as session:
        if "handling" in change:
            conversations.get(session, talk.id).handling = Handling.PERSON
        else:
            conversations.message(session, answer.id).state = MessageState.INTERRUPTED
    before = rows(database_engine, "message", "position")
    with writing(database_engine) as session:
        assert turn_log.finish(session, answer, [], state=MessageState.COMPLETE, **RESULT) is None
    assert rows(database_engine, "message", "position") == before


def test_an_unknown_conversation_is_said_to_be_unknown(database_engine: Engine) -> None:
    with writing(database_engine) as session, pytest.raises(NotFound, match="no conversation 'x'"):
        turn_log.before(session, "x")
