"""The shape of an exam's record: what `understudy evals report --json` writes and the API gives.

Everything the page shows is in here, so that a program can check what a person was shown. Built by record.py.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

VERSION = "understudy/exam-record/1"


class Shape(BaseModel):
    """A part of the record; nothing unknown may stand in it."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Act(Shape):
    """Something a person, or a policy in a person's place, did about the candidate."""

    what: str
    """asked for the cycle, asked for promotion, made it live, rejected it."""
    who: str
    when: datetime
    why: str
    """Their own reason; empty where none was asked for."""


class Data(Shape):
    """A frozen dataset, named by its content."""

    name: str
    stage: str
    sha256: str
    train_rows: int
    validation_rows: int


class Behind(Shape):
    """How much stands behind the weights. Counts, no names: a record outlives the people in it."""

    words: dict[str, int]
    """Kind of feedback (correction, approval, …) to how many."""
    authors: int
    conversations: int
    customers: int
    """Of those whom the site names."""
    erased_rows: int
    """Rows of people who were erased since."""


class Weights(Shape):
    """What sat the exam: an adapter with everything it is made of, or the base model."""

    name: str
    """The adapter's name, or 'base'."""
    digest: str | None
    """SHA-256 over its files; None: the base model."""
    base_model: str
    version: int | None = None
    rank: int | None = None
    published_at: datetime | None = None
    files_removed_at: datetime | None = None
    versions: dict[str, str] = {}
    """Of the libraries that trained it; empty once its files were removed."""
    files: dict[str, str] = {}
    """File name to SHA-256; empty once they were removed."""
    datasets: list[Data] = []
    behind: Behind | None = None


class Run(Shape):
    """One side's sitting, and what it cost."""

    run: str
    begun_at: datetime
    finished_at: datetime | None
    prompt_version: int
    prompt_sha256: str
    sampling: dict[str, Any]
    """As it was stored with the run; empty for runs older than that."""
    tickets: int
    answered: int
    cached: int
    """Answers taken from an earlier run with the same weights, question, prompt and sampling."""
    completion_tokens: int
    """Of the answers made anew."""
    engine_seconds: float
    """From question to last word, summed over the answers made anew; they overlap in time."""
    wall_seconds: float | None


class Side(Shape):
    """One of the two: the candidate, or what was live."""

    weights: Weights
    run: Run


class Statistics(Shape):
    """What the verdict rests on, in numbers."""

    metric: str
    title: str
    tickets: int
    gain: float | None
    low: float | None
    high: float | None
    confidence: float
    paired_by: str
    """The metric of a ticket's gain: the gate's own, or chrF where that is of no single answer."""
    better: int
    """Tickets on which the candidate scores higher, lower, the same, and on which one has no score."""
    worse: int
    same: int
    unscored: int
    alpha: float | None
    """What this look cost: the chance that a worse candidate passes it."""
    evidence: float | None
    """What a stake of 1 against "no better" became."""
    needed: float | None
    """What it had to become: 1/alpha."""


class Guardrail(Shape):
    """A metric that must not get worse by more than its margin."""

    metric: str
    title: str
    candidate: float | None = None
    live: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    passed: bool
    sentence: str = ""


class Topic(Shape):
    """How both did on the tickets of one topic."""

    topic: str | None
    tickets: int
    candidate: float
    live: float
    gain: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Of "no worse", corrected for how many topics were looked at."""
    loses: bool = False


class Compared(Shape):
    """One metric over all tickets that both have a value for; the interval is the bootstrap's."""

    metric: str
    title: str
    less_is_better: bool
    tickets: int
    candidate: float | None
    live: float | None
    difference: float | None
    low: float | None = None
    high: float | None = None
    unscored: int
    """Answers of either side that could not be scored."""


class Broken(Shape):
    """A ticket on which one of the two broke a rule, with the sentences that say how."""

    ticket: str
    topic: str | None
    candidate: list[str]
    live: list[str]


class Rules(Shape):
    """Rules by ticket. Those that neither broke are only counted."""

    checked: int
    kept_by_both: int
    only_candidate: int
    only_live: int
    both: int
    broken: list[Broken]
    """Those that the candidate alone broke come first."""


class Mark(Shape):
    """One score of one answer. No value: it could not be had, and the reason says why."""

    value: float | None
    reason: str


class Said(Shape):
    """One side's answer to a ticket."""

    text: str
    error: str | None
    cached: bool
    completion_tokens: int
    latency_ms: int
    topic: str | None
    """Which of the assistant's topics it chose, where it was asked."""
    scores: dict[str, Mark]


class Pair(Shape):
    """Both answers to one ticket."""

    ticket: str
    topic: str | None
    expects: str
    origin: str
    earlier_messages: int
    """How much of the conversation came before the question."""
    question: str
    reference: str
    gain: float | None
    candidate: Said
    live: Said


class Judged(Shape):
    """What a judging model made of the answers, and how far it agreed with people."""

    judge: str
    candidate: int
    tie: int
    live: int
    unreadable: int
    checked_on: int | None = None
    """Pairs on which it was compared with people; None: never."""
    agreed: int | None = None
    figures: dict[str, Any] = {}


class Voted(Shape):
    """What agents made of real conversations answered again, without knowing whose answers they read."""

    replay: str
    since: datetime
    until: datetime
    voters: int
    candidate: int
    tie: int
    live: int


class Spent(Shape):
    """A stage of the cycle and how long it took."""

    stage: str
    state: str
    seconds: float | None


class Sealed(Shape):
    """What the sealed tickets said, which are asked only of a candidate that has passed."""

    decision: str
    promote: bool
    tickets: int
    reasons: list[str]
    gain: float | None
    low: float | None
    high: float | None


class Outcome(Shape):
    """What became of it, as far as is known when the record was made."""

    state: str
    """live, was live, refused, rejected, waits, confirmed (the sealed tickets), passed."""
    sentence: str


class ExamRecord(Shape):
    """One exam from verdict to lineage, for an adapter that passed or one that did not."""

    shape: str = VERSION
    decision: str
    decided_at: datetime
    assistant: str
    assistant_title: str
    cycle: str | None
    sealed: bool
    promote: bool
    sentence: str
    reasons: list[str]
    outcome: Outcome
    acts: list[Act]
    candidate: Side
    live: Side
    statistics: Statistics
    gate: dict[str, Any]
    """The gate's settings in force then."""
    detail: dict[str, Any]
    """What else the gate wrote down: power, fresh and used tickets, the budget, how steady answers are."""
    findings: list[str]
    """Of which not one is tolerated: new violations, leaks, invented prices."""
    guardrails: list[Guardrail]
    topics: list[Topic]
    losing_topics: list[str]
    metrics: list[Compared]
    rules: Rules
    pairs: list[Pair]
    """Every ticket that both were asked, largest gain first."""
    sealed_exam: Sealed | None
    judges: list[Judged]
    votes: list[Voted]
    stages: list[Spent]
    commands: list[str]
    """What makes the record again, and what asks the same tickets anew."""
    sha256: str = ""
    """Over all of the above as canonical JSON: two records of the same facts have the same."""
