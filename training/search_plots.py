"""Drawings of a search as inline SVG: the trials in order, what mattered, and the loss by each value."""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from service.console.charts import Scale, drawing

WIDTH = 680
SMALL = 320
LOOKS = {"whole": "good", "given up": "tie", "cut off": "tie"}

Trial = dict[str, Any]


def history(trials: Sequence[Trial], present: float | None) -> Markup:
    """Each whole trial's loss in the order of the trials, the lowest so far, and what is in force."""
    whole = [each for each in trials if each["loss"] is not None]
    height, left, foot = 280, 56, 240
    low, high = _room([each["loss"] for each in whole])
    last = max((each["number"] for each in trials), default=1)
    across, up = Scale(0, max(last, 1), left + 12, WIDTH - 16), Scale(low, high, foot, 14)
    body = _grid(up, low, high, left, WIDTH - 8)
    if present is not None:
        body.append(f'<path class="zero" d="M{left} {up(present)}H{WIDTH - 8}"/>')
        body.append(_text(WIDTH - 8, up(present) - 6, "in force", "end"))
    body.append(_so_far(whole, across, up, last))
    dots = "".join(f"M{across(each['number'])} {up(each['loss'])}h0" for each in whole)
    body.append(f'<path class="points good" d="{dots}"/>' if dots else "")
    gone = [each["number"] for each in trials if each["loss"] is None]
    ticks = "".join(f"M{across(number)} {foot}v-8" for number in gone)
    body.append(f'<path class="axis" d="{ticks}"/>' if ticks else "")
    body.append(_text(left + 12, height - 12, "trial 0: in force", "start"))
    body.append(_text(WIDTH - 16, height - 12, f"trial {last}", "end"))
    told = "; ".join(f"trial {each['number']} {each['loss']:.4g}" for each in whole)
    return drawing("history", "Loss of the trials", told, WIDTH, height, "".join(body))


def _so_far(whole: Sequence[Trial], across: Scale, up: Scale, last: int) -> str:
    """A staircase of the lowest loss up to each trial."""
    steps: list[str] = []
    lowest = math.inf
    for each in whole:
        if each["loss"] < lowest:
            steps.append(f"{'H' if steps else 'M'}{across(each['number'])}")
            steps.append(f"{'V' if len(steps) > 1 else ' '}{up(each['loss'])}")
            lowest = each["loss"]
    return f'<path class="whisker good" d="{"".join(steps)}H{across(last)}"/>' if steps else ""


def mattered(rows: Sequence[dict[str, Any]]) -> Markup:
    """The shares of what the loss depended on, as bars."""
    step, start = 28, 190
    height = step * len(rows) + 8
    across = Scale(0, 1, start, WIDTH - 60)
    body = []
    for number, row in enumerate(rows):
        y = number * step + 6
        right = across(row["share"])
        body.append(
            f'<text class="name" x="{start - 10}" y="{y + 13}" text-anchor="end">{escape(row["name"])}</text>'
        )
        body.append(
            f'<rect class="bar good" x="{start}" y="{y}" width="{max(right - start, 1.5):.1f}" '
            'height="18" rx="3"/>'
        )
        body.append(_text(right + 6, y + 13, f"{row['share']:.0%}"))
    told = "; ".join(f"{row['name']} {row['share']:.0%}" for row in rows)
    return drawing("mattered", "What the loss depended on", told, WIDTH, height, "".join(body))


def by_value(name: str, trials: Sequence[Trial], span: dict[str, float] | None) -> Markup:
    """The loss of each whole trial by one value, numbers by their logarithm."""
    whole = [each for each in trials if each["loss"] is not None and name in each["values"]]
    height, left, foot = 200, 56, 150
    low, high = _room([each["loss"] for each in whole])
    up = Scale(low, high, foot, 14)
    body = _grid(up, low, high, left, SMALL - 8)
    if span is None:
        names = list(dict.fromkeys(str(each["values"][name]) for each in whole))
        evenly = Scale(0, max(len(names) - 1, 1), left + 24, SMALL - 40)
        places = [evenly(names.index(str(each["values"][name]))) for each in whole]
        for number, each in enumerate(names):
            shown = each if len(each) < 13 else f"{each[:12]}…"
            body.append(_text(evenly(number), foot + 16 + 14 * (number % 2), shown, "middle"))
    else:
        across = Scale(math.log(span["low"]), math.log(span["high"]), left + 10, SMALL - 14)
        places = [across(math.log(each["values"][name])) for each in whole]
        body.append(_text(left + 4, foot + 16, f"{span['low']:.3g}"))
        body.append(_text(SMALL - 8, foot + 16, f"{span['high']:.3g}", "end"))
    for look, numbers in (("tie", True), ("good", False)):
        dots = "".join(
            f"M{x} {up(each['loss'])}h0"
            for x, each in zip(places, whole, strict=True)
            if (each["number"] == 0) == numbers
        )
        body.append(f'<path class="points {look}" d="{dots}"/>' if dots else "")
    told = "; ".join(f"{each['values'][name]} {each['loss']:.4g}" for each in whole)
    body.append(_text((left + SMALL) / 2, height - 6, name, "middle"))
    return drawing(f"by-{name}", f"Loss by {name}", told, SMALL, height, "".join(body))


def _grid(up: Scale, low: float, high: float, left: float, right: float) -> list[str]:
    return [
        f'<path class="axis" d="M{left} {up(at)}H{right}"/>'
        + _text(left - 6, up(at) + 4, f"{at:.3g}", "end")
        for at in (low, (low + high) / 2, high)
    ]


def _room(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * 0.08 or 0.1
    return low - room, high + room


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
