"""This host's clock beside WeChat's."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from structlog.testing import capture_logs
from support import FakeClock

from collector.errors import ClockError
from collector.run.clock import set_clock
from collector.runtime import WechatClock

EIGHT = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
"""08:00 in Beijing, when a day is published."""

NOON = EIGHT + timedelta(hours=4)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def _set(host: datetime, wechat: datetime) -> tuple[WechatClock, list[str]]:
    clock = WechatClock(FakeClock(host))
    with capture_logs() as logs:
        set_clock(clock, time(8), wechat)
    return clock, [entry["event"] for entry in logs]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("apart", "warned"), [(5 * MINUTE, []), (5 * MINUTE + SECOND, ["clock.differs"])])
def test_over_five_minutes_is_a_warning(sign: int, apart: timedelta, warned: list[str]) -> None:
    clock, logs = _set(NOON + sign * apart, NOON)
    assert (clock.now(), logs) == (NOON, warned)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("apart", "ends"), [(60 * MINUTE, False), (60 * MINUTE + SECOND, True)])
def test_over_an_hour_ends_the_run(sign: int, apart: timedelta, ends: bool) -> None:
    if not ends:
        _set(NOON + sign * apart, NOON)
        return
    with pytest.raises(
        ClockError, match=r"24 1[013]:.*Beijing time, by WeChat's answer it is 2026-11-24 12:00:00 Beijing time"
    ):
        _set(NOON + sign * apart, NOON)


@pytest.mark.parametrize("host", [EIGHT + 3 * MINUTE, EIGHT - 7 * MINUTE])
def test_another_newest_day_ends_the_run(host: datetime) -> None:
    wechat = EIGHT + 3 * MINUTE if host < EIGHT else EIGHT - 7 * MINUTE
    with pytest.raises(ClockError):
        _set(host, wechat)


def test_seconds_around_eight_are_no_difference() -> None:
    """A timer that fires at 08:00 on a host that is a second ahead."""
    assert _set(EIGHT, EIGHT - SECOND)[1] == []


def test_time_passes_by_the_monotonic_clock() -> None:
    host = FakeClock(NOON)
    clock = WechatClock(host)
    set_clock(clock, time(8), NOON + MINUTE)
    host.instant += 10 * SECOND
    assert clock.now() == NOON + MINUTE + 10 * SECOND


def test_leap_of_the_host_changes_nothing() -> None:
    class Leaping(FakeClock):
        def now(self) -> datetime:
            return self.instant + self.leap

        leap = timedelta(0)

    host = Leaping(NOON)
    clock = WechatClock(host)
    set_clock(clock, time(8), NOON)
    host.leap = timedelta(days=30)
    assert clock.now() == NOON


def test_wrong_clock_is_refused_each_time() -> None:
    """Of several answers in flight none may be taken: the clock stays the host's."""
    clock = WechatClock(FakeClock(NOON))
    for _ in range(2):
        with pytest.raises(ClockError):
            set_clock(clock, time(8), NOON + 2 * 60 * MINUTE)
    assert clock.now() == NOON
