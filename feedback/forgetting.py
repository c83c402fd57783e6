"""Forgetting over successive adapters: which lessons each one that went live still has, and what was lost.

From rechecks (the share of corrections fixed) and exams (mean chrF on tickets that neighbours both sat).
Backward transfer is that of Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual Learning"
(NeurIPS 2017): with R[i][j] what is right of lesson j after learning lesson i, the mean over all lessons j
but the last of R[last][j] - R[j][j]. Lesson j is here what adapter j was the first to learn. Below 0: it
forgets.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import fmean
from typing import NamedTuple

from sqlmodel import Session, col, select

from feedback import adapters, learned, rechecks
from feedback.desk_tables import Recheck, RecheckState
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    DatasetItem,
    EvalRun,
    ExamAnswer,
    Feedback,
    ItemSource,
    Message,
    Score,
    Ticket,
)

NO_TOPIC = "no topic"
METRIC = "chrf"
SHOWN = 200
"""So many corrections that were lost are named, the newest; all are counted."""


class By(StrEnum):
    """How corrections are put into groups."""

    LESSON = "lesson"
    """By the adapter that was the first to learn them."""
    TOPIC = "topic"
    MONTH = "month"
    """Of the correction."""


@dataclass(frozen=True)
class Cell:
    """One adapter's share of one group's corrections, or its mean score on one topic's tickets."""

    value: float
    """A share of 1, or a score."""
    number: int
    """Of so many corrections or tickets."""
    change: float | None = None
    """Against the adapter before, on what both were asked; None: it has none before it."""


@dataclass(frozen=True)
class Lost:
    """A correction that some adapter had right and the newest that was asked has not."""

    feedback: Feedback
    question: str
    had: Adapter
    """The last that had it right."""
    lost_with: Adapter
    """The first after it that did not."""


@dataclass(frozen=True)
class Forgetting:
    """What each adapter knows of each group. Adapters stand in the order in which they first went live."""

    adapters: list[Adapter]
    groups: list[str]
    fixed: dict[tuple[str, str], Cell]
    """By adapter's id and group: the share of corrections that it has right."""
    topics: list[str]
    exams: dict[tuple[str, str], Cell]
    """By adapter's id and topic: mean chrF of tickets that its predecessor sat, too."""
    backward_transfer: float | None
    """None: no correction was checked against both its first learner and a later adapter."""
    lost: list[Lost]
    """The newest of them, at most SHOWN."""
    lost_count: int


Right = Mapping[str, Mapping[str, bool]]
"""By adapter's id, then by correction's id: whether the adapter has it right."""


def forgetting(session: Session, assistant: Assistant, by: By = By.TOPIC) -> Forgetting:
    """The whole picture for an assistant."""
    line = went_live(session, assistant)
    right = _right(session, assistant, line)
    words = _words(session, assistant)
    first = _first_learners(session, line)
    lessons = {ident: line[place].name for ident, place in first.items()}
    name = _namer(by, lessons)
    group = {ident: name(ident, word) for ident, word in words.items()}
    fixed = {
        (adapter.id, one): cell
        for place, adapter in enumerate(line)
        for one, cell in _shares(right, group, line, place).items()
    }
    exams = _exams(session, assistant, line)
    lost = _lost(line, right)
    return Forgetting(
        line,
        _in_order(by, {one for _, one in fixed}, line),
        fixed,
        sorted({topic for _, topic in exams}),
        exams,
        backward_transfer([adapter.id for adapter in line], first, right),
        _told(session, line, lost[:SHOWN]),
        len(lost),
    )


def went_live(session: Session, assistant: Assistant) -> list[Adapter]:
    """The adapters that were ever live, each once, in the order in which they first were."""
    past = reversed(adapters.history(session, assistant))
    ids = list(dict.fromkeys(row.adapter_id for row in past if row.adapter_id))
    found = session.exec(select(Adapter).where(col(Adapter.id).in_(ids)))
    return sorted(found, key=lambda adapter: ids.index(adapter.id))


def backward_transfer(line: list[str], first: Mapping[str, int], right: Right) -> float | None:
    """Lopez-Paz and Ranzato's BWT, -1 to 1, of corrections asked of their first learner and of the last.

    `line`: adapters' ids in order; `first`: each correction's first learner, as a place in it.
    """
    if len(line) < 2:
        return None
    last = right.get(line[-1], {})
    lessons = []
    for place, ident in enumerate(line[:-1]):
        then = right.get(ident, {})
        both = [
            word for word, own in first.items() if own == place and word in then and word in last
        ]
        if both:
            lessons.append(fmean(last[word] - then[word] for word in both))
    return fmean(lessons) if lessons else None


def _right(
    session: Session, assistant: Assistant, line: list[Adapter]
) -> dict[str, dict[str, bool]]:
    found = {}
    for adapter in line:
        states = rechecks.of_adapter(session, assistant, adapter)
        found[adapter.id] = {ident: each == RecheckState.FIXED for ident, each in states.items()}
    return found


class Word(NamedTuple):
    """What a correction is put into groups by."""

    created_at: datetime
    topic: str | None


def _words(session: Session, assistant: Assistant) -> dict[str, Word]:
    """Corrections that were ever checked."""
    checked = select(Recheck.feedback_id).where(Recheck.assistant_id == assistant.id)
    rows = session.exec(
        select(Feedback.id, Feedback.created_at, Conversation.topic)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(col(Feedback.id).in_(checked))
    )
    return {ident: Word(created_at, topic) for ident, created_at, topic in rows}


