"""What is told of a judge: its votes on a candidate, and how far it agrees with people.

The same words on the command line, over the API and in the console, which call it. The figures themselves
are made in evals/calibration.py.
"""

from typing import Any

from feedback.exam_tables import JudgeCheck
from feedback.judgements import Tally

FEWEST = 30
"""With fewer pairs decided by both, figures are shown with the words that they are too few."""
SOURCES = {
    "corrections": "corrections and the answers they replaced",
    "votes": "agents' votes on replayed answers",
    "file": "pairs from a file",
}


def tally_as_dict(tally: Tally) -> dict[str, Any]:
    """A judge's votes on a candidate, ready for JSON or a table."""
    return {
        "judge": tally.judge,
        "candidate": tally.candidate,
        "live": tally.live,
        "ties": tally.ties,
        "position_driven": tally.position_driven,
        "unscored": tally.unscored,
        "score": tally.score,
    }


def check_as_dict(row: JudgeCheck) -> dict[str, Any]:
    """A check of a judge, ready for JSON."""
    return {
        "judge": row.judge,
        "source": row.source,
        "pairs": row.pairs,
        "agreed": row.agreed,
        "figures": row.figures,
        "sentences": sentences(row),
        "created_at": row.created_at.isoformat(),
    }


def sentences(row: JudgeCheck) -> list[str]:
    """How far a judge can be trusted, as an operator reads it."""
    found = row.figures
    told = [_agreement(row), _kappa(found)]
    if found["position_driven"]:
        told.append(_position(found))
    if found["unreadable"]:
        told.append(
            f"{found['unreadable']} of {found['asked']} pairs have no judgement: a reply could not be read."
        )
    return told


def _agreement(row: JudgeCheck) -> str:
    rate, against = row.figures["agreement"], SOURCES.get(row.source, row.source)
    if rate["value"] is None:
        return f"{row.judge} named no winner where people did, on {against}."
    few = "" if rate["of"] >= FEWEST else " Too few to mean much."
    low, high = _percent(rate["low"]), _percent(rate["high"])
    return (
        f"{row.judge} agrees with people on {_percent(rate['value'])} % of {rate['of']} pairs on which both "
        f"name a winner (95 % interval {low} to {high}; chance is 50), checked on {against}.{few}"
    )


def _kappa(found: dict[str, Any]) -> str:
    said = "not to be had" if found["kappa"] is None else f"{found['kappa']:.2f}"
    return (
        f"Cohen's kappa, ties being a class, is {said} on {found['scored']} scored pairs; "
        f"it calls {found['ties']} of them a tie."
    )


def _position(found: dict[str, Any]) -> str:
    first = found["first_among_contradictions"]
    return (
        f"On {found['position_driven']} the place decided, so they count as ties: of these it chose "
        f"what was shown first in {_percent(first['value'])} % "
        f"(95 % interval {_percent(first['low'])} to {_percent(first['high'])})."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
