"""Which of the customers' answers a replay asks again: drawn by a hash, topic by topic.

What either side was trained on is not asked: votes on it would say nothing. Called by replays.py.
"""

import heapq
from collections import defaultdict
from collections.abc import Mapping

from sqlmodel import Session, and_, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from feedback import adapters, excepted
from feedback.draws import drawn
from feedback.exam_tables import Replay, ReplayTurn
from feedback.tables import (
    AdapterDataset,
    Assistant,
    Conversation,
    DatasetItem,
    Feedback,
    ItemSource,
    Message,
    MessageState,
    Promotion,
    Speaker,
)

NO_TOPIC = ""
"""The stratum of conversations that nobody named a topic for."""


def answers(session: Session, replay: Replay) -> dict[str, list[str]]:
    """By topic, the assistant's whole answers to customers in the replay's days.

    Without those that neither side may be asked (`_taught_talks`), that these two were asked before, as
    people may have read whose the answers were, and whose topic something else answers than the live side.
    """
    taught, known = _taught_talks(replay), _asked_before(replay)
    theirs = select(Conversation.customer_id).where(
        col(Conversation.id).in_(taught), col(Conversation.customer_id).is_not(None)
    )
    who = col(Conversation.customer_id)
    rows = session.exec(
        select(Conversation.topic, Message.id)
        .join(Message, col(Message.conversation_id) == Conversation.id)
        .where(
            Conversation.assistant_id == replay.assistant_id,
            Message.speaker == Speaker.ASSISTANT,
            Message.state == MessageState.COMPLETE,
            col(Message.reply_to_id).is_not(None),
            Message.created_at >= replay.since,
            Message.created_at < replay.until,
            col(Conversation.id).not_in(taught),
            or_(who.is_(None), who.not_in(theirs)),
            col(Message.id).not_in(known),
        )
    )
    promotion = _in_force(session, replay)
    found: dict[str, list[str]] = defaultdict(list)
    for topic, message_id in rows:
        if not excepted.keeps(promotion, topic):
            found[topic or NO_TOPIC].append(message_id)
    return found


def _taught_talks(replay: Replay) -> SelectOfScalar[str]:
    """Conversations that either side learned from: it knows the answer there, and votes may decide."""
    sides = [each for each in (replay.adapter_id, replay.against_id) if each]
    return (
        select(Message.conversation_id)
        .join(Feedback, col(Feedback.message_id) == Message.id)
        .join(ItemSource, col(ItemSource.feedback_id) == Feedback.id)
        .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
        .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
        .where(col(AdapterDataset.adapter_id).in_(sides))
    )


def _asked_before(replay: Replay) -> SelectOfScalar[str]:
    """Answers that these two were asked again already, whichever was the candidate then."""
    mine, theirs = replay.adapter_id, replay.against_id
    return (
        select(ReplayTurn.message_id)
        .join(Replay, col(Replay.id) == ReplayTurn.replay_id)
        .where(
            Replay.assistant_id == replay.assistant_id,
            col(ReplayTurn.likeness).is_not(None),
            or_(
                and_(Replay.adapter_id == mine, Replay.against_id == theirs),
                and_(Replay.adapter_id == theirs, Replay.against_id == mine),
            ),
        )
    )


def _in_force(session: Session, replay: Replay) -> Promotion | None:
    """The promotion that made live what the candidate is compared with."""
    owner = session.get_one(Assistant, replay.assistant_id)
    past = adapters.history(session, owner)
    return next((each for each in past if each.created_at <= replay.until), None)


def draw(found: Mapping[str, list[str]], most: int) -> list[str]:
    """At most so many answers: of each topic as many as `seats` says, the first by a hash of their ids.

    The same answers are drawn wherever and whenever this runs, so that two candidates meet the same ones.
    """
    given = seats({topic: len(ids) for topic, ids in found.items()}, most)
    chosen: list[str] = []
    for topic, number in sorted(given.items()):
        chosen += sorted(found[topic], key=lambda each: (drawn(f"replay {each}"), each))[:number]
    return chosen


def seats(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """How many of each stratum: one each as far as they go, then in proportion.

    Sainte-Laguë's divisors (Webster's method): the next seat goes to the largest count / (2 seats + 1).
    Where there are more strata than seats, the larger ones have one.
    """
    given = dict.fromkeys(counts, 0)
    queue = [(-float("inf"), -count, topic) for topic, count in counts.items() if count]
    heapq.heapify(queue)
    for _ in range(min(most, sum(counts.values()))):
        _, minus, topic = heapq.heappop(queue)
        given[topic] += 1
        if given[topic] < counts[topic]:
            heapq.heappush(queue, (minus / (2 * given[topic] + 1), minus, topic))
    return given
