"""Draws benchmarks/gate_years.py's figures: wrong promotions a year, by kind of scores and method."""

from html import escape
from typing import Any

COLOURS = ("#2f6f4f", "#c58b3b", "#8a8f98")
WIDTH, LEFT, TOP, ROW, BAR = 760, 150, 96, 62, 15
SCALE = (WIDTH - LEFT - 70) / 1.0


def years_svg(out: dict[str, Any]) -> str:
    """Horizontal bars, one group per kind; the line is the promise."""
    rows, promise = out["kinds"], out["promise"]
    methods = list(rows[0]["no better"])
    height = TOP + ROW * len(rows) + 30
    title = f"Years with any wrong promotion, of {out['years']:,} years of 52 candidates no better than live"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" role="img" aria-label="{escape(title)}">'
        f'<rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="12" y="24" font-size="15" font-weight="600">{escape(title)}</text>'
    ]
    for n, method in enumerate(methods):
        parts.append(
            f'<rect x="{12 + 250 * n}" y="40" width="12" height="12" fill="{COLOURS[n]}"/>'
            f'<text x="{30 + 250 * n}" y="51" font-size="12">{escape(method)}</text>'
        )
    line = LEFT + promise * SCALE
    parts.append(
        f'<line x1="{line}" x2="{line}" y1="{TOP - 14}" y2="{height - 24}" stroke="#b00"/>'
        f'<text x="{line + 4}" y="{TOP - 16}" font-size="12" fill="#b00">'
        f"promised: {promise:.0%} at most</text>"
    )
    for place, row in enumerate(rows):
        y = TOP + place * ROW
        parts.append(f'<text x="12" y="{y + 28}" font-size="13">{escape(row["kind"])}</text>')
        for n, method in enumerate(methods):
            share = row["no better"][method]["share"]
            at = y + 2 + n * (BAR + 2)
            parts.append(
                f'<rect x="{LEFT}" y="{at}" width="{max(share * SCALE, 1):.1f}" height="{BAR}" '
                f'fill="{COLOURS[n]}"/>'
                f'<text x="{LEFT + share * SCALE + 6:.1f}" y="{at + 12}" font-size="12">{share:.1%}</text>'
            )
    return "\n".join(parts) + "\n</svg>\n"
