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
async def test_leap_in_mid_run(hosting: Hosting, clock: FakeClock, leap: timedelta) -> None:
    """It changes no document, and the run asks for no other day."""
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


async def test_leaps_at_every_call(hosting: Hosting) -> None:
    """Leaps to and fro change no document."""
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {n: Leap(LEAPS[n % len(LEAPS)]) for n in range(QUESTIONS)}
        assert (await host.collect()).exit == 0
        assert (host.leaps, host.newest_asked) == ({}, NEWEST)
        assert await host.documents() == truth(WORLD, DAYS)


@pytest.mark.parametrize("leap", [MINUTE, HOUR, ONE_DAY], ids=named)
async def test_leap_over_eight_asks_for_no_newer_day(hosting: Hosting, clock: FakeClock, leap: timedelta) -> None:
    """A run asks for days that were published by the clock that it began with.

    Of four accounts, with a worker for one at a time, most are planned after the leap.
    """
    clock.instant = clock.instant.replace(hour=23, minute=59) - ONE_DAY  # 07:59 in Beijing
    async with hosting(World(size=4), workers=1) as host:
        host.leaps = {1: Leap(leap)}
        assert (await host.collect()).exit == 0
        assert host.asked == {Window(NEWEST - 7 * ONE_DAY, NEWEST - ONE_DAY)}


async def test_host_asleep_for_a_day(
    hosting: Hosting,
) -> None:
    """The run finishes the days that it began with, and the next one has the rest.

    The tokens have ended meanwhile.
    """
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {QUESTIONS // 2: Leap(asleep=ONE_DAY)}
        result = await host.collect()
        assert (result.exit, result.failures, result.token_calls) == (0, (), 4)
        assert host.newest_asked == NEWEST
        assert await host.differing(SINCE + ONE_DAY, NEWEST) == set()
        assert (await host.collect()).exit == 0
        assert await host.differing(SINCE + ONE_DAY, NEWEST + ONE_DAY) == set()


async def test_leap_back_renews_an_expired_token(hosting: Hosting) -> None:
    """By the host's clock the token is alive; WeChat refuses it, so it is renewed."""
    async with hosting(WORLD, since=SINCE) as host:
        host.leaps = {QUESTIONS // 2: Leap(-3 * HOUR, asleep=2 * HOUR + MINUTE)}
        result = await host.collect()
        assert (result.exit, result.failures, result.token_calls) == (0, (), 4)
        assert {call.errcode for call in host.sandbox.calls} == {0, 42001}
        assert await host.documents() == truth(WORLD, DAYS)


@pytest.mark.parametrize("leap", [2 * HOUR, ONE_DAY], ids=named)
async def test_leap_forward_renews_no_token_twice(hosting: Hosting, leap: timedelta) -> None:
    async with hosting(WORLD, since=SINCE, tick=timedelta(seconds=1)) as host:
        host.leaps = {QUESTIONS // 2: Leap(leap)}
        assert (await host.collect()).token_calls == 2


@pytest.mark.parametrize("leap", LEAPS[:6], ids=named)
async def test_leap_prolongs_no_pause(hosting: Hosting, clock: FakeClock, leap: timedelta) -> None:
    """A pause of a rate is never longer than a minute.

    WeChat lets six calls through in a minute, and all are made in the end.
    """
    world = World(size=1)
    async with hosting(world, since=SINCE, limits=Limits(minute=6)) as host:
        host.leaps = {7: Leap(leap)}
        result = await host.collect()
        assert (result.exit, result.failures, result.notices) == (0, (), ())
        assert len(clock.slept) == 1
        assert 0 < clock.slept[0] <= 60
        assert await host.documents() == truth(world, DAYS)


@pytest.mark.parametrize("leap", [ONE_DAY, -ONE_DAY], ids=named)
async def test_leap_keeps_the_rate_of_a_run(hosting: Hosting, leap: timedelta) -> None:
    """Ten calls at 50 a second, as the server sees them; a fifth of the spacing is jitter."""
    async with hosting(World(size=1), since=SINCE) as host:
        paced = tuple(replace(account, rate_limit=Rate(50, 1)) for account in host.settings.accounts)
        host.settings = replace(host.settings, accounts=paced)
        host.leaps = {4: Leap(leap)}
        await host.collect()
        arrived = sorted(call.arrived_s for call in host.sandbox.calls[1:])
    assert arrived[-1] - arrived[0] >= 9 * 0.02 * 0.8
