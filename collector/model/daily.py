"""Stored figures of an account's day, for those who look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import partial
from itertools import chain, repeat
from types import NoneType
from typing import Any, NamedTuple

FIELDS = ("ref_date", "new_user", "cancel_user", "cumulate_user", "sources")
"""The fields of a document that figures are read from."""

MAX_COUNT = 10**12
"""The largest number that counts as one of followers: more than a run stores, and sums of all accounts fit 64 bits."""

_flat = chain.from_iterable


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


class Mark(StrEnum):
    """Completeness of a day, of an account or of a group.

    * `stored`: both datasets came for it; zeros in it were said by WeChat.
    * `proven`: zeros that WeChat didn't send: without a row of summary, the unchanged total proved them.
    * `partial`: one dataset is missing, or some accounts of a group lack it.
    * `missing` (待补): nothing is stored, and it is asked for again.
    * `void`: WeChat has no figures of it.
    * `uncollected`: it is before the first day wanted; `unborn`: before the account began.
    """

    STORED = "stored"
    PROVEN = "proven"
    PARTIAL = "partial"
    MISSING = "missing"
    VOID = "void"
    UNCOLLECTED = "uncollected"
    UNBORN = "unborn"


# As `_make`, without a call of Python's for each of ten million rows.
_source: Callable[[Iterable[int]], Source] = partial(tuple.__new__, Source)
_daily: Callable[[Iterable[Any]], Daily] = partial(tuple.__new__, Daily)


def dailies_of(documents: Mapping[str, Sequence[Any]], days: Mapping[object, date]) -> list[Daily]:
    """Return the figures of an account's documents, whoever wrote them, in their order.

    `documents` has a column for each of `FIELDS`; a row of `sources` is a list of the fields of `Source`. `days` has
    the days by their `ref_date`; a document of none of them is left out. A value that the collector would never write
    counts as not stored, so it is never summed up or turned into 0.
    """
    ref_dates, *columns = (documents[field] for field in FIELDS)
    dates = [days.get(ref_date) for ref_date in ref_dates]
    if not _are_sound(*columns):
        return [_daily_of(day, *row) for day, *row in zip(dates, *columns, strict=True) if day]
    *figures, sources = columns
    channels = [None if rows is None else tuple(map(_source, rows)) for rows in sources]
    rows = zip(dates, *figures, channels, repeat(False), strict=False)
    return [_daily(row) for row in rows if row[0]]


def _are_sound(new_user: Sequence[Any], cancel_user: Sequence[Any], *others: Sequence[Any]) -> bool:
    """Return True for columns as the collector writes them, which nearly all are: a look at each day costs thrice.

    A plain int has 32 bits in MongoDB, so that none is too large.
    """
    cumulate_user, sources = others
    there = [row for row in sources if row is not None]
    if not all(type(row) is list for row in there):
        return False
    counts = [*new_user, *cancel_user, *cumulate_user, *_flat(_flat(there))]
    if not (set(map(type, counts)) <= {int, NoneType} and min(filter(None, counts), default=0) >= 0):
        return False
    absent = [value is None for value in new_user]
    is_whole = absent == [value is None for value in cancel_user] == [row is None for row in sources]
    return is_whole and None not in _flat(_flat(there))


def _daily_of(day: date, new: object, lost: object, cumulate: object, rows: object) -> Daily:
    total, new_user, cancel_user, sources = _count(cumulate), _count(new), _count(lost), _sources(rows)
    is_damaged = (total is None and cumulate is not None) or (
        None in {new_user, cancel_user, sources} and any(value is not None for value in (new, lost, rows))
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


def _sources(rows: object) -> tuple[Source, ...] | None:
    """Return the channels of a day, or None where one of them isn't as the collector writes it."""
    if not isinstance(rows, list):
        return None
    counts = [[_count(value) for value in row] for row in rows]
    return None if None in _flat(counts) else tuple(map(Source._make, counts))


def _count(value: object) -> int | None:
    # MongoDB's long comes as a subclass of int; so does a boolean.
    return int(value) if isinstance(value, int) and type(value) is not bool and 0 <= value <= MAX_COUNT else None
