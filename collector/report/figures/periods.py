"""Periods of a report: weeks, months and numbers of days, and the periods that they are compared with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from collector.errors import UsageError
from collector.model.days import FIRST_DAY, ONE_DAY, Window

MAX_DAYS = 366
"""The longest period: a report that compares it with the period before reads two years."""

_DAYS = re.compile("[1-9][0-9]{0,8}")
_MONTH = re.compile("([12][0-9]{3})-([0-9]{2})")
_WEEK = re.compile("([12][0-9]{3})-W([0-9]{2})")

FORMS = "week, month, a month such as 2026-10, a week such as 2026-W47, or a number of days"


class Kind(StrEnum):
    """Kind of a period."""

    WEEK = "week"
    MONTH = "month"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Period:
    """A period of a report: a week from Monday to Sunday, a calendar month, or some days up to any other.

    `days` are all its days, published or not. As text it is what a user writes for it, `2026-W47` or `2026-10`, and
    `2026-11-01..2026-11-25` for a number of days.
    """

    kind: Kind
    days: Window

    @property
    def before(self) -> Period:
        """The period before, of the same kind, which ends on the day before this one begins (环比)."""
        end = self.days.begin - ONE_DAY
        if self.kind is Kind.MONTH:
            return month_of(end)
        return Period(self.kind, Window(end - ONE_DAY * (len(self.days) - 1), end))

    @property
    def year_before(self) -> Period | None:
        """The same period a year before (同比): the month, the ISO week of that number, the days up to the same date.

        None for a week 53 where that year has none. The year before 29 February ends on the 28th.
        """
        if self.kind is Kind.WEEK:
            year, week, _ = self.days.begin.isocalendar()
            return _week(year - 1, week)
        if self.kind is Kind.MONTH:
            return month_of(_year_before(self.days.begin))
        end = _year_before(self.days.end)
        return Period(self.kind, Window(end - ONE_DAY * (len(self.days) - 1), end))

    def __str__(self) -> str:
        if self.kind is Kind.WEEK:
            year, week, _ = self.days.begin.isocalendar()
            return f"{year}-W{week:02}"
        return f"{self.days.begin:%Y-%m}" if self.kind is Kind.MONTH else str(self.days)


Choice = Callable[[date], Period]
"""A period as a user names it; called with the newest published day, it returns the period."""


def parse(text: str) -> Choice:
    """Parse `week`, `month`, `YYYY-MM`, `YYYY-Www` or a number of days.

    `week` and `month` are the newest whose last day is published, a number of days ends with the newest published day.
    The choice that is returned raises `UsageError` for a period without a published day.

    Raises:
        ValueError: `text` is no period; the message says so to people.
    """
    if text == Kind.WEEK:
        return newest_week
    if text == Kind.MONTH:
        return newest_month
    if _DAYS.fullmatch(text):
        count = int(text)
        if count > MAX_DAYS:
            raise ValueError(f"{text} days are too many for a report: use from 1 to {MAX_DAYS}")
        return lambda newest: last_days(count, newest)
    period = _named(text)
    if period is None:
        raise ValueError(f"{text!r} is not a period: use {FORMS}")
    if period.days.end < FIRST_DAY:
        raise ValueError(f"{text} is too old: WeChat keeps no figures of days before {FIRST_DAY}")
    return lambda newest: _published(period, newest)


def newest_week(newest: date) -> Period:
    """Return the last week that ended by the day `newest`."""
    # 0 on a Sunday, which ends its own week.
    end = newest - ONE_DAY * (newest.isoweekday() % 7)
    return Period(Kind.WEEK, Window(end - ONE_DAY * 6, end))


def newest_month(newest: date) -> Period:
    """Return the last month that ended by the day `newest`."""
    month = month_of(newest)
    return month if month.days.end == newest else month.before


def last_days(count: int, newest: date) -> Period:
    """Return the last days up to the day `newest`."""
    return Period(Kind.DAYS, Window(newest - ONE_DAY * (count - 1), newest))


def month_of(day: date) -> Period:
    """Return the month of a day."""
    begin = day.replace(day=1)
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return Period(Kind.MONTH, Window(begin, following - ONE_DAY))


def _named(text: str) -> Period | None:
    """Return the month or week that a text such as 2026-10 or 2026-W47 names, or None."""
    if (month := _MONTH.fullmatch(text)) and 1 <= int(month[2]) <= 12:  # noqa: PLR2004 - months
        return month_of(date(int(month[1]), int(month[2]), 1))
    return _week(int(week[1]), int(week[2])) if (week := _WEEK.fullmatch(text)) else None


def _week(year: int, week: int) -> Period | None:
    try:
        begin = date.fromisocalendar(year, week, 1)
    except ValueError:
        return None
    return Period(Kind.WEEK, Window(begin, begin + ONE_DAY * 6))


def _published(period: Period, newest: date) -> Period:
    if period.days.begin > newest:
        raise UsageError(f"no day of {period} is published yet: the newest published day is {newest}")
    return period


def _year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 1, day=28)
