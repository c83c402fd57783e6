"""Charts as inline SVG from numbers: geometry here, colours in console.css, so that both themes hold.

Each has a title and a description that says in words what it shows; pages add a table beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup, escape

Point = tuple[float, float]
TURNS = 6
"""So many lines look different; the next begins anew."""


@dataclass(frozen=True)
class Line:
    """A named row of points, joined. Points are in order of x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Mark:
    """A dashed upright at x, with its name."""

    x: float
    name: str


@dataclass(frozen=True)
class Bar:
    """A named gain (or loss), with a note such as the number of tickets."""

    name: str
    value: float
    note: str = ""


@dataclass(frozen=True)
class Span:
    """Something that lasted from one time to another; one that is `live` lasts still."""

    name: str
    begun: datetime
    ended: datetime
    is_live: bool = False


@dataclass(frozen=True)
class Interval:
    """A named difference with its interval."""

    name: str
    value: float
    low: float
    high: float


class Scale:
    """Maps a range of values onto a range of the drawing."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._unit = (end - start) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        """Where a value lies, to a tenth."""
        return round(self._start + (value - self._low) * self._unit, 1)


def drawing(name: str, title: str, description: str, width: int, height: int, body: str) -> Markup:
    """An SVG that a screen reader can tell. `name` makes its ids unique on the page."""
    return Markup(  # noqa: S704 - the parts are numbers of ours, or escaped
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>{body}</svg>'
    )


def lines(
    name: str,
    title: str,
    description: str,
    rows: Sequence[Line],
    ends: tuple[str, str],
    x_range: tuple[float, float] | None = None,
    top: float | None = None,
    marks: Sequence[Mark] = (),
    as_percent: bool = False,
    size: tuple[int, int] = (330, 170),
    first_look: int = 0,
    gap: float | None = None,
) -> Markup:
    """Lines over a common axis, which is labelled at both `ends`. A line breaks where points are further
    apart than `gap`."""
    width, height = size
    xs = [x for row in rows for x, _ in row.points]
    ys = [y for row in rows for _, y in row.points]
    first, last = x_range or (min(xs, default=0.0), max(xs, default=1.0))
    high = top if top is not None else max(ys, default=1.0) * 1.08 or 1.0
    low = min(*ys, 0.0, 0.0)
    across, up = Scale(first, last, 42, width - 10), Scale(low, high, height - 24, 14)
    body = [_axis(value, up(value), width, as_percent) for value in (low, (low + high) / 2, high)]
    body += [_mark(across(mark.x), height, mark.name) for mark in marks]
    body += [
        _line([(across(x), up(y)) for x, y in run], number, row.name)
        for number, row in enumerate(rows, first_look)
        for run in _runs(row.points, gap)
    ]
    body.append(_text(42, height - 6, ends[0]))
    body.append(_text(width - 10, height - 6, ends[1], "end"))
    return drawing(name, title, description, width, height, "".join(body))


def _runs(points: Sequence[Point], gap: float | None) -> list[list[Point]]:
    """The points, parted where there is a gap."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and (gap is None or point[0] - runs[-1][-1][0] <= gap):
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _axis(value: float, y: float, width: int, as_percent: bool) -> str:
    shown = f"{value * 100:.0f} %" if as_percent else f"{value:.3g}"
    return f'<path class="axis" d="M42 {y}H{width - 10}"/>' + _text(36, y + 4, shown, "end")


def _mark(x: float, height: int, name: str) -> str:
    return f'<path class="zero" d="M{x} 10V{height - 24}"><title>{escape(name)}</title></path>'


def _line(points: Sequence[Point], number: int, name: str) -> str:
    look = f"series s{number % TURNS}"
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = "".join(f'<circle class="{look}" cx="{x}" cy="{y}" r="2.6"/>' for x, y in points)
    joined = f'<polyline class="{look}" points="{path}"><title>{escape(name)}</title></polyline>'
    return joined + (dots if len(points) <= 31 else "")


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def swatch(number: int) -> Markup:
    """What a line looks like, for its legend."""
    look = f"series s{number % TURNS}"
    return Markup(  # noqa: S704 - numbers only
        '<svg class="swatch" viewBox="0 0 26 10" aria-hidden="true">'
        f'<polyline class="{look}" points="1,5 25,5"/><circle class="{look}" cx="13" cy="5" r="3"/></svg>'
    )


def whisker(name: str, unit: str, value: float, low: float, high: float) -> Markup:
    """A gain with its interval, against zero."""
    width, height, middle = 640, 92, 40
    across = _around_zero([value, low, high], 30, width - 30)
    side = "good" if low > 0 else "bad" if high < 0 else "unsure"
    body = (
        f'<path class="axis" d="M30 {middle}H{width - 30}"/>'
        f'<path class="zero" d="M{across(0)} 12V{height - 22}"/>'
        + _text(across(0), height - 6, "no gain", "middle")
        + f'<path class="whisker {side}" d="M{across(low)} {middle}H{across(high)}'
        f'M{across(low)} {middle - 10}v20M{across(high)} {middle - 10}v20"/>'
        f'<circle class="whisker-dot {side}" cx="{across(value)}" cy="{middle}" r="7"/>'
        + _text(across(value), middle - 16, f"{value:+.1f}", "middle")
        + _text(across(low) - 6, middle + 26, f"{low:+.1f}", "end")
        + _text(across(high) + 6, middle + 26, f"{high:+.1f}")
    )
    description = (
        f"{value:+.1f} in {unit}, interval from {low:+.1f} to {high:+.1f}; zero is no gain."
    )
    return drawing(name, f"Gain in {unit}", description, width, height, body)


