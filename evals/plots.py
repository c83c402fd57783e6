"""Drawings of an exam as inline SVG: gain per topic with intervals, differences, both scores of each ticket.

Geometry only: colours come from the page's style sheet, words are escaped, nothing is loaded. Used by
page.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from feedback.batches import in_batches
from service.console.charts import Scale, drawing

WIDTH = 680
AT_ONCE = 24
"""Rows in one drawing: a sheet of A4 holds them."""
BINS = 12
"""Bars on each side of zero, at most."""
NAME_LENGTH = 21
STEP = 26

Both = tuple[float, float]
"""What the candidate and what live scored on a ticket."""


@dataclass(frozen=True)
class Row:
    """A named gain, with its interval where there is one."""

    name: str
    note: str
    gain: float
    low: float | None = None
    high: float | None = None
    is_all: bool = False
    """Whether it is all tickets together: drawn as a diamond, as forest plots do."""

    @property
    def side(self) -> str:
        """Whether the interval lies above zero, below it, or holds it."""
        if self.low is None or self.high is None:
            return "unsure"
        return "good" if self.low > 0 else "bad" if self.high < 0 else "unsure"

    @property
    def words(self) -> str:
        """The row as a sentence's part."""
        return f"{self.name} {interval(self.gain, self.low, self.high)}"


def interval(gain: float, low: float | None, high: float | None) -> str:
    """A gain with its interval as text."""
    if low is None or high is None:
        return f"{gain:+.3g}"
    return f"{gain:+.3g} ({low:+.3g} to {high:+.3g})"


def forest(unit: str, rows: Sequence[Row]) -> list[Markup]:
    """Gains with their intervals around zero, in drawings of at most 24 rows that share one scale."""
    ends = [end for row in rows for end in (row.gain, row.low, row.high) if end is not None]
    span = _room(min([0.0, *ends]), max([0.0, *ends]))
    return [
        _forest(f"forest-{number}", f"Gain in {unit}", span, part)
        for number, part in enumerate(in_batches(rows, AT_ONCE), 1)
    ]


def _forest(name: str, title: str, span: Both, rows: Sequence[Row]) -> Markup:
    across = Scale(*span, 230, WIDTH - 170)
    height = STEP * len(rows) + 46
    foot = height - 40
    body = [
        f'<path class="axis" d="M{across(at)} 4V{foot}"/>'
        + _text(across(at), foot + 14, f"{at:+g}" if at else "0", "middle")
        for at in ticks(*span)
    ]
    body.append(f'<path class="zero" d="M{across(0)} 4V{foot}"/>')
    body.append(_text(across(0) - 8, foot + 32, "← live is better", "end"))
    body.append(_text(across(0) + 8, foot + 32, "the candidate is better →"))
    body += [_row(across, row, number * STEP + 18) for number, row in enumerate(rows)]
    return drawing(name, title, "; ".join(row.words for row in rows), WIDTH, height, "".join(body))


