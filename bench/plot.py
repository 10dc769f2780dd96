"""Draws the table of shares in BENCHMARKS.md as bars, and curves of growth."""

import math
import os
from html import escape

import harness as h

TABLE = "### Messages per second, as a share of raw TCP echo"
OURS = "wse"
COLORS = {OURS: "#c2410c", "raw": "#94a3b8", "other": "#475569"}
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
            color = COLORS.get(name, COLORS["raw" if name.startswith("raw") else "other"])
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


def curves(charts):
    """Draws growth.svg: charts beside each other, both axes logarithmic."""
    width, height, gap, left, top = 260, 180, 70, 50, 30
    colors = [COLORS[OURS], COLORS["other"]]
    out = []
    for i, (title, ticks, lines) in enumerate(charts):
        x0 = left + i * (width + gap)
        values = [y for line in lines.values() for _, y in line]
        if not values:
            continue
        xs = [math.log(x) for x, _ in ticks]
        lo, hi = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        px = lambda x: x0 + (math.log(x) - xs[0]) / (xs[-1] - xs[0]) * width
        py = lambda y: top + height - (math.log10(y) - lo) / max(1, hi - lo) * height
        out.append(f'<text x="{x0}" y="16" font-weight="bold">{escape(title)}</text>')
        for e in range(lo, hi + 1):
            out.append(f'<path d="M{x0} {py(10**e):.0f}h{width}" stroke="#e2e8f0"/>')
            out.append(f'<text x="{x0 - 5}" y="{py(10**e) + 4:.0f}" text-anchor="end">{10**e:g}</text>')
        for x, label in ticks:
            out.append(f'<text x="{px(x):.0f}" y="{top + height + 16}" text-anchor="middle">{escape(label)}</text>')
        for j, (name, line) in enumerate(lines.items()):
            path = " ".join(f"{px(x):.0f},{py(y):.0f}" for x, y in line)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colors[j]}" stroke-width="2"/>')
            out.append(f'<text x="{x0 + 8}" y="{top + 12 + 14 * j}" fill="{colors[j]}">{escape(name)}</text>')
    whole = left + len(charts) * (width + gap)
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {top + height + 30}" font-family="sans-serif" '
        'font-size="11"><rect width="100%" height="100%" fill="white"/>\n' + "\n".join(out) + "\n</svg>\n"
    )
    with open(os.path.join(h.HERE, "growth.svg"), "w") as f:
        f.write(text)
