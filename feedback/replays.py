"""Replays: answers that customers really got, asked again of a candidate and of what is live.

What becomes of them, row by row. Which are drawn says replay_draws.py; evals/replay.py asks, and votes.py has
what people make of the pairs. Called by the doors, the loop and the commands.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, func, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import adapters, conversations
from feedback.errors import Conflict, Invalid, NotFound
from feedback.exam_tables import Replay, ReplayState, ReplayTurn
from feedback.replay_draws import NO_TOPIC, answers, draw
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Message,
    now,
)
from feedback.transcript import ModelMessages, turns

OPEN = (ReplayState.REQUESTED, ReplayState.RUNNING)


@dataclass(frozen=True)
class Turn:
    """A turn with its place: what was asked, what the customer was told then, in whose conversation."""

    row: ReplayTurn
    question: str
    said_then: str
    spoke_then: str
    """The adapter that answered then."""
    topic: str
    conversation_id: str
    cluster: str
    """The customer, else the conversation: what one person asks hangs together."""

    @property
    def is_answered(self) -> bool:
        """Whether both sides have said something."""
        return self.row.candidate_text is not None and self.row.live_text is not None

    @property
    def is_same(self) -> bool:
        """Whether both say the same, to the letter."""
        return self.is_answered and self.row.candidate_text == self.row.live_text


# Asked for, taken up, ended


def request(
    session: Session,
    assistant: Assistant,
    requested_by: str,
    adapter: Adapter | None = None,
    days: int | None = None,
    most: int | None = None,
) -> Replay:
    """Ask for a replay of an adapter (default: the newest that is not live) against what is live now."""
    settings = feedback_settings()
    days, most = days or settings.replay_days, most or settings.replay_turns
    if days < 1 or not 1 <= most <= settings.replay_turns_limit:
        raise Invalid(
            f"Found {days} days and {most} answers; expected at least 1 day, and 1 to "
            f"{settings.replay_turns_limit} answers (setting FEEDBACK_REPLAY_TURNS_LIMIT)."
        )
    adapters.lock(session, assistant)
    live = adapters.live_adapter(session, assistant)
    candidate = adapter or newest_candidate(session, assistant, live)
    adapters.check_fits(session, assistant, candidate)
    if live is not None and live.id == candidate.id:
        raise Conflict(f"{candidate.name!r} is live; a replay compares another adapter with it.")
    if running := _open_one(session, assistant):
        raise Conflict(f"Replay {running.id!r} is {running.state}; wait until it has ended.")
    until = now()
    replay = Replay(
        assistant_id=assistant.id,
        adapter_id=candidate.id,
        against_id=live.id if live else None,
        since=until - timedelta(days=days),
        until=until,
        most=most,
        requested_by=requested_by,
    )
    session.add(replay)
    session.flush()
    return replay


def newest_candidate(session: Session, assistant: Assistant, live: Adapter | None) -> Adapter:
    """The newest adapter that has its files and is not live; Conflict where there is none."""
    for adapter in adapters.every(session, assistant):
        if adapter.files_removed_at is None and (live is None or adapter.id != live.id):
            return adapter
    raise Conflict(
        f"{assistant.name!r} has no candidate to replay: every adapter is live or has no files. Run a "
        "cycle; it trains one."
    )


def _open_one(session: Session, assistant: Assistant) -> Replay | None:
    query = select(Replay).where(Replay.assistant_id == assistant.id, col(Replay.state).in_(OPEN))
    return session.exec(query.limit(1)).first()


def asked_of(session: Session, assistant: Assistant) -> set[str]:
    """Ids of the adapters that answer a replay which is not finished, or will."""
    query = select(Replay.adapter_id, Replay.against_id).where(
        Replay.assistant_id == assistant.id, col(Replay.state).in_(OPEN)
    )
    return {each for sides in session.exec(query) for each in sides if each}


def get(session: Session, replay_id: str) -> Replay:
    """A replay, or NotFound."""
    found = session.get(Replay, replay_id)
    if found is None:
        raise NotFound(f"There is no replay {replay_id!r}.")
    return found


def every(session: Session, assistant: Assistant) -> list[Replay]:
    """An assistant's replays, newest first."""
    query = select(Replay).where(Replay.assistant_id == assistant.id)
    return list(session.exec(query.order_by(col(Replay.id).desc())))


def names(session: Session, replay: Replay) -> tuple[str, str]:
    """The candidate, and what it is compared with."""
    ours = adapters.by_id(session, replay.adapter_id)
    theirs = adapters.by_id(session, replay.against_id)
    return (ours.name if ours else adapters.BASE), (theirs.name if theirs else adapters.BASE)


def waiting(session: Session) -> bool:
    """Whether any replay waits for a process."""
    return session.exec(_free().limit(1)).first() is not None


def _free() -> SelectOfScalar[Replay]:
    """Open replays that no living process holds."""
    return select(Replay).where(
        col(Replay.state).in_(OPEN),
        or_(col(Replay.lease_until).is_(None), col(Replay.lease_until) < now()),
    )


def claim(session: Session, owner: str, replay_id: str | None = None) -> Replay | None:
    """The oldest open replay nobody holds (or this one), now held by `owner`, its turns drawn."""
    query = _free().order_by(col(Replay.id)).limit(1).with_for_update(skip_locked=True)
    replay = session.exec(query.where(Replay.id == replay_id) if replay_id else query).first()
    if replay is None:
        return None
    if replay.state == ReplayState.REQUESTED:
        _draw(session, replay)
    replay.state, replay.lease_owner = ReplayState.RUNNING, owner
    _renew(replay)
    session.add(replay)
    session.flush()
    return replay


