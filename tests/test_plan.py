from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from collector.days import FIRST_DAY, ONE_DAY, Window
from collector.model import Account, Rate, Secret
from collector.plan import Ask, plan

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
BOTH = ("user_summary", "user_cumulate")
NEWEST = date(2026, 11, 23)


def test_without_since_the_last_days_are_asked_in_one_window_of_both_datasets() -> None:
    assert plan(ACCOUNT, NEWEST, 7) == [Ask(Window(date(2026, 11, 17), NEWEST), BOTH)]


def test_since_is_asked_newest_first_and_the_oldest_window_is_filled_up_backwards() -> None:
    asks = plan(replace(ACCOUNT, since=date(2026, 11, 10)), NEWEST, 7)
    assert [str(ask.window) for ask in asks] == ["2026-11-17..2026-11-23", "2026-11-10..2026-11-16"]
    asks = plan(replace(ACCOUNT, since=date(2026, 11, 15)), NEWEST, 7)
    assert [str(ask.window) for ask in asks] == ["2026-11-17..2026-11-23", "2026-11-10..2026-11-16"]


def test_a_window_is_never_filled_up_beyond_the_first_day() -> None:
    asks = plan(replace(ACCOUNT, since=FIRST_DAY), date(2014, 12, 3), 7)
    assert asks == [Ask(Window(FIRST_DAY, date(2014, 12, 3)), BOTH)]


def test_since_after_the_newest_day_asks_nothing() -> None:
    assert plan(replace(ACCOUNT, since=NEWEST + ONE_DAY), NEWEST, 7) == []


@given(st.dates(date(2010, 1, 1), NEWEST), st.integers(1, 60), st.booleans())
def test_every_wanted_day_is_asked_once_in_the_fewest_windows(since: date, lookback: int, with_since: bool) -> None:
    account = replace(ACCOUNT, since=since) if with_since else ACCOUNT
    asks = plan(account, NEWEST, lookback)
    begin = max(FIRST_DAY, since) if with_since else NEWEST - (lookback - 1) * ONE_DAY
    asked = [day for ask in asks for day in ask.window]
    assert len(asked) == len(set(asked))
    assert set(Window(begin, NEWEST)) <= set(asked)
    assert len(asks) == -(-len(Window(begin, NEWEST)) // 7)
    assert all(len(ask.window) == 7 or ask.window.begin == FIRST_DAY for ask in asks)
