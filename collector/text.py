"""Text that is safe and pleasant to log, store and show."""

from __future__ import annotations

from collections.abc import Iterable


def printable(text: object, max_letters: int = 500) -> str:
    """Make a text from outside safe to log, store and show: no control characters, no lone surrogates."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:max_letters])


def counted(count: int, noun: str) -> str:
    """Return a number and its noun: `1 account`, `1,200 accounts`; `1 retry`, `2 retries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def alternatives(words: Iterable[str]) -> str:
    """Return words to choose from, two or more: `csv, parquet or xlsx`."""
    *first, last = words
    return f"{', '.join(first)} or {last}"


def paragraphs(*parts: str) -> str:
    """Join parts by blank lines, without the empty ones."""
    return "\n\n".join(filter(None, parts))
