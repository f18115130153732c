"""Figures of a day, from documents whoever wrote them."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from bson import Int64

from collector.model.daily import FIELDS, Daily, Source, dailies_of

DAY = date(2026, 11, 23)
WHOLE = {
    "ref_date": "2026-11-23",
    "new_user": 3,
    "cancel_user": 1,
    "cumulate_user": 100,
    "sources": [{"user_source": 0, "new_user": 3, "cancel_user": 1, "more": "x"}],
}


def daily_of(document: Mapping[str, Any]) -> Daily | None:
    """Read a document among others, in the form in which the database gives them."""
    others = [WHOLE, document, {**WHOLE, "cumulate_user": 7}]
    columns = {field: [each.get(field) for each in others] for field in FIELDS}
    columns["sources"] = [
        [[row.get(field) if isinstance(row, dict) else None for field in Source._fields] for row in sources]
        if isinstance(sources, list)
        else sources
        for sources in columns["sources"]
    ]
    first, *found, last = dailies_of(columns, {str(DAY): DAY})
    whole = Daily(DAY, 3, 1, 100, (Source(0, 3, 1),))
    assert (first, last) == (whole, whole._replace(cumulate_user=7))
    return found[0] if found else None


def test_whole_document() -> None:
    assert daily_of(WHOLE) == Daily(DAY, 3, 1, 100, (Source(0, 3, 1),))


def test_long_numbers() -> None:
    """A number that MongoDB stores as a long is a plain one."""
    long = Int64(2**35)
    sources = [{"user_source": 0, "new_user": long, "cancel_user": 1}]
    daily = daily_of({**WHOLE, "new_user": long, "sources": sources})
    assert daily == Daily(DAY, 2**35, 1, 100, (Source(0, 2**35, 1),))
    assert type(daily.new_user) is int


def test_total_alone() -> None:
    daily = daily_of({"ref_date": "2026-11-23", "cumulate_user": 100})
    assert daily == Daily(DAY, cumulate_user=100)
    assert daily.net_user is None


def test_quiet_day() -> None:
    """Zeros that were proven have no channel; they aren't a gap."""
    daily = daily_of({"ref_date": "2026-11-23", "new_user": 0, "cancel_user": 0, "sources": []})
    assert daily == Daily(DAY, 0, 0, None, ())
    assert daily.net_user == 0


@pytest.mark.parametrize("value", [2.5, -1, "3", True, None, [3], float("nan")])
@pytest.mark.parametrize("key", ["new_user", "cancel_user"])
def test_half_a_summary_is_none(key: str, value: object) -> None:
    assert daily_of({**WHOLE, key: value}) == Daily(DAY, cumulate_user=100, is_damaged=True)


@pytest.mark.parametrize("value", [2.5, -1, "3", True, Int64(2**62)])
def test_total_that_is_none(value: object) -> None:
    daily = daily_of({**WHOLE, "cumulate_user": value})
    assert daily == Daily(DAY, 3, 1, None, (Source(0, 3, 1),), is_damaged=True)
    assert daily.net_user == 2


def test_null_is_as_good_as_absent() -> None:
    nothing = dict.fromkeys(("new_user", "cancel_user", "sources", "cumulate_user"))
    assert daily_of({**WHOLE, **nothing}) == Daily(DAY)


@pytest.mark.parametrize("sources", [None, "many", [5], [{"user_source": 0, "new_user": 3}], [WHOLE, {}]])
def test_strange_channels(sources: object) -> None:
    """They don't spoil the sums of the day."""
    assert daily_of({**WHOLE, "sources": sources}) == Daily(DAY, 3, 1, 100, None, is_damaged=True)


@pytest.mark.parametrize("ref_date", [None, 5, "20261123", "2026-02-30", "yesterday", DAY.toordinal()])
def test_no_day(ref_date: object) -> None:
    assert daily_of({**WHOLE, "ref_date": ref_date}) is None
