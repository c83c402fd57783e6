"""Chance that is the same wherever it is drawn: by a hash of what it is about."""

import hashlib

from feedback.tables import Split


def split_of(who: str, percent: int) -> Split:
    """Which split somebody's rows go to: always the same one."""
    bucket = int(hashlib.sha256(who.encode()).hexdigest(), 16) % 100
    return Split.VALIDATION if bucket < percent else Split.TRAIN


def drawn(what: str) -> float:
    """A number from 0 to 100 that is the same wherever it is drawn."""
    return int(hashlib.sha256(what.encode()).hexdigest(), 16) % 10_000 / 100
