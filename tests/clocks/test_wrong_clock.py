"""A host whose clock is wrong: the run ends before anything is stored, and the next right one has it all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from clocks.hosts import Host, Hosting, named
from structlog.testing import capture_logs
from support import FakeClock, truth

from collector.commands.check import check
from collector.config import Selection
from collector.errors import ClockError
from collector.model.accounts import FromUrl, Secret
from collector.model.days import BEIJING, NO_DAYS, ONE_DAY, Window
from collector.sandbox import Sandbox, World

NEWEST = date(2026, 11, 23)
SINCE = NEWEST - 20 * ONE_DAY
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SINCE_1970 = datetime(2026, 11, 24, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
WORLD = World(size=2)
WRONG = [sign * by for by in (2 * HOUR, ONE_DAY, 30 * ONE_DAY, 400 * ONE_DAY) for sign in (1, -1)]


async def _is_whole(host: Host, until: date) -> bool:
    return await host.differing(SINCE + ONE_DAY, until) == set() and await host.void(until) == NO_DAYS


@pytest.mark.parametrize("off_by", WRONG, ids=named)
async def test_wrong_clock_ends_the_run(hosting: Hosting, clock: FakeClock, off_by: timedelta) -> None:
    """With exit 1, both times, and no data call; nothing of it is stored."""
    async with hosting(WORLD, since=SINCE) as host:
        await host.collect()
        clock.instant += ONE_DAY
        before = await host.documents(), await host.states()
        result = await host.collect(off_by=off_by)
        assert (result.exit, result.calls, result.days) == ((1, 0, 0) if off_by > -ONE_DAY else (0, 0, 0))
        assert (await host.documents(), await host.states()) == before
        if result.exit:
            instants = (clock.instant + off_by, clock.instant)
            ours, wechat = (f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S} Beijing time" for at in instants)
            assert f"it says {ours}, by WeChat's answer it is {wechat}. Set" in (result.error or "")
        assert (await host.collect()).exit == 0
        assert await _is_whole(host, NEWEST + ONE_DAY)


@pytest.mark.parametrize("off_by", WRONG, ids=named)
async def test_wrong_clock_begins_no_new_account(hosting: Hosting, off_by: timedelta) -> None:
    async with hosting(WORLD) as host:
        assert (await host.collect(off_by=off_by)).exit == 1
        assert (await host.documents(), await host.states()) == ({}, [])
        assert (await host.collect()).exit == 0
        assert await host.documents() == truth(WORLD, Window(NEWEST - 6 * ONE_DAY, NEWEST))


async def test_clock_at_1970_asks_nothing(hosting: Hosting) -> None:
    async with hosting(WORLD) as host:
        with pytest.raises(ClockError, match="it says 1970-01-01"):
            await host.collect(off_by=-SINCE_1970)
        assert host.sandbox.calls == []


@pytest.mark.parametrize(("hour", "off_by"), [(23, 40 * MINUTE), (0, -40 * MINUTE)], ids=["ahead", "behind"])
async def test_another_newest_day_ends_the_run(
    hosting: Hosting, clock: FakeClock, hour: int, off_by: timedelta
) -> None:
    clock.instant = clock.instant.replace(day=23 if hour else 24, hour=hour, minute=30)
    async with hosting(WORLD, since=SINCE) as host:
        assert (await host.collect(off_by=off_by)).exit == 1
        assert await host.documents() == {}


@pytest.mark.parametrize("off_by", [10 * MINUTE, -10 * MINUTE], ids=named)
async def test_minutes_are_a_warning(hosting: Hosting, off_by: timedelta) -> None:
    async with hosting(WORLD, since=SINCE) as host:
        with capture_logs() as logs:
            assert (await host.collect(off_by=off_by)).exit == 0
        assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["clock.differs"]
        assert await _is_whole(host, NEWEST)


async def test_run_goes_by_wechats_time(hosting: Hosting, clock: FakeClock) -> None:
    """`last_success` is WeChat's instant, though the host is ten minutes behind."""
    async with hosting(WORLD, since=SINCE) as host:
        await host.collect(off_by=-10 * MINUTE)
        assert {state["user_summary"]["last_success"] for state in await host.states()} == {
            clock.instant.replace(tzinfo=None)
        }


async def test_wrong_clock_ends_check(hosting: Hosting) -> None:
    async with hosting(WORLD) as host:
        host.clock.off_by = ONE_DAY
        with pytest.raises(ClockError):
            await check(host.settings, Selection(), clock=host.clock)


async def test_check_clock_off_trusts_the_host(hosting: Hosting) -> None:
    """For a proxy that rewrites `Date`: a day ahead, the newest day is pending."""
    async with hosting(WORLD, since=SINCE, check_clock=False) as host:
        result = await host.collect(off_by=ONE_DAY)
        assert (result.exit, result.failures) == (75, ())


async def test_answer_without_a_date_trusts_the_host(hosting: Hosting) -> None:
    async with hosting(WORLD, since=SINCE, sends_date=False) as host:
        result = await host.collect(off_by=ONE_DAY)
        assert (result.exit, result.failures) == (75, ())


def _with_token_server(host: Host) -> None:
    """Let tokens come from the sandbox's token server, so that WeChat's first answers are data."""
    url = Secret(f"{host.sandbox.url}/tokens/{{appid}}/plain")
    key = Secret(f"Bearer {host.sandbox.world.token_server_key}")
    source = FromUrl(url, headers=(("Authorization", key),))
    accounts = tuple(replace(account, token=source) for account in host.settings.accounts)
    host.settings = replace(host.settings, accounts=accounts)


async def test_wrong_clock_meets_answers_in_flight(hosting: Hosting) -> None:
    """Of many accounts whose first answers are data, none is stored."""
    async with hosting(World(size=30)) as host:
        _with_token_server(host)
        result = await host.collect(off_by=-ONE_DAY)
        assert (result.exit, await host.documents(), await host.states()) == (1, {}, [])


async def test_own_hosts_set_no_clock(hosting: Hosting, clock: FakeClock) -> None:
    """One client's gateway with a wrong clock neither ends the run nor sets its time."""
    world = World(size=3)
    async with hosting(world) as host, Sandbox(world, clock=lambda: clock.instant + 3 * HOUR) as gateway:
        first, *others = host.settings.accounts
        host.settings = replace(host.settings, accounts=(replace(first, hosts=(gateway.url,)), *others))
        with capture_logs() as logs:
            assert (await host.collect()).exit == 0
        assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == []
