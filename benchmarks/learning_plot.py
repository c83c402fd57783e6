"""The plot of benchmarks/learning.py: gain over the base model by corrections, with intervals."""

import math
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 400, 56, 70, 48
COLOURS = {"sft": "#2f6f4f", "sft+dpo": "#4a6fa5", "sft+kto": "#c58b3b"}


def svg(found: list[dict[str, Any]]) -> str:
    """Corrections on a logarithmic axis; each variant beside the others so that intervals can be read."""
    rows = [one for one in found if one["corrections"]]
    sizes = sorted({one["corrections"] for one in rows})
    top = 5 * math.ceil(max(one["gain"][2] for one in rows) / 5)
    bottom = 5 * math.floor(min(0, *(one["gain"][0] for one in rows)) / 5)

    def x(size: int, beside: int) -> float:
        widest = math.log(max(sizes) / min(sizes)) or 1
        share = math.log(size / min(sizes)) / widest
        return LEFT + 30 + share * (WIDTH - LEFT - 70) + 9 * (beside - 1)

    def y(gain: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (top - gain) / (top - bottom)

    parts = [
        f'<text x="{LEFT}" y="24" font-size="16" font-weight="600">Gain over the base model (chrF)</text>'
    ]
    for level in range(bottom, top + 1, 5):
        parts.append(f'<path d="M{LEFT} {y(level):.1f}H{WIDTH - 10}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y(level) + 4:.1f}" text-anchor="end">{level:+d}</text>'
        )
    for size in sizes:
        parts.append(
            f'<text x="{x(size, 1):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{size}</text>'
        )
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">corrections</text>')
    for beside, (variant, colour) in enumerate(COLOURS.items()):
        own = [one for one in rows if one["stages"] == variant]
        line = " ".join(f"{x(o['corrections'], beside):.1f},{y(o['gain'][1]):.1f}" for o in own)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for one in own:
            low, middle, high = one["gain"]
            at = x(one["corrections"], beside)
            parts.append(
                f'<path d="M{at:.1f} {y(low):.1f}V{y(high):.1f}" stroke="{colour}" stroke-width="2"/>'
                f'<circle cx="{at:.1f}" cy="{y(middle):.1f}" r="4" fill="{colour}"/>'
            )
        label = variant.upper().replace("+", " + ")
        parts.append(
            f'<rect x="{LEFT + 150 * beside}" y="38" width="12" height="12" fill="{colour}"/>'
            f'<text x="{LEFT + 18 + 150 * beside}" y="48">{escape(label)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13"><rect width="100%" height="100%" '
        f'fill="white"/>{"".join(parts)}</svg>\n'
    )
