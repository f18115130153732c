"""Text as it can be logged, stored and shown."""

from __future__ import annotations


def printable(text: object, most: int = 500) -> str:
    """A text from outside as it can be logged, stored and shown: no control characters, no halves of characters."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text)[:most])


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 account`, `1,200 accounts`; `1 retry`, `2 retries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def paragraphs(*parts: str) -> str:
    """Join parts by blank lines, without the empty ones."""
    return "\n\n".join(filter(None, parts))
