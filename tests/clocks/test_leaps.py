"""The host's clock leaps while a run is at work: NTP sets it right or wrong, or the host was asleep."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from clocks.hosts import Hosting, Leap, named
from support import FakeClock, truth

from collector.model.accounts import Rate
from collector.model.days import NO_DAYS, ONE_DAY, Window
from collector.sandbox import Limits, World

NEWEST = date(2026, 11, 23)
SINCE = NEWEST - 34 * ONE_DAY
DAYS = Window(SINCE, NEWEST)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WORLD = World(size=2)
QUESTIONS = 2 * (1 + 2 * 5)
"""Of a run from `SINCE` on: a token, and five windows of both datasets, for each of two accounts."""

LEAPS = [sign * leap for leap in (MINUTE, HOUR, ONE_DAY, 30 * ONE_DAY) for sign in (1, -1)]


@pytest.mark.parametrize("leap", LEAPS, ids=named)
async def test_a_leap_in_mid_run_changes_no_document_and_asks_for_no_other_day(
    hosting: Hosting, clock: FakeClock, leap: timedelta
) -> None:
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {QUESTIONS // 2: Leap(leap)}
        result = await host.collect()
        assert (result.exit, result.failures, result.calls) == (0, (), QUESTIONS - 2)
        assert host.asked == {Window(NEWEST - (7 * n + 6) * ONE_DAY, NEWEST - 7 * n * ONE_DAY) for n in range(5)}
        assert await host.documents() == truth(WORLD, DAYS)
        clock.instant += ONE_DAY
        assert (await host.collect()).exit == 0
        assert host.asked == {Window(NEWEST - 5 * ONE_DAY, NEWEST + ONE_DAY)}
        assert await host.documents() == truth(WORLD, Window(SINCE, NEWEST + ONE_DAY))
        assert await host.void(NEWEST) == NO_DAYS


async def test_a_clock_that_leaps_to_and_fro_all_the_time_changes_no_document(hosting: Hosting) -> None:
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {n: Leap(LEAPS[n % len(LEAPS)]) for n in range(QUESTIONS)}
        assert (await host.collect()).exit == 0
        assert (host.leaps, host.newest_asked) == ({}, NEWEST)
        assert await host.documents() == truth(WORLD, DAYS)


@pytest.mark.parametrize("leap", [MINUTE, HOUR, ONE_DAY], ids=named)
async def test_no_day_is_asked_for_that_wasnt_published_by_the_clock_that_the_run_began_with(
    hosting: Hosting, clock: FakeClock, leap: timedelta
) -> None:
    """Of four accounts, with a worker for one at a time, most are planned after the leap."""
    clock.instant = clock.instant.replace(hour=23, minute=59) - ONE_DAY  # 07:59 in Beijing
    async with hosting(World(size=4), workers=1) as host:
        host.leaps = {1: Leap(leap)}
        assert (await host.collect()).exit == 0
        assert host.asked == {Window(NEWEST - 7 * ONE_DAY, NEWEST - ONE_DAY)}


async def test_a_host_that_slept_for_a_day_finishes_the_days_it_began_with_and_the_next_run_has_the_rest(
    hosting: Hosting,
) -> None:
    """The tokens have ended meanwhile."""
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {QUESTIONS // 2: Leap(asleep=ONE_DAY)}
        result = await host.collect()
        assert (result.exit, result.failures, result.token_calls) == (0, (), 4)
        assert host.newest_asked == NEWEST
        assert await host.differing(SINCE + ONE_DAY, NEWEST) == set()
        assert (await host.collect()).exit == 0
        assert await host.differing(SINCE + ONE_DAY, NEWEST + ONE_DAY) == set()


async def test_a_token_that_seems_alive_after_a_leap_back_is_renewed_when_wechat_refuses_it(hosting: Hosting) -> None:
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {QUESTIONS // 2: Leap(-3 * HOUR, asleep=2 * HOUR + MINUTE)}
        result = await host.collect()
        assert (result.exit, result.failures, result.token_calls) == (0, (), 4)
        assert {call.errcode for call in host.sandbox.calls} == {0, 42001}
        assert await host.documents() == truth(WORLD, DAYS)


@pytest.mark.parametrize("leap", [2 * HOUR, ONE_DAY], ids=named)
async def test_a_leap_forward_renews_each_token_once_at_most(hosting: Hosting, leap: timedelta) -> None:
    async with hosting(WORLD, since=SINCE, tick=timedelta(seconds=1)) as host:
        host.leaps = {QUESTIONS // 2: Leap(leap)}
        assert (await host.collect()).token_calls == 2


@pytest.mark.parametrize("leap", LEAPS[:6], ids=named)
async def test_a_leap_makes_no_pause_of_a_rate_longer_than_a_minute(
    hosting: Hosting, clock: FakeClock, leap: timedelta
) -> None:
    """WeChat lets six calls through in a minute, and all are made in the end."""
    world = World(size=1)
    async with hosting(world, since=SINCE, limits=Limits(minute=6)) as host:
        host.leaps = {7: Leap(leap)}
        result = await host.collect()
        assert (result.exit, result.failures, result.notices) == (0, (), ())
        assert len(clock.slept) == 1
        assert 0 < clock.slept[0] <= 60
        assert await host.documents() == truth(world, DAYS)


@pytest.mark.parametrize("leap", [ONE_DAY, -ONE_DAY], ids=named)
async def test_the_calls_of_a_run_keep_their_rate_over_a_leap(hosting: Hosting, leap: timedelta) -> None:
    """Ten calls at 50 a second, as the server sees them; a fifth of the spacing is jitter."""
    async with hosting(World(size=1), since=SINCE) as host:
        paced = tuple(replace(account, rate_limit=Rate(50, 1)) for account in host.settings.accounts)
        host.settings = replace(host.settings, accounts=paced)
        host.leaps = {4: Leap(leap)}
        await host.collect()
        arrived = sorted(call.arrived_s for call in host.sandbox.calls[1:])
    assert arrived[-1] - arrived[0] >= 9 * 0.02 * 0.8
