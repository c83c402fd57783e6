"""What judging models and agents made of a candidate beside what was live, counted.

They are given elsewhere; whoever writes a decision down reads them here.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from feedback.exam_tables import Choice, JudgeCheck, Judgement, Replay, ReplayTurn, Vote
from feedback.tables import Decision, EvalRun, ExamAnswer


@dataclass(frozen=True)
class Tally:
    """Pairs of answers by who was preferred."""

    candidate: int
    tie: int
    live: int
    unreadable: int = 0

    @property
    def pairs(self) -> int:
        """All of them."""
        return self.candidate + self.tie + self.live + self.unreadable


@dataclass(frozen=True)
class Judged:
    """What one judging model made of an exam, and how far it agreed with people when last looked at."""

    judge: str
    tally: Tally
    check: JudgeCheck | None


@dataclass(frozen=True)
class Voted:
    """What agents made of a replay, without knowing whose answers they read. Votes, not pairs."""

    replay: Replay
    tally: Tally
    voters: int


def judged(session: Session, decision: Decision) -> list[Judged]:
    """What each judge made of the answers that a decision rests on, by the judge's name."""
    rows = session.exec(
        select(Judgement.judge, Judgement.choice)
        .join(ExamAnswer, col(ExamAnswer.id) == Judgement.candidate_answer_id)
        .where(
            ExamAnswer.eval_run_id == decision.candidate_run_id,
            col(Judgement.live_answer_id).in_(
                select(ExamAnswer.id).where(ExamAnswer.eval_run_id == decision.live_run_id)
            ),
        )
    )
    of_judge: dict[str, Counter[Any]] = {}
    for judge, choice in rows:
        of_judge.setdefault(judge, Counter())[choice] += 1
    return [
        Judged(judge, _tally(counts), _last_check(session, decision, judge))
        for judge, counts in sorted(of_judge.items())
    ]


def voted(session: Session, decision: Decision) -> list[Voted]:
    """What agents made of replays of the same two adapters, oldest first; none that nobody voted on."""
    ours, theirs = (
        session.get_one(EvalRun, run) for run in (decision.candidate_run_id, decision.live_run_id)
    )
    replays = session.exec(
        select(Replay)
        .where(
            Replay.assistant_id == decision.assistant_id,
            Replay.adapter_id == ours.adapter_id,
            Replay.against_id == theirs.adapter_id,
        )
        .order_by(col(Replay.created_at), col(Replay.id))
    ).all()
    found = []
    for replay in replays:
        votes = session.exec(
            select(Vote.author, Vote.choice)
            .join(ReplayTurn, col(ReplayTurn.id) == Vote.replay_turn_id)
            .where(ReplayTurn.replay_id == replay.id)
        ).all()
        if votes:
            counts: Counter[Any] = Counter(choice for _, choice in votes)
            found.append(Voted(replay, _tally(counts), len({author for author, _ in votes})))
    return found


def _tally(counts: Counter[Any]) -> Tally:
    return Tally(counts[Choice.CANDIDATE], counts[Choice.TIE], counts[Choice.LIVE], counts[None])


def _last_check(session: Session, decision: Decision, judge: str) -> JudgeCheck | None:
    """The newest one of this assistant's, or else of no assistant's."""
    return session.exec(
        select(JudgeCheck)
        .where(
            JudgeCheck.judge == judge,
            (col(JudgeCheck.assistant_id) == decision.assistant_id)
            | col(JudgeCheck.assistant_id).is_(None),
        )
        .order_by(col(JudgeCheck.assistant_id).is_(None), col(JudgeCheck.created_at).desc())
        .limit(1)
    ).first()
