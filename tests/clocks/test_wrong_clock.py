"""A host whose clock is wrong for whole runs: nothing false is stored, and once it is right no hole remains."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta

import pytest
from clocks.hosts import CUMULATE, SUMMARY, Host, Hosting, answering_the_future, named
from support import FakeClock, truth

from collector.model.days import NO_DAYS, ONE_DAY, Window
from collector.sandbox import Limits, World

NEWEST = date(2026, 11, 23)
SINCE = NEWEST - 20 * ONE_DAY
HOUR = timedelta(hours=1)
SINCE_1970 = datetime(2026, 11, 24, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
WORLD = World(size=2)
UNSTEADY = World(size=3, late_summary=0.4, revised_for_days=6)
"""Where figures come late, and change until a day is six days old."""

Wechat = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=[nullcontext, answering_the_future], ids=["61501", "nothing"])
def wechat(request: pytest.FixtureRequest) -> Wechat:
    """What a WeChat answers about days of the future: that it doesn't accept them, or nothing."""
    answering: Wechat = request.param
    return answering


async def _collect_daily(host: Host, days: int, *, off_by: timedelta = timedelta(0), every: int = 1) -> None:
    for _ in range(0, days, every):
        await host.collect(off_by=off_by)
        host.clock.wechat.instant += every * ONE_DAY


async def _collect_ahead(host: Host, ahead: int, pause: int) -> None:
    """A day with the right clock, two with one that is `ahead`, and then nothing for `pause` days in all."""
    await _collect_daily(host, 1)
    await _collect_daily(host, 2, off_by=ahead * ONE_DAY)
    host.clock.wechat.instant += (pause - 1) * ONE_DAY


async def _is_whole(host: Host, until: date) -> bool:
    return await host.differing(SINCE + ONE_DAY, until) == set() and await host.void(until) == NO_DAYS


@pytest.mark.parametrize("is_known", [True, False], ids=["a known account", "a new one"])
@pytest.mark.parametrize("behind", [HOUR, ONE_DAY, 30 * ONE_DAY, SINCE_1970], ids=named)
async def test_a_clock_behind_asks_for_nothing_newer_does_no_harm_and_the_next_right_run_has_the_rest(
    hosting: Hosting, clock: FakeClock, behind: timedelta, is_known: bool
) -> None:
    clock.instant = clock.instant.replace(hour=0)  # eight o'clock in Beijing: an hour ago this day wasn't there
    async with hosting(WORLD, since=SINCE) as host:
        await _collect_daily(host, int(is_known))
        before = await host.documents()
        result = await host.collect(off_by=-behind)
        assert (result.exit, result.failures) == (0, ())
        assert all(window.end <= host.newest - max(ONE_DAY, behind) for window in host.asked)
        assert before.items() <= (await host.documents()).items()
        assert await host.differing(SINCE + ONE_DAY, host.newest - max(ONE_DAY, behind) - 2 * ONE_DAY) == set()
        assert (await host.collect()).exit == 0
        assert await _is_whole(host, host.newest)


async def test_an_account_first_collected_by_a_clock_a_month_behind_has_that_month_as_well(hosting: Hosting) -> None:
    async with hosting(WORLD) as host:
        await host.collect(off_by=-30 * ONE_DAY)
        await host.collect()
        assert await host.differing(NEWEST - 35 * ONE_DAY, NEWEST) == set()


async def test_a_clock_an_hour_ahead_finds_the_day_pending_and_the_right_one_has_it_an_hour_later(
    hosting: Hosting, clock: FakeClock
) -> None:
    clock.instant = clock.instant.replace(day=23, hour=23)  # half past seven in Beijing
    async with hosting(WORLD, since=SINCE) as host:
        result = await host.collect(off_by=HOUR)
        assert (result.exit, result.failures, host.newest_asked) == (75, (), NEWEST)
        clock.instant += HOUR
        assert (await host.collect()).exit == 0
        assert await _is_whole(host, NEWEST)


async def test_a_clock_a_day_ahead_finds_a_day_pending_and_stores_the_others(hosting: Hosting) -> None:
    async with hosting(WORLD, since=SINCE) as host:
        result = await host.collect(off_by=ONE_DAY)
        assert (result.exit, result.failures) == (75, ())
        assert {call.errcode for call in host.sandbox.calls} == {0, 61501}
        assert await host.documents() == truth(WORLD, Window(SINCE - 6 * ONE_DAY, NEWEST), newest=NEWEST + ONE_DAY)
        assert (await host.collect()).exit == 0
        assert await _is_whole(host, NEWEST)


