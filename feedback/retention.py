"""Whose files may go: every adapter with what still names it, or why nothing does. Looks only.

An adapter's files are kept as long as anything may still ask an engine for them. Each reason is one
function; whatever else names an adapter one day is one more. Called by prune.py, which removes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, or_, select

from feedback import (
    adapter_folder,
    adapters,
    cycles,
    decisions,
    erasures,
    promotions,
    replays,
    trials,
)
from feedback.settings import FeedbackSettings, feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Cycle,
    CycleState,
    EvalRun,
    Message,
    MessageState,
    Promotion,
    Swap,
)

LONGEST_ANSWER = timedelta(days=1)
"""No answer is written for longer; one that still says so was abandoned."""


@dataclass(frozen=True)
class Verdict:
    """Whether a folder stays, with every reason, or may go, with the sentence why that is safe."""

    name: str
    size_bytes: int
    keep: list[str] = field(default_factory=list)
    safe: str = ""
    adapter: Adapter | None = None
    """None for a folder that no row names."""
    begun: bool = False
    """Whether its removal was decided before and only the deletion is left."""

    @property
    def may_go(self) -> bool:
        """Whether nothing names it any more."""
        return not self.keep


@dataclass(frozen=True)
class Look:
    """What is known of an assistant at one moment; reasons read it."""

    session: Session
    assistant: Assistant
    now: datetime
    settings: FeedbackSettings
    history: list[Promotion]
    live_id: str | None
    keeper_id: str | None
    """What answers the topics that are excepted from what is live."""
    back_to_id: str | None
    speaking: set[str]
    writing: set[str]
    examined: set[str]
    replayed: set[str]
    cycles: dict[str, CycleState]
    learned_from_erased: dict[str, datetime]
    """Adapters by name that learned from somebody who was erased since, with the day."""

    @property
    def since(self) -> datetime:
        """What happened after this is recent."""
        return self.now - timedelta(days=self.settings.keep_adapter_days)

    def days(self) -> str:
        """The time for which things count as recent, in words."""
        return f"{self.settings.keep_adapter_days:g} days"

    def replaced_by(self, adapter: Adapter) -> Promotion | None:
        """The promotion that last took its place as live; None if it never was live, or is."""
        for number, promotion in enumerate(self.history):
            if promotion.adapter_id == adapter.id:
                return self.history[number - 1] if number else None
        return None


def plan(session: Session, assistant: Assistant, now: datetime) -> list[Verdict]:
    """A verdict for each of an assistant's adapters that has files, newest first."""
    look = look_at(session, assistant, now)
    found = []
    for adapter in adapters.every(session, assistant):
        folder = adapters.folder_of(adapter)
        if adapter.files_removed_at is None or folder.exists():
            found.append(_verdict(look, adapter, adapter_folder.size_bytes(folder)))
    return found


def _verdict(look: Look, adapter: Adapter, size_bytes: int) -> Verdict:
    if adapter.files_removed_at:
        safe = f"It was to be removed on {adapter.files_removed_at:%Y-%m-%d}; this finishes the removal."
        return Verdict(adapter.name, size_bytes, [], safe, adapter, begun=True)
    erased = look.learned_from_erased.get(adapter.name)
    reasons = [each for each in REASONS if not erased or each not in FOR_A_WHILE]
    keep = [why for reason in reasons if (why := reason(look, adapter))]
    safe = "" if keep else _why_safe(look, adapter)
    if safe and erased:
        safe = f"It learned from somebody who was erased on {erased:%Y-%m-%d}. {safe}"
    return Verdict(adapter.name, size_bytes, keep, safe, adapter)


def look_at(session: Session, assistant: Assistant, now: datetime) -> Look:
    """Everything the reasons need, in a few queries."""
    live = adapters.live(session, assistant)
    before = adapters.back_to(session, assistant) if live else None
    settings = feedback_settings()
    return Look(
        session,
        assistant,
        now,
        settings,
        adapters.history(session, assistant),
        live.adapter_id if live else None,
        live.except_adapter_id if live else None,
        before.adapter_id if before else None,
        _may_still_speak(session, assistant),
        _writing(session, assistant, now),
        _examined(session, assistant, now - timedelta(days=settings.keep_adapter_days)),
        replays.asked_of(session, assistant),
        {cycle.id: cycle.state for cycle in cycles.every(session, assistant)},
        erasures.learned_from_erased(session, assistant),
    )


def _may_still_speak(session: Session, assistant: Assistant) -> set[str]:
    """Adapters behind the live one that speak in its place until every engine has verified it."""
    found = set()
    past = [promotion.adapter_id for promotion in adapters.history(session, assistant)]
    for adapter_id in dict.fromkeys(past):
        if adapter_id is None:
            break
        found.add(adapter_id)
        rows = session.exec(
            select(Swap.engine, Swap.verified)
            .where(Swap.adapter_id == adapter_id)
            .order_by(col(Swap.created_at), col(Swap.id))
        )
        last_word_of = dict(rows.all())
        if last_word_of and all(last_word_of.values()):
            break
    return found


def _writing(session: Session, assistant: Assistant, now: datetime) -> set[str]:
    rows = session.exec(
        select(Message.adapter_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            col(Conversation.last_message_at) > now - LONGEST_ANSWER,
            Message.state == MessageState.WRITING,
        )
    )
    return {adapter_id for adapter_id in rows if adapter_id}


