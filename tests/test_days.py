from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.days import (
    BEIJING,
    FIRST_DAY,
    ONE_DAY,
    Window,
    beijing_day,
    newest_published,
    next_beijing_midnight,
    windows,
)

EIGHT = time(8)
days = st.dates(FIRST_DAY, date(2040, 1, 1))
instants = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("beijing", "newest"),
    [
        ("2026-11-24 07:59:59", "2026-11-22"),
        ("2026-11-24 08:00:00", "2026-11-23"),
        ("2026-11-24 23:59:59", "2026-11-23"),
        ("2026-11-25 00:00:00", "2026-11-23"),
        ("2024-03-01 08:00:00", "2024-02-29"),
    ],
)
def test_the_day_before_counts_from_eight_in_beijing_on(beijing: str, newest: str) -> None:
    now = datetime.fromisoformat(beijing).replace(tzinfo=BEIJING)
    assert newest_published(now, EIGHT) == date.fromisoformat(newest)


@given(instants, zones)
def test_the_zone_of_the_host_changes_nothing(now: datetime, zone: timezone) -> None:
    there = now.astimezone(zone)
    assert newest_published(there, EIGHT) == newest_published(now, EIGHT)
    assert beijing_day(there) == beijing_day(now)
    assert next_beijing_midnight(there) == next_beijing_midnight(now)


@given(instants)
def test_the_next_midnight_is_beijings_and_lies_within_a_day(now: datetime) -> None:
    midnight = next_beijing_midnight(now)
    assert timedelta(0) < midnight - now <= ONE_DAY
    assert midnight.astimezone(BEIJING).time() == time(0)
    assert midnight.tzinfo is UTC


@given(days, days, st.integers(1, 40))
def test_windows_hold_each_day_once_newest_first_within_the_span(begin: date, end: date, span: int) -> None:
    end = min(end, begin + 200 * ONE_DAY)
    cut = windows(begin, end, span)
    held = [day for window in cut for day in window]
    assert sorted(held) == [begin + n * ONE_DAY for n in range((end - begin).days + 1)]
    assert cut == sorted(cut, reverse=True)
    assert all(len(window) <= span for window in cut)


@given(days, st.integers(0, 200), st.integers(1, 40))
def test_windows_are_the_fewest(begin: date, more: int, span: int) -> None:
    assert len(windows(begin, begin + more * ONE_DAY, span)) == -(-(more + 1) // span)


def test_a_window_counts_both_ends() -> None:
    window = Window(date(2026, 11, 17), date(2026, 11, 23))
    assert len(window) == 7
    assert date(2026, 11, 17) in window
    assert date(2026, 11, 23) in window
    assert date(2026, 11, 16) not in window
    assert date(2026, 11, 24) not in window
    assert str(window) == "2026-11-17..2026-11-23"


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="can't end"):
        Window(date(2026, 11, 2), date(2026, 11, 1))
