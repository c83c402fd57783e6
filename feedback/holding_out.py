"""Holding out: a share of new corrections becomes exam tickets before anyone trains on them.

Chosen by a hash of the customer (of the conversation, where the customer is unknown), so that the choice
is the same anywhere and a customer is wholly on one side. Called by the loop before it freezes, and on
the command line.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator

from sqlalchemy import Engine as Database
from sqlmodel import Session, col, func, or_, select

from feedback import tickets
from feedback.batches import in_batches
from feedback.corrections import TEACHING
from feedback.database import reading, writing
from feedback.draws import drawn
from feedback.holds import Held
from feedback.learning import Learning, learning_of
from feedback.near_copies import Sealed
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    ItemSource,
    Message,
    Ticket,
)
from feedback.taught import BATCH, Taught, chosen_of, questions, standing, with_context

Progress = Callable[[int, int], None]


def hold_out(
    database: Database | None,
    assistant: Assistant,
    progress: Progress = lambda done, total: None,
) -> list[Ticket]:
    """The new tickets, made of corrections that nobody has trained on."""
    with reading(database) as session:
        chosen = choose(session, assistant, progress)
    made: list[Ticket] = []
    for batch in in_batches(chosen, BATCH):
        with writing(database) as session:
            made += [_ticket(session, assistant, word) for word in batch]
    return made


def choose(
    session: Session, assistant: Assistant, progress: Progress = lambda done, total: None
) -> list[Taught]:
    """The corrections that would become tickets, in the order of their draw."""
    learning = learning_of(assistant)
    room = learning.held_out_most - _held_out_already(session, assistant)
    if room <= 0 or learning.held_out_percent <= 0:
        return []
    free = (
        word
        for batch in _in_force(session, assistant)
        for word in _free(session, _drawn(session, assistant, batch, learning))
    )
    found = heapq.nsmallest(2 * room, free, key=_order)  # some fall out below
    return _that_seal_few(session, assistant, found, learning.held_out_seals, progress)[:room]


def _order(word: Taught) -> tuple[float, str, str]:
    return drawn(f"order {word.who}"), word.who, word.context[-1]["content"]


def _held_out_already(session: Session, assistant: Assistant) -> int:
    query = select(func.count()).where(
        Ticket.assistant_id == assistant.id,
        col(Ticket.feedback_id).is_not(None),
        col(Ticket.retired_at).is_(None),
    )
    return session.exec(query).one()


def _in_force(session: Session, assistant: Assistant) -> Iterator[list[Taught]]:
    held = Held(session, assistant)
    for batch in in_batches(questions(session, assistant, TEACHING), BATCH):
        words = standing(session, assistant, held, batch, Counter())
        with_context(session, words)
        yield [word for word in words if word.context and word.context[-1]["role"] == "user"]


def _drawn(
    session: Session, assistant: Assistant, words: list[Taught], learning: Learning
) -> list[Taught]:
    """Those that the draw takes. An approval shows no better answer: it makes no ticket."""
    return [
        word
        for word in words
        if word.feedback.kind != FeedbackKind.APPROVAL
        and chosen_of(word)
        and drawn(f"held out {word.who}") < learning.held_out_percent
    ]


def _free(session: Session, words: list[Taught]) -> list[Taught]:
    """Without those of whom something was frozen for training already, or held out."""
    talks = [word.conversation_id for word in words]
    people = [word.customer_id for word in words if word.customer_id]
    theirs = or_(col(Conversation.id).in_(talks), col(Conversation.customer_id).in_(people))
    frozen = session.exec(
        select(Conversation.id, Conversation.customer_id)
        .join(Message, col(Message.conversation_id) == Conversation.id)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
        .where(theirs)
        .distinct()
    ).all()
    held = session.exec(
        select(Ticket.feedback_id).where(
            col(Ticket.feedback_id).in_([word.feedback.id for word in words])
        )
    ).all()
    taken = {each for row in frozen for each in row if each} | set(held)
    return [
        word
        for word in words
        if not {word.conversation_id, word.customer_id, word.feedback.id} & taken
    ]


def _that_seal_few(
    session: Session,
    assistant: Assistant,
    found: list[Taught],
    most: int,
    progress: Progress,
) -> list[Taught]:
    """Without those too close to many others' questions; looked at again until none is left."""
    settings = feedback_settings()
    while found:
        sealed: Counter[str] = Counter()
        by_id = {word.feedback.id: word for word in found}
        index = Sealed(
            ((each, word.context) for each, word in by_id.items()),
            settings.near_copy_similarity,
            settings.near_copy_meaning,
        )
        seen = 0
        for batch in _in_force(session, assistant):
            seen += len(batch)
            progress(seen, seen)
            for word, near in zip(batch, index.near_all(w.context for w in batch), strict=True):
                if near and by_id[near.ticket].who != word.who:
                    sealed[near.ticket] += 1
        popular = {each for each, number in sealed.items() if number > most}
        if not popular:
            return found
        found = [word for word in found if word.feedback.id not in popular]
    return []


def _ticket(session: Session, assistant: Assistant, word: Taught) -> Ticket:
    learning = learning_of(assistant)
    return tickets.create(
        session,
        assistant,
        f"correction-{word.feedback.id[-12:]}",
        word.context,
        chosen_of(word) or "",
        topic=word.topic,
        customer=word.customer,
        conversation_id=word.conversation_id,
        feedback_id=word.feedback.id,
        sealed=drawn(f"sealed {word.who}") < learning.sealed_percent,
    )
