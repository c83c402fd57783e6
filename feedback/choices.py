"""What a run chose: the topic of each question, and whether a person should take over. Pure.

The figures are confusion.py's; the answers are a run's, as they were stored. Shown by evals/report.py, over
the API and in the console.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from feedback.confusion import Confusion
from feedback.desk import Desk, side_taken
from feedback.exams import Answered
from feedback.tables import Expects
from feedback.tickets import question_of

ANSWER, HANDOVER = Expects.ANSWER.value, Expects.HANDOVER.value
Pairs = Iterator[tuple[str, str]]
"""(expected, chosen)"""


@dataclass(frozen=True)
class Choices:
    """The two choices of one run; None where its tickets leave nothing to choose."""

    topics: Confusion | None
    handovers: Confusion | None

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        found = {"topics": self.topics, "handovers": self.handovers}
        return {name: each and figures(each) for name, each in found.items()}


def choices(answers: Iterable[Answered], desk: Desk) -> Choices:
    """What was chosen in these answers.

    A person takes over where the desk would call one while it serves: for what the customer or the bot said.
    Without a ticket that is for a person, and without a hand-over, there is nothing to show.
    """
    given = [each for each in answers if each.answer.error is None]
    topics = Confusion(_topics(given))
    handovers = Confusion(_handovers(given, desk))
    return Choices(
        topics if topics.total else None, handovers if HANDOVER in handovers.classes else None
    )


def figures(found: Confusion) -> dict[str, Any]:
    """A confusion with the means of its classes' figures, ready for JSON."""
    return {**found.as_dict(), **means(found)}


def means(found: Confusion) -> dict[str, float | None]:
    """Macro precision and recall: of the classes that have one, each weighing the same."""
    precision = [each.precision for each in found.by_class if each.precision is not None]
    recall = [each.recall for each in found.by_class if each.recall is not None]
    return {
        "macro_precision": fmean(precision) if precision else None,
        "macro_recall": fmean(recall) if recall else None,
    }


def _topics(answers: Iterable[Answered]) -> Pairs:
    for each in answers:
        if each.ticket.topic and each.answer.topic:
            yield each.ticket.topic, each.answer.topic


def _handovers(answers: Iterable[Answered], desk: Desk) -> Pairs:
    for each in answers:
        asked = question_of(each.ticket)  # nothing, once it was erased
        if asked and each.ticket.expects in (ANSWER, HANDOVER):
            taken = side_taken(desk, asked, each.answer.text)
            yield Expects(each.ticket.expects).value, taken.value