def _row(across: Scale, row: Row, y: int) -> str:
    shown = row.name if len(row.name) <= NAME_LENGTH else f"{row.name[: NAME_LENGTH - 1]}…"
    look = "name all" if row.is_all else "name"
    parts = [
        f'<text class="{look}" x="178" y="{y + 4}" text-anchor="end">{escape(shown)}</text>',
        _text(222, y + 4, row.note, "end"),
        _text(WIDTH, y + 4, interval(row.gain, row.low, row.high), "end"),
    ]
    x = across(row.gain)
    if row.low is not None and row.high is not None:
        low, high = across(row.low), across(row.high)
        ends = "" if row.is_all else f"M{low} {y - 5}v10M{high} {y - 5}v10"
        parts.append(f'<path class="whisker {row.side}" d="M{low} {y}H{high}{ends}"/>')
        if row.is_all:
            corners = f"{low},{y} {x},{y - 8} {high},{y} {x},{y + 8}"
            parts.append(f'<polygon class="dot {row.side}" points="{corners}"/>')
            return "".join(parts)
    parts.append(f'<circle class="dot {row.side}" cx="{x}" cy="{y}" r="5"/>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round values between two others, from three to eight of them."""
    step = _round_step((high - low) / 6)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _round_step(rough: float) -> float:
    """The next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough)


def differences(unit: str, gains: Sequence[float]) -> Markup:
    """How the gains of single tickets are spread: losses left of zero, wins right, ties between them."""
    width, height, foot, gap = 560, 320, 276, 20
    losses, wins = _bins(gains)
    ties = sum(gain == 0 for gain in gains)
    most = max([*losses.counts, *wins.counts, ties, 1])
    bar = (width - 2 * gap - 24) / (len(losses.counts) + len(wins.counts) + 1)
    up = Scale(0, most, 0, foot - 24)
    bars, x = [], 8.0
    for look, counts in (("bad", losses.counts), ("tie", [ties]), ("good", wins.counts)):
        for count in counts:
            bars.append(_bar(look, x, foot, bar, up(count), count))
            x += bar
        x += gap
    middle = 8 + len(losses.counts) * bar + gap + bar / 2
    marks = [
        f'<path class="axis" d="M8 {foot}H{width - 8}"/>',
        _text(8, foot + 16, f"{-losses.end:+.3g}"),
        _text(width - 8, foot + 16, f"{wins.end:+.3g}", "end"),
        _text(middle, foot + 16, "no difference", "middle"),
        _text(8, foot + 36, f"worse: {sum(losses.counts)}"),
        _text(middle, foot + 36, f"the same: {ties}", "middle"),
        _text(width - 8, foot + 36, f"better: {sum(wins.counts)}", "end"),
    ]
    told = (
        f"Of {len(gains)} tickets the candidate is worse on {sum(losses.counts)}, the same on {ties}, "
        f"better on {sum(wins.counts)}; the largest loss is {min(gains, default=0):+.3g}, the largest "
        f"win {max(gains, default=0):+.3g} in {unit}."
    )
    title = f"Differences per ticket in {unit}"
    return drawing("differences", title, told, width, height, "".join([*marks, *bars]))


@dataclass(frozen=True)
class _Bins:
    end: float
    counts: list[int]


def _bins(gains: Sequence[float]) -> tuple[_Bins, _Bins]:
    """Losses (largest first) and wins in bars of one width; none of them holds a tie."""
    reach = max((abs(gain) for gain in gains), default=0.0) or 1.0
    width = _round_step(reach / BINS)
    sides = []
    for sizes in ([-g for g in gains if g < 0], [g for g in gains if g > 0]):
        number = max(1, math.ceil(max(sizes, default=0.0) / width - 1e-9))
        counts = [0] * number
        for size in sizes:
            counts[min(number - 1, int(size / width))] += 1
        sides.append(_Bins(number * width, counts))
    losses, wins = sides
    return _Bins(losses.end, losses.counts[::-1]), wins


def _bar(look: str, x: float, foot: int, width: float, height: float, count: int) -> str:
    if not count:
        return ""
    top = round(foot - max(height, 1.0), 1)
    return (
        f'<rect class="bar {look}" x="{x + 1:.1f}" y="{top}" width="{width - 2:.1f}" '
        f'height="{foot - top:.1f}" rx="2"/>'
        + _text(round(x + width / 2, 1), round(top - 4, 1), str(count), "middle")
    )


def scatter(unit: str, points: Sequence[Both]) -> Markup:
    """Each ticket by live's score (across) and the candidate's (up); above the diagonal it is better."""
    width, height = 460, 400
    left, foot, right, top = 52, height - 44, width - 12, 12
    values = [value for point in points for value in point] or [0.0]
    low, high = _room(min(values), max(values))
    across, up = Scale(low, high, left, right), Scale(low, high, foot, top)
    body = [
        f'<path class="axis" d="M{across(at)} {top}V{foot}M{left} {up(at)}H{right}"/>'
        + _text(across(at), foot + 14, f"{at:g}", "middle")
        + _text(left - 6, up(at) + 4, f"{at:g}", "end")
        for at in ticks(low, high)
    ]
    body.append(f'<path class="zero" d="M{left} {foot}L{right} {top}"/>')
    for look, sign in (("tie", 0), ("bad", -1), ("good", 1)):
        places = {(across(b), up(a)) for a, b in points if (a > b) - (a < b) == sign}
        dots = "".join(f"M{x} {y}h0" for x, y in sorted(places))  # a round cap of no length
        body.append(f'<path class="points {look}" d="{dots}"/>' if dots else "")
    body.append(_text((left + right) / 2, height - 8, "live", "middle"))
    body.append(
        f'<text x="14" y="{(top + foot) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(top + foot) / 2})">candidate</text>'
    )
    above, below = sum(a > b for a, b in points), sum(a < b for a, b in points)
    told = f"{above} of {len(points)} tickets lie above the diagonal (better), {below} below it."
    return drawing("scatter", f"{unit}, ticket by ticket", told, width, height, "".join(body))


def _room(low: float, high: float) -> Both:
    room = (high - low) * 0.05 or 1.0
    return low - room, high + room


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
