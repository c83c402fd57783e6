"""Watches trials: a candidate that is worse is taken back at once, one that is not may get a larger share.

Judging is service/verdict.py's, counting is feedback/trials.py's; here is what follows from it. Every
replica judges; the same rows give the same verdict, and the first one to write it wins.
"""

import asyncio
import logging
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from anyio import to_thread
from sqlalchemy import Engine as Database
from sqlmodel import Session

from feedback import adapters, promotions, proposals, standing, trial_outcomes, trials
from feedback.database import reading, writing
from feedback.swap_tables import Trial, TrialKind, TrialState
from feedback.tables import Adapter, Assistant, Message, now
from feedback.trial_outcomes import Outcome
from feedback.trials import TrialPolicy
from service.settings import ServiceSettings
from service.verdict import Comparison, Drawn, Kind, Rule

log = logging.getLogger(__name__)

POLICY = "policy: trial"
RESTS = 10
"""Times as long as judging took, before the next: a long trial must not keep the service busy."""
PASSED = (Kind.NO_WORSE, Kind.BETTER)
PROPOSED_MOST = 50
"""Tickets proposed when a trial goes badly."""
SHADOW_SIGNALS = ("error", "slow")
"""What can be told of an answer that no customer saw."""


@dataclass(frozen=True)
class Seen:
    """What was counted of a trial at one share, and of which conversations."""

    whole: Comparison
    step: Comparison
    order: list[str] = field(default_factory=list)


class Trials:
    """The verdicts of running trials, kept up to date. One per service process."""

    def __init__(self, database: Database, settings: ServiceSettings) -> None:
        self._database = database
        self._settings = settings
        self._seen: dict[tuple[str, float], Seen] = {}

    async def watch(self) -> None:
        """Look again and again, until cancelled. A failed look is logged, never fatal."""
        while True:
            started = time.perf_counter()
            try:
                await self.look()
            except Exception:
                log.exception("a look at the trials failed; trying again")
            took = time.perf_counter() - started
            await asyncio.sleep(max(self._settings.trial_poll_seconds, RESTS * took))

    async def look(self) -> None:
        """Judge every running trial once, and do what follows."""

        def find() -> list[Trial]:
            with reading(self._database) as session:
                return trials.all_running(session)

        running = await to_thread.run_sync(find)
        known = {(trial.id, trial.share) for trial in running}
        self._seen = {key: value for key, value in self._seen.items() if key in known}
        for trial in running:
            await to_thread.run_sync(self._judge, trial)

    def _judge(self, trial: Trial) -> None:
        with reading(self._database) as session:
            outcomes = _outcomes(session, trial)
        kind, evidence, sentence = self._compare(trial, outcomes)
        with writing(self._database) as session:
            trial = trials.get(session, trial.id)
            policy = trials.policy_of(trial)
            if kind == Kind.WORSE:
                _roll_back(session, trial, outcomes, evidence, sentence)
            elif kind in PASSED and (larger := _next_share(trial, policy)):
                log.info("trial=%s no worse at %g, grows to %g", trial.id, trial.share, larger)
                trials.judged(session, trial, kind, evidence, larger)
            elif kind in PASSED and policy.promote:
                _promote(session, trial, evidence, sentence)
            elif evidence != trial.evidence:
                trials.judged(session, trial, kind, evidence, trial.share)

    def _compare(self, trial: Trial, outcomes: list[Outcome]) -> tuple[Kind, dict[str, Any], str]:
        """All of the trial says whether it is worse; what was drawn at this share, whether it passes."""
        policy = trials.policy_of(trial)
        key, order = (trial.id, trial.share), [each.conversation_id for each in outcomes]
        seen = self._seen.get(key)
        # One may have begun before others and been stored after them, or been erased: count anew.
        if seen is None or order[: len(seen.order)] != seen.order:
            seen = Seen(_comparison(trial, policy), _comparison(trial, policy))
        drawn = [_drawn(each) for each in outcomes]
        whole, step = seen.whole, seen.step
        kind = whole.follow(drawn)
        passing = step.follow([each for each in drawn if each.share == trial.share])
        self._seen[key] = Seen(whole, step, order)
        if kind != Kind.WORSE:
            kind = passing
        told = whole if kind == Kind.WORSE else step
        verdict = told.verdict()
        evidence: dict[str, Any] = {
            "signals": {name: asdict(each) for name, each in whole.evidence().items()},
            "loudest": verdict.loudest,
            "sentence": verdict.sentence,
        }
        return kind, evidence, verdict.sentence


