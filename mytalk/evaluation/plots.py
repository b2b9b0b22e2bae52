"""Draws plots as inline SVG: they take their colours from the page, so they are readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from mytalk.evaluation.summary import Summary, show

WIDTH, HEIGHT = 860, 150
_LEFT, _BOTTOM, _TOP, _RIGHT = 46, 20, 8, 8
_MOST = 1500  # points of a line

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """Holds one curve. ``kind`` is its CSS class; a NaN breaks it."""

    name: str
    points: Sequence[Point]  # (seconds, figure)
    kind: str


def line_chart(title: str, lines: Sequence[Line], shaded: Sequence[tuple[float, float]] = ()) -> str:
    """Draws curves over time; ``shaded`` spans of seconds stand behind them."""
    known = [point for line in lines for point in line.points if not math.isnan(point[1])]
    if not known:
        return ""
    table = np.array(known)
    end = max(float(table[:, 0].max()), 1e-3)
    low, high = min(0.0, float(table[:, 1].min())), float(table[:, 1].max())
    low, high = (low, high) if high > low else (low, low + 1)

    def x(seconds: float) -> float:
        return _LEFT + seconds / end * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for start, stop in shaded:
        parts.append(
            f'<rect class="shade" x="{x(start):.1f}" y="{_TOP}" width="{max(x(stop) - x(start), 1):.1f}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}"/>'
        )
    digits = max(0, 1 - math.floor(math.log10(high - low)))
    for value in np.linspace(low, high, 4):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 5}" y="{y(value) + 3:.1f}" text-anchor="end">{value:.{digits}f}</text>'
        )
    for second in np.linspace(0, end, 6):
        parts.append(
            f'<text class="tick" x="{x(second):.1f}" y="{HEIGHT - 5}" text-anchor="middle">{second:.1f} s</text>'
        )
    for line in lines:
        stride = max(1, len(line.points) // _MOST)
        parts.append(f'<path class="{line.kind}" d="{_path([(x(s), y(v)) for s, v in line.points[::stride]])}"/>')
    legend = " ".join(f'<span class="key {line.kind}">{escape(line.name)}</span>' for line in lines)
    return f"<figure><figcaption>{escape(title)} {legend}</figcaption>{''.join(parts)}</svg></figure>"


def spread(row: Summary) -> str:
    """Draws where the clips lie on one metric's scale, the good figures shaded."""
    values = [value for _, value in row.values if math.isfinite(value)]
    if not values:
        return ""
    bounds = [bound for bound in row.metric.good if math.isfinite(bound) and row.metric.better != "none"]
    low, high = min([*values, *bounds]), max([*values, *bounds])
    width = (high - low) or 1.0

    def x(value: float) -> float:
        return 6 + (min(max(value, low), high) - low) / width * 148

    parts = ['<svg class="spread" viewBox="0 0 160 18">', '<line class="grid" x1="6" x2="154" y1="9" y2="9"/>']
    if row.metric.better != "none":
        start, stop = x(max(row.metric.good[0], low)), x(min(row.metric.good[1], high))
        parts.append(f'<rect class="good" x="{start:.1f}" y="2" width="{max(stop - start, 1):.1f}" height="14"/>')
    weak = {name for name, _ in row.weak_clips}
    for name, value in row.values:
        if math.isfinite(value):
            kind = "weak" if name in weak else "fine"
            tip = f"<title>{escape(name)}: {show(row.metric, value)}</title>"
            parts.append(f'<circle class="{kind}" cx="{x(value):.1f}" cy="9" r="4">{tip}</circle>')
    return "".join([*parts, "</svg>"])


def _path(points: Sequence[Point]) -> str:
    out, broken = [], True
    for x, y in points:
        if math.isnan(y):
            broken = True
            continue
        out.append(f"{'M' if broken else 'L'}{x:.1f} {y:.1f}")
        broken = False
    return "".join(out)
