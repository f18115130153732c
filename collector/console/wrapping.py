"""Lines no wider than the terminal: text wraps between words, and lists of names are cut where they no longer fit."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len

_WORD = re.compile(r"(?:`[^`]*`|[^\s`])+|\S+")
"""A word; a command in backticks is one."""

_HANG = 2


def wrapped(text: str, width: int | None) -> str:
    """Wrap each line that is wider than `width` cells between words, its rest indented further; None wraps nothing.

    A word that is wider by itself stays whole, so that it can be copied. A Chinese character takes two cells.
    """
    if width is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _wrapped(line, width))


def _wrapped(line: str, width: int) -> list[str]:
    if cell_len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    lines: list[str] = []
    current = ""
    for word in _WORD.findall(line):
        if not current:
            current = indent + word
        elif cell_len(current) + 1 + cell_len(word) <= width:
            current += f" {word}"
        else:
            lines.append(current)
            current = indent + (" " * _HANG if indent else "") + word
    return [*lines, current]


def fitting(names: Sequence[str], cells: int) -> int:
    """Return how many of the names, with commas between them, fit into so many cells; one at least."""
    used = 0
    for number, name in enumerate(names):
        used += cell_len(name) + 2
        if number and used > cells:
            return number
    return len(names)
