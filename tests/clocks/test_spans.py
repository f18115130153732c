"""Runs that span 08:00, when a day is published, and Beijing's midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from clocks.hosts import SUMMARY, Host, Hosting
from support import Configured, FakeClock, run, stored, truth

from collector.model.days import NO_DAYS, ONE_DAY, Days, Window
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import Database
from collector.store.state import load

NEWEST = date(2026, 11, 22)
"""The newest published day, from 08:00 in Beijing on the 23rd to 08:00 on the 24th."""

SINCE = NEWEST - 34 * ONE_DAY
TICK = timedelta(seconds=10)
"""Time that each question takes: a minute is over while the first of two accounts is at work."""

EIGHT = datetime(2026, 11, 23, 23, 59, 1, tzinfo=UTC)
"""07:59:01 in Beijing, on the 24th."""

MIDNIGHT = EIGHT - timedelta(hours=8)
"""23:59:01, on the 23rd."""

WORLD = World(size=2)
FIVE_WINDOWS = {Window(NEWEST - (7 * n + 6) * ONE_DAY, NEWEST - 7 * n * ONE_DAY) for n in range(5)}


async def _run_until(host: Host, until: date) -> None:
    """A run a day, at half past ten, until a day after `until`."""
    clock = host.clock.wechat
    while host.newest < until:
        clock.instant = (clock.instant + ONE_DAY).replace(hour=2, minute=30)
        assert (await host.collect()).failures == ()


async def test_run_over_midnight_asks_for_no_newer_day(hosting: Hosting, clock: FakeClock) -> None:
    """Of four accounts, with a worker for one at a time, most are planned when it is over."""
    clock.instant = MIDNIGHT
    world = World(size=4)
    async with hosting(world, since=SINCE, tick=TICK, workers=1) as host:
        result = await host.collect()
        assert (result.exit, result.failures) == (0, ())
        assert clock.instant - MIDNIGHT == 44 * TICK
        assert host.asked == FIVE_WINDOWS
        assert await host.documents() == truth(world, Window(SINCE, NEWEST))
        assert await host.void(NEWEST) == NO_DAYS


async def test_run_over_eight_takes_in_the_newer_day(hosting: Hosting, clock: FakeClock) -> None:
    """A day that is published while history is filled comes in the same run."""
    clock.instant = EIGHT
    world = World(size=4)
    async with hosting(world, since=SINCE, tick=TICK, workers=1) as host:
        result = await host.collect()
        assert (result.exit, result.failures) == (0, ())
        assert host.newest_asked == NEWEST + ONE_DAY
        assert await host.differing(SINCE + ONE_DAY, NEWEST + ONE_DAY) == set()


@pytest.mark.parametrize("begins", [EIGHT, MIDNIGHT], ids=["08:00", "midnight"])
@pytest.mark.parametrize(
    "world", [WORLD, World(size=3, late_summary=0.4, revised_for_days=5)], ids=["a steady world", "an unsteady one"]
)
async def test_later_runs_leave_no_hole(hosting: Hosting, clock: FakeClock, begins: datetime, world: World) -> None:
    """The runs after one over 08:00 or midnight bring the documents to the truth and make no day void."""
    clock.instant = begins
    async with hosting(world, since=SINCE, tick=TICK) as host:
        await host.collect()
        clock.instant = EIGHT + timedelta(hours=2)
        assert (await host.collect()).failures == ()
        await _run_until(host, NEWEST + 7 * ONE_DAY)
        assert await host.differing(SINCE + ONE_DAY, NEWEST + ONE_DAY) == set()
        assert await host.void(NEWEST) == NO_DAYS


async def test_next_run_after_eight_asks_nothing(hosting: Hosting, clock: FakeClock) -> None:
    """The newer day came in the run before, and its window held the whole lookback."""
    clock.instant = EIGHT
    async with hosting(WORLD, since=SINCE, tick=TICK) as host:
        await host.collect()
        result = await host.collect()
        assert (result.exit, result.calls) == (0, 0)
        assert await host.documents() == truth(WORLD, Window(SINCE, NEWEST + ONE_DAY))


async def test_nothing_new_from_midnight_to_eight(hosting: Hosting, clock: FakeClock) -> None:
    """After a run over midnight, runs before 08:00 make no call."""
    clock.instant = MIDNIGHT
    async with hosting(World(size=2, sparse=False), since=SINCE, tick=TICK) as host:
        await host.collect()
        for instant in (MIDNIGHT + timedelta(hours=1), EIGHT):
            clock.instant = instant
            result = await host.collect()
            assert (result.exit, result.calls, result.token_calls) == (0, 0, 0)


async def test_one_run_over_midnight_makes_no_day_void(hosting: Hosting, clock: FakeClock) -> None:
    """Missing rows on two Beijing days make a day void, but a run asks for each day once.

    Midnight lies so far from both ends of the run that windows are answered on both days, in whatever order.
    """
    clock.instant = begins = MIDNIGHT - timedelta(minutes=2)
    since = NEWEST - 139 * ONE_DAY
    async with hosting(World(size=1, lost_days=0.3), since=since, tick=TICK) as host:
        await host.collect()
        assert clock.instant - begins == 41 * TICK
        assert await host.void(NEWEST) == NO_DAYS
        (state,) = (await load(host.database)).values()
        missing = [known.empty for known in state.datasets.values()]
        assert [set(days) for days in missing] == [{NEWEST + ONE_DAY, NEWEST + 2 * ONE_DAY}] * 2
        await host.collect()
        assert await host.void(NEWEST) == Days.union(days[NEWEST + ONE_DAY] for days in missing)
        assert await host.differing(since + ONE_DAY, NEWEST) == set()


async def test_late_day_at_eight_is_pending(hosting: Hosting, clock: FakeClock) -> None:
    """A day that is late while a run spans 08:00 comes with a later run."""
    clock.instant = EIGHT + timedelta(minutes=1)
    async with hosting(WORLD, since=SINCE, tick=TICK, faults=Faults(late_yesterday=1.0)) as host:
        assert (await host.collect()).exit == 75
        clock.instant = clock.instant.replace(hour=4)  # noon in Beijing, when it is there
        assert (await host.collect()).exit == 0
        assert await host.differing(SINCE + ONE_DAY, NEWEST + ONE_DAY) == set()


async def test_quota_is_renewed_at_midnight(hosting: Hosting, clock: FakeClock) -> None:
    """Four calls of each dataset a day: the fifth, at 23:59:58, is refused, and the next run may ask."""
    clock.instant = MIDNIGHT + timedelta(seconds=57)
    world = World(size=1)
    async with hosting(world, since=SINCE, limits=Limits(daily=4)) as host:
        result = await host.collect()
        assert [(notice.kind, notice.until) for notice in result.notices] == [
            ("quota", MIDNIGHT + timedelta(seconds=59))
        ]
        clock.instant = MIDNIGHT + timedelta(seconds=58)
        assert [notice.kind for notice in (await host.collect()).notices] == ["quota"]
        assert host.sandbox.calls == []
        clock.instant = MIDNIGHT + timedelta(seconds=59)
        result = await host.collect()
        assert (result.exit, result.notices) == (0, ())
        assert await host.documents() == truth(world, Window(SINCE, NEWEST))


async def test_refusal_over_midnight_is_of_yesterday(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    """45009 counts for the Beijing day in which its call was sent: the run goes on with the new day's quota."""
    clock.instant = last_second = MIDNIGHT + timedelta(seconds=58)
    arrivals: list[datetime] = []

    def arrive() -> datetime:
        """Return the instant at which a question arrives; the answer to the first data call takes two seconds."""
        arrivals.append(clock.instant)
        clock.instant += timedelta(seconds=2 if len(arrivals) == 2 else 0)
        return arrivals[-1]

    world = World(size=1)
    async with Sandbox(world, clock=lambda: last_second, limits=Limits(daily=5)) as sandbox:
        settings = configured(sandbox, since=SINCE)
        assert (await run(settings, clock)).calls == 2 * 5  # all that is allowed on the first day
        await database["accounts"].delete_many({})
        sandbox.calls.clear()
        sandbox.clock = arrive
        result = await run(settings, clock)
        assert [call.errcode for call in sandbox.calls].count(45009) == 1
    assert (result.exit, result.notices, result.failures) == (0, (), ())
    assert await stored(database) == truth(world, Window(SINCE, NEWEST))


async def test_daily_calls_are_renewed_at_midnight(hosting: Hosting, clock: FakeClock) -> None:
    """A run over midnight has the `daily_calls` of both days."""
    clock.instant = MIDNIGHT
    async with hosting(World(size=1), since=SINCE, tick=TICK, account={"daily_calls": 4}) as host:
        assert (await host.collect()).exit == 0
        paths = [call.path for call in host.sandbox.calls]
        assert paths.count(SUMMARY) == 5
        states = [state async for state in host.database["accounts"].find()]
        assert [state["user_summary"]["calls"]["on"] for state in states] == ["2026-11-24"]
