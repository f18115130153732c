"""Stored figures of an account's day, for those who look at them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

FIELDS = ("ref_date", "new_user", "cancel_user", "cumulate_user", "sources")
"""The fields of a document that `daily_of` reads."""


class Source(NamedTuple):
    """New and lost followers of a day by one channel."""

    user_source: int
    new_user: int
    cancel_user: int

    @property
    def net_user(self) -> int:
        """The new followers without the lost ones."""
        return self.new_user - self.cancel_user


class Daily(NamedTuple):
    """Figures of one day of an account. What isn't stored is None, never 0.

    `new_user`, `cancel_user` and `sources` come with the summary of the day, `cumulate_user` with its total. `sources`
    is empty for a day without a row, which is stored only once it is certain that the day was quiet. `is_damaged` is
    True where the document has a value that the collector would never write, which counts as not stored.
    """

    ref_date: date
    new_user: int | None = None
    cancel_user: int | None = None
    cumulate_user: int | None = None
    sources: tuple[Source, ...] | None = None
    is_damaged: bool = False

    @property
    def net_user(self) -> int | None:
        """The new followers without the lost ones."""
        if self.new_user is None or self.cancel_user is None:
            return None
        return self.new_user - self.cancel_user


def daily_of(document: Mapping[str, object]) -> Daily | None:
    """Return the figures of a document of `user_daily`, whoever wrote it; None where its `ref_date` is no day.

    A value that the collector would never write counts as not stored, so it is never summed up or turned into 0.
    """
    day = day_of(document.get("ref_date"))
    if day is None:
        return None
    total = _count(document.get("cumulate_user"))
    new_user, cancel_user = _count(document.get("new_user")), _count(document.get("cancel_user"))
    sources = _sources(document.get("sources"))
    summary = new_user, cancel_user, sources
    is_damaged = (total is None and document.get("cumulate_user") is not None) or (
        None in summary and any(document.get(field) is not None for field in ("new_user", "cancel_user", "sources"))
    )
    if new_user is None or cancel_user is None:  # half a summary is none
        return Daily(day, cumulate_user=total, is_damaged=is_damaged)
    return Daily(day, new_user, cancel_user, total, sources, is_damaged)


def day_of(value: object) -> date | None:
    """Return the day that a stored `ref_date` names; None where it is no day of the calendar, as `yyyy-MM-dd`."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return day if str(day) == value else None  # Python takes 20261123 for a day, too


def _sources(value: object) -> tuple[Source, ...] | None:
    """Return the channels of a document, or None where one of them isn't as the collector writes it."""
    if not isinstance(value, list):
        return None
    sources = []
    for row in value:
        counts = [_count(row.get(key)) for key in Source._fields] if isinstance(row, dict) else [None]
        if None in counts:
            return None
        sources.append(Source(*counts))
    return tuple(sources)


def _count(value: object) -> int | None:
    # MongoDB's long comes as a subclass of int; so does a boolean.
    return int(value) if isinstance(value, int) and type(value) is not bool and value >= 0 else None