def _first_learners(session: Session, line: list[Adapter]) -> dict[str, int]:
    """By correction: the place in the line of the first adapter that learned it."""
    first: dict[str, int] = {}
    for place, adapter in enumerate(line):
        behind = session.exec(
            select(ItemSource.feedback_id)
            .join(DatasetItem, col(DatasetItem.id) == ItemSource.item_id)
            .join(AdapterDataset, col(AdapterDataset.dataset_id) == DatasetItem.dataset_id)
            .where(AdapterDataset.adapter_id == adapter.id)
            .distinct()
        )
        for ident in behind:
            first.setdefault(ident, place)
    return first


NOT_LEARNED = "not learned"


def _namer(by: By, lessons: Mapping[str, str]) -> Callable[[str, Word], str]:
    if by == By.MONTH:
        return lambda ident, word: f"{word.created_at:%Y-%m}"
    if by == By.TOPIC:
        return lambda ident, word: word.topic or NO_TOPIC
    return lambda ident, word: lessons.get(ident, NOT_LEARNED)


def _in_order(by: By, found: set[str], line: list[Adapter]) -> list[str]:
    if by != By.LESSON:
        return sorted(found, key=lambda one: (one == NO_TOPIC, one))
    return [one for one in [*(each.name for each in line), NOT_LEARNED] if one in found]


def _shares(
    right: Right, group: Mapping[str, str], line: list[Adapter], place: int
) -> dict[str, Cell]:
    """Of one adapter: the share it has right of each group, and the change on what both were asked."""
    ours = right[line[place].id]
    theirs = right[line[place - 1].id] if place else {}
    members: dict[str, list[str]] = defaultdict(list)
    for ident in ours:
        members[group[ident]].append(ident)
    cells = {}
    for name, idents in members.items():
        both = [ident for ident in idents if ident in theirs]
        change = fmean(ours[one] - theirs[one] for one in both) if both else None
        cells[name] = Cell(fmean(ours[one] for one in idents), len(idents), change)
    return cells


def _exams(
    session: Session, assistant: Assistant, line: list[Adapter]
) -> dict[tuple[str, str], Cell]:
    """Only tickets count that an adapter and the one before it both sat; of the first, all that it sat."""
    cells: dict[tuple[str, str], Cell] = {}
    before: dict[str, float] = {}
    for place, adapter in enumerate(line):
        sat = _scores(session, assistant, adapter)
        common = {one: value for one, value in sat.items() if not place or one[1] in before}
        by_topic: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for (topic, ticket), value in common.items():
            by_topic[topic].append((ticket, value))
        for topic, scored in by_topic.items():
            change = fmean(value - before[one] for one, value in scored) if place else None
            mean = fmean(value for _, value in scored)
            cells[adapter.id, topic] = Cell(mean, len(scored), change)
        before = {ticket: value for (_, ticket), value in sat.items()}
    return cells


def _scores(
    session: Session, assistant: Assistant, adapter: Adapter
) -> dict[tuple[str, str], float]:
    """By topic and ticket: the adapter's newest score, from whichever of its exams."""
    rows = session.exec(
        select(Ticket.topic, Ticket.id, Score.value)
        .join(ExamAnswer, col(ExamAnswer.ticket_id) == Ticket.id)
        .join(EvalRun, col(EvalRun.id) == ExamAnswer.eval_run_id)
        .join(Score, col(Score.exam_answer_id) == ExamAnswer.id)
        .where(
            EvalRun.assistant_id == assistant.id,
            EvalRun.adapter_id == adapter.id,
            Score.metric == METRIC,
            col(Score.value).is_not(None),
        )
        .order_by(col(EvalRun.created_at), col(EvalRun.id))
    )
    return {
        (topic or NO_TOPIC, ticket): value for topic, ticket, value in rows if value is not None
    }


def _lost(line: list[Adapter], right: Right) -> list[tuple[str, int, int]]:
    """What was right once and is wrong with the last adapter that was asked, newest correction first: its
    id, and the places in the line of the last that had it right and of the first after it that did not.
    """
    asked: dict[str, list[int]] = defaultdict(list)
    for place, adapter in enumerate(line):
        for ident in right[adapter.id]:
            asked[ident].append(place)
    found = []
    for ident in sorted(asked, reverse=True):
        places = asked[ident]
        had = [nth for nth, place in enumerate(places) if right[line[place].id][ident]]
        if had and had[-1] < len(places) - 1:
            found.append((ident, places[had[-1]], places[had[-1] + 1]))
    return found


def _told(session: Session, line: list[Adapter], lost: list[tuple[str, int, int]]) -> list[Lost]:
    """These with their questions."""
    rows = session.exec(
        select(Feedback, Message)
        .join(Message, col(Message.id) == Feedback.message_id)
        .where(col(Feedback.id).in_([ident for ident, _, _ in lost]))
    ).all()
    questions = learned.questions_of(session, [message for _, message in rows])
    words = {word.id: word for word, _ in rows}
    return [
        Lost(words[ident], questions[words[ident].message_id], line[had], line[lost_with])
        for ident, had, lost_with in lost
    ]
