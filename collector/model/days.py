"""Beijing's calendar: the newest published day, windows and sets of days.

WeChat counts days in China's time, which has been UTC+8 without summer time since 1991, whatever
zone the host is in. Every instant that comes in here must carry a zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import chain
from typing import Final

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
FIRST_DAY = date(2014, 12, 1)
"""The oldest day that WeChat keeps; rows of earlier days are dirty (its page of the API says so)."""

ONE_DAY = timedelta(days=1)

OLDEST = date(2012, 1, 1)
"""No official account is older."""

_FIRST_NUMBER = OLDEST.toordinal()


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Days from `begin` to `end`, both counted, as WeChat's `begin_date` and `end_date`."""

    begin: date
    end: date

    def __post_init__(self) -> None:
        if self.begin > self.end:
            raise ValueError(f"a window can't end ({self.end}) before it begins ({self.begin})")

    def __len__(self) -> int:
        return (self.end - self.begin).days + 1

    def __contains__(self, day: date) -> bool:
        return self.begin <= day <= self.end

    def __iter__(self) -> Iterator[date]:
        return (self.begin + ONE_DAY * n for n in range(len(self)))

    def __str__(self) -> str:
        return f"{self.begin}..{self.end}"


@dataclass(slots=True, unsafe_hash=True)  # not frozen: ten are made for each call, and each would cost thrice as much
class Days:
    """A set of days as one number: bit n of `bits` is the n-th day after the first of 2012.

    So sets of ten years combine in less than a microsecond. Make one with `of`, `between`, `joined` or `union`,
    combine with `|`, `&`, `-`. No set holds days before 2012, when there was no official account: all raise
    `ValueError` for them.
    """

    bits: Final[int] = 0

    @classmethod
    def of(cls, days: Iterable[date]) -> Days:
        """Return the set of `days`, in any order."""
        numbers = [day.toordinal() for day in days]
        first = min(numbers, default=_FIRST_NUMBER)
        bits = 0
        for number in numbers:
            bits |= 1 << number - first  # a short number, as long as the days lie near each other
        return cls(bits << first - _FIRST_NUMBER)

    @classmethod
    def between(cls, begin: date, end: date) -> Days:
        """Return all days from `begin` to `end`, both counted; none when `begin` is after `end`."""
        return cls(_run(begin, end) if begin <= end else 0)

    @classmethod
    def joined(cls, windows: Iterable[Window]) -> Days:
        """Return the days of any windows, which may overlap."""
        bits = 0
        for window in windows:
            bits |= _run(window.begin, window.end)
        return cls(bits)

    @classmethod
    def union(cls, sets: Iterable[Days]) -> Days:
        """Return the days that any of the sets holds."""
        bits = 0
        for days in sets:
            bits |= days.bits
        return cls(bits)

    def __or__(self, other: Days) -> Days:
        return Days(self.bits | other.bits)

    def __sub__(self, other: Days) -> Days:
        return Days((self.bits ^ other.bits) & self.bits)

    def __and__(self, other: Days) -> Days:
        return Days(self.bits & other.bits)

    def __bool__(self) -> bool:
        return self.bits != 0

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __contains__(self, day: date) -> bool:
        return day >= OLDEST and self.bits >> _number(day) & 1 == 1

    def __iter__(self) -> Iterator[date]:
        return chain.from_iterable(self.ranges)

    def __repr__(self) -> str:
        return f"Days({', '.join(map(str, self.ranges))})"

    @property
    def ranges(self) -> tuple[Window, ...]:
        """The fewest windows that hold these days and no others, oldest first."""
        found = []
        left, number = self.bits, 0
        while left:
            gap = _zeros(left)
            left >>= gap
            length = _zeros(left + 1)
            left >>= length
            found.append(Window(_day(number + gap), _day(number + gap + length - 1)))
            number += gap + length
        return tuple(found)

    @property
    def oldest(self) -> date | None:
        """The oldest day, or None of an empty set."""
        return _day(_zeros(self.bits)) if self.bits else None

    @property
    def newest(self) -> date | None:
        """The newest day, or None of an empty set."""
        return _day(self.bits.bit_length() - 1) if self.bits else None

    def windows(self, span_days: int) -> Iterator[Window]:
        """Give the fewest windows of `span_days` each that hold all these days, newest first.

        Each ends on a day of the set and reaches back its full span, over days that aren't in the set too,
        but not before `FIRST_DAY`.
        """
        left, first = self.bits, _number(FIRST_DAY)
        while left:
            end = left.bit_length() - 1
            begin = max(first, end - span_days + 1)
            yield Window(_day(begin), _day(end))
            left &= (1 << begin) - 1

    def window_count(self, span_days: int) -> int:
        """Return the number of these windows, without making them."""
        count, before = 0, date.max.toordinal()
        for held in reversed(self.ranges):
            days = min(held.end.toordinal() + 1, before) - held.begin.toordinal()
            if days > 0:  # else the last window has reached back over all of them
                here = -(-days // span_days)
                count += here
                before = held.begin.toordinal() + days - here * span_days
        return count

    def touches(self, window: Window) -> bool:
        """Return True where a day of the window is among these."""
        return self.bits & Days.between(window.begin, window.end).bits != 0


def _number(day: date) -> int:
    return day.toordinal() - _FIRST_NUMBER


def _day(number: int) -> date:
    return date.fromordinal(number + _FIRST_NUMBER)


def _run(begin: date, end: date) -> int:
    return ((1 << ((end - begin).days + 1)) - 1) << _number(begin)


def _zeros(bits: int) -> int:
    """Return how many zeros follow the last one of `bits`, which isn't 0."""
    return (bits & -bits).bit_length() - 1


NO_DAYS = Days()


def beijing_day(now: datetime) -> date:
    """Return the calendar day in Beijing at the instant `now`."""
    return now.astimezone(BEIJING).date()


def beijing_minute(instant: datetime) -> str:
    """Return an instant of Beijing's clock, for where its zone is said already: `2026-11-25 14:03`."""
    return f"{instant.astimezone(BEIJING):%Y-%m-%d %H:%M}"


def beijing_time(instant: datetime) -> str:
    """Return an instant as people read it, to the minute: `2026-11-25 14:03 Beijing time`."""
    return f"{beijing_minute(instant)} Beijing time"


def newest_published(now: datetime, published_at: time) -> date:
    """Return the newest published day: Beijing's yesterday from `published_at` on, else the day before it."""
    local = now.astimezone(BEIJING)
    days_back = 1 if local.time() >= published_at else 2
    return local.date() - ONE_DAY * days_back


def next_beijing_midnight(now: datetime) -> datetime:
    """Return the instant, in UTC, at which WeChat's daily quotas begin anew."""
    return datetime.combine(beijing_day(now) + ONE_DAY, time(0), BEIJING).astimezone(UTC)
