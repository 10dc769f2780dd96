"""Draws the table of shares in BENCHMARKS.md as bars."""

import os
from html import escape

import harness as h

TABLE = "### Messages per second, as a share of raw TCP echo"
OURS = "wse"
BAR, GAP, LEFT, WIDTH = 13, 26, 170, 520


def shares(text):
    """The scenarios, and each peer's shares; `None` where there is none."""
    rows = []
    for line in text.split(TABLE, 1)[1].strip().splitlines():
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    number = lambda cell: float(cell) if cell.replace(".", "").isdigit() else None
    return rows[0][1:], {row[0]: [number(cell) for cell in row[1:]] for row in rows[2:]}


def svg(scenarios, peers):
    most = max(it for values in peers.values() for it in values if it)
    scale = WIDTH / most
    out, y = [], 30
    for i, scenario in enumerate(scenarios):
        out.append(f'<text x="0" y="{y}" font-weight="bold">{escape(scenario)}</text>')
        y += 8
        for name, values in sorted(peers.items(), key=lambda it: -(it[1][i] or 0)):
            value = values[i] or 0
            color = "#c2410c" if name == OURS else "#94a3b8" if name.startswith("raw") else "#475569"
            middle = y + BAR - 3
            out.append(f'<text x="{LEFT - 6}" y="{middle}" text-anchor="end">{escape(name)}</text>')
            out.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.0f}" height="{BAR - 2}" fill="{color}"/>')
            out.append(f'<text x="{LEFT + value * scale + 4:.0f}" y="{middle}">{value:.2f}</text>')
            y += BAR
        y += GAP
    line = LEFT + scale
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 50} {y}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>\n<text x="0" y="12">messages per second, '
        f"as a share of raw TCP echo (the line)</text>\n" + "\n".join(out) + f'\n<path d="M{line:.0f} 22V{y - GAP}" '
        'stroke="#16a34a" stroke-dasharray="3 3"/>\n</svg>\n'
    )


def plot(path):
    with open(path) as f:
        text = f.read()
    with open(os.path.join(h.HERE, "echo.svg"), "w") as f:
        f.write(svg(*shares(text)))
