"""Numbers, rates, days and periods as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache

from collector.model.daily import Mark
from collector.model.days import ONE_DAY, Days, Window
from collector.report.figures.channels import Channel
from collector.report.figures.comparing import Comparison
from collector.report.figures.lines import Coverage, Line
from collector.report.figures.metrics import LESS_IS_BETTER, RATES, Metric
from collector.report.figures.periods import Kind, Period
from collector.report.figures.series import Series
from collector.report.figures.values import Card, Figures
from collector.report.terms import Terms

ABSENT = "–"
"""Stands where there is no figure, which is never 0."""

MAX_RANGES = 6
"""Ranges of missing days that are named."""

MAX_NAMES = 3
"""Names that are listed where there may be any number."""


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
    return percent(value) if metric in RATES else number(value)


def change(value: float) -> str:
    """Return a change with its direction: `▲ 4.5%`, `▼ 4.5%`, `0.0%`."""
    text = f"{abs(value) * 100:,.1f}%"
    return text if _is_flat(value) else f"{'▲' if value > 0 else '▼'} {text}"


def _is_flat(change: float) -> bool:
    """Return True for a change that reads 0.0%."""
    return round(abs(change) * 100, 1) == 0


def window(days: Window) -> str:
    """Return the days of a window: `2026-11-16 ~ 2026-11-22`, or the one day that it has."""
    return str(days.begin) if len(days) == 1 else f"{days.begin} ~ {days.end}"


def ranges(days: Days, terms: Terms) -> str:
    """Return a set of days as ranges; of many the first ones, and how many days there are."""
    found = days.ranges
    named = terms("list").join(map(window, found[:MAX_RANGES]))
    return named if len(found) <= MAX_RANGES else f"{named} …{terms('days_in_all', count=number(len(days)))}"


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


def windows(comparison: Comparison, terms: Terms) -> str:
    """Return the windows that a comparison is between, and how many accounts are incomplete in one of them."""
    between = _between(comparison.days, comparison.base_days, terms)
    accounts = left_out(comparison, terms)
    # Nothing was compared, so no account was left out: those that are incomplete are why.
    if comparison.accounts and comparison.reason:
        accounts = terms("incomplete_accounts", count=number(comparison.accounts))
    return terms("comma").join(filter(None, (between, accounts)))


def left_out(comparison: Comparison, terms: Terms) -> str:
    """Return how many accounts a comparison is made without; empty where there is none, or no comparison."""
    if comparison.change is None or not comparison.accounts:
        return ""
    return terms("left_out_accounts", count=number(comparison.accounts))


def channels_left_out(channels: Sequence[Channel], terms: Terms) -> str:
    """Return how many accounts the comparisons of channels are made without, which is the same for all."""
    return next(filter(None, (left_out(channel.change, terms) for channel in channels)), "")


@lru_cache(maxsize=64)  # all comparisons of a page, and of a whole site, have the same few windows
def _between(days: Window, base: Window | None, terms: Terms) -> str:
    return terms("windows", this=window(days), base=window(base)) if base else window(days)


def common_reason(card: Card, terms: Terms) -> str:
    """Return why all comparisons of a card are left out, where that is the same for all; else nothing."""
    found = {each.reason for each in card.comparisons.values()}
    # None is the reason of one that was made.
    return terms(f"reason_{found.pop()}") if len(found) == 1 and None not in found else ""


def reason(comparison: Comparison, terms: Terms) -> str:
    """Return why a comparison is left out."""
    return terms(f"reason_{comparison.reason}") if comparison.reason else ABSENT


def outcome(comparison: Comparison, metric: Metric, terms: Terms) -> tuple[str, str]:
    """Return the change of a comparison, or the reason why it is left out, after its kind.

    That is `reason`, or whether the change is `good`, `bad` or `flat`: fewer lost followers are good news.
    """
    found = comparison.change
    if found is None:
        return "reason", reason(comparison, terms)
    if _is_flat(found):
        return "flat", change(found)
    return "good" if (found > 0) != (metric in LESS_IS_BETTER) else "bad", change(found)


def names(found: Sequence[str], terms: Terms) -> str:
    """Return some names; of many the first ones, and how many more there are."""
    named = terms("list").join(found[:MAX_NAMES])
    more = len(found) - MAX_NAMES
    return f"{named} {terms('and_more', count=number(more))}" if more > 0 else named


def coverages(figures: Figures, terms: Terms) -> list[tuple[Coverage, str, str]]:
    """Return each coverage with its name, and how many accounts are of it."""
    return [
        (coverage, terms(f"coverage_{coverage}"), number(count))
        for coverage, count in figures.coverage.items()
        # Most clients have no silent account, while 0 failed ones are good news.
        if count or coverage is not Coverage.SILENT
    ]


def card_remarks(card: Card, figures: Figures, terms: Terms) -> list[str]:
    """Return what a key figure lacks, one by one; empty where it is whole."""
    account = "account_" if figures.is_group else ""
    total = figures.total if card.metric is Metric.CUMULATE_USER else None
    remarks = []
    if card.missing:
        remarks.append(terms(f"missing_{account}days", count=number(card.missing)))
    if card.uncollected:
        remarks.append(terms(f"uncollected_{account}days", count=number(card.uncollected)))
    if total and total.lacking:
        remarks.append(terms("without", names=names(total.lacking, terms)))
    elif card.lacking and figures.is_group:
        remarks.append(terms("lacking_accounts", count=number(card.lacking)))
    return remarks


def day_remark(series: Series, place: int, terms: Terms, *, is_group: bool) -> str:
    """Return what a day of a series lacks, of one account or of a group, and whether figures break on it."""
    lacking = max(series.lacking_summary[place], series.lacking_cumulate[place])
    parts = [
        terms("remark_lacking", count=lacking)
        if is_group and lacking and series.marks[place] is Mark.PARTIAL
        else terms(f"mark_{series.marks[place]}"),
        terms("remark_breaks") if series.breaks[place] else "",
    ]
    return terms("comma").join(filter(None, parts))


def newest_first(days: Window) -> Iterator[date]:
    """Yield the days of a window, the newest first."""
    return (days.end - ONE_DAY * age for age in range(len(days)))


def file_name(title: str, of: Period, part: str) -> str:
    """Return the name of a file to be downloaded, which any system takes."""
    # 80 letters of three bytes each and the end stay below the 255 bytes that file systems allow.
    plain = re.sub(r"[^\w.-]+", "_", f"{title}-{of}", flags=re.UNICODE)[:80].strip("._") or "report"
    return f"{plain}-{part}.csv" if part else f"{plain}.csv"


def largest(lines: Sequence[Line], metric: Metric) -> float:
    """Return the largest size of a figure among some lines."""
    return max(abs(line.value(metric) or 0) for line in lines)
