"""What a judging model said of two answers to one ticket, and how far it agrees with people.

It asks no model: evals/judging.py and evals/calibration.py do. The console and the API read here.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, or_, select

from feedback import conversations, draws, taught
from feedback.exam_tables import Choice, JudgeCheck, Judgement, Replay, ReplayTurn, Vote
from feedback.tables import (
    Assistant,
    Conversation,
    Decision,
    EvalRun,
    ExamAnswer,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    MessageState,
    Role,
    Ticket,
    now,
)
from feedback.transcript import ModelMessages, turns


class Why(StrEnum):
    """Why a judgement is what it is: the only sentences that are stored, nobody's words in them."""

    SAME = "It chose the same answer in both orders."
    TIE = "It called it a tie, in one order at least."
    FIRST = "It chose what was shown first in both orders, so it is a tie."
    SECOND = "It chose what was shown second in both orders, so it is a tie."
    UNREADABLE = "Its reply could not be read in one order at least, so there is no judgement."
    NO_ANSWER = "One side gave no answer to this ticket, so there was nothing to compare."


POSITION_DRIVEN = (Why.FIRST, Why.SECOND)


@dataclass(frozen=True)
class Tally:
    """What one judge made of one candidate's answers."""

    judge: str
    candidate: int
    live: int
    ties: int
    """The position-driven ones among them."""
    first: int
    """Position-driven: it chose what was shown first, both times."""
    second: int
    unscored: int
    """Unreadable, or one side had no answer: they count for nobody."""

    @property
    def scored(self) -> int:
        """How many have a value."""
        return self.candidate + self.live + self.ties

    @property
    def position_driven(self) -> int:
        """Contradictions: the place decided, not the answer."""
        return self.first + self.second

    @property
    def score(self) -> float | None:
        """Mean over tickets: 1 the candidate's, 0.5 a tie, 0 live's."""
        return (self.candidate + self.ties / 2) / self.scored if self.scored else None


@dataclass(frozen=True)
class Both:
    """A ticket with both runs' answers to it."""

    ticket: Ticket
    candidate: ExamAnswer
    live: ExamAnswer


@dataclass(frozen=True)
class Preferred:
    """Of two answers to one conversation the one that people prefer; `tie`: they do not."""

    key: str
    context: ModelMessages
    preferred: str
    other: str
    tie: bool = False


def keep(session: Session, both: Both, judge: str, choice: Choice | None, why: Why) -> None:
    """Store a judgement; the same judge's earlier one on these answers stays."""
    known = select(Judgement.id).where(
        Judgement.candidate_answer_id == both.candidate.id,
        Judgement.live_answer_id == both.live.id,
        Judgement.judge == judge,
    )
    if session.exec(known).first() is None:
        session.add(
            Judgement(
                candidate_answer_id=both.candidate.id,
                live_answer_id=both.live.id,
                judge=judge,
                choice=choice,
                reason=why,
            )
        )
        session.flush()


def left(session: Session, candidate: EvalRun, live: EvalRun, judge: str) -> list[Both]:
    """Both answers to each ticket that this judge has not judged yet, in the order of the tickets.

    Tickets whose words were erased since are left out.
    """
    ours, theirs = aliased(ExamAnswer), aliased(ExamAnswer)
    done = select(Judgement.id).where(
        Judgement.candidate_answer_id == ours.id,
        Judgement.live_answer_id == theirs.id,
        Judgement.judge == judge,
    )
    query = (
        select(Ticket, ours, theirs)
        .join(ours, col(ours.ticket_id) == Ticket.id)
        .join(theirs, col(theirs.ticket_id) == Ticket.id)
        .where(ours.eval_run_id == candidate.id, theirs.eval_run_id == live.id, ~done.exists())
        .order_by(col(Ticket.external_id))
    )
    return [Both(*row) for row in session.exec(query) if row[0].context]


def of_runs(session: Session, candidate: EvalRun, live: EvalRun) -> list[tuple[str, Judgement]]:
    """Ticket id and judgement, of every judge."""
    ours, theirs = aliased(ExamAnswer), aliased(ExamAnswer)
    query = (
        select(ours.ticket_id, Judgement)
        .join(ours, col(ours.id) == Judgement.candidate_answer_id)
        .join(theirs, col(theirs.id) == Judgement.live_answer_id)
        .where(ours.eval_run_id == candidate.id, theirs.eval_run_id == live.id)
        .order_by(col(Judgement.id))
    )
    return list(session.exec(query))


def tallies(session: Session, decision: Decision) -> list[Tally]:
    """What each judge made of a decision's answers, by name."""
    runs = (session.get_one(EvalRun, decision.candidate_run_id),
            session.get_one(EvalRun, decision.live_run_id))  # fmt: skip
    by_judge: dict[str, list[Judgement]] = defaultdict(list)
    for _, row in of_runs(session, *runs):
        by_judge[row.judge].append(row)
    return [_tally(judge, rows) for judge, rows in sorted(by_judge.items())]


