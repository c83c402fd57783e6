"""The plot of benchmarks/forgetting.py: each domain's chrF after each cycle, darker where there is more."""

from html import escape

CELL, LEFT, TOP = 78, 110, 84


def svg(found: dict[str, list[dict[str, float]]]) -> str:
    """A matrix for each way of teaching, side by side; the cell of a domain's own cycle has a frame."""
    domains = list(next(iter(found.values()))[0])
    most = max(value for matrix in found.values() for row in matrix for value in row.values())
    height = CELL // 2
    panel = LEFT + CELL * len(domains) + 30
    parts = []
    for place, (name, matrix) in enumerate(found.items()):
        left = place * panel
        parts.append(
            f'<text x="{left + LEFT}" y="24" font-size="15" font-weight="600">chrF, {escape(name)}</text>'
        )
        for column, domain in enumerate(domains):
            parts.append(
                f'<text x="{left + LEFT + CELL * (column + 0.5)}" y="{TOP - 10}" '
                f'text-anchor="middle">{escape(domain)}</text>'
            )
        for line, row in enumerate(matrix):
            y = TOP + line * height
            label = f"after {domains[line - 1]}" if line else "base"
            parts.append(
                f'<text x="{left + LEFT - 8}" y="{y + 25}" text-anchor="end">{escape(label)}</text>'
            )
            for column, domain in enumerate(domains):
                x, share = left + LEFT + column * CELL, max(row[domain], 0) / most
                frame = ' stroke="#222" stroke-width="2"' if line == column + 1 else ""
                parts.append(
                    f'<rect x="{x + 1}" y="{y + 1}" width="{CELL - 2}" height="{height - 2}" '
                    f'fill="#2f6f4f" fill-opacity="{share:.2f}"{frame}/>'
                    f'<text x="{x + CELL / 2}" y="{y + 25}" text-anchor="middle" '
                    f'fill="{"white" if share > 0.6 else "#222"}">{row[domain]:.1f}</text>'
                )
    width, tall = panel * len(found), TOP + height * (len(domains) + 1) + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" '
        'font-family="system-ui, sans-serif" font-size="13"><rect width="100%" height="100%" '
        f'fill="white"/>{"".join(parts)}</svg>\n'
    )
