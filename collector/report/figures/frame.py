"""Frame of a report: the days that it looks at, and the windows that are compared with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from collector.model.days import ONE_DAY, Window
from collector.report.figures.periods import Period, newest_month, newest_week

SPANS = (7, 30, 90, 365)
"""The spans of the trend in days, each up to the last day of the report."""

MEAN_DAYS = 7
"""The days of the moving mean."""


class Against(StrEnum):
    """Base of a comparison.

    * `day`: the last day with the day before (日环比).
    * `week`, `month`: the newest whole week or month by then with the one before (周环比, 月环比).
    * `period`: the report's period with the period before (环比).
    * `year`: the report's period with the same a year before (同比).
    """

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    PERIOD = "period"
    YEAR = "year"


class Pair(NamedTuple):
    """A window and its `base`, the one that it is compared with; None where the calendar has none."""

    this: Window
    base: Window | None


@dataclass(frozen=True)  # without slots: a cached property needs a place
class Frame:
    """The days that a report on a period looks at, as of the `newest` published day."""

    period: Period
    newest: date

    @property
    def end(self) -> date:
        """The last day of the report: that of the period, or the newest published one while the period isn't over."""
        return min(self.period.days.end, self.newest)

    @property
    def is_over(self) -> bool:
        """True if all days of the period are published."""
        return self.period.days.end <= self.newest

    @property
    def shown(self) -> Window:
        """The days of the period that are published."""
        return Window(self.period.days.begin, self.end)

    @cached_property
    def pairs(self) -> Mapping[Against, Pair]:
        """The windows that are compared, with their bases."""
        day, week, month = Window(self.end, self.end), newest_week(self.end), newest_month(self.end)
        year_before = self.period.year_before
        return {
            Against.DAY: Pair(day, Window(self.end - ONE_DAY, self.end - ONE_DAY)),
            Against.WEEK: Pair(week.days, week.before.days),
            Against.MONTH: Pair(month.days, month.before.days),
            Against.PERIOD: Pair(self.shown, self.period.before.days),
            Against.YEAR: Pair(self.shown, year_before.days if year_before else None),
        }

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """All windows over which figures are summed up, each once: the period, and what is compared."""
        return tuple(dict.fromkeys(window for pair in self.pairs.values() for window in pair if window))

    @cached_property
    def spans(self) -> Mapping[int, Window]:
        """The spans of the trend by their number of days."""
        return {days: Window(self.end - ONE_DAY * (days - 1), self.end) for days in SPANS}

    def slice(self, days: Window) -> slice:
        """Return the part of a column over `self.days` that some of these days are."""
        begin = days.begin.toordinal() - self.days.begin.toordinal()
        return slice(begin, begin + len(days))

    @cached_property
    def days(self) -> Window:
        """All days to read: each window with the day before it (期初), and the spans with the days of their mean."""
        first_span = self.spans[SPANS[-1]].begin - ONE_DAY * (MEAN_DAYS - 1)
        return Window(min(first_span, *(window.begin - ONE_DAY for window in self.windows)), self.end)
