"""The bench's pretend data: accounts, and the figures of each day.

All accounts have the same figures, which follow from the day alone: several sources a day, new and cancelled
followers on all of them, and totals that add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from typing import Any

SPAN_DAYS = 7
FIRST_DAY = date(2014, 12, 1)
"""WeChat keeps nothing older."""

BEIJING = timezone(timedelta(hours=8))
TOKEN_LENGTH = 157
"""Length of most of WeChat's tokens."""

SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"

_ONE_DAY = timedelta(days=1)
_SOURCES = (0, 1, 17, 30, 43, 51, 57, 100, 149, 161, 200)
_APPID_LENGTH = 18


@dataclass(frozen=True, slots=True)
class Account:
    """One official account, with its credentials."""

    appid: str
    secret: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True)
class Window:
    """The days from `begin` to `end`, both included."""

    begin: str
    end: str


def accounts(count: int) -> Iterator[Account]:
    """Return the first `count` accounts."""
    for n in range(count):
        yield Account(appid(n), f"{n:032x}", f"client-{n:05d}")


def appid(n: int) -> str:
    """Return the appid of an account."""
    return f"wx{n:016x}"


def newest_day() -> date:
    """Return Beijing's yesterday."""
    return datetime.now(UTC).astimezone(BEIJING).date() - _ONE_DAY


def since(weeks: int, newest: date) -> date:
    """Return the first day of the `weeks` that end with `newest`, but none that WeChat doesn't keep."""
    return max(newest - _ONE_DAY * (SPAN_DAYS * weeks - 1), FIRST_DAY)


def windows(begin: date, newest: date) -> list[Window]:
    """Return the fewest windows from `begin` to `newest`, newest first; the last one may reach back further."""
    found = []
    end = newest
    while end >= begin:
        first = max(end - _ONE_DAY * (SPAN_DAYS - 1), FIRST_DAY)
        found.append(Window(str(first), str(end)))
        end = first - _ONE_DAY
    return found


def days(window: Window) -> Iterator[date]:
    """Return the days of a window, oldest first."""
    day, end = date.fromisoformat(window.begin), date.fromisoformat(window.end)
    while day <= end:
        yield day
        day += _ONE_DAY


def rows(path: str, window: Window) -> list[dict[str, Any]]:
    """Return the `list` of the answer to a call."""
    if path == SUMMARY:
        return [row for day in days(window) for row in summary(day)]
    return [{"ref_date": str(day), "user_source": 0, "cumulate_user": cumulate(day)} for day in days(window)]


@cache
def summary(day: date) -> list[dict[str, Any]]:
    """Return the rows of a day, two to five of them."""
    ordinal = day.toordinal()
    net = cumulate(day) - cumulate(day - _ONE_DAY)
    cancelled = _drawn(ordinal, 40) + max(0, -net)
    sources = [_SOURCES[(ordinal + 3 * n) % len(_SOURCES)] for n in range(2 + _drawn(ordinal + 1, 4))]
    shares = zip(sources, _shares(cancelled + net, len(sources)), _shares(cancelled, len(sources)), strict=True)
    return [
        {"ref_date": str(day), "user_source": source, "new_user": new, "cancel_user": cancel}
        for source, new, cancel in shares
    ]


def cumulate(day: date) -> int:
    """Return the followers at the end of a day; they change every day."""
    ordinal = day.toordinal()
    return 400_000 + 11 * ordinal + _drawn(ordinal, 10)


def token_of(appid: str) -> str:
    """Return an account's token, which begins with its appid, so that the server needs no memory."""
    return appid + "T" * (TOKEN_LENGTH - _APPID_LENGTH)


def appid_in(token: bytes) -> bytes:
    """Return the appid that a token begins with."""
    return token[:_APPID_LENGTH]


def _shares(total: int, count: int) -> list[int]:
    """Return `count` numbers that add up to `total`, larger ones first."""
    share = total // count
    return [total - share * (count - 1), *[share] * (count - 1)]


def _drawn(ordinal: int, below: int) -> int:
    """Return a number that looks random, always the same for an ordinal."""
    return (ordinal * 2_654_435_761 >> 7) % below
