"""Proofs from answers, as plain values: covered, void and quiet days, and where an account began."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.completeness.evidence import (
    answered,
    birth_after_void_days,
    covering,
    is_certain,
    is_quiet,
    missing_everywhere,
    missing_rows,
    probable_end_of_history,
    with_zeros,
)
from collector.kinds import WaitKind
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window
from collector.model.state import AccountState, DatasetState, Trouble
from collector.model.waits import Wait

NEWEST = date(2015, 10, 22)
TODAY, TOMORROW = date(2015, 10, 23), date(2015, 10, 24)
NOW = datetime(2015, 10, 23, 4, tzinfo=UTC)
FIRST = date(2015, 10, 1)
"""The oldest stored day of the accounts below."""


def _days(text: str) -> Days:
    """`"16-19 22"`: days of October 2015."""
    spans = [part.partition("-") for part in text.split()]
    return Days.joined(Window(date(2015, 10, int(begin)), date(2015, 10, int(end or begin))) for begin, _, end in spans)


def _before(days: int, *, until: int = 1) -> Days:
    """The days from `days` to `until` before the oldest stored one."""
    return Days.between(FIRST - days * ONE_DAY, FIRST - until * ONE_DAY)


def _account(void: Days = NO_DAYS, *, covered: str = "1-10", summary_void: Days | None = None) -> AccountState:
    """An account both datasets of which have these days; `summary_void` replaces the void days of summary."""
    cumulate = DatasetState(covered=_days(covered), void=void)
    summary = cumulate if summary_void is None else cumulate._replace(void=summary_void)
    return AccountState("wx1", "a", datasets={SUMMARY: summary, CUMULATE: cumulate})


def _answer(
    dataset: DatasetState, asked: str, came: str = "", *, today: date = TODAY, newest: date = NEWEST
) -> DatasetState:
    return answered(dataset, _days(asked), _days(came), today=today, newest=newest)


# Rows and missing rows


def test_rows_cover_days() -> None:
    assert _answer(DatasetState(), "16-22", "16-22") == DatasetState(covered=_days("16-22"))


def test_missing_rows_at_age_six() -> None:
    """From age 6 on the Beijing day of the answer is remembered; younger days stay pending."""
    assert _answer(DatasetState(), "10-22") == DatasetState(empty={TODAY: _days("10-16")})


def test_void_needs_two_beijing_days() -> None:
    once = _answer(DatasetState(), "10-12")
    assert _answer(once, "10-12") == once
    assert _answer(once, "11-16", today=TOMORROW) == DatasetState(
        void=_days("11-12"), empty={TODAY: _days("10"), TOMORROW: _days("13-16")}
    )


def test_missing_rows_of_one_beijing_day_add_up() -> None:
    once = _answer(DatasetState(), "10-12")
    assert _answer(once, "11-14") == DatasetState(empty={TODAY: _days("10-14")})


def test_void_days_stay_void() -> None:
    void = DatasetState(covered=_days("20"), void=_days("1-9"))
    assert _answer(void, "8-14", today=TOMORROW) == void._replace(empty={TOMORROW: _days("10-14")})


def test_missing_rows_of_covered_days_change_nothing() -> None:
    covered = DatasetState(covered=_days("1-16"))
    assert _answer(covered, "1-16") == covered


@pytest.mark.parametrize("before", [DatasetState(void=_days("10")), DatasetState(empty={TODAY: _days("10")})])
def test_row_of_an_empty_day_covers_it(before: DatasetState) -> None:
    assert _answer(before, "10", "10", today=TOMORROW) == DatasetState(covered=_days("10"))


def test_newer_row_reopens_days() -> None:
    """Days younger than 6 at the newest row of before, or newer than it, perhaps weren't published yet."""
    before = DatasetState(covered=_days("1-3 10"), void=_days("4-6 11"), empty={TODAY: _days("7-8 12")})
    assert _answer(before, "20", "20", today=TOMORROW) == DatasetState(covered=_days("1-3 10 20"), void=_days("4"))


@pytest.mark.parametrize("before", [DatasetState(void=_days("1-5")), DatasetState(empty={TODAY: _days("1-5")})])
def test_first_row_reopens_void_or_empty_days(before: DatasetState) -> None:
    assert _answer(before, "6", "6") == DatasetState(covered=_days("6"))


def test_first_row_reopens_all_older_days() -> None:
    before = DatasetState(void=Days.between(FIRST_DAY, date(2015, 9, 30)), empty={TODAY: _days("1-5")})
    assert _answer(before, "6", "6") == DatasetState(covered=_days("6"))


def test_older_row_reopens_itself_alone() -> None:
    before = DatasetState(covered=_days("20"), void=_days("1-9"))
    assert _answer(before, "5", "5") == DatasetState(covered=_days("5 20"), void=_days("1-4 6-9"))


