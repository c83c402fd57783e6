"""Rechecks: every correction in force is asked again of what goes live, and what the bot said is kept.

This says which are due, which count, and how far they are; evals/recheck.py asks, training/rechecking.py
decides when. A correction that was checked against an adapter is not asked of it again by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import String, Subquery, case, literal
from sqlmodel import Session, and_, col, func, not_, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import adapters, excepted
from feedback.batches import in_batches
from feedback.conversations import QUERY_IDS
from feedback.desk_tables import Recheck, RecheckState
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    Promotion,
    now,
)
from feedback.trust_tables import Policy

CORRECTIONS = (FeedbackKind.CORRECTION, FeedbackKind.DEMONSTRATION)
"""What can be checked: words that say what the bot should have said."""
SEEN = (RecheckState.FIXED, RecheckState.NOT_YET, RecheckState.REGRESSED)
"""How a recheck ends that got an answer."""
REQUESTED = col(Recheck.state) == literal(RecheckState.REQUESTED, String, literal_execute=True)
TRIES = 3
"""A correction that fails so often with one adapter (its talk is too long, say) is left alone with it."""


@dataclass(frozen=True)
class Progress:
    """How many corrections in force were checked against what is live."""

    adapter: Adapter | None
    """What is live; None: the base model."""
    checked: int
    total: int
    states: dict[str, int]
    """Of those that were checked: how many are fixed, not_yet and regressed."""

    @property
    def sentence(self) -> str:
        """As pages and commands say it."""
        name = self.adapter.name if self.adapter else "the base model"
        what = "correction" if self.total == 1 else "corrections"
        return f"{self.checked} of {self.total} {what} checked against {name}"


def get(session: Session, feedback_id: str) -> Feedback:
    """A word on an answer, or NotFound."""
    found = session.get(Feedback, feedback_id)
    if found is None:
        raise NotFound(f"There is no feedback {feedback_id!r}.")
    return found


def request(session: Session, feedback: Feedback, requested_by: str) -> Recheck:
    """Ask that a correction's question be asked again; one request at a time."""
    if feedback.kind not in CORRECTIONS:
        raise Invalid(
            f"Only corrections and demonstrations can be checked; this is a {feedback.kind}."
        )
    if session.exec(select(_pending(Recheck.feedback_id == feedback.id).exists())).one():
        raise Conflict("This correction is being checked already.")
    message = session.get_one(Message, feedback.message_id)
    conversation = session.get_one(Conversation, message.conversation_id)
    row = Recheck(
        assistant_id=conversation.assistant_id, feedback_id=feedback.id, requested_by=requested_by
    )
    session.add(row)
    session.flush()
    return row


# After a promotion


OF_A_ROUND = "promotion "


def in_the_name_of(promotion: Promotion) -> str:
    """Who asks for the rechecks that follow a promotion."""
    return f"{OF_A_ROUND}{promotion.sequence}"


def is_of_a_round(recheck: Recheck) -> bool:
    """Whether no person waits for it."""
    return recheck.requested_by.startswith(OF_A_ROUND)


def due(session: Session, assistant: Assistant, promotion: Promotion, limit: int) -> list[Feedback]:
    """Corrections to ask again now: not yet checked against what went live, oldest check first."""
    last = (
        select(Recheck.feedback_id, func.max(Recheck.finished_at).label("at"))
        .where(Recheck.assistant_id == assistant.id)
        .group_by(col(Recheck.feedback_id))
        .subquery()
    )
    query = (
        _in_force(assistant, promotion)
        .outerjoin(last, last.c.feedback_id == Feedback.id)
        .where(
            col(Feedback.id).not_in(_checked(assistant, promotion)),
            col(Feedback.id).not_in(_given_up(assistant, promotion)),
            col(Feedback.id).not_in(_pending(Recheck.assistant_id == assistant.id)),
        )
        .order_by(last.c.at.is_not(None), last.c.at, col(Feedback.id))
        .limit(limit)
    )
    return list(session.exec(query))


def is_pending(session: Session, assistant: Assistant) -> bool:
    """Whether rechecks are asked for and not done. Asked with every look of the loop."""
    here = _pending(Recheck.assistant_id == assistant.id)
    return session.exec(select(here.exists())).one()


