"""Colours by severity, for results on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from rich.color import ColorSystem
from rich.style import Style


class Severity(StrEnum):
    """Severity of a line of a result; its value is the style in which a terminal shows it."""

    GOOD = "green"
    PLAIN = "none"
    MINOR = "dim"
    WARNING = "yellow"
    BAD = "red"


Paint = Callable[[str, Severity], str]


def plain(text: str, _: Severity) -> str:
    """Return the text as it is."""
    return text


def coloured(text: str, severity: Severity) -> str:
    """Return the text in the colour of its severity, line by line, as pagers need it."""
    style = Style.parse(severity)
    return "\n".join(style.render(line, color_system=ColorSystem.STANDARD) for line in text.split("\n"))
