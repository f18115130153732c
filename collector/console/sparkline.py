"""Curves in one line of text."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_LETTERS = "_.-~=+*#"
"""The same for terminals without blocks."""

ABSENT = " "


def sparkline(values: Sequence[float | None], letters: str = BLOCKS, *, lowest: float | None = None) -> str:
    """Return a letter for each value: the first of `letters` for the lowest, the last for the highest.

    With `lowest`, the first letter is for that value. An absent value is a blank, which is never the same as a zero.
    """
    there = [value for value in values if value is not None]
    if not there:
        return ABSENT * len(values)
    low = min(there) if lowest is None else lowest
    step = (max(there) - low) / (len(letters) - 1) or 1
    return "".join(ABSENT if value is None else letters[round((value - low) / step)] for value in values)