def _comparison(trial: Trial, policy: TrialPolicy) -> Comparison:
    margins = policy.margins
    if trial.kind == TrialKind.SHADOW:
        margins = {name: {**trials.MARGINS, **margins}[name] for name in SHADOW_SIGNALS}
    rules = {name: Rule(margin) for name, margin in margins.items()}
    return Comparison(rules, policy.alpha, policy.alpha_pass)


def _drawn(outcome: Outcome) -> Drawn:
    return Drawn(outcome.unit, outcome.candidate, outcome.share, outcome.bad)


def _outcomes(session: Session, trial: Trial) -> list[Outcome]:
    if trial.kind == TrialKind.CANARY:
        return trial_outcomes.every(session, trial, now())
    return [_of_pair(trial, live, shadow) for live, shadow in trials.pairs(session, trial)]


def _of_pair(trial: Trial, live: Message, shadow: Message) -> Outcome:
    """Of a pair one answer counts, by the toss of a coin: so a shadow is judged as a canary is."""
    candidate = standing.in_share(f"{trial.id}:{shadow.id}", 0.5)
    counted = shadow if candidate else live
    slow_ms = trials.policy_of(trial).slow_ms or trials.SLOW_MS
    bad: dict[str, bool | None] = {
        "error": counted.error is not None,
        "slow": (counted.time_to_first_token_ms or 0) > slow_ms,
    }
    return Outcome(shadow.conversation_id, shadow.id, candidate, 0.5, bad)


def _next_share(trial: Trial, policy: TrialPolicy) -> float | None:
    return next((share for share in policy.grow_to if share > trial.share), None)


def _roll_back(
    session: Session, trial: Trial, outcomes: list[Outcome], evidence: dict[str, Any], why: str
) -> None:
    """No further conversation; those under way leave; what went wrong becomes proposed tickets."""
    trials.judged(session, trial, Kind.WORSE, evidence, trial.share)
    if not trials.end(session, trial.id, TrialState.ROLLED_BACK, POLICY, why):
        return
    log.warning("trial=%s rolled back: %s", trial.id, why)
    went_wrong = [each for each in outcomes if each.candidate and any(each.bad.values())]
    for each in went_wrong[-PROPOSED_MOST:]:
        signals = ", ".join(name.replace("_", " ") for name, bad in each.bad.items() if bad)
        if (
            answer := trials.answer_that_went_wrong(session, trial, each.conversation_id)
        ) is not None:
            proposals.propose(
                session, answer, f"In a trial that was rolled back: {signals}.", trial
            )
    assistant = session.get_one(Assistant, trial.assistant_id)
    adapter = session.get_one(Adapter, trial.adapter_id)
    why = f"{adapter.name} was rolled back in its trial"
    proposals.of_adapter(session, assistant, adapter, why, trial)


def _promote(session: Session, trial: Trial, evidence: dict[str, Any], why: str) -> None:
    """The policy asks for promotion; the engines hold the candidate already."""
    trials.judged(session, trial, Kind.NO_WORSE, evidence, trial.share)
    assistant = session.get_one(Assistant, trial.assistant_id)
    adapter = session.get_one(Adapter, trial.adapter_id)
    live = adapters.live(session, assistant)
    untried = live.except_topics if live else []  # no conversation about these took part
    if trials.end(session, trial.id, TrialState.PROMOTED, POLICY, why):
        promotions.request(session, assistant, adapter, POLICY, why, except_topics=untried)
