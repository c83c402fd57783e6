"""A grouped bar chart as one small SVG, without a plotting library. Called by benchmarks/engine.py."""

from html import escape

COLOURS = ("#8a8f98", "#c58b3b", "#2f6f4f", "#4a6fa5", "#9db7d5")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 380, 48, 84, 40


def bars_svg(title: str, series: dict[str, dict[str, float]]) -> str:
    """`series`: a label, and its value per group. Groups stand side by side along the x axis."""
    groups = list(dict.fromkeys(group for values in series.values() for group in values))
    top = max(value for values in series.values() for value in values.values())
    scale = (HEIGHT - TOP - BOTTOM) / top
    step = (WIDTH - LEFT - 10) / len(groups)
    bar = step * 0.8 / len(series)
    parts = [f'<text x="{LEFT}" y="24" font-size="16" font-weight="600">{escape(title)}</text>']
    x: float
    y: float
    for n, label in enumerate(series):
        x, y = LEFT + n % 2 * 340, 44 + n // 2 * 18
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[n]}"/>')
        parts.append(f'<text x="{x + 18}" y="{y}" font-size="13">{escape(label)}</text>')
    floor = HEIGHT - BOTTOM
    for place, group in enumerate(groups):
        start = LEFT + place * step + step * 0.1
        middle = start + step * 0.4
        parts.append(
            f'<text x="{middle:.1f}" y="{floor + 20}" text-anchor="middle" font-size="13">'
            f"{escape(group)} at once</text>"
        )
        for n, values in enumerate(series.values()):
            value = values.get(group)
            if value is None:
                continue
            x, height = start + n * bar, value * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{floor - height:.1f}" width="{bar - 3:.1f}" '
                f'height="{height:.1f}" fill="{COLOURS[n]}"/>'
                f'<text x="{x + bar / 2 - 1:.1f}" y="{floor - height - 4:.1f}" '
                f'text-anchor="middle" font-size="11">{value:g}</text>'
            )
    parts.append(f'<line x1="{LEFT}" y1="{floor}" x2="{WIDTH - 10}" y2="{floor}" stroke="#444"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" fill="#222">'
        '<rect width="100%" height="100%" fill="#fff"/>' + "".join(parts) + "</svg>\n"
    )
