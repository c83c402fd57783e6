"""The plot of benchmarks/canary.py: share of trials rolled back over conversations, a panel per share."""

from typing import Any

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 220, 50, 60, 30
WORSE = ("#7f1d1d", "#b91c1c", "#ea580c", "#d97706", "#ca8a04", "#a3a300")
STAY = {"equal": "#1d4ed8", "worse by exactly the margin, in all": "#6d28d9"}


def svg(worse: list[dict[str, Any]], stay: list[dict[str, Any]]) -> str:
    """Power in warm colours, candidates that should stay in cold ones."""
    shares = sorted({row["share_of_traffic"] for row in worse})
    panels = []
    for number, share in enumerate(shares):
        falling = [row for row in worse if row["share_of_traffic"] == share][-len(WORSE) :]
        flat = [r for r in stay if r["share_of_traffic"] == share and r["candidate"] in STAY]
        colours = [*WORSE[-len(falling) :], *(STAY[row["candidate"]] for row in flat)]
        left = LEFT + number * (WIDTH + GAP)
        panels.append(_panel(left, share, list(zip([*falling, *flat], colours, strict=True))))
    width = LEFT + len(shares) * (WIDTH + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 190}" '
        'font-family="sans-serif" font-size="12" fill="#222">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="{LEFT}" y="22" font-size="16">Share of trials rolled back, by conversations begun; '
        "looked at after every one</text>\n" + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(left: int, share: float, rows: list[tuple[dict[str, Any], str]]) -> str:
    most = max(point[0] for row, _ in rows for point in row["curve"])

    def at(step: float, value: float) -> str:
        return f"{left + WIDTH * step / most:.1f},{TOP + HEIGHT * (1 - value):.1f}"

    parts = [f'<text x="{left}" y="{TOP - 12}">{share:.0%} of conversations</text>']
    for value in (0, 0.05, 0.5, 0.95, 1):
        dash = ' stroke-dasharray="4 3"' if value in (0.05, 0.95) else ""
        x, y = left, TOP + HEIGHT * (1 - value)
        parts.append(f'<path d="M{x} {y:.1f}h{WIDTH}" stroke="#bbb"{dash}/>')
        if value not in (0, 1):
            parts.append(f'<text x="{x - 4}" y="{y + 4:.1f}" text-anchor="end">{value:.0%}</text>')
    for step in range(0, most + 1, 1000):
        x = left + WIDTH * step / most
        parts.append(
            f'<text x="{x:.0f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{step:,}</text>'
        )
    for number, (row, colour) in enumerate(rows):
        line = " ".join(at(step, value) for step, value in row["curve"])
        y = TOP + HEIGHT + 40 + 17 * number
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<path d="M{left} {y - 4}h18" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{left + 24}" y="{y}">{row["candidate"]}</text>')
    return "\n".join(parts)
