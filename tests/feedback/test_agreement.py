"""Agreement: the figures of a reference library on its own example data, and on any other."""

from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

from feedback import agreement, reviews
from feedback.agreement import Counts, Twice
from feedback.desk_tables import Review, ReviewSource, Verdict
from feedback.disputes import Judged
from feedback.tables import Assistant, now
from tests.feedback.said import answered
from tests.feedback.test_reviews import judged, person

# Published examples, one string for each observer, one sign for each unit, * where nothing was said.
BINARY = ("0100000010", "1110010000")
LETTERS = ("aabbdcccedda", "babbbccceddd")
TWELVE_UNITS = ("123321412***", "1233224125*3", "*3332342251*", "12332441251*")
LIBRARY_EXAMPLE = ("*****34121133*3", "1*213343*******", "**21344*21133*4")


def table(observers: tuple[str, ...]) -> Any:
    """Observers by units, as the library takes it: numbers, nan where nothing was said."""
    rows = [[np.nan if sign == "*" else float(ord(sign)) for sign in each] for each in observers]
    return np.array(rows)


def counted(values: Any) -> Counts:
    """Units by classes, as we take it."""
    classes = sorted({float(value) for value in values.ravel() if not np.isnan(value)})
    return np.array([[(unit == each).sum() for each in classes] for unit in values.T], dtype=float)


@pytest.mark.parametrize(
    ("observers", "published"),
    [(BINARY, 0.095), (LETTERS, 0.692), (TWELVE_UNITS, 0.743), (LIBRARY_EXAMPLE, 0.691)],
    ids=[
        "binary, two observers",
        "letters, two observers",
        "twelve units, four observers",
        "the library's own",
    ],
)
def test_published_examples_give_the_published_alpha_and_the_reference_librarys(
    observers: tuple[str, ...], published: float
) -> None:
    values = table(observers)
    ours = agreement.alpha(counted(values))
    assert ours == pytest.approx(published, abs=5e-4)
    assert ours == pytest.approx(
        float(krippendorff.alpha(values, level_of_measurement="nominal")), abs=1e-12
    )


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 40), st.integers(2, 5))
def test_any_data_give_the_reference_librarys_alpha(
    seed: int, observers: int, units: int, classes: int
) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(0, classes, size=(observers, units)).astype(float)
    values[random.random(values.shape) < 0.3] = np.nan
    counts = counted(values)
    ours = agreement.alpha(counts)
    if ours is None:  # the library refuses such data, or has no number for them
        pairable = counts[counts.sum(axis=1) >= 2]
        assert (pairable.sum(axis=0) > 0).sum() <= 1
    else:
        theirs = float(krippendorff.alpha(values, level_of_measurement="nominal"))
        assert ours == pytest.approx(theirs, abs=1e-9)


def twice(*pairs: tuple[str, str]) -> list[Twice]:
    """Answers that two people judged, each verdict by its first letter; a digit after it is the text."""
    made = {"a": Verdict.APPROVED, "c": Verdict.CORRECTED, "f": Verdict.FLAGGED}
    texts = {"": "", "1": "It left the shop today.", "2": "We never had an order of yours."}
    return [
        Twice(
            f"m{number}",
            [
                Judged(name, made[one[0]], texts[one[1:]], now())
                for name, one in zip(("mara", "nils"), pair, strict=True)
            ],
        )
        for number, pair in enumerate(pairs)
    ]


def test_two_corrections_agree_when_they_say_the_same() -> None:
    found = agreement.of(twice(("c1", "c1"), ("c1", "c2"), ("a", "a"), ("a", "c1")))
    assert (found.items, found.agreed, found.same_verdict) == (4, 2, 3)
    assert (found.both_corrected, found.same_correction) == (2, 1)
    assert found.verdicts == {"approved": 3, "corrected": 5, "flagged": 0}


def test_alpha_is_low_where_nearly_all_verdicts_are_of_one_kind_however_often_people_agree() -> (
    None
):
    found = agreement.of(twice(*[("a", "a")] * 98, ("a", "f"), ("f", "a")))
    assert found.agreed / found.items == 0.98
    assert found.alpha is not None and found.alpha < 0.01


def test_where_everybody_always_says_the_same_there_is_no_alpha() -> None:
    found = agreement.of(twice(*[("a", "a")] * 12))
    assert (found.alpha, found.low, found.high) == (None, None, None)
    assert agreement.of([]).alpha is None and agreement.of([]).is_few


def test_the_interval_holds_alpha_and_narrows_with_more_answers() -> None:
    some = twice(("a", "a"), ("c1", "c1"), ("a", "c1"), ("f", "f"), ("c1", "c2"), ("a", "a"))
    few, many = agreement.of(some * 3), agreement.of(some * 30)
    for found in (few, many):
        assert found.low is not None and found.alpha is not None and found.high is not None
        assert found.low <= found.alpha <= found.high
    assert few.high - few.low > 2 * (many.high - many.low)  # type: ignore[operator]
    assert agreement.of(some * 3) == few


def test_only_answers_drawn_for_two_count_and_of_each_the_first_two_verdicts(
    assistant: Assistant, session: Session
) -> None:
    people = [person(session, assistant, name) for name in ("mara", "nils", "olga")]
    sources = (ReviewSource.RANDOM, ReviewSource.DISAGREEMENT)
    for number, source in enumerate(sources):
        _, answer = answered(session, assistant, f"Question {number}?")
        review = Review(
            assistant_id=assistant.id, message_id=answer.id, source=source, verdicts_needed=2
        )
        session.add(review)
        session.flush()
        for who, verdict in zip(
            people, (Verdict.APPROVED, Verdict.FLAGGED, Verdict.FLAGGED), strict=True
        ):
            judged(session, review, who, verdict)
    found = agreement.of(agreement.seen_by_two(session, assistant))
    assert (found.items, found.agreed) == (1, 0)
    assert found.verdicts == {"approved": 1, "corrected": 0, "flagged": 1}
    assert reviews.agreement(session, assistant) == (0, 1)
