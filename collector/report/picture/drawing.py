"""A picture made of texts, boxes and charts, as SVG."""

from __future__ import annotations

import unicodedata
from html import escape
from typing import Literal, NamedTuple

from collector.report.charts.vega import has_glyph
from collector.text import printable

FONTS = (
    "'Noto Sans CJK SC', 'Noto Sans SC', 'Source Han Sans SC', 'PingFang SC', 'Microsoft YaHei', "
    "'WenQuanYi Micro Hei', sans-serif"
)

_WIDE, _CAPITAL, _NARROW = 1.0, 0.7, 0.57
"""Widths of letters as parts of their size: Chinese ones, capitals, and others; somewhat more than most have."""

Anchor = Literal["start", "end"]


class Look(NamedTuple):
    """The look of a text; its size is in pixels."""

    size: int
    color: str
    bold: bool = False


class Drawing:
    """A picture of some width, on white, that is drawn from the top."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._parts: list[str] = []

    def text(self, x: float, y: float, text: str, look: Look, anchor: Anchor = "start") -> None:
        """Draw a line of text with its base at `y`."""
        weight = "bold" if look.bold else "normal"
        style = f'font-size="{look.size}" fill="{look.color}" font-weight="{weight}" text-anchor="{anchor}"'
        self._parts.append(f'<text x="{x:g}" y="{y:g}" {style}>{escape(text)}</text>')

    def box(self, x: float, y: float, width: float, height: float, fill: str, *, radius: int = 0) -> None:
        """Draw a filled box."""
        size = f'width="{width:g}" height="{height:g}" rx="{radius}"'
        self._parts.append(f'<rect x="{x:g}" y="{y:g}" {size} fill="{fill}"/>')

    def line(self, x: float, y: float, width: float, color: str) -> None:
        """Draw a thin line across."""
        self.box(x, y, width, 2, color)

    def chart(self, x: float, y: float, svg: str, scale: float) -> None:
        """Draw another picture, enlarged."""
        self._parts.append(f'<g transform="translate({x:g},{y:g}) scale({scale:g})">{svg}</g>')

    def svg(self, height: float, ground: str) -> str:
        """Return the picture, as high as it has become."""
        size = f'width="{self.width}" height="{height:g}"'
        body = "".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONTS}">'
            f'<rect {size} fill="{ground}"/>{body}</svg>'
        )


def width_of(text: str, size: int) -> float:
    """Return how wide a text is, or somewhat more."""
    return size * sum(map(_width, text))


def _width(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WFA":
        return _WIDE
    return _CAPITAL if letter.isupper() or letter in "%@&mwMW" else _NARROW


def fitted(text: str, size: int, width: float, lines: int = 1) -> list[str]:
    """Return a text in lines that fit into a width; what is too long for the last one is cut."""
    found: list[str] = []
    rest = text
    while rest and len(found) < lines:
        end = _fits(rest, size, width)
        if end < len(rest) and len(found) == lines - 1:
            return [*found, rest[: _fits(rest, size, width - size)].rstrip() + "…"]
        blank = rest.rfind(" ", 0, end + 1)
        if end < len(rest) and blank > 0:
            end = blank
        found.append(rest[:end].strip())
        rest = rest[end:].lstrip()
    return found


def _fits(text: str, size: int, width: float) -> int:
    """Return how many letters of a text fit, at least one."""
    for end in range(1, len(text) + 1):
        if width_of(text[:end], size) > width:
            return max(1, end - 1)
    return len(text)


def drawable(text: str) -> str:
    """Return a text without the symbols that no font has, such as emoji: they would be boxes."""
    plain = printable(text, len(text))
    return "".join(letter for letter in plain if not _is_symbol(letter) or has_glyph(letter)).strip()


def _is_symbol(letter: str) -> bool:
    return ord(letter) >= 0x2000 and unicodedata.category(letter)[0] in "SMC"  # noqa: PLR2004 - punctuation and up
