"""What measuring one answer by one metric gave: a value and the reason for it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scored:
    """One metric of one answer. No value: it could not be scored, and the reason says why."""

    metric: str
    value: float | None
    reason: str


def unscored(metric: str, reason: str) -> Scored:
    """A score that could not be had."""
    return Scored(metric, None, reason)


def listed(things: list[str]) -> str:
    """Things said in a reason, each in quotation marks."""
    return ", ".join(repr(thing) for thing in things)
