"""Checks of accounts that third-party platforms hold or discover, beside a real MongoDB that they leave as it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from support import Configured, FakeClock, run

from collector.commands.check import check
from collector.config import Selection, Settings
from collector.console import check as checked
from collector.errors import UsageError
from collector.model.accounts import Component, FromComponent, Secret
from collector.model.checks import Checks
from collector.model.results import Outcome
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


def _component(world: World, **more: Any) -> Component:
    known = {"secret": Secret(world.component.secret), "verify_ticket": Secret(world.component.verify_ticket)}
    return Component("agency", world.component.appid, **(known | more))


def _by_platform(settings: Settings, component: Component) -> Settings:
    """The settings, with the tokens of all accounts from a platform."""
    accounts = (replace(each, token=FromComponent(component.name), secret=None) for each in settings.accounts)
    return replace(settings, components=(component,), accounts=tuple(accounts))


def _names(checks: Checks) -> list[str]:
    return [each.name for each in checks.accounts]


async def test_ips_refused_by_data_calls(clock: FakeClock, configured: Configured) -> None:
    """The token comes from elsewhere, so WeChat's allow-list is met by the data calls alone."""
    world = World(size=2)
    account = world.accounts[0]
    addresses = ("203.0.113.7", "203.0.113.8", "203.0.113.9")
    faults = Faults(refused_ips={account.appid: addresses})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        checks = await check(_by_platform(configured(sandbox), _component(world)), Selection(), clock=clock)
    assert [(each.account, each.refused_ips) for each in checks.accounts] == [
        (account.appid, addresses),
        (world.accounts[1].appid, ()),
    ]


async def test_ip_refused_by_the_platform(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2)
    faults = Faults(refused_ips={world.component.appid: ("203.0.113.7",)})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        checks = await check(_by_platform(configured(sandbox), _component(world)), Selection(), clock=clock)
    assert (checks.result.exit, checks.refused) == (1, [])
    assert (
        checked.as_text(checks)
        .splitlines()[0]
        .startswith("The platform agency failed, and 2 accounts with it: allow 203.0.113.7 in the platform's console; ")
    )


async def test_failed_platform_is_named_once(clock: FakeClock, configured: Configured) -> None:
    world = World(size=5)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        others = _by_platform(settings, _component(world, verify_ticket=Secret("a-ticket-of-last-week")))
        mixed = replace(others, accounts=(*settings.accounts[:2], *others.accounts[2:]))
        checks = await check(mixed, Selection(), clock=clock)
    (failure,) = checks.result.failures
    assert (failure.account, failure.name, failure.errcode, failure.accounts) == (
        world.component.appid,
        "agency",
        61006,
        3,
    )
    assert checks.result.exit == 3
    text = checked.as_text(checks)
    assert text.count(failure.hint) == 1
    assert text.startswith("The platform agency failed, and 3 accounts with it: ")


async def test_discovered_accounts_are_checked(clock: FakeClock, configured: Configured, database: Database) -> None:
    """Accounts that a platform discovers are checked, and nothing of them is stored."""
    world = World(size=3, mini_programs=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        own = replace(settings, accounts=settings.accounts[:1], components=(_component(world, discover=True),))
        for _ in range(2):
            checks = await check(own, Selection(), clock=clock)
            assert [(each.name, each.outcome) for each in checks.accounts] == [
                (account.name, Outcome.OK) for account in world.accounts
            ]
        paths = Counter(call.path.rpartition("/")[2] for call in sandbox.calls)
    assert paths["api_get_authorizer_info"] == 2 * 4  # all but the configured one, mini programs too, each time
    assert await database.list_collection_names() == []


async def test_known_accounts_are_not_looked_up(clock: FakeClock, configured: Configured) -> None:
    world = World(size=3)
    async with _sandbox(clock, world) as sandbox:
        settings = replace(configured(sandbox), accounts=(), components=(_component(world, discover=True),))
        await run(settings, clock)
        sandbox.calls.clear()
        checks = await check(settings, Selection([world.accounts[1].name]), clock=clock)
        assert not any("info" in call.path for call in sandbox.calls)
    assert _names(checks) == [world.accounts[1].name]


async def test_list_lacks_known_accounts(clock: FakeClock, configured: Configured, database: Database) -> None:
    """Accounts that are still authorised are checked, and the platform's list has failed."""
    world = World(size=4)
    async with _sandbox(clock, world) as sandbox:
        settings = replace(configured(sandbox), accounts=(), components=(_component(world, discover=True),))
        await run(settings, clock)
        before = await database["accounts"].find().to_list(None)
        sandbox.withdraw(world.accounts[3].appid)
        sandbox.shrink_list(1)
        checks = await check(settings, Selection(), clock=clock)
    assert sorted(_names(checks)) == [account.name for account in world.accounts[:3]]
    assert [failure.errmsg for failure in checks.result.failures] == [
        "the list lacks 2 accounts that authorised the platform"
    ]
    assert checks.result.exit == 3
    assert await database["accounts"].find().to_list(None) == before


async def test_configured_account_needs_no_list(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = replace(configured(sandbox), components=(_component(world, discover=True),))
        checks = await check(settings, Selection([world.accounts[1].appid]), clock=clock)
        assert not any("component" in call.path for call in sandbox.calls)
    assert _names(checks) == [world.accounts[1].name]


async def test_stale_platform_without_accounts(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2)
    stale = _component(world, discover=True, verify_ticket=Secret("a-ticket-of-last-week"))
    async with _sandbox(clock, world) as sandbox:
        settings = replace(configured(sandbox), accounts=(), components=(stale,))
        for selection in (Selection(), Selection(["client-00000"])):
            checks = await check(settings, selection, clock=clock)
            assert (checks.result.exit, checks.accounts) == (1, ())
            assert [(failure.name, failure.accounts) for failure in checks.result.failures] == [("agency", 0)]


async def test_platform_without_authorisations(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2)
    async with _sandbox(clock, world, authorised=0) as sandbox:
        settings = replace(configured(sandbox), accounts=(), components=(_component(world, discover=True),))
        with pytest.raises(UsageError, match="no official account has authorised the platforms yet"):
            await check(settings, Selection(), clock=clock)
