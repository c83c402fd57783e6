"""No text makes a score or a redaction hang: what is written without end costs time by its length alone."""

import statistics
import time
from collections.abc import Callable

import pytest

from evals import language, scores
from evals.facts import facts_in
from evals.refusals import refusal_in
from feedback import leaked_secrets, personal_numbers, postal_addresses
from feedback.desk import Desk

LENGTHS = (500, 2_000, 8_000)
"""Characters. Each four times the one before."""
MORE_AT_MOST = 3 * 3
"""Twice the length may cost three times the time: what grows with its square costs four times."""
TOO_SHORT_TO_TELL_SECONDS = 0.004
READERS: dict[str, Callable[[str], object]] = {
    "facts": facts_in,
    "personal numbers": lambda text: list(personal_numbers.find(text)),
    "secrets": lambda text: list(leaked_secrets.find(text)),
    "addresses": postal_addresses.find,
    "refusals": lambda text: refusal_in(text, Desk()),
    "language": language.language_of,
    "rules": lambda text: scores.says(text, "40 days"),
}
AGAIN_AND_AGAIN = (
    " ", "\n", "\u00a0", "1", "x", ".", "(", ")", "@", "<", "[", ":", "+", "$", "{{", "a.", "a-",
    "a_", "1.", "1 ", "1-", "1/", "1:", "111 ", "111,", "1\u202f", "€1 ", "Aa1", "ABCD ", "A1-",
    "PP-10 ", "12.12.", "10:", "5-", "5 to ", "5 days ", "12 May ", "a@b.cc ", "a.com/",
    "http://a.b ", "a://b:c", "?token", "secret:", "pin is '", "basic ", "bearer ", "xoxb-",
    "sk-a-", "SG.a", "eyJ", "-----BEGIN ", "zip ", "ssn ", "born ", "card ", "call ", "AA11 ",
    "1.1.1.1 ", "hundred ", "zweihundert ", "forty-", "step ", "\n> ", "if ", "to ", "i can't ",
    "no i can't ", "kann ich nicht ", "Oak ", "12, ", "Apt 5 ", "12 Oak Street, ", "corner of ",
)  # fmt: skip
WITH_ENDS = [
    ("1 zip", " ", "x"), ("1 ssn", " ", "x"), ("1 passport number", " ", "x"), ("1 zip", "\u00a0", "x"),
    ("1 account:", " ", "x"), ("1 routing", " ", "x"), ("1 cvv", " ", "x"), ("1 basic", " ", "!"),
    ("secret:", " ", ""), ("secret", ":", ""), ("pin is", " ", ""), ("a1", "_a", "@"), ("a1", "-a", "@"),
    ("1", "1", "a"), ("1", "/1", "a"), ("1", ".1", "a"), ("111", " 111", "a"), ("$1", "1", "%"),
    ("A", "A-", "a"), ("http://", ")", ""), ("xoxb-", "xoxb-", "_"), ("a://b:c@", ".", ""),
    ("", "if ", ": i can't help"), ("no i can't", "\u00a0", "x"), ("step", " ", "x"), ("1.", " ", ""),
    ("12 Oak Street", " ", "x"), ("12 Oak Street", "\n", ""), ("x", "x", " ABCD" * 20),
]  # fmt: skip
ENDLESS = [("", each, "") for each in AGAIN_AND_AGAIN] + WITH_ENDS


def written(ends: tuple[str, str, str], length: int) -> str:
    before, again, after = ends
    return before + (again * length)[: length - len(before) - len(after)] + after


def seconds(read: Callable[[str], object], text: str) -> float:
    """The median of three, or what it takes once where that is long enough to tell."""
    took: list[float] = []
    while len(took) < 3 and sum(took) < 0.3:
        started = time.perf_counter()
        read(text)
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def grows_too_much(read: Callable[[str], object], ends: tuple[str, str, str]) -> bool:
    before = seconds(read, written(ends, LENGTHS[0]))
    for length in LENGTHS[1:]:
        now = seconds(read, written(ends, length))
        if now > max(before, TOO_SHORT_TO_TELL_SECONDS) * MORE_AT_MOST:
            return True
        before = now
    return False


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", READERS)
def test_four_times_the_text_costs_about_four_times_the_time(name: str) -> None:
    read = READERS[name]
    read("Warm up: PP-1041 costs forty euros, call 0800 733 4455, 12 Oak Street. I can't help.")
    slow = [ends for ends in ENDLESS if all(grows_too_much(read, ends) for _ in range(4))]
    assert slow == []  # four times: once, the machine may have been busy with something else
