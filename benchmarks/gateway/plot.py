"""Draws a result of this benchmark as an SVG: one bar per gateway and number of streams.

python -m benchmarks.gateway.plot benchmarks/results/2026-11-24-gateway.json
"""

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, LABEL, ROW = 860, 290, 24
SHOWN = (
    ("Finished answers per second (32 chunks each, engine never waits)", "answers_per_second"),
    ("Processor time per answer, ms", "cpu_ms_per_answer"),
)
LOADS = ("fast, 1 streams", "fast, 16 streams", "fast, 64 streams")
SHADES = ("#94d2bd", "#0a9396", "#005f73")


def bars(medians: dict[str, dict[str, dict[str, float]]], figure: str, top: int) -> list[str]:
    """Bars from left to right on a line for each gateway and load that has this figure."""
    rows = [
        (f"{gateway}, {load.split()[1]}", medians[gateway][load][figure], shade)
        for gateway in medians
        for load, shade in zip(LOADS, SHADES, strict=True)
        if figure in medians[gateway].get(load, {})
    ]
    most = max(value for _, value, _ in rows)
    drawn = []
    for number, (label, value, shade) in enumerate(rows):
        y, length = top + number * ROW, value / most * (WIDTH - LABEL - 80)
        drawn += [
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL}" y="{y + 3}" width="{length:.1f}" height="{ROW - 6}" fill="{shade}"/>',
            f'<text x="{LABEL + length + 6:.1f}" y="{y + 15}">{value:g}</text>',
        ]
    return drawn


def draw(medians: dict[str, dict[str, dict[str, float]]]) -> str:
    """The whole picture."""
    parts, top = [], 40
    for title, figure in SHOWN:
        parts.append(f'<text x="8" y="{top - 12}" font-weight="bold">{escape(title)}</text>')
        rows = bars(medians, figure, top)
        parts += rows
        top += len(rows) // 3 * ROW + 50
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top - 20}" '
    style = 'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head + style, *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.with_suffix(".svg").write_text(draw(json.loads(path.read_text())["medians"]))
    print(f"Written to {path.with_suffix('.svg')}")
