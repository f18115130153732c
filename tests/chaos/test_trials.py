"""The judges of the trials notice history before newest days, and turns without a call."""

from __future__ import annotations

from datetime import date

import pytest
from chaos.trials import SPACING_S, late_days, lost_turns

from collector.sandbox import Call
from collector.sandbox.api import CUMULATE, SUMMARY

NEWEST, OLDER = "2026-11-23", "2026-08-01"
APPIDS = {"wx1", "wx2"}


def _call(arrived_s: float, appid: str = "wx1", end_date: str = OLDER, path: str = SUMMARY) -> Call:
    return Call(arrived_s, appid, path, end_date, end_date, 200, 0, None)


def _newest(arrived_s: float) -> list[Call]:
    return [_call(arrived_s, appid, NEWEST, path) for appid in APPIDS for path in (SUMMARY, CUMULATE)]


def _late(calls: list[Call]) -> list[str]:
    return late_days(calls, APPIDS, date.fromisoformat(NEWEST), published_s=10.0)


@pytest.mark.parametrize(("in_flight", "wrong"), [(4, 0), (5, 1)])
def test_newest_days_come_before_history(in_flight: int, wrong: int) -> None:
    """Once a newer day is published, only history in flight may come before it."""
    before, after = [_call(9.0)] * 20, [_call(12.0)] * 20
    assert len(_late([*before, *[_call(10.9)] * 3, *[_call(11.5)] * in_flight, *_newest(11.7), *after])) == wrong


def test_every_account_is_asked() -> None:
    """Both datasets of the newest day count, and only after its publication."""
    assert _late([*_newest(9.0), *_newest(10.0)]) == []
    assert _late([*_newest(9.0), *_newest(10.0)[1:]]) != []


def test_each_turn_makes_a_call() -> None:
    calls = [_call(number * SPACING_S) for number in range(6)]
    assert lost_turns(calls, 6) == []
    assert lost_turns(calls[:3] + calls[4:], 6) == ["5 calls instead of 6", "10.0 s between two calls, at one in 5 s"]
    assert lost_turns([*calls, calls[-1]], 6) == ["7 calls instead of 6"]