def request_round(
    session: Session, assistant: Assistant, promotion: Promotion, found: Sequence[Feedback]
) -> int:
    """Ask for these corrections, which were `due` a moment ago; how many. Nothing while a round is under
    way, or where something else went live meanwhile.
    """
    adapters.lock(session, assistant)  # another loop may have asked meanwhile
    live = adapters.live(session, assistant)
    if live is None or live.id != promotion.id or is_pending(session, assistant):
        return 0
    ids = [row.id for row in found]
    still = select(Feedback.id).where(
        col(Feedback.id).in_(ids), Feedback.state == FeedbackState.ACTIVE
    )
    asker, there = in_the_name_of(promotion), list(session.exec(still))
    session.add_all(
        Recheck(assistant_id=assistant.id, feedback_id=ident, requested_by=asker)
        for ident in ids
        if ident in there
    )
    session.flush()
    return len(there)


def progress(session: Session, assistant: Assistant) -> Progress | None:
    """How far the rechecks of what is live are; None before anything was promoted."""
    promotion = adapters.live(session, assistant)
    if promotion is None:
        return None
    ids = _in_force(assistant, promotion).with_only_columns(col(Feedback.id)).subquery()
    total = session.exec(select(func.count()).select_from(ids)).one()
    of_live = _newest(assistant, col(Recheck.adapter_id) == promotion.adapter_id)
    states = session.exec(
        select(Recheck.state, func.count())
        .join(of_live, of_live.c.id == Recheck.id)
        .where(of_live.c.place == 1, col(Recheck.feedback_id).in_(select(ids.c.id)))
        .group_by(col(Recheck.state))
    )
    counts = {str(state): number for state, number in states}
    live = adapters.by_id(session, promotion.adapter_id)
    return Progress(live, sum(counts.values()), total, counts)


def _in_force(assistant: Assistant, promotion: Promotion) -> SelectOfScalar[Feedback]:
    """Corrections given before the promotion that count, rest on no retired policy, and are about what
    it made live: who answers the excepted topics did not change.
    """
    gone = select(Policy.id).where(col(Policy.retired_at).is_not(None))
    return (
        select(Feedback)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            col(Feedback.kind).in_(CORRECTIONS),
            Feedback.state == FeedbackState.ACTIVE,
            col(Feedback.created_at) <= promotion.created_at,
            or_(col(Feedback.policy_id).is_(None), col(Feedback.policy_id).not_in(gone)),
            not_(excepted.is_kept(promotion)),
        )
    )


def _checked(assistant: Assistant, promotion: Promotion) -> SelectOfScalar[str]:
    return select(Recheck.feedback_id).where(
        Recheck.assistant_id == assistant.id,
        col(Recheck.state).in_(SEEN),
        Recheck.adapter_id == promotion.adapter_id,
    )


def _given_up(assistant: Assistant, promotion: Promotion) -> SelectOfScalar[str]:
    return (
        select(Recheck.feedback_id)
        .where(
            Recheck.assistant_id == assistant.id,
            Recheck.state == RecheckState.FAILED,
            Recheck.adapter_id == promotion.adapter_id,
        )
        .group_by(col(Recheck.feedback_id))
        .having(func.count() >= TRIES)
    )


def _pending(*where: Any) -> SelectOfScalar[str]:
    """Corrections that are being asked; the state is written out, else no partial index is used."""
    return select(Recheck.feedback_id).where(REQUESTED, *where)


# Being done


def requested(session: Session, limit: int = 20) -> list[Recheck]:
    """Rechecks to be done: what people asked for first, then the rounds', oldest first."""
    of_a_round = case((col(Recheck.requested_by).startswith(OF_A_ROUND), 1), else_=0)
    return list(
        session.exec(
            select(Recheck)
            .where(REQUESTED)
            .order_by(of_a_round, col(Recheck.created_at), col(Recheck.id))
            .limit(limit)
        )
    )


def was_fixed(session: Session, feedback_id: str) -> bool:
    """Whether the bot was ever seen to say what this correction taught."""
    query = select(Recheck.id).where(
        Recheck.feedback_id == feedback_id, Recheck.state == RecheckState.FIXED
    )
    return session.exec(query.limit(1)).first() is not None


def finish(
    session: Session,
    recheck: Recheck,
    state: RecheckState,
    adapter: Adapter | None,
    text: str | None = None,
    chrf: float | None = None,
    chrf_before: float | None = None,
) -> Recheck:
    """Keep what the bot said this time."""
    recheck = session.get_one(Recheck, recheck.id)
    recheck.state = state
    recheck.adapter_id = adapter.id if adapter else None
    recheck.text, recheck.chrf, recheck.chrf_before = text, chrf, chrf_before
    recheck.finished_at = now()
    return recheck


# Which counts


