"""Beijing's calendar: the newest published day, windows and sets of days. Pure.

WeChat counts days in China's time, which has been UTC+8 without summer time since 1991, whatever
zone the host is in. Every instant that comes in here must carry a zone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import chain

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
FIRST_DAY = date(2014, 12, 1)
"""The oldest day that WeChat keeps; rows of earlier days are dirty (its page of the API says so)."""

ONE_DAY = timedelta(days=1)


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


@dataclass(frozen=True, slots=True)
class Days:
    """A set of days, kept as the fewest ranges: `ranges` are sorted, disjoint and not adjacent.

    Memory follows the number of holes, not of days. Make one with `of` or `between`, combine with `|`, `&`, `-`.
    """

    ranges: tuple[Window, ...] = ()

    @classmethod
    def of(cls, days: Iterable[date]) -> Days:
        """The set of `days`, in any order."""
        return cls.joined(Window(day, day) for day in days)

    @classmethod
    def between(cls, begin: date, end: date) -> Days:
        """All days from `begin` to `end`, both counted; none when `begin` is after `end`."""
        return cls((Window(begin, end),)) if begin <= end else cls()

    @classmethod
    def joined(cls, windows: Iterable[Window]) -> Days:
        """The days of any windows, which may overlap."""
        ranges: list[Window] = []
        for window in sorted(windows):
            if ranges and window.begin <= ranges[-1].end + ONE_DAY:
                ranges[-1] = Window(ranges[-1].begin, max(ranges[-1].end, window.end))
            else:
                ranges.append(window)
        return cls(tuple(ranges))

    def __or__(self, other: Days) -> Days:
        if not other.ranges or not self.ranges:
            return self if self.ranges else other
        return Days.joined((*self.ranges, *other.ranges))

    def __sub__(self, other: Days) -> Days:
        left: list[Window] = []
        holes = other.ranges
        first = 0
        for window in self.ranges:
            begin = window.begin
            while first < len(holes) and holes[first].end < begin:
                first += 1
            for hole in holes[first:]:
                if hole.begin > window.end or begin > window.end:
                    break
                if hole.begin > begin:
                    left.append(Window(begin, hole.begin - ONE_DAY))
                begin = hole.end + ONE_DAY
            if begin <= window.end:
                left.append(Window(begin, window.end))
        return Days(tuple(left))

    def __and__(self, other: Days) -> Days:
        return self - (self - other)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def __contains__(self, day: date) -> bool:
        after = bisect_right(self.ranges, day, key=lambda window: window.begin)
        return after > 0 and day <= self.ranges[after - 1].end

    def __iter__(self) -> Iterator[date]:
        return chain.from_iterable(self.ranges)

    @property
    def oldest(self) -> date | None:
        """The oldest day, or None of an empty set."""
        return self.ranges[0].begin if self.ranges else None

    @property
    def newest(self) -> date | None:
        """The newest day, or None of an empty set."""
        return self.ranges[-1].end if self.ranges else None

    def windows(self, span_days: int) -> list[Window]:
        """The fewest windows of `span_days` each that hold all these days, newest first.

        Each ends on a day of the set and reaches back its full span, over days that aren't in the set too,
        but not before `FIRST_DAY`.
        """
        cut: list[Window] = []
        for held in reversed(self.ranges):
            end = min(held.end, cut[-1].begin - ONE_DAY) if cut else held.end
            while end >= held.begin:
                cut.append(Window(max(FIRST_DAY, end - ONE_DAY * (span_days - 1)), end))
                end = cut[-1].begin - ONE_DAY
        return cut


NO_DAYS = Days()


def beijing_day(now: datetime) -> date:
    """The calendar day in Beijing at the instant `now`."""
    return now.astimezone(BEIJING).date()


def newest_published(now: datetime, published_at: time) -> date:
    """The newest day that WeChat has published: Beijing's yesterday from `published_at` on, else the day before it."""
    local = now.astimezone(BEIJING)
    days_back = 1 if local.time() >= published_at else 2
    return local.date() - ONE_DAY * days_back


def next_beijing_midnight(now: datetime) -> datetime:
    """The instant, in UTC, at which the daily quotas of WeChat begin anew."""
    return datetime.combine(beijing_day(now) + ONE_DAY, time(0), BEIJING).astimezone(UTC)
