"""Numbers, rates, days and periods as people read them."""

from __future__ import annotations

from datetime import date

from collector.model.days import Days, Window
from collector.report.figures import Metric
from collector.report.periods import Kind, Period
from collector.report.terms import Terms

ABSENT = "–"
"""Stands where there is no figure, which is never 0."""

MAX_RANGES = 6
"""Ranges of missing days that are named."""

_RATES = frozenset({Metric.UNFOLLOW_RATE, Metric.GROWTH_RATE, Metric.LOST_TO_NEW})


def number(value: float | None) -> str:
    """Return a whole number: `1,234`, `−5`."""
    return ABSENT if value is None else f"{value:,.0f}".replace("-", "−")


def percent(value: float | None) -> str:
    """Return a rate: `12.3%`, small ones with more digits: `0.083%`."""
    if value is None:
        return ABSENT
    digits = 1 if abs(value) >= 0.1 else 2 if abs(value) >= 0.01 or not value else 3  # noqa: PLR2004 - 10 % and 1 %
    return f"{value * 100:,.{digits}f}%".replace("-", "−")


def figure(metric: Metric, value: float | None) -> str:
    """Return a figure in the form that it has."""
    return percent(value) if metric in _RATES else number(value)


def change(value: float) -> str:
    """Return a change with its direction: `▲ 4.5%`, `▼ 4.5%`, `0.0%`."""
    text = f"{abs(value) * 100:,.1f}%"
    return f"{'▲' if value > 0 else '▼'} {text}" if value else text


def window(days: Window) -> str:
    """Return the days of a window: `2026-11-16 ~ 2026-11-22`, or the one day that it has."""
    return str(days.begin) if len(days) == 1 else f"{days.begin} ~ {days.end}"


def ranges(days: Days, terms: Terms) -> str:
    """Return a set of days as ranges; of many the first ones, and how many days there are."""
    found = days.ranges
    named = ", ".join(map(window, found[:MAX_RANGES]))
    return named if len(found) <= MAX_RANGES else f"{named} … ({terms('days', count=len(days))})"


def period(value: Period, terms: Terms) -> str:
    """Return the name of a period: `2026 年第 47 周`, `2026 年 10 月`, `30 天`."""
    begin: date = value.days.begin
    match value.kind:
        case Kind.WEEK:
            year, week, _ = begin.isocalendar()
            return terms("period_week", year=year, week=week)
        case Kind.MONTH:
            return terms("period_month", year=begin.year, month=begin.month)
        case Kind.DAYS:
            return terms("period_days", count=len(value.days))
