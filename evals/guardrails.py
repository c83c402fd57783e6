"""Other scores that must not be much worse: non-inferiority by margins. Pure; the gate asks.

Each must be passed, so none needs to be corrected for the others (an intersection-union test: Berger,
"Multiparameter hypothesis testing and acceptance sampling", Technometrics 24(4), 1982).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from evals import bootstrap
from evals.pairs import Pairs, gains, score, scored
from feedback.measures import MEASURES


@dataclass(frozen=True)
class Guardrail:
    """One score that must not be worse by its margin or more. Differences are candidate less live."""

    metric: str
    tickets: int
    candidate: float
    live: float
    difference: float
    low: float
    high: float
    margin: float
    passed: bool
    sentence: str


def guardrails(
    margins: Mapping[str, float], pairs: Pairs, confidence: float, samples: int
) -> list[Guardrail]:
    """One for each metric that applies to tickets of at least two customers."""
    found = []
    for metric, margin in margins.items():
        both = scored(pairs, metric)
        if len({ours.cluster for ours, _ in both}) >= 2:
            found.append(_guardrail(metric, margin, both, confidence, samples))
    return found


def _guardrail(
    metric: str, margin: float, pairs: Pairs, confidence: float, samples: int
) -> Guardrail:
    # Only one side is of interest: its end of a two-sided interval at twice the error.
    around = bootstrap.interval(gains(pairs, metric), 2 * confidence - 1, samples)
    down = metric in MEASURES and MEASURES[metric].more_is_better is False
    worst = around.high if down else -around.low
    passed = worst < margin or (worst == margin == 0)
    return Guardrail(
        metric,
        len(pairs),
        fmean(score(ours, metric) for ours, _ in pairs),
        fmean(score(theirs, metric) for _, theirs in pairs),
        around.mean,
        around.low,
        around.high,
        margin,
        passed,
        f"By {metric} on {len(pairs)} tickets it may be worse by up to {max(worst, 0.0):.3g} "
        f"({'less' if passed else 'not less'} than the margin of {margin:g}).",
    )
