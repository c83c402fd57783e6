"""Short ways to have things said, corrected and built, for the store's tests."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlmodel import Session, select

from feedback import adapters, assistants, conversations, corrections
from feedback.adapter_folder import CONFIG, PROBE, WEIGHTS
from feedback.database import writing
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    Message,
    MessageState,
    Promotion,
    Role,
)

NIGHT = "My tent smells of wet dog. How do I get it fresh again?"
SHOES = "Do you still carry the red gardening clogs in size 39?"
SPOON = "Which titanium spoon survives a dishwasher and an angry toddler?"


def answered(
    session: Session,
    assistant: Assistant,
    question: str,
    answer: str = "I do not know.",
    customer: str | None = None,
    conversation: Conversation | None = None,
    state: MessageState = MessageState.COMPLETE,
) -> tuple[Message, Message]:
    """A question and its answer, in a conversation of their own if none is given."""
    conversation = conversation or conversations.begin(session, assistant, None, customer)
    prompt = assistants.prompt_in_force(session, assistant)
    asked, row = conversations.ask(
        session, conversation, question, prompt, None, assistant.base_model, {}
    )
    return asked, conversations.finish(session, row.id, state, text=answer)


def corrected(
    session: Session,
    assistant: Assistant,
    question: str,
    correction: str,
    customer: str | None = None,
    answer: str = "I do not know.",
    author: str = "mara",
) -> Feedback:
    """A question that was answered badly and corrected."""
    _, row = answered(session, assistant, question, answer, customer)
    return corrections.give(
        session, row.id, FeedbackKind.CORRECTION, author, Role.AGENT, text=correction
    )


def built_adapter(folder: Path, weights: bytes = b"weights") -> Path:
    """A finished adapter folder as a trainer leaves it."""
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CONFIG).write_text(json.dumps({"r": 8}))
    (folder / PROBE).write_text("[]")
    return folder


def long_ago(session: Session, days: int = 40) -> None:
    """All that was published and promoted so far happened so many days earlier."""
    for row in [*session.exec(select(Adapter)), *session.exec(select(Promotion))]:
        row.created_at -= timedelta(days=days)
        session.add(row)


def roll_back(session: Session, assistant: Assistant, by: str, reason: str) -> Promotion:
    """A rollback as history has it, without the engines' word."""
    target = adapters.rollback_target(session, assistant)
    return adapters.promote(session, assistant, target, by, reason, rolls_back=True)


def statements_of(session: Session, act: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements that an act sends to the database, with their parameters; not what others send."""
    found: list[tuple[str, Any]] = []
    mine = threading.get_ident()

    def note(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        if threading.get_ident() == mine and not statement.startswith("BEGIN"):
            found.append((statement, parameters))

    session.flush()
    bound = session.get_bind()
    event.listen(bound, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(bound, "before_cursor_execute", note)
    return found


def while_open(
    database: Engine, first: Callable[[Session], object], other: Callable[[Session], object]
) -> list[BaseException]:
    """Begin `other` in a second transaction while `first`, already done, is not committed yet."""

    def second() -> None:
        with writing(database) as session:
            other(session)

    with ThreadPoolExecutor(1) as pool:
        with writing(database) as session:
            first(session)
            waiting = pool.submit(second)
            wait([waiting], timeout=0.3)
        error = waiting.exception(timeout=60)
    return [error] if error else []


def at_the_same_time(*acts: Callable[[], object]) -> list[BaseException]:
    """Run each in a thread of its own, all released at once; what they raised."""
    barrier = threading.Barrier(len(acts))
    raised: list[BaseException] = []

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        try:
            act()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised
