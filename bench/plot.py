"""Curves as an SVG picture: small panels, CPU above and memory below, each with its axis from 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Points = Sequence[Mapping[str, Any]]

WIDTH, HEIGHT = 210, 150
"""Size of a panel's plot area, in pixels."""

LEFT, TOP, GAP_X, GAP_Y = 52, 46, 48, 66
MAX_TICKS = 4
_ROUND = (1, 2, 2.5, 5, 10)
_STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#444}.title{font-weight:600;fill:#222}.axis{stroke:#bbb}"
    ".grid{stroke:#eee}.end{text-anchor:end}.mid{text-anchor:middle}polyline{fill:none;stroke-width:2}"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a row of panels: the key of its values, its name, its colour."""

    key: str
    name: str
    colour: str


ROWS = (
    ("µs of CPU a call", (Line("cpu_us", "collector", "#1565c0"), Line("floor_cpu_us", "floor", "#9e9e9e"))),
    ("peak memory, MiB", (Line("peak_mib", "collector", "#1565c0"),)),
)


def picture(points: Points) -> str:
    """Draw the panels of all curves, in their order."""
    curves: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        curves.setdefault(point["curve"], []).append(point)
    width = LEFT + len(curves) * (WIDTH + GAP_X)
    height = TOP + len(ROWS) * (HEIGHT + GAP_Y)
    parts = [_legend()]
    for row, (title, lines) in enumerate(ROWS):
        highest = max(point[line.key] for point in points for line in lines)
        for column, (curve, found) in enumerate(curves.items()):
            panel = _Panel(found, lines, _ticks(highest))
            place = f"translate({LEFT + column * (WIDTH + GAP_X)},{TOP + row * (HEIGHT + GAP_Y)})"
            parts.append(f'<g transform="{place}">{panel.drawn(title if column == 0 else "", curve)}</g>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f'<style>{_STYLE}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


@dataclass(frozen=True, slots=True)
class _Panel:
    points: Points
    lines: Sequence[Line]
    ticks: Sequence[float]

    def drawn(self, title: str, curve: str) -> str:
        """Draw the panel, its upper left corner at the origin."""
        parts = [f'<text class="title" x="-40" y="-10">{title}</text>'] if title else []
        parts += [self._level(tick) for tick in self.ticks]
        place = self._scale_x()
        for point in self.points:
            x = place(point["x"])
            parts.append(f'<text class="mid" x="{x:.1f}" y="{HEIGHT + 15}">{_short(point["x"])}</text>')
        parts.append(f'<text class="mid" x="{WIDTH / 2}" y="{HEIGHT + 32}">{curve}</text>')
        for line in self.lines:
            spots = [(place(point["x"]), self._y(point[line.key])) for point in self.points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            parts.append(f'<polyline points="{path}" stroke="{line.colour}"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{line.colour}"/>' for x, y in spots]
        return "".join(parts)

    def _level(self, tick: float) -> str:
        y = self._y(tick)
        kind = "grid" if tick else "axis"
        return (
            f'<line class="{kind}" x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="end" x="-6" y="{y + 4:.1f}">{tick:g}</text>'
        )

    def _y(self, value: float) -> float:
        return HEIGHT * (1 - value / self.ticks[-1])

    def _scale_x(self) -> Callable[[float], float]:
        """Scale a value: logarithmic, unless the axis begins with 0."""
        values = [point["x"] for point in self.points]
        way = math.log if min(values) > 0 else float
        first, last = way(min(values)), way(max(values))
        return lambda value: 8 + (WIDTH - 16) * (way(value) - first) / ((last - first) or 1)


def _ticks(highest: float) -> list[float]:
    """Return round values from 0 to `highest` or a little above."""
    rough = highest / MAX_TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(step * power for step in _ROUND if step * power >= rough)
    return [step * n for n in range(math.ceil(highest / step) + 1)]


def _legend() -> str:
    parts = []
    for n, line in enumerate(ROWS[0][1]):
        x = LEFT + 120 + 90 * n
        parts.append(f'<line x1="{x}" x2="{x + 18}" y1="18" y2="18" stroke="{line.colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 24}" y="22">{line.name}</text>')
    return "".join(parts)


def _short(value: float) -> str:
    thousand = 1000
    return f"{value / thousand:g}k" if value >= thousand else f"{value:g}"