@pytest.mark.parametrize("ahead", [2, 7, 8, 30, 400])
async def test_a_clock_more_days_ahead_fails_loudly_and_asks_nothing_else(
    hosting: Hosting, clock: FakeClock, ahead: int
) -> None:
    """Once for the newest window, and once more without its last day."""
    async with hosting(WORLD, since=SINCE) as host:
        await host.collect()
        clock.instant += ONE_DAY
        before = await host.documents()
        result = await host.collect(off_by=ahead * ONE_DAY)
        assert (result.exit, {failure.errcode for failure in result.failures}) == (1, {61501})
        assert all("check this host's clock" in failure.hint for failure in result.failures)
        paths = [call.path for call in host.sandbox.calls]
        assert (paths.count(SUMMARY), paths.count(CUMULATE)) == (2 * 2, 2 * 2)
        assert await host.documents() == before
        assert (await host.collect()).exit == 0
        assert await _is_whole(host, NEWEST + ONE_DAY)


@pytest.mark.parametrize("pause", [0, 40])
@pytest.mark.parametrize("ahead", [1, 8, 30])
async def test_two_days_of_a_clock_ahead_leave_no_hole(
    hosting: Hosting, wechat: Wechat, ahead: int, pause: int
) -> None:
    """The clock is right again after `pause` days in which nobody ran anything."""
    async with hosting(WORLD, since=SINCE) as host:
        with wechat():
            await _collect_ahead(host, ahead, pause)
            await _collect_daily(host, 3)
            assert await _is_whole(host, host.newest - 3 * ONE_DAY)


@pytest.mark.parametrize(("ahead", "pause"), [(1, 9), (3, 9), (8, 9), (8, 40)])
async def test_figures_that_came_late_or_changed_while_a_clock_was_ahead_come_right(
    hosting: Hosting, wechat: Wechat, ahead: int, pause: int
) -> None:
    async with hosting(UNSTEADY, since=SINCE) as host:
        with wechat():
            await _collect_ahead(host, ahead, pause)
            await _collect_daily(host, 2)
            assert await _is_whole(host, NEWEST + 3 * ONE_DAY)


async def test_a_clock_ahead_by_a_day_before_eight_leaves_no_figure_unrevised(
    hosting: Hosting, clock: FakeClock
) -> None:
    """WeChat takes the day for yesterday, and its list stops short: no error tells that the clock is wrong."""
    clock.instant = clock.instant.replace(day=23, hour=22)  # six in the morning in Beijing
    async with hosting(World(size=2, revised_for_days=6), since=SINCE) as host:
        await _collect_daily(host, 1)
        await host.collect(off_by=ONE_DAY)
        assert {call.errcode for call in host.sandbox.calls} == {0}
        clock.instant += 9 * ONE_DAY
        await _collect_daily(host, 1)
        assert await _is_whole(host, NEWEST + ONE_DAY)


@pytest.mark.parametrize("is_known", [True, False], ids=["a known account", "a new one"])
@pytest.mark.parametrize("ahead", [30, 60])
async def test_a_month_of_a_clock_ahead_leaves_no_hole_and_lets_no_account_seem_younger(
    hosting: Hosting, ahead: int, is_known: bool
) -> None:
    async with hosting(WORLD, since=SINCE) as host:
        with answering_the_future():
            await _collect_daily(host, int(is_known))
            await _collect_daily(host, 30, off_by=ahead * ONE_DAY, every=5)
            await _collect_daily(host, 1)
            assert await host.differing(SINCE + ONE_DAY, host.newest - 3 * ONE_DAY) == set()
            await _collect_daily(host, 1)
            assert await _is_whole(host, host.newest - 3 * ONE_DAY)
        assert [state async for state in host.database["accounts"].find({"born": {"$exists": True}})] == []


async def test_an_account_first_collected_by_a_clock_two_months_ahead_is_collected_once_it_is_right(
    hosting: Hosting,
) -> None:
    """Weeks of nothing in the future aren't the silence before an account began."""
    async with hosting(WORLD, since=SINCE) as host:
        with answering_the_future():
            await host.collect(off_by=60 * ONE_DAY)
            assert (await host.collect()).exit == 0
        assert await _is_whole(host, NEWEST)


async def test_two_answers_on_one_day_make_no_day_void_though_the_clock_said_two(
    hosting: Hosting,
) -> None:
    """A clock that is a day ahead at the first, and set right before the second."""
    async with hosting(World(size=2, lost_days=0.2), since=SINCE) as host:
        await host.collect(off_by=ONE_DAY)
        await host.collect()
        assert await host.void(NEWEST) == NO_DAYS


@pytest.mark.parametrize("ahead", [2, 30])
async def test_a_wait_that_was_noted_by_a_clock_ahead_holds_nobody_up_once_it_is_right(
    hosting: Hosting, clock: FakeClock, ahead: int
) -> None:
    """The quota is used up by what WeChat doesn't accept, until a midnight that is far away."""
    async with hosting(WORLD, limits=Limits(daily=1)) as host:
        result = await host.collect(off_by=ahead * ONE_DAY)
        assert {notice.kind for notice in result.notices} == {"quota"}
        clock.instant += ONE_DAY
        result = await host.collect()
        assert (result.exit, result.notices) == (0, ())
        assert await host.documents() == truth(WORLD, Window(NEWEST - 5 * ONE_DAY, NEWEST + ONE_DAY))
