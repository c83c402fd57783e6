"""Live for the other topics only: an adapter is live, and what was live before goes on answering some topics.

Which adapter answers which topic is all in the newest promotion; nothing here asks an engine. Called by
adapters.py, promotions.py and standing.py, and by whoever shows it to people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, false
from sqlmodel import Session, col, func, or_, select

from feedback.errors import Conflict, Invalid
from feedback.tables import (
    UNSEEN,
    Adapter,
    Assistant,
    Conversation,
    Message,
    Promotion,
    Speaker,
)

BASE = "base"
"""How the base model without an adapter is named in commands, routes and pages."""


def keeps(promotion: Promotion | None, topic: str | None) -> bool:
    """Whether a topic is answered by what was live before. One that is not known (None) is, where there
    are exceptions: the older adapter was good enough for all of them.
    """
    if promotion is None or not promotion.except_topics:
        return False
    return topic is None or topic in promotion.except_topics


def is_kept(promotion: Promotion) -> ColumnElement[bool]:
    """`keeps` of each conversation in a query."""
    if not promotion.except_topics:
        return false()
    topic = col(Conversation.topic)
    return or_(topic.is_(None), topic.in_(promotion.except_topics))


def speaker(promotion: Promotion | None, topic: str | None) -> str | None:
    """Id of the adapter (None: the base model) that answers a topic in new conversations."""
    if promotion is None:
        return None
    return promotion.except_adapter_id if keeps(promotion, topic) else promotion.adapter_id


def choosable(assistant: Assistant, promotion: Promotion | None) -> list[str]:
    """The topics of an assistant and those that are excepted now, though the list lost them since."""
    excepted = promotion.except_topics if promotion else []
    return list(dict.fromkeys([*assistant.topics, *excepted]))


def chosen(assistant: Assistant, promotion: Promotion | None, topics: Sequence[str]) -> list[str]:
    """The topics that shall be excepted, each once, in the assistant's order.

    Raises Invalid for one that the assistant does not have, and where no topic would be left.
    """
    if promotion is not None and set(topics) == set(promotion.except_topics):
        return list(promotion.except_topics)  # as it is, whatever became of the list since
    known = choosable(assistant, promotion)
    if unknown := [topic for topic in topics if topic not in known]:
        has = ", ".join(repr(topic) for topic in known) or "none"
        raise Invalid(
            f"Found the topic {unknown[0]!r}, which {assistant.name!r} does not have; its topics: {has}."
        )
    found = [topic for topic in known if topic in topics]
    if found and set(assistant.topics) <= set(found):
        raise Invalid(
            "All topics are excepted, so the adapter would answer nothing. Leave at least one to it, or "
            "do not promote it."
        )
    return found


def keeper(
    session: Session, promotion: Promotion | None, adapter: Adapter | None, topics: Sequence[str]
) -> str | None:
    """Id of the adapter (None: the base model) that answers these topics now and shall go on.

    Raises Conflict where that is not one adapter, is the one that is promoted, or is live for some topics
    only: what keeps topics also answers those that nobody knows, and for these nobody found it fit.
    """
    now = {topic: speaker(promotion, topic) for topic in topics}
    if len(set(now.values())) > 1:
        each = ", ".join(f"{topic!r} by {name_of(session, now[topic])!r}" for topic in topics)
        raise Conflict(
            f"These topics are answered by different adapters now ({each}), and one promotion leaves "
            "them to one. Except only what one of them answers."
        )
    [kept] = set(now.values())
    if kept == (adapter.id if adapter else None):
        raise Conflict(
            f"{name_of(session, kept)!r} itself answers {_listed(topics)} now, so nothing else could go on "
            "answering that. Roll back first, and promote it again with the exception."
        )
    if promotion is not None and promotion.except_topics and kept == promotion.adapter_id:
        raise Conflict(
            f"{name_of(session, kept)!r} answers {_listed(topics)} now, but not all topics: it is live for "
            f"{in_words(session, promotion)}. Whatever keeps a topic also answers where the topic is not "
            "known, and it was never found fit for that. Let it answer all topics first, or except only "
            "what the other one answers."
        )
    return kept


def topics_of(promotion: Promotion | None, adapter: Adapter) -> list[str]:
    """The topics an adapter goes on answering although another one is live; none where it does not."""
    if promotion is None or promotion.except_adapter_id != adapter.id:
        return []
    return list(promotion.except_topics)


def name_of(session: Session, adapter_id: str | None) -> str:
    """An adapter's name, or that of the base model."""
    adapter = session.get(Adapter, adapter_id) if adapter_id else None
    return adapter.name if adapter else BASE


def words(promotion: Promotion | None, keeper_name: str) -> str:
    """What is not answered by what is live, as people read it; empty where that is nothing."""
    if promotion is None or not promotion.except_topics:
        return ""
    these = "this stays" if len(promotion.except_topics) == 1 else "these stay"
    return f"all but {_listed(promotion.except_topics)} ({these} with {keeper_name})"


def in_words(session: Session, promotion: Promotion | None) -> str:
    """The same, looking the adapter's name up: "all but refunds (this stays with shop-v3-…)"."""
    if promotion is None or not promotion.except_topics:
        return ""
    return words(promotion, name_of(session, promotion.except_adapter_id))


def _listed(topics: Sequence[str]) -> str:
    *others, last = topics
    return f"{', '.join(others)} and {last}" if others else last


@dataclass(frozen=True)
class Begun:
    """How the conversations since a promotion with exceptions began, as far as the bot spoke in them."""

    live: int
    """With what is live, a trial's candidate included."""
    kept: int
    """With what was live before, as their topic is excepted."""
    untold: int
    """With what was live before, as their topic could not be told in time."""


def begun(session: Session, promotion: Promotion) -> Begun:
    """How the conversations since this promotion began: by the adapter and the topic they have."""
    spoke = (
        select(Message.id)
        .where(
            Message.conversation_id == Conversation.id,
            Message.speaker == Speaker.ASSISTANT,
            col(Message.state).not_in(UNSEEN),
        )
        .exists()
    )
    counted = session.exec(
        select(Conversation.adapter_id, Conversation.topic, func.count())
        .where(
            Conversation.assistant_id == promotion.assistant_id,
            # is indexed, and never before created_at
            col(Conversation.last_message_at) >= promotion.created_at,
            col(Conversation.created_at) >= promotion.created_at,
            spoke,
        )
        .group_by(col(Conversation.adapter_id), col(Conversation.topic))
    ).all()
    older = [
        (topic, many) for ident, topic, many in counted if ident == promotion.except_adapter_id
    ]
    kept = sum(many for topic, many in older if topic in promotion.except_topics)
    untold = sum(many for _, many in older) - kept
    return Begun(sum(many for *_, many in counted) - kept - untold, kept, untold)
