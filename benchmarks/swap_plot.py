"""The plot of benchmarks/hot_swap.py: every pause between two words over time, with the acts marked."""

import math

WIDTH, HEIGHT, LEFT, TOP = 920, 300, 80, 60
COLOURS = {"rollback": "#b91c1c"}
PROMOTION = "#1d4ed8"
SLICE_SECONDS = 1.0


def draw(
    pauses: list[tuple[float, float]],
    quiet: tuple[float, float],
    acts: list[tuple[float, str]],
    killed: tuple[float, float],
) -> str:
    """The median and the worst pause of each second, in milliseconds on a logarithmic scale."""
    start, end = quiet[0], max(at for at, _ in pauses)
    top = max(seconds for _, seconds in pauses) * 1000
    decades = range(1, math.ceil(math.log10(top)) + 1)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * (at - start) / (end - start)

    def y(milliseconds: float) -> float:
        share = (math.log10(max(milliseconds, 10)) - 1) / (decades[-1] - 1)
        return TOP + HEIGHT * (1 - share)

    parts = [f'<text x="{LEFT}" y="22" font-size="16">Pauses between two words of an answer</text>']
    parts.append(
        f'<rect x="{x(killed[0]):.1f}" y="{TOP}" width="{x(killed[1]) - x(killed[0]):.1f}" '
        f'height="{HEIGHT}" fill="#f1e4e4"/>'
    )
    for decade in decades:
        level = y(10**decade)
        parts.append(f'<path d="M{LEFT} {level:.1f}H{WIDTH - 10}" stroke="#ccc"/>')
        parts.append(
            f'<text x="{LEFT - 4}" y="{level + 4:.1f}" text-anchor="end">{10**decade:,} ms</text>'
        )
    for at, kind in acts:
        colour = COLOURS.get(kind, PROMOTION)
        parts.append(f'<path d="M{x(at):.1f} {TOP}v{HEIGHT}" stroke="{colour}" opacity="0.5"/>')
    slices: dict[int, list[float]] = {}
    for at, seconds in pauses:
        slices.setdefault(int((at - start) / SLICE_SECONDS), []).append(seconds * 1000)
    for share, colour in ((0.5, "#2f6f4f"), (1.0, "#222")):
        line = " ".join(
            f"{x(start + (n + 0.5) * SLICE_SECONDS):.1f},"
            f"{y(sorted(found)[min(len(found) - 1, int(len(found) * share))]):.1f}"
            for n, found in sorted(slices.items())
        )
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
    for second in range(0, int(end - start) + 1, 60):
        parts.append(
            f'<text x="{x(start + second):.1f}" y="{TOP + HEIGHT + 18}" '
            f'text-anchor="middle">{second} s</text>'
        )
    legend = (
        "green: median of each second; black: the worst; blue lines: promotions; red: rollbacks; "
        "shaded: one of two engines killed and starting"
    )
    parts.append(f'<text x="{LEFT}" y="44">{legend}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {TOP + HEIGHT + 30}" '
        'role="img" aria-label="Pauses between two words through swaps" '
        'font-family="sans-serif" font-size="12" fill="#222">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )
