"""How far a judge agrees with people, and how far the place decides. Asks it about pairs people settled.

Called by judge_commands.py and benchmarks/judge.py; the figures are shown beside the judge's votes.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

from evals.asking import in_pool
from evals.blind import Judged
from evals.judge import Asked, Judge
from evals.judging import Progress
from feedback import draws
from feedback.exam_tables import Choice
from feedback.judgements import Preferred, Why

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A share of a count with its interval; no value where the count is nought."""

    found: int
    of: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Verdict:
    """One pair: which of the two people preferred, and what the judge said."""

    people: Choice
    judged: Judged


@dataclass(frozen=True)
class Figures:
    """Agreement and bias. `ours` and `theirs` are drawn by hash, so neither name says who is right."""

    asked: int
    agreement: Share
    """Same winner, of the pairs on which both the judge and people named one. Ties are not in it."""
    kappa: float | None
    """Cohen's kappa over all scored pairs with three classes: this one, that one, a tie."""
    scored: int
    ties: int
    """The judge's, contradictions among them."""
    position_driven: int
    first_among_contradictions: Share
    """Of the pairs where only the place decided, those in which it was the first. Unbiased: a half."""
    pull: float | None
    """The share of pairs decided by the first place less that by the second, -1 to 1. Unbiased: 0."""
    pull_low: float | None
    pull_high: float | None
    unreadable: int


async def check(
    asked: Judge, pairs: Sequence[Preferred], concurrency: int, progress: Progress | None = None
) -> list[Verdict]:
    """The judge's word on each pair, in their order. Unavailable when the endpoint does not answer."""
    found: dict[str, Verdict] = {}
    started = time.monotonic()

    async def one(pair: Preferred) -> None:
        preferred_is_ours = is_ours(pair)
        texts = (pair.preferred, pair.other)
        ours, theirs = texts if preferred_is_ours else texts[::-1]
        people = Choice.CANDIDATE if preferred_is_ours else Choice.LIVE
        judged = await asked.compare(Asked(pair.context, ours, theirs))
        found[pair.key] = Verdict(Choice.TIE if pair.tie else people, judged)
        if progress:
            each_seconds = (time.monotonic() - started) / len(found)
            progress(len(found), len(pairs), each_seconds * (len(pairs) - len(found)))

    await in_pool(pairs, one, concurrency)
    return [found[pair.key] for pair in pairs]


def is_ours(pair: Preferred) -> bool:
    """Whether the preferred answer plays the candidate: by hash, so that about half of them do.

    Otherwise people would always be right by the same name, and kappa would mean nothing.
    """
    return draws.drawn(f"side {pair.key}") < 50


def figures(verdicts: Sequence[Verdict]) -> Figures:
    """What the judge's words amount to."""
    scored = [each for each in verdicts if each.judged.choice is not None]
    named = [each for each in scored if Choice.TIE not in (each.people, each.judged.choice)]
    whys = Counter(each.judged.why for each in scored)
    first, second = whys[Why.FIRST], whys[Why.SECOND]
    pull = pulled(first, second, len(scored))
    return Figures(
        asked=len(verdicts),
        agreement=share(sum(each.people == each.judged.choice for each in named), len(named)),
        kappa=kappa([(each.people, each.judged.choice) for each in scored]),
        scored=len(scored),
        ties=sum(each.judged.choice == Choice.TIE for each in scored),
        position_driven=first + second,
        first_among_contradictions=share(first, first + second),
        pull=pull[0] if pull else None,
        pull_low=pull[1] if pull else None,
        pull_high=pull[2] if pull else None,
        unreadable=len(verdicts) - len(scored),
    )


def as_dict(found: Figures) -> dict[str, Any]:
    """The figures as the check's row has them."""
    return asdict(found)


def share(found: int, of: int) -> Share:
    """A share with Wilson's score interval (Wilson, JASA 22, 1927), which holds at 0 and 1, too."""
    if not of:
        return Share(found, of, None, None, None)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    value, extra = found / of, z * z / of
    middle = (value + extra / 2) / (1 + extra)
    reach = z / (1 + extra) * math.sqrt(value * (1 - value) / of + extra / (4 * of))
    return Share(found, of, value, max(0.0, middle - reach), min(1.0, middle + reach))


def kappa(pairs: Sequence[tuple[Any, Any]]) -> float | None:
    """Cohen's kappa, unweighted (Cohen, Educational and Psychological Measurement 20, 1960).

    None without pairs, or where both always say the same one thing: chance alone explains that.
    """
    if not pairs:
        return None
    ones, others = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance: float = sum(ones[each] * others[each] for each in ones) / len(pairs) ** 2
    if by_chance == 1:
        return None
    agreed: float = sum(one == other for one, other in pairs) / len(pairs)
    return (agreed - by_chance) / (1 - by_chance)


def pulled(first: int, second: int, of: int) -> tuple[float, float, float] | None:
    """The difference of two shares of the same pairs with its interval; None without pairs.

    Agresti and Min's adjusted Wald interval for matched pairs ("Simple improved confidence intervals for
    comparing matched proportions", Statistics in Medicine 24, 2005): half a pair is added to each cell.
    """
    if not of:
        return None
    one, other, pairs = first + 0.5, second + 0.5, of + 2.0
    middle = (one - other) / pairs
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    reach = z / pairs * math.sqrt(max(0.0, one + other - (one - other) ** 2 / pairs))
    return (first - second) / of, max(-1.0, middle - reach), min(1.0, middle + reach)
