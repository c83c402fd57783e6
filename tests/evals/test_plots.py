"""Drawings of an exam: everything is drawn, once, where it belongs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import plots

GAINS = st.lists(st.floats(-1e6, 1e6).map(lambda gain: round(gain, 6)), min_size=1, max_size=60)


def test_every_row_of_a_forest_is_drawn_and_losses_lie_left_of_wins() -> None:
    rows = [plots.Row(f"topic {n}", "5", n - 30.0, n - 32.0, n - 28.0) for n in range(60)]
    drawn = plots.forest("chrF", rows)
    assert len(drawn) == 3
    places = [
        float(x) for x in re.findall(r'<circle class="dot \w+" cx="([\d.]+)"', "".join(drawn))
    ]
    assert len(places) == 60 and places == sorted(places)


@given(GAINS)
def test_every_ticket_is_in_one_bar_and_ties_stand_apart(gains: list[float]) -> None:
    drawn = str(plots.differences("chrF", gains))
    counts = re.findall(r'class="bar (\w+)"[^>]*/><text[^>]*>(\d+)<', drawn)
    for look, wanted in (
        ("bad", [gain for gain in gains if gain < 0]),
        ("tie", [gain for gain in gains if gain == 0]),
        ("good", [gain for gain in gains if gain > 0]),
    ):
        assert sum(int(count) for name, count in counts if name == look) == len(wanted)
    assert "nan" not in drawn and "inf" not in drawn


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=60))
def test_better_tickets_lie_above_the_diagonal(points: list[tuple[float, float]]) -> None:
    drawn = str(plots.scatter("chrF", points))
    for look, sign in (("good", -1), ("bad", 1)):
        for path in re.findall(rf'class="points {look}" d="([^"]*)"', drawn):
            for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", path):
                # the diagonal runs from the lower left (52, 356) to the upper right (448, 12)
                on_it = 356 - (float(x) - 52) * (356 - 12) / (448 - 52)
                assert sign * (float(y) - on_it) >= -0.2


@pytest.mark.parametrize("span", [(0.0, 1.0), (-3.0, 97.0), (-1e-6, 1e-6), (-1e9, 5.0)])
def test_ticks_are_few_and_lie_inside(span: tuple[float, float]) -> None:
    found = plots.ticks(*span)
    assert 3 <= len(found) <= 8 and all(span[0] <= at <= span[1] for at in found)


def test_words_in_a_drawing_are_escaped() -> None:
    drawn = str(plots.forest("chrF", [plots.Row("<b>&", "<i>", 1.0, 0.5, 2.0)])[0])
    assert "<b>" not in drawn and "<i>" not in drawn and "&lt;b&gt;&amp;" in drawn
