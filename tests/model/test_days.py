from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.days import (
    BEIJING,
    FIRST_DAY,
    ONE_DAY,
    Days,
    Window,
    beijing_day,
    newest_published,
    next_beijing_midnight,
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
def test_day_is_published_at_eight_in_beijing(beijing: str, newest: str) -> None:
    now = datetime.fromisoformat(beijing).replace(tzinfo=BEIJING)
    assert newest_published(now, EIGHT) == date.fromisoformat(newest)


@given(instants, zones)
def test_zone_of_an_instant_changes_nothing(now: datetime, zone: timezone) -> None:
    there = now.astimezone(zone)
    assert newest_published(there, EIGHT) == newest_published(now, EIGHT)
    assert beijing_day(there) == beijing_day(now)
    assert next_beijing_midnight(there) == next_beijing_midnight(now)


@given(instants)
def test_next_midnight_is_within_a_day(now: datetime) -> None:
    """It is Beijing's midnight, given in UTC."""
    midnight = next_beijing_midnight(now)
    assert timedelta(0) < midnight - now <= ONE_DAY
    assert midnight.astimezone(BEIJING).time() == time(0)
    assert midnight.tzinfo is UTC


day_sets = st.sets(st.dates(date(2014, 12, 1), date(2015, 3, 31)), max_size=60)


@given(day_sets)
def test_days_hold_what_they_were_made_of(held: set[date]) -> None:
    made = Days.of(held)
    assert set(made) == held
    assert list(made) == sorted(held)
    assert (len(made), bool(made)) == (len(held), bool(held))
    assert (made.oldest, made.newest) == ((min(held), max(held)) if held else (None, None))
    assert all(left.end + ONE_DAY < right.begin for left, right in pairwise(made.ranges))


@given(day_sets, st.dates(date(2014, 12, 1), date(2015, 3, 31)), st.integers(0, 30))
def test_touches(held: set[date], begin: date, more: int) -> None:
    """Days touch a window that holds one of them."""
    window = Window(begin, begin + more * ONE_DAY)
    assert Days.of(held).touches(window) == any(day in window for day in held)


@given(day_sets, day_sets)
def test_equality_and_hash(left: set[date], right: set[date]) -> None:
    """Days that hold the same are equal, whatever they were made from."""
    assert (Days.of(left) == Days.of(right)) is (left == right)
    assert Days.of(left) == Days.of(sorted(left))
    assert {Days.of(left): "held"}[Days.of(sorted(left))] == "held"


@given(day_sets, day_sets)
def test_days_combine_as_sets_do(left: set[date], right: set[date]) -> None:
    assert Days.of(left) | Days.of(right) == Days.of(left | right)
    assert Days.of(left) - Days.of(right) == Days.of(left - right)
    assert Days.of(left) & Days.of(right) == Days.of(left & right)
    assert all((day in Days.of(left)) == (day in left) for day in left | right)


@given(st.lists(st.tuples(days, st.integers(0, 30)), max_size=8))
def test_overlapping_windows_join(spans: list[tuple[date, int]]) -> None:
    cut = [Window(begin, begin + more * ONE_DAY) for begin, more in spans]
    assert set(Days.joined(cut)) == {day for window in cut for day in window}


@given(days, days)
def test_between(begin: date, end: date) -> None:
    """It holds all days from the first to the last, or none if the first is later."""
    between = Days.between(begin, end)
    assert len(between) == max(0, (end - begin).days + 1)
    assert (begin in between) == (end in between) == (begin <= end)


@given(day_sets, st.integers(1, 10))
def test_windows_of_the_full_span(held: set[date], span: int) -> None:
    """Windows come newest first, don't overlap, and end at a day that is held."""
    cut = list(Days.of(held).windows(span))
    assert held <= {day for window in cut for day in window}
    assert all(newer.begin > older.end for newer, older in pairwise(cut))
    assert all(len(window) == span or window.begin == FIRST_DAY for window in cut)
    assert all(window.end in held for window in cut)


@given(st.sets(st.integers(0, 25), max_size=12), st.integers(1, 5))
def test_windows_are_the_fewest(offsets: set[int], span: int) -> None:
    """Compared with the optimum, found by trying every choice of window ends."""
    first = date(2020, 1, 1)
    held = Days.of(first + n * ONE_DAY for n in offsets)
    cut = list(held.windows(span))
    assert held.window_count(span) == len(cut)

    def holds(ends: tuple[int, ...]) -> bool:
        return all(any(end - span < offset <= end for end in ends) for offset in offsets)

    fewer = range(len(cut))
    assert not any(holds(ends) for count in fewer for ends in combinations(sorted(offsets), count))


def test_window_counts_both_ends() -> None:
    window = Window(date(2026, 11, 17), date(2026, 11, 23))
    assert len(window) == 7
    assert date(2026, 11, 17) in window
    assert date(2026, 11, 23) in window
    assert date(2026, 11, 16) not in window
    assert date(2026, 11, 24) not in window
    assert str(window) == "2026-11-17..2026-11-23"


def test_window_ending_before_it_begins() -> None:
    with pytest.raises(ValueError, match="can't end"):
        Window(date(2026, 11, 2), date(2026, 11, 1))


@pytest.mark.parametrize("day", [date(2026, 1, 31), date(2026, 7, 31)])
def test_beijing_has_no_summer_time(day: date) -> None:
    """Beijing is eight hours ahead of UTC in January and in July."""
    midnight = datetime.combine(day, time(16), UTC)
    assert beijing_day(midnight - timedelta(seconds=1)) == day
    assert beijing_day(midnight) == day + ONE_DAY
    assert next_beijing_midnight(midnight - timedelta(seconds=1)) == midnight
    assert next_beijing_midnight(midnight) == midnight + ONE_DAY


def test_repr_shows_the_ranges() -> None:
    held = Days.of([date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 9)])
    assert repr(held) == "Days(2026-11-01..2026-11-02, 2026-11-09..2026-11-09)"


def test_no_set_holds_a_day_before_2012() -> None:
    first = date(2012, 1, 1)
    assert first in Days.of([first])
    assert first - ONE_DAY not in Days.of([first])
    with pytest.raises(ValueError, match="negative"):
        Days.between(first - ONE_DAY, first)