def _examined(session: Session, assistant: Assistant, since: datetime) -> set[str]:
    rows = session.exec(
        select(EvalRun.adapter_id)
        .join(Cycle, col(Cycle.id) == EvalRun.cycle_id, isouter=True)
        .where(
            EvalRun.assistant_id == assistant.id,
            col(EvalRun.finished_at).is_(None),
            or_(col(EvalRun.created_at) > since, col(Cycle.state).in_(cycles.OPEN)),
        )
    )
    return {adapter_id for adapter_id in rows if adapter_id}


# What still names an adapter, one reason each


def _is_live(look: Look, adapter: Adapter) -> str | None:
    return "is live" if adapter.id == look.live_id else None


def _answers_some_topics(look: Look, adapter: Adapter) -> str | None:
    if adapter.id != look.keeper_id:
        return None
    return f"goes on answering {', '.join(look.history[0].except_topics)}"


def _is_next_back(look: Look, adapter: Adapter) -> str | None:
    return "a rollback would return to it" if adapter.id == look.back_to_id else None


def _speaks_in_its_place(look: Look, adapter: Adapter) -> str | None:
    if adapter.id in look.speaking and adapter.id != look.live_id:
        return "speaks until every engine has verified what was promoted after it"
    return None


def _was_one_of_the_last(look: Look, adapter: Adapter) -> str | None:
    past = dict.fromkeys(promotion.adapter_id for promotion in look.history)
    before = [adapter_id for adapter_id in past if adapter_id not in (None, look.live_id)]
    kept = look.settings.keep_rollbacks
    return (
        f"is one of the last {kept} that were live before" if adapter.id in before[:kept] else None
    )


def _was_live_lately(look: Look, adapter: Adapter) -> str | None:
    after = look.replaced_by(adapter)
    lately = after is not None and after.created_at > look.since
    return f"was live less than {look.days()} ago" if lately else None


def _is_awaited(look: Look, adapter: Adapter) -> str | None:
    awaited = look.cycles.get(adapter.cycle_id or "") == CycleState.AWAITING
    return "waits for a decision" if awaited else None


def _its_cycle_runs(look: Look, adapter: Adapter) -> str | None:
    runs = look.cycles.get(adapter.cycle_id or "") in cycles.OPEN
    return "its cycle is not finished" if runs else None


def _sits_an_exam(look: Look, adapter: Adapter) -> str | None:
    return "an exam that it sits is not finished" if adapter.id in look.examined else None


def _answers_a_replay(look: Look, adapter: Adapter) -> str | None:
    return "answers a replay that is not finished" if adapter.id in look.replayed else None


def _spoke_lately(look: Look, adapter: Adapter) -> str | None:
    query = select(func.max(Conversation.last_message_at))
    at = look.session.exec(query.where(Conversation.adapter_id == adapter.id)).one()
    return (
        f"a conversation spoke with it less than {look.days()} ago"
        if at and at > look.since
        else None
    )


def _is_writing(look: Look, adapter: Adapter) -> str | None:
    return "an answer is being written with it" if adapter.id in look.writing else None


def _is_new(look: Look, adapter: Adapter) -> str | None:
    return f"was published less than {look.days()} ago" if adapter.created_at > look.since else None


def _is_asked_for(look: Look, adapter: Adapter) -> str | None:
    asked = promotions.waiting(look.session, look.assistant)
    return "was asked to go live" if asked and asked.adapter_id == adapter.id else None


def _is_on_trial(look: Look, adapter: Adapter) -> str | None:
    trial = trials.running(look.session, look.assistant)
    named = (trial.adapter_id, trial.live_adapter_id) if trial else ()
    return "takes part in a trial that runs" if adapter.id in named else None


REASONS: tuple[Callable[[Look, Adapter], str | None], ...] = (
    _is_live,
    _answers_some_topics,
    _is_next_back,
    _speaks_in_its_place,
    _was_one_of_the_last,
    _was_live_lately,
    _is_awaited,
    _is_asked_for,
    _is_on_trial,
    _its_cycle_runs,
    _sits_an_exam,
    _answers_a_replay,
    _spoke_lately,
    _is_writing,
    _is_new,
)
FOR_A_WHILE = (_is_next_back, _was_one_of_the_last, _was_live_lately, _spoke_lately, _is_new)
"""Reasons of convenience. They do not keep what learned from somebody who was erased."""


# Why it is safe to remove what nothing names


def _why_safe(look: Look, adapter: Adapter) -> str:
    return f"{_its_end(look, adapter)} {_its_last_talk(look, adapter)}"


def _its_end(look: Look, adapter: Adapter) -> str:
    """What replaced it, or why it never went live."""
    after = look.replaced_by(adapter)
    if after is None:
        decision = decisions.of_adapter(look.session, adapter)
        if decision is None:
            return "It never went live and sat no exam."
        said = "passed its exam" if decision.promote else "was refused by the gate"
        return f"It never went live; it {said} on {decision.created_at:%Y-%m-%d}."
    heir = adapters.by_id(look.session, after.adapter_id)
    name = heir.name if heir else "the base model"
    return f"It was live until {name} replaced it on {after.created_at:%Y-%m-%d}."


def _its_last_talk(look: Look, adapter: Adapter) -> str:
    """Who spoke with it last, and when."""
    # No name: this goes into the audit log, which keeps it for good.
    conversation = look.session.exec(
        select(Conversation)
        .where(Conversation.adapter_id == adapter.id)
        .order_by(col(Conversation.last_message_at).desc())
        .limit(1)
    ).first()
    if conversation is None:
        return "No conversation speaks with it."
    return (
        f"The last to speak with it was conversation {conversation.id}, on "
        f"{conversation.last_message_at:%Y-%m-%d}; whoever goes on there hears what is live."
    )
