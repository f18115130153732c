"""Small words that all reports share."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 account`, `1,200 accounts`; `1 retry`, `2 retries`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
