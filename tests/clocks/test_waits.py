"""Waits go by the loop's monotonic clock: a leap of the wall clock neither ends a wait nor prolongs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import stamina
import time_machine
from clocks.hosts import named
from hypothesis import given
from hypothesis import strategies as st
from support import Advance, FakeClock

from collector.errors import DatabaseError, LeaseHeldError, TransientError
from collector.model.accounts import Rate
from collector.runtime import Clock, Stop
from collector.store.database import Database
from collector.store.lease_document import LEASES
from collector.store.leases import lease
from collector.wechat.client import Client
from collector.wechat.limits import Limiter

NOW = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
LeapBy = Callable[[timedelta], None]
Wait = Callable[[Stop], Coroutine[Any, Any, object]]


@pytest.fixture(params=[timedelta(minutes=1), timedelta(days=1), -timedelta(minutes=1), -timedelta(days=1)], ids=named)
def leap(request: pytest.FixtureRequest) -> timedelta:
    by: timedelta = request.param
    return by


@pytest.fixture
def leap_by() -> Iterator[LeapBy]:
    """Let the wall clock of this process leap: `time.time`, `datetime.now` and the rest; what is monotonic stays."""
    with time_machine.travel(NOW, tick=True) as travel:
        yield lambda by: travel.move_to(datetime.now(UTC) + by)


async def _sleeps(stop: Stop) -> None:
    await Clock().sleep(20)


async def _backs_off(stop: Stop) -> str:
    """A call that fails once, which costs 0.5 s at least and 1.5 s at most."""
    troubles = iter([TransientError("HTTP 502")])

    async def call() -> str:
        for trouble in troubles:
            raise trouble
        return "answered"

    with stamina.set_testing(False):
        async with Client.opened(timeout_s=10, connections=1, stop=stop) as client:
            return await client.retrying(call)


async def _pauses(stop: Stop) -> int:
    """Another 45011 would come before the next minute, which is 50 seconds away as the pause begins."""
    limiter = Limiter(Rate(1000, 1), stop=stop, clock=Clock())
    limiter.slow_down(0)
    return await limiter.acquire()


@pytest.mark.parametrize("wait", [_sleeps, _backs_off, _pauses], ids=["a sleep", "a back-off", "a pause after 45011"])
async def test_wait_ends_by_the_monotonic_clock(
    wait: Wait, leap: timedelta, leap_by: LeapBy, advance: Advance, stop: Stop
) -> None:
    """A leap neither ends a wait nor prolongs it."""
    waiting = asyncio.create_task(wait(stop))
    await advance(0)
    leap_by(leap)
    await advance(0)
    assert not waiting.done()
    await advance(51)
    async with asyncio.timeout(10):
        await waiting


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - in UTC
async def test_pause_after_45011_is_a_minute_at_most(now: datetime) -> None:
    """At whatever instant it begins."""
    clock = FakeClock(now)
    limiter = Limiter(Rate(1000, 1), stop=Stop(), clock=clock)
    limiter.slow_down(0)
    await limiter.acquire()
    assert len(clock.slept) == 1
    assert 0 < clock.slept[0] <= 60


async def test_leap_never_exceeds_the_rate(leap: timedelta, leap_by: LeapBy, stop: Stop) -> None:
    limiter = Limiter(Rate(200, 1), stop=stop, clock=Clock())
    times = []
    async with asyncio.timeout(10):
        for _ in range(4):
            await limiter.acquire()
            times.append(time.monotonic())
            leap_by(leap)
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.99 / 200


async def test_leap_neither_loses_nor_frees_a_lease(
    database: Database, leap: timedelta, leap_by: LeapBy, advance: Advance
) -> None:
    """A lease is renewed in time, and nobody else gets it."""
    lost: list[DatabaseError] = []
    async with lease(database, "mine", "run"):
        taken = await database[LEASES].find_one()
        leap_by(leap)
        with pytest.raises(LeaseHeldError):
            async with lease(database, "other", "run"):
                pytest.fail("it isn't free")
        await database[LEASES].update_one({}, [{"$set": {"expires": "$since"}}])
        await advance(15)
        async with asyncio.timeout(10):
            while (held := await database[LEASES].find_one() or {})["expires"] == held["since"]:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
    assert lost == []
    assert taken is not None
    assert timedelta(0) <= held["expires"] - taken["expires"] < timedelta(seconds=10), "by the server's clock"


async def test_leap_keeps_the_wait_for_a_lease(
    database: Database, leap: timedelta, leap_by: LeapBy, advance: Advance
) -> None:
    """Another run waits for the lease as long as `wait_s` says."""

    async def wait() -> None:
        async with lease(database, "other", "run", wait_s=600):
            pytest.fail("it isn't free")

    async with lease(database, "mine", "run"):
        waiting = asyncio.create_task(wait())
        await database[LEASES].find_one()
        leap_by(leap)
        await advance(590)
        await database[LEASES].find_one()
        assert not waiting.done()
        await advance(10)
        async with asyncio.timeout(10):
            with pytest.raises(LeaseHeldError):
                await waiting
