"""The plot of benchmarks/topics.py: confusion matrices before and after one cycle, as heat maps."""

from html import escape
from typing import Any

SIDE, LEFT, TOP, GAP = 460, 30, 80, 60


def svg(told: dict[str, Any]) -> str:
    """A row of two matrices for each choice: rows are expected, columns chosen, dark is often."""
    kinds = [kind for kind in ("topics", "handovers") if told["after"][kind]]
    parts = []
    for line, kind in enumerate(kinds):
        for column, when in enumerate(("before", "after")):
            if told[when][kind]:
                left, top = LEFT + column * (SIDE + GAP), TOP + line * (SIDE + 90)
                parts.append(_matrix(left, top, kind, when, told[when][kind]))
    width, height = LEFT + 2 * (SIDE + GAP), TOP + len(kinds) * (SIDE + 90)
    title = (
        f"{told['data']}: {told['taught']} rows taught, {told['tickets']} held out; rows are what was "
        "expected, columns what was chosen"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12" fill="#222">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="{LEFT}" y="26" font-size="16">{escape(title)}</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _matrix(left: int, top: int, kind: str, when: str, found: dict[str, Any]) -> str:
    matrix, names = found["matrix"], [each["name"] for each in found["classes"]]
    cell = SIDE / max(1, len(names))
    most = max(max(row) for row in matrix)
    kappa = "-" if found["kappa"] is None else f"{found['kappa']:.2f}"
    heading = (
        f"{kind}, {when}: accuracy {found['accuracy']:.2f}, macro-F1 {found['macro_f1']:.2f}, "
        f"kappa {kappa}"
    )
    parts = [
        f'<text x="{left}" y="{top - 10}">{heading}</text>',
        f'<rect x="{left}" y="{top}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>',
    ]
    for y, row in enumerate(matrix):
        for x, number in enumerate(row):
            if number:
                parts.append(_cell(left + x * cell, top + y * cell, cell, number / most,
                                   f"{names[y]} → {names[x]}: {number}", x == y))  # fmt: skip
    return "\n".join(parts)


def _cell(x: float, y: float, side: float, share: float, what: str, right: bool) -> str:
    colour = "#1d4ed8" if right else "#b91c1c"
    return (
        f'<rect x="{x:.2f}" y="{y:.2f}" width="{side:.2f}" height="{side:.2f}" fill="{colour}" '
        f'fill-opacity="{0.25 + 0.75 * share:.2f}"><title>{escape(what)}</title></rect>'
    )
