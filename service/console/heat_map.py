"""A heat map as inline SVG: rows, columns, and a number in every cell, so that no colour tells it alone.

Colours are classes (console.css), so both themes hold; pages add the same numbers as a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from service.console.charts import drawing

STEPS = 5
"""So many shades, from the least to the most."""
LABEL, CELL, ROW, TOP = 190, 86, 38, 46
FEWEST = 8
"""There is room for so many columns, so that a cell is as large with few of them."""
LONGEST = 26
"""Characters of a label; the rest is in its title."""


@dataclass(frozen=True)
class Square:
    """What a cell shows: its place between the least (0) and the most (1), a number and a note below."""

    share: float
    text: str
    note: str = ""


def heat_map(
    name: str,
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    squares: Mapping[tuple[str, str], Square],
) -> Markup:
    """The drawing; a row and column without a square stay empty. `squares`: by row and column."""
    width = LABEL + CELL * max(FEWEST, len(columns)) + 4
    height = TOP + ROW * len(rows) + 4
    body = [_label(LABEL + CELL * (at + 0.5), TOP - 12, each, "middle", 12)
            for at, each in enumerate(columns)]  # fmt: skip
    for down, row in enumerate(rows):
        y = TOP + ROW * down
        body.append(_label(LABEL - 10, y + 23, row, "end", LONGEST))
        for across, column in enumerate(columns):
            square = squares.get((row, column))
            body.append(_square(LABEL + CELL * across, y, row, column, square))
    told = "; ".join(
        f"{row}, {column}: {squares[row, column].text}"
        for row in rows
        for column in columns
        if (row, column) in squares
    )
    return drawing(name, title, told or "Nothing to show yet.", width, height, "".join(body))


def shade(share: float) -> int:
    """Which of the shades a share of 1 has: 0 to STEPS - 1."""
    return min(STEPS - 1, max(0, int(share * STEPS)))


def _label(x: float, y: float, text: str, anchor: str, longest: int) -> str:
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(shown)}'
        f"<title>{escape(text)}</title></text>"
    )


def _square(x: int, y: int, row: str, column: str, square: Square | None) -> str:
    frame = f'x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{ROW - 2}" rx="4"'
    if square is None:
        title = escape(f"{row}, {column}: not asked")
        return f'<rect class="heat none" {frame}><title>{title}</title></rect>'
    middle = x + CELL / 2
    told = f"{row}, {column}: {square.text} {square.note}".strip()
    look = f"heat h{shade(square.share)}"
    return (
        f'<rect class="{look}" {frame}><title>{escape(told)}</title></rect>'
        f'<text class="heat-text" x="{middle:g}" y="{y + (17 if square.note else 23)}" '
        f'text-anchor="middle">{escape(square.text)}</text>'
        + (
            f'<text class="heat-note" x="{middle:g}" y="{y + 31}" '
            f'text-anchor="middle">{escape(square.note)}</text>'
            if square.note
            else ""
        )
    )
