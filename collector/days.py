"""Beijing's calendar: the newest published day and windows of days. Pure.

WeChat counts days in China's time, which has been UTC+8 without summer time since 1991, whatever
zone the host is in. Every instant that comes in here must carry a zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

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


def windows(begin: date, end: date, span_days: int) -> list[Window]:
    """Cut `begin`..`end` into the fewest windows of `span_days` at most, newest first.

    Every window but the oldest has its full span. Nothing comes back when `begin` is after `end`.
    """
    cut = []
    while begin <= end:
        oldest = max(begin, end - ONE_DAY * (span_days - 1))
        cut.append(Window(oldest, end))
        end = oldest - ONE_DAY
    return cut