def test_answer_keeps_the_rest_and_ends_an_error() -> None:
    before = DatasetState(
        covered=_days("1-8"),
        void=_days("9"),
        empty={date(2015, 10, 20): _days("11")},
        refreshed_to=date(2015, 10, 14),
        looked=_days("12"),
        wait=Wait(WaitKind.NOT_BEFORE, NOW),
        calls_on=TODAY,
        calls=7,
        last_success=NOW,
        last_error=Trouble("no", 48001, None, "ask", NOW, NOW),
    )
    assert _answer(before, "8", "8") == before._replace(last_error=None)


def test_answer_brings_what_else_is_known() -> None:
    before = DatasetState(refreshed_to=date(2015, 10, 14), looked=_days("12"), calls_on=date(2015, 10, 22), calls=7)
    known: dict[str, Any] = {"refreshed_to": NEWEST, "looked": NO_DAYS, "calls_on": TODAY, "calls": 2}
    known["last_success"] = NOW
    after = answered(before, NO_DAYS, NO_DAYS, today=TODAY, newest=NEWEST, **known)
    assert after == DatasetState(**known)


# Days without a row


def test_missing_everywhere_needs_both() -> None:
    summary = DatasetState(void=_days("1-4"), empty={TODAY: _days("6"), TOMORROW: _days("8-9")})
    cumulate = DatasetState(void=_days("3-6"), empty={TODAY: _days("9-10")})
    assert missing_rows(summary) == _days("1-4 6 8-9")
    assert missing_rows(DatasetState(void=_days("1"))) == _days("1")
    assert missing_everywhere(AccountState("wx1", "a", datasets={SUMMARY: summary, CUMULATE: cumulate})) == _days(
        "3-4 6 9"
    )


# Zeros for quiet days


@pytest.mark.parametrize(
    ("totals", "expected"),
    [({20: 7, 19: 7}, True), ({20: 7, 19: 6}, False), ({20: 7}, None), ({19: 7}, None), ({20: 0, 19: 0}, True)],
)
def test_quiet_is_an_unchanged_total(totals: dict[int, int], expected: bool | None) -> None:
    """None where one of the two totals isn't known."""
    known = {date(2015, 10, day): total for day, total in totals.items()}
    assert is_quiet(date(2015, 10, 20), known) is expected


@pytest.mark.parametrize(
    ("age", "newest_row_after", "expected"),
    [(0, None, False), (1, None, False), (2, None, True), (1, 0, False), (1, 1, True), (1, -1, False)],
)
def test_left_out_at_age_two_or_before_a_row(age: int, newest_row_after: int | None, expected: bool) -> None:
    day = date(2015, 10, 20)
    newest_row = None if newest_row_after is None else day + newest_row_after * ONE_DAY
    assert is_certain(day, newest_row, day + age * ONE_DAY) is expected


def test_stored_figures_cover_days() -> None:
    before = DatasetState(covered=_days("1-3"), void=_days("4-6"), empty={TODAY: _days("7-8"), TOMORROW: _days("9")})
    assert covering(before, _days("5-7 9")) == DatasetState(
        covered=_days("1-3 5-7 9"), void=_days("4"), empty={TODAY: _days("8")}
    )
    assert covering(before, _days("2")) is before


def test_zeros_reopen_days_as_rows_do() -> None:
    before = DatasetState(covered=_days("1-10"), void=_days("11-12"), empty={TODAY: _days("13")})
    assert with_zeros(before, _days("14")) == DatasetState(covered=_days("1-10 14"))


# Where an account began


@pytest.mark.parametrize(
    ("state", "born"),
    [
        (_account(_before(28)), FIRST),
        (_account(_before(27)), None),
        (_account(_before(40, until=5)), FIRST - 4 * ONE_DAY),
        (_account(_before(60, until=33) | _before(28)), FIRST),
        (_account(_before(40, until=21) | _before(19)), None),
        (_account(_before(28), summary_void=_before(27)), None),
        (_account(_days("11-31") | Days.between(date(2015, 11, 1), date(2015, 11, 10))), None),
        (_account(_before(28), covered=""), None),
        (AccountState("wx1", "a"), None),
    ],
    ids=["28", "27", "some pending", "two walls", "two short", "one dataset", "newer", "nothing stored", "unknown"],
)
def test_born_after_28_void_days(state: AccountState, born: date | None) -> None:
    """28 days in a row that are void for both datasets, older than all that is stored, are older than the account."""
    assert birth_after_void_days(state) == born


@pytest.mark.parametrize(
    ("state", "empty", "silence"),
    [
        (_account(), _before(28), FIRST - 29 * ONE_DAY),
        (_account(), _before(27), None),
        (_account(), _before(70, until=43) | _before(28), FIRST - 29 * ONE_DAY),
        (_account(), Days.between(FIRST + 10 * ONE_DAY, FIRST + 50 * ONE_DAY), None),
        (AccountState("wx1", "a"), _before(28), FIRST - 29 * ONE_DAY),
        (_account(), NO_DAYS, None),
    ],
    ids=["28", "27", "newest wall", "newer", "nothing stored", "none"],
)
def test_walk_back_ends_behind_28_empty_days(state: AccountState, empty: Days, silence: date | None) -> None:
    """Days behind 28 empty ones wait until a second Beijing day has confirmed these."""
    assert probable_end_of_history(state, empty) == silence