def _around_zero(values: Sequence[float], start: float, end: float) -> Scale:
    """A scale on which zero and all the values have room."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = (high - low) * 0.12 or 1.0
    return Scale(low - room, high + room, start, end)


def bars(name: str, title: str, rows: Sequence[Bar]) -> Markup:
    """Gains as bars to the right of zero, losses to its left."""
    width, step, start = 640, 34, 190
    height = step * len(rows) + 10
    across = _around_zero([row.value for row in rows] or [0.0], start, width - 70)
    body = [f'<path class="zero" d="M{across(0)} 4V{height - 4}"/>']
    for number, row in enumerate(rows):
        y = number * step + 8
        left, right = sorted((across(0), across(row.value)))
        look = "bar" if row.value >= 0 else "bar bad"
        body.append(_text(start - 12, y + 10, row.name, "end"))
        if row.note:
            body.append(_text(start - 12, y + 22, row.note, "end"))
        body.append(
            f'<rect class="{look}" x="{left}" y="{y}" width="{max(right - left, 1.5):.1f}" '
            'height="18" rx="3"/>'
        )
        body.append(_text(width - 10, y + 13, f"{row.value:+.1f}", "end"))
    description = "; ".join(f"{row.name} {row.value:+.1f}" for row in rows) or "No topics."
    return drawing(name, title, description, width, height, "".join(body))


def intervals(name: str, title: str, rows: Sequence[Interval]) -> Markup:
    """Differences with their intervals, one below the other, around zero; more is worse."""
    width, step, start = 640, 34, 190
    height = step * len(rows) + 10
    values = [value for row in rows for value in (row.value, row.low, row.high)]
    across = _around_zero(values or [0.0], start, width - 90)
    body = [f'<path class="zero" d="M{across(0)} 4V{height - 4}"/>']
    for number, row in enumerate(rows):
        y = number * step + 20
        side = "bad" if row.low > 0 else "good" if row.high < 0 else "unsure"
        body.append(_text(start - 12, y + 4, row.name, "end"))
        body.append(
            f'<path class="whisker {side}" d="M{across(row.low)} {y}H{across(row.high)}'
            f'M{across(row.low)} {y - 6}v12M{across(row.high)} {y - 6}v12"/>'
            f'<circle class="whisker-dot {side}" cx="{across(row.value)}" cy="{y}" r="5"/>'
        )
        body.append(_text(width - 10, y + 4, f"{row.value:+.1f}", "end"))
    description = "; ".join(
        f"{row.name} {row.value:+.1f}, from {row.low:+.1f} to {row.high:+.1f}" for row in rows
    )
    return drawing(name, title, description, width, height, "".join(body))


def shares(name: str, title: str, rows: Sequence[Interval]) -> Markup:
    """Shares of one with their intervals, one below the other, from 0 to 100 %."""
    width, step, start = 640, 34, 190
    height = step * len(rows) + 30
    across = Scale(0, 1, start, width - 60)
    body = [
        f'<path class="axis" d="M{across(at)} 4V{height - 22}"/>'
        + _text(across(at), height - 6, f"{at * 100:.0f} %", "middle")
        for at in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for number, row in enumerate(rows):
        y = number * step + 20
        body.append(_text(start - 12, y + 4, row.name, "end"))
        body.append(
            f'<path class="whisker unsure" d="M{across(row.low)} {y}H{across(row.high)}'
            f'M{across(row.low)} {y - 6}v12M{across(row.high)} {y - 6}v12"/>'
            f'<circle class="whisker-dot unsure" cx="{across(row.value)}" cy="{y}" r="5"/>'
        )
        body.append(_text(width - 10, y + 4, f"{row.value * 100:.0f} %", "end"))
    description = "; ".join(
        f"{row.name} {row.value:.0%}, from {row.low:.0%} to {row.high:.0%}" for row in rows
    )
    return drawing(name, title, description, width, height, "".join(body))


def timeline(name: str, title: str, spans: Sequence[Span]) -> Markup:
    """What lasted when, one row for each name, time from left to right."""
    width, step, start = 640, 30, 150
    names = list(dict.fromkeys(span.name for span in spans))
    height = step * len(names) + 28
    begin = min(span.begun for span in spans)
    end = max(span.ended for span in spans)
    across = Scale(begin.timestamp(), end.timestamp(), start, width - 12)
    body = [
        _text(start - 12, row * step + 22, each, "end")
        + f'<path class="axis" d="M{start} {row * step + 18}H{width - 12}"/>'
        for row, each in enumerate(names)
    ]
    for span in spans:
        y = names.index(span.name) * step + 9
        left, right = across(span.begun.timestamp()), across(span.ended.timestamp())
        look = "span live" if span.is_live else "span"
        told = f"{span.name} from {span.begun:%Y-%m-%d %H:%M} to "
        told += "now" if span.is_live else f"{span.ended:%Y-%m-%d %H:%M}"
        body.append(
            f'<rect class="{look}" x="{left}" y="{y}" width="{max(right - left, 3):.1f}" '
            f'height="18" rx="4"><title>{escape(told)}</title></rect>'
        )
    body.append(_text(start, height - 4, f"{begin:%Y-%m-%d %H:%M}"))
    body.append(_text(width - 12, height - 4, "now", "end"))
    described = "; ".join(f"{span.name} since {span.begun:%Y-%m-%d %H:%M}" for span in spans)
    return drawing(name, title, described, width, height, "".join(body))