def _newest(assistant: Assistant, *where: Any, first: Any = None) -> Subquery:
    """Rechecks that got an answer, with their `place` among those of their correction: 1 is the newest.

    `first`: an expression by which they are put in order before their time.
    """
    order: list[Any] = [col(Recheck.finished_at).desc(), col(Recheck.id).desc()]
    if first is not None:
        order.insert(0, first)
    place = func.row_number().over(partition_by=col(Recheck.feedback_id), order_by=order)
    return (
        select(Recheck.id, Recheck.feedback_id, Recheck.state, place.label("place"))
        .where(Recheck.assistant_id == assistant.id, col(Recheck.state).in_(SEEN), *where)
        .subquery()
    )


def standing(session: Session, assistant: Assistant, *where: Any) -> Subquery:
    """Rechecks with their `place`: 1 counts, which is the newest of what answers the correction's topic
    now, else the newest.
    """
    live = adapters.live(session, assistant)
    speaks = col(Recheck.adapter_id) == (live.adapter_id if live else None)
    if live is not None and live.except_topics:
        kept = col(Recheck.feedback_id).in_(_about_kept(assistant, live))
        keeps = col(Recheck.adapter_id) == live.except_adapter_id
        speaks = or_(and_(kept, keeps), and_(not_(kept), speaks))
    return _newest(assistant, *where, first=case((speaks, 0), else_=1))


def _about_kept(assistant: Assistant, promotion: Promotion) -> SelectOfScalar[str]:
    """Corrections about topics that something else answers than what is live."""
    return (
        select(Feedback.id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(Conversation.assistant_id == assistant.id, excepted.is_kept(promotion))
    )


def that_count(
    session: Session, assistant: Assistant, feedback_ids: Sequence[str]
) -> dict[str, Recheck]:
    """By correction: the recheck that counts now."""
    found: dict[str, Recheck] = {}
    for some in in_batches(feedback_ids, QUERY_IDS):
        counts = standing(session, assistant, col(Recheck.feedback_id).in_(some))
        rows = session.exec(
            select(Recheck).join(counts, and_(counts.c.id == Recheck.id, counts.c.place == 1))
        )
        found |= {row.feedback_id: row for row in rows}
    return found


def before(assistant: Assistant, when: datetime, *where: Any) -> Subquery:
    """Rechecks that had got an answer by then, with their `place`: 1 is the newest of its correction."""
    return _newest(assistant, col(Recheck.finished_at) <= when, *where)


def of_correction(session: Session, feedback: Feedback) -> list[tuple[Recheck, Adapter | None]]:
    """Everything the bot was heard to say to a correction's question, newest first, and who said it."""
    rows = session.exec(
        select(Recheck, Adapter)
        .outerjoin(Adapter, col(Adapter.id) == Recheck.adapter_id)
        .where(Recheck.feedback_id == feedback.id)
        .order_by(col(Recheck.created_at).desc(), col(Recheck.id).desc())
    )
    return [(recheck, adapter) for recheck, adapter in rows]


def of_adapter(
    session: Session, assistant: Assistant, adapter: Adapter | None
) -> dict[str, RecheckState]:
    """For each correction in force, by its id, how the newest check of one adapter (None: the base model)
    ended.
    """
    query = _of_adapter(select(Feedback.id, Recheck.state), assistant, adapter)
    return {ident: RecheckState(state) for ident, state in session.exec(query)}


def tally(session: Session, assistant: Assistant, adapter: Adapter | None) -> dict[str, int]:
    """How many of these are fixed, not_yet and regressed."""
    query = _of_adapter(select(Recheck.state, func.count()), assistant, adapter)
    return {
        str(state): number for state, number in session.exec(query.group_by(col(Recheck.state)))
    }


def lost_by(
    session: Session, assistant: Assistant, adapter: Adapter | None, limit: int
) -> list[tuple[Feedback, Message]]:
    """Those that an adapter has wrong and one before it had right, with what they are about, newest first."""
    query = _of_adapter(select(Feedback, Message), assistant, adapter)
    rows = session.exec(
        query.join(Message, col(Message.id) == Feedback.message_id)
        .where(Recheck.state == RecheckState.REGRESSED)
        .order_by(col(Feedback.id).desc())
        .limit(limit)
    )
    return [(word, message) for word, message in rows]


def _of_adapter(query: Any, assistant: Assistant, adapter: Adapter | None) -> Any:
    """The query over corrections in force and the newest recheck of each by one adapter."""
    counts = _newest(assistant, col(Recheck.adapter_id) == (adapter.id if adapter else None))
    return (
        query.select_from(Recheck)
        .join(counts, and_(counts.c.id == Recheck.id, counts.c.place == 1))
        .join(Feedback, col(Feedback.id) == Recheck.feedback_id)
        .where(Feedback.state == FeedbackState.ACTIVE)
    )