def _renew(replay: Replay) -> None:
    replay.lease_until = now() + timedelta(seconds=feedback_settings().replay_lease_seconds)


def release(session: Session, replay: Replay) -> None:
    """Let go of a replay that is to go on later, here or elsewhere; unless another process has it by now."""
    row = session.exec(select(Replay).where(Replay.id == replay.id).with_for_update()).one()
    if row.lease_owner == replay.lease_owner:
        row.lease_until = row.lease_owner = None
        session.add(row)


def end(session: Session, replay: Replay, error: str | None = None) -> Replay:
    """It is finished; with `error` it has failed."""
    row = session.get_one(Replay, replay.id)
    row.state = ReplayState.FAILED if error else ReplayState.FINISHED
    row.error, row.finished_at = error, now()
    row.eta_seconds = row.lease_until = row.lease_owner = None
    session.add(row)
    session.flush()
    return row


def _draw(session: Session, replay: Replay) -> None:
    """Open a row for each answer that is drawn; which side is shown first is nobody's to know."""
    chosen = draw(answers(session, replay), replay.most)
    for message_id in chosen:
        first = secrets.randbelow(2) == 0
        session.add(ReplayTurn(replay_id=replay.id, message_id=message_id, candidate_first=first))
    replay.total = len(chosen)
    session.flush()


# What is asked, and what came of it


def left(session: Session, replay: Replay) -> list[str]:
    """The ids of the turns that have neither both answers nor an error, in the order of drawing."""
    query = select(ReplayTurn.id).where(
        ReplayTurn.replay_id == replay.id,
        col(ReplayTurn.likeness).is_(None),
        col(ReplayTurn.error).is_(None),
    )
    return list(session.exec(query.order_by(col(ReplayTurn.id))))


def context_of(session: Session, turn_id: str) -> ModelMessages | None:
    """What had been said when the answer was due; None where the conversation was erased meanwhile."""
    turn = session.get(ReplayTurn, turn_id)
    if turn is None:
        return None
    answer = session.get_one(Message, turn.message_id)
    said = conversations.messages_of(session, answer.conversation_id)
    return turns(each for each in said if each.position < answer.position)


def keep(
    session: Session,
    replay: Replay,
    turn_id: str,
    eta_seconds: float | None,
    candidate: str | None = None,
    live: str | None = None,
    likeness: float | None = None,
    error: str | None = None,
) -> Replay:
    """Keep what both said, or why there is nothing, and how far the replay is. What was erased stays so.

    Raises Conflict when another process has taken the replay over.
    """
    owner = replay.lease_owner
    held = session.exec(select(Replay).where(Replay.id == replay.id).with_for_update()).one()
    if held.state != ReplayState.RUNNING or held.lease_owner != owner:
        raise Conflict(f"Replay {held.id!r} is {held.state} and held by {held.lease_owner!r} now.")
    turn = session.exec(
        select(ReplayTurn).where(ReplayTurn.id == turn_id).with_for_update()
    ).first()
    if turn is not None:
        turn.candidate_text, turn.live_text = candidate, live
        turn.likeness, turn.error = likeness, error
        session.add(turn)
        session.flush()
    held.done, held.total = _progress(session, held)
    held.eta_seconds = eta_seconds
    _renew(held)
    session.add(held)
    session.flush()
    return held


def _progress(session: Session, replay: Replay) -> tuple[int, int]:
    """How many turns there are by now, and how many of them are done."""
    mine = select(func.count()).where(col(ReplayTurn.replay_id) == replay.id)
    ended = or_(col(ReplayTurn.likeness).is_not(None), col(ReplayTurn.error).is_not(None))
    return session.exec(mine.where(ended)).one(), session.exec(mine).one()


# What was said


def between(
    session: Session, assistant_id: str, adapter_id: str | None, against_id: str | None
) -> list[Replay]:
    """The replays of these two (None: the base model), oldest first."""
    query = select(Replay).where(
        Replay.assistant_id == assistant_id,
        Replay.adapter_id == adapter_id,
        Replay.against_id == against_id,
    )
    return list(session.exec(query.order_by(col(Replay.created_at), col(Replay.id))))


def turns_of(session: Session, replay: Replay) -> list[Turn]:
    """Every turn with its place: those least alike first, then those without an answer."""
    rows = session.exec(
        select(ReplayTurn, Message, Conversation, Adapter)
        .join(Message, col(Message.id) == ReplayTurn.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .outerjoin(Adapter, col(Adapter.id) == Message.adapter_id)
        .where(ReplayTurn.replay_id == replay.id)
    ).all()
    asked = [message.reply_to_id for _, message, _, _ in rows]
    questions = dict(
        session.exec(select(Message.id, Message.text).where(col(Message.id).in_(asked))).all()
    )
    found = [
        Turn(
            row,
            questions.get(message.reply_to_id or "", ""),
            message.text,
            adapter.name if adapter else adapters.BASE,
            talk.topic or NO_TOPIC,
            talk.id,
            talk.customer_id or talk.id,
        )
        for row, message, talk, adapter in rows
    ]
    return sorted(found, key=_least_alike_first)


def _least_alike_first(turn: Turn) -> tuple[bool, float, str]:
    likeness = turn.row.likeness
    return likeness is None, likeness or 0.0, turn.row.id


def turn(session: Session, turn_id: str) -> tuple[ReplayTurn, Replay]:
    """A turn with its replay, or NotFound."""
    found = session.get(ReplayTurn, turn_id)
    if found is None:
        raise NotFound(f"There is no replayed answer {turn_id!r}.")
    return found, session.get_one(Replay, found.replay_id)