def _tally(judge: str, rows: Sequence[Judgement]) -> Tally:
    choices, whys = Counter(row.choice for row in rows), Counter(row.reason for row in rows)
    return Tally(
        judge,
        candidate=choices[Choice.CANDIDATE],
        live=choices[Choice.LIVE],
        ties=choices[Choice.TIE],
        first=whys[Why.FIRST],
        second=whys[Why.SECOND],
        unscored=choices[None],
    )


# What people said


def corrected(session: Session, assistant: Assistant, most: int) -> list[Preferred]:
    """Staff's corrections against the answers they replaced, at most so many, drawn by hash."""
    rows = session.exec(
        select(Feedback, Message, Conversation.id)
        .join(Message, col(Message.id) == Feedback.message_id)
        .join(Conversation, col(Conversation.id) == Message.conversation_id)
        .where(
            Conversation.assistant_id == assistant.id,
            Feedback.kind == FeedbackKind.CORRECTION,
            Feedback.state == FeedbackState.ACTIVE,
            Feedback.author_role != Role.CUSTOMER,
            Message.state == MessageState.COMPLETE,
            col(Feedback.text) != Message.text,
        )
    )
    drawn = sorted(rows, key=lambda row: draws.drawn(f"judge check {row[0].id}"))[:most]
    return [
        Preferred(
            word.id,
            taught.context_of(word, about, conversations.messages_of(session, talk)),
            word.text or "",
            about.text,
        )
        for word, about, talk in drawn
    ]


def voted(session: Session, assistant: Assistant, most: int) -> list[Preferred]:
    """What agents voted of replayed answers, the majority of each, at most so many, drawn by hash."""
    rows = session.exec(
        select(ReplayTurn, Vote.choice)
        .join(Vote, col(Vote.replay_turn_id) == ReplayTurn.id)
        .join(Replay, col(Replay.id) == ReplayTurn.replay_id)
        .where(Replay.assistant_id == assistant.id, col(Vote.choice).is_not(None))
    )
    found: dict[str, ReplayTurn] = {}
    votes: dict[str, Counter[Choice]] = defaultdict(Counter)
    for turn, choice in rows:
        found[turn.id] = turn
        votes[turn.id][Choice(str(choice))] += 1
    drawn = sorted(found, key=lambda key: draws.drawn(f"judge check {key}"))[:most]
    return [pair for key in drawn if (pair := _voted(session, found[key], votes[key]))]


def _voted(session: Session, turn: ReplayTurn, votes: Counter[Choice]) -> Preferred | None:
    if not turn.candidate_text or not turn.live_text:
        return None
    about = session.get_one(Message, turn.message_id)
    said = conversations.messages_of(session, about.conversation_id)
    context = turns(each for each in said if each.position < about.position)
    ours, theirs = votes[Choice.CANDIDATE], votes[Choice.LIVE]
    tie = ours == theirs or votes[Choice.TIE] > max(ours, theirs)
    texts = (turn.candidate_text, turn.live_text)
    preferred, other = texts if ours >= theirs else texts[::-1]
    return Preferred(turn.id, context, preferred, other, tie)


def keep_check(
    session: Session,
    assistant: Assistant | None,
    judge: str,
    source: str,
    pairs: int,
    agreed: int,
    figures: dict[str, Any],
) -> JudgeCheck:
    """How far a judge agreed with people, when somebody looked just now."""
    row = JudgeCheck(
        assistant_id=assistant.id if assistant else None,
        judge=judge,
        source=source,
        pairs=pairs,
        agreed=agreed,
        figures=figures,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return row


def checks(session: Session, assistant: Assistant) -> list[JudgeCheck]:
    """Every check of a judge for this assistant, newest first."""
    return list(
        session.exec(
            select(JudgeCheck)
            .where(JudgeCheck.assistant_id == assistant.id)
            .order_by(col(JudgeCheck.created_at).desc(), col(JudgeCheck.id).desc())
        )
    )


def latest_checks(session: Session, assistant: Assistant) -> list[JudgeCheck]:
    """The newest check of each judge against each source."""
    newest: dict[tuple[str, str], JudgeCheck] = {}
    for row in checks(session, assistant):
        newest.setdefault((row.judge, row.source), row)
    return list(newest.values())


def latest_check(session: Session, assistant_id: str, judge: str) -> JudgeCheck | None:
    """The newest check of a judge for this assistant, or else for none in particular."""
    return session.exec(
        select(JudgeCheck)
        .where(
            JudgeCheck.judge == judge,
            or_(
                JudgeCheck.assistant_id == assistant_id,
                col(JudgeCheck.assistant_id).is_(None),
            ),
        )
        .order_by(col(JudgeCheck.assistant_id).is_(None), col(JudgeCheck.created_at).desc())
        .limit(1)
    ).first()


def choices_of(
    session: Session, candidate: EvalRun, live: EvalRun, judge: str
) -> dict[str, Choice]:
    """One judge's word per ticket id; tickets without a value are absent."""
    return {
        ticket: Choice(row.choice)
        for ticket, row in of_runs(session, candidate, live)
        if row.judge == judge and row.choice is not None
    }
