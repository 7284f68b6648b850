"""Draws hit ratios over cache sizes as an SVG file: one panel per trace, one line per policy."""

import math
from pathlib import Path
from xml.sax.saxutils import escape

PANEL_WIDTH, PANEL_HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 28, 34, 42
COLUMNS = 2
LEGEND_HEIGHT = 40
# Ours last, above the others.
STYLES = {
    "optimum": ("#888888", "4 3", 1.5), "lru": ("#1f77b4", "", 1.5), "sieve": ("#2ca02c", "", 1.5),
    "s3fifo": ("#9467bd", "", 1.5), "wtinylfu-1": ("#e6a700", "6 3", 1.5),
    "wtinylfu": ("#e6a700", "", 1.5), "ours-16": ("#d62728", "2 3", 1.5),
    "ours": ("#d62728", "", 2.5),
}


def _line(points: list[tuple[float, float]], style: tuple[str, str, float]) -> str:
    color, dash, width = style
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    if len(points) == 1:
        x, y = points[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1.5}" fill="{color}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"'
            f'{dashes}/>')


def _text(x: float, y: float, text: str, anchor: str = "middle", size: int = 11,
          weight: str = "normal") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}">{escape(text)}</text>')


def _panel(result: dict, policies: list[str], left: float, top: float) -> list[str]:
    sizes = [size["capacity"] for size in result["sizes"]]
    low, high = math.log(sizes[0]), math.log(sizes[-1])
    highest = max(max(size["hit_percent"][p] for p in policies) for size in result["sizes"])
    step = next(s for s in (0.5, 1, 2, 5, 10, 20) if highest / s <= 6 or s == 20)
    ceiling = max(step, math.ceil(highest / step) * step)
    width, height = PANEL_WIDTH - LEFT - RIGHT, PANEL_HEIGHT - TOP - BOTTOM

    def x(size: int) -> float:
        part = (math.log(size) - low) / (high - low) if high > low else 0.5
        return left + LEFT + part * width

    def y(percent: float) -> float:
        return top + TOP + height * (1 - percent / ceiling)

    out = [_text(left + LEFT + width / 2, top + 18,
                 f"{result['trace']} ({result['requests']:,} requests, {result['keys']:,} keys)",
                 size=13, weight="bold")]
    for i in range(round(ceiling / step) + 1):
        value = i * step
        out.append(f'<line x1="{left + LEFT}" y1="{y(value):.1f}" x2="{left + LEFT + width}" '
                   f'y2="{y(value):.1f}" stroke="#dddddd"/>')
        out.append(_text(left + LEFT - 6, y(value) + 4, f"{value:g} %", "end"))
    for size in sizes:
        out.append(f'<line x1="{x(size):.1f}" y1="{y(0):.1f}" x2="{x(size):.1f}" '
                   f'y2="{y(0) + 4:.1f}" stroke="#888888"/>')
        out.append(_text(x(size), y(0) + 17, f"{size:,}", size=10))
    out.append(_text(left + LEFT + width / 2, y(0) + 33, "entries (logarithmic)"))
    for name, style in STYLES.items():
        if name in policies:
            out.append(_line([(x(size["capacity"]), y(size["hit_percent"][name]))
                              for size in result["sizes"]], style))
    return out


def draw(results: list[dict], policies: list[str], path: Path) -> None:
    columns = min(COLUMNS, len(results))
    width = columns * PANEL_WIDTH
    height = LEGEND_HEIGHT + math.ceil(len(results) / columns) * PANEL_HEIGHT
    # A narrow chart has its legend in as many lines as it needs.
    per_line = max(1, width // 112)
    lines = math.ceil(len(policies) / per_line)
    legend = max(LEGEND_HEIGHT, 14 + 18 * lines)
    height += legend - LEGEND_HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           'font-family="sans-serif" fill="#222222">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for i, name in enumerate(policies):
        left, top = 12 + (i % per_line) * 112, 18 + 18 * (i // per_line)
        out.append(_line([(left, top), (left + 24, top)], STYLES[name]))
        out.append(_text(left + 30, top + 4, name, "start"))
    for i, result in enumerate(results):
        out += _panel(result, policies, (i % columns) * PANEL_WIDTH,
                      legend + (i // columns) * PANEL_HEIGHT)
    out.append("</svg>")
    path.write_text("\n".join(out) + "\n", encoding="utf-8")
