"""Rates per adapter and day, and what was said since live learned, on both databases."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from feedback import adapters, corrections, freezing, handovers, rates
from feedback.desk_tables import HandoverReason
from feedback.rates import Counts
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Feedback,
    FeedbackKind,
    FlagReason,
    Role,
    now,
)
from tests.feedback.said import answered, built_adapter, corrected


def talked(
    session: Session,
    assistant: Assistant,
    days_ago: int = 0,
    adapter: Adapter | None = None,
    satisfaction: int | None = None,
    handed_over: bool = False,
    flagged: bool = False,
) -> Conversation:
    """A conversation that began so many days ago."""
    asked, answer = answered(session, assistant, "Where is my parcel?")
    talk = session.get_one(Conversation, asked.conversation_id)
    if flagged:
        corrections.give(
            session, answer.id, FeedbackKind.FLAG, "c", Role.CUSTOMER, reason=FlagReason.TONE
        )
    if handed_over:
        handovers.request(session, talk, HandoverReason.CUSTOMER_ASKED, "asked")
    talk.adapter_id = adapter.id if adapter else None
    talk.satisfaction = satisfaction
    talk.created_at = talk.last_message_at = now() - timedelta(days=days_ago)
    session.add(talk)
    session.flush()
    return talk


def published(session: Session, assistant: Assistant, folder: Path) -> Adapter:
    learned = list(freezing.freeze(session, assistant))
    return adapters.publish(session, assistant, built_adapter(folder), learned, {}, {})


def test_conversations_are_counted_by_day_and_adapter(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    adapter = published(session, assistant, tmp_path / "built")
    talked(session, assistant, 2, satisfaction=5, handed_over=True)
    talked(session, assistant, 2, satisfaction=2, flagged=True)
    talked(session, assistant, 0, adapter)
    talked(session, assistant, 40)
    found = rates.by_adapter(session, assistant, rates.month_ago())
    today = now().date()
    assert found == {
        None: {today - timedelta(days=2): Counts(2, 2, 1, 1, 1)},
        adapter.id: {today: Counts(1)},
    }


def test_what_customers_disliked_counts_once_and_what_agents_flag_does_not(
    assistant: Assistant, session: Session
) -> None:
    def flag_rate() -> float | None:
        found = rates.by_adapter(session, assistant, rates.month_ago())
        return rates.total(found[None].values()).flag_rate

    def answer() -> str:
        return answered(session, assistant, "Where is my parcel?")[1].id

    def say(kind: FeedbackKind, message: str, author: str, role: Role, **what: Any) -> Feedback:
        return corrections.give(session, message, kind, author, role, **what)

    disliked, by_agent, liked, _ = (answer() for _ in range(4))
    say(FeedbackKind.FLAG, by_agent, "mara", Role.AGENT, reason=FlagReason.WRONG_FACT)
    say(FeedbackKind.RATING, by_agent, "mara", Role.AGENT, value=-1)
    say(FeedbackKind.RATING, liked, "c", Role.CUSTOMER, value=1)
    assert flag_rate() == 0
    thumb = say(FeedbackKind.RATING, disliked, "c", Role.CUSTOMER, value=-1)
    assert flag_rate() == 0.25
    say(FeedbackKind.FLAG, disliked, "c", Role.CUSTOMER, reason=FlagReason.TONE)
    assert flag_rate() == 0.25
    say(FeedbackKind.RATING, liked, "c", Role.CUSTOMER, value=-1)
    assert flag_rate() == 0.5
    say(FeedbackKind.RATING, liked, "c", Role.CUSTOMER, value=1)
    corrections.withdraw(session, thumb.id, "c")
    assert flag_rate() == 0.25


def test_rates_are_shares_and_nothing_where_nobody_spoke() -> None:
    counts = Counts(10, 4, 3, 1, 2)
    assert (counts.satisfaction, counts.handover_rate, counts.flag_rate) == (0.75, 0.1, 0.2)
    assert Counts().satisfaction is None
    assert Counts(3).satisfaction is None
    assert rates.total([counts, counts]).conversations == 20


def test_another_assistants_conversations_do_not_count(
    assistant: Assistant, session: Session
) -> None:
    talked(session, assistant)
    other = session.get_one(Assistant, assistant.id).model_copy(update={"id": "other"})
    assert rates.by_adapter(session, other, rates.month_ago()) == {}


def test_feedback_counts_from_the_freezing_of_what_live_learned(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    corrected(session, assistant, "How long may I return it?", "60 days.")
    assert rates.last_learned(session, assistant) is None
    assert rates.said_since(session, assistant, None)[FeedbackKind.CORRECTION] == 1
    adapter = published(session, assistant, tmp_path / "built")
    adapters.promote(session, assistant, adapter, "olga", "better")
    since = rates.last_learned(session, assistant)
    assert since is not None
    assert rates.said_since(session, assistant, since)[FeedbackKind.CORRECTION] == 0
    corrected(session, assistant, "Is the zip covered?", "Yes, for ten years.")
    assert rates.said_since(session, assistant, since)[FeedbackKind.CORRECTION] == 1
    [promotion] = rates.promotions_since(session, assistant, rates.month_ago())
    assert promotion.adapter_id == adapter.id
