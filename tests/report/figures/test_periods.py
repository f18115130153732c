"""Periods of a report, and what they are compared with."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import UsageError
from collector.model.days import FIRST_DAY, Window
from collector.report.figures.periods import Kind, Period, month_of, newest_month, newest_week, parse

WEDNESDAY = date(2026, 11, 25)
DAYS = st.dates(date(2015, 1, 1), date(2099, 12, 31))


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("week", "2026-11-16", "2026-11-22"),
        ("month", "2026-10-01", "2026-10-31"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2026-12", "2026-12-01", "2026-12-31"),
        ("2026-W47", "2026-11-16", "2026-11-22"),
        ("2020-W53", "2020-12-28", "2021-01-03"),
        ("2015-W01", "2014-12-29", "2015-01-04"),
        ("1", "2026-11-25", "2026-11-25"),
        ("30", "2026-10-27", "2026-11-25"),
    ],
)
def test_text_is_a_period(text: str, begin: str, end: str) -> None:
    newest = date(2026, 12, 1) if text == "2026-12" else WEDNESDAY
    assert parse(text)(newest).days == Window(date.fromisoformat(begin), date.fromisoformat(end))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weeks",
        "Week",
        "0",
        "-7",
        "07",
        "1.5",
        "٣٠",
        "2026-13",
        "2026-00",
        "2026-1",
        "2026-10-01",
        "2026-W00",
        "2026-W54",
        "2025-W53",
        "2026-W7",
        "2026W47",
        "9999-12x",
        "0000-01",
        " 7",
        "7\n",
    ],
)
def test_other_text_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a period: use week, month, a month such as 2026-10"):
        parse(text)


@pytest.mark.parametrize("text", ["367", "2026", "999999999", "9" * 300])
def test_too_many_days(text: str) -> None:
    with pytest.raises(ValueError, match=r"too many for a report: use from 1 to 366|is not a period"):
        parse(text)


@pytest.mark.parametrize("text", ["2014-11", "2014-W48", "1999-01"])
def test_period_before_wechat_keeps_figures(text: str) -> None:
    with pytest.raises(ValueError, match=r"too old: WeChat keeps no figures of days before 2014-12-01"):
        parse(text)


@pytest.mark.parametrize("text", ["2026-12", "2026-W49", "2999-12"])
def test_period_without_a_published_day(text: str) -> None:
    with pytest.raises(UsageError, match=r"no day of .* is published yet: the newest published day is 2026-11-25"):
        parse(text)(WEDNESDAY)


def test_period_that_is_not_over() -> None:
    assert parse("2026-11")(WEDNESDAY).days == Window(date(2026, 11, 1), date(2026, 11, 30))


@pytest.mark.parametrize("text", ["week", "month"])
def test_newest_one_ends_on_the_newest_published_day(text: str) -> None:
    """A week or month counts as soon as its last day is published, and not before."""
    end = parse(text)(WEDNESDAY).days.end
    assert parse(text)(end).days.end == end
    assert parse(text)(end - timedelta(days=1)).days.end < end


@pytest.mark.parametrize(
    ("text", "before"),
    [("2026-W01", "2025-W52"), ("2021-W01", "2020-W53"), ("2026-01", "2025-12"), ("2026-03", "2026-02")],
)
def test_period_before(text: str, before: str) -> None:
    period = parse(text)(WEDNESDAY)
    assert (str(period), str(period.before)) == (text, before)


@pytest.mark.parametrize(
    ("text", "newest", "year_before"),
    [
        ("2024-02", "2026-11-25", "2023-02-01..2023-02-28"),
        ("2026-W47", "2026-11-25", "2025-11-17..2025-11-23"),
        ("2021-W52", "2026-11-25", "2020-12-21..2020-12-27"),
        ("2", "2024-02-29", "2023-02-27..2023-02-28"),
        ("2", "2025-03-01", "2024-02-29..2024-03-01"),
    ],
)
def test_year_before(text: str, newest: str, year_before: str) -> None:
    period = parse(text)(date.fromisoformat(newest)).year_before
    assert period
    assert str(period.days) == year_before


def test_year_before_without_a_week_53() -> None:
    assert parse("2020-W53")(WEDNESDAY).year_before is None


def test_days_are_written_as_their_window() -> None:
    assert str(parse("2")(WEDNESDAY)) == "2026-11-24..2026-11-25"


@given(DAYS)
def test_months_and_weeks_tile_the_calendar(day: date) -> None:
    """Each period begins on the day after the one before it, and holds the days of its own name alone."""
    month, week = month_of(day), newest_week(day)
    assert day in month.days
    assert {(each.year, each.month) for each in month.days} == {(day.year, day.month)}
    assert day - timedelta(days=7) < week.days.end <= day
    assert [each.isoweekday() for each in week.days] == [1, 2, 3, 4, 5, 6, 7]
    assert newest_month(day).days.end <= day < newest_month(day).days.end + timedelta(days=31)
    for period in (month, week, Period(Kind.DAYS, Window(day - timedelta(days=9), day))):
        chain = [period, period.before, period.before.before]
        assert all(older.days.end + timedelta(days=1) == newer.days.begin for newer, older in pairwise(chain))
        assert {each.kind for each in chain} == {period.kind}


@given(DAYS)
def test_names_of_periods_are_parsed(day: date) -> None:
    for period in (month_of(day), newest_week(day)):
        if period.days.end >= FIRST_DAY:
            assert parse(str(period))(day) == period
