"""Discovery by runs over a shard or some egress labels: each finds the accounts of its part and touches no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest
from support import Configured, FakeClock, stored, truth

from collector.commands.check import check
from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.config import Selection, Settings
from collector.errors import UsageError
from collector.model.accounts import Component, Secret
from collector.model.days import ONE_DAY, Window
from collector.model.results import RunResult
from collector.model.shards import Shard
from collector.runtime import Stop
from collector.sandbox import Sandbox, World
from collector.store.database import Database
from collector.store.state import load

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
LIST, INFO = "api_get_authorizer_list", "api_get_authorizer_info"
HK, SH, PLAIN = (Selection(egress=frozenset({label})) for label in ("hk", "sh", None))
BOTH = Selection(egress=frozenset({"hk", "sh"}))


def _settings(configured: Configured, sandbox: Sandbox, *components: Component) -> Settings:
    settings = configured({"api": {"hosts": [sandbox.url]}, "accounts": [_ENTRY], "defaults": {"rate_limit": "1000/s"}})
    return replace(settings, accounts=(), components=components)


_ENTRY = {"name": "a", "appid": "wx0000000000000001", "secret": "s"}


def _platform(world: World, name: str, egress: str | None = None, *, exclude: Sequence[str] = ()) -> Component:
    """A platform that all accounts of the world have authorised."""
    component = world.component
    return Component(
        name,
        component.appid,
        secret=Secret(component.secret),
        verify_ticket=Secret(component.verify_ticket),
        discover=True,
        exclude=frozenset(exclude),
        egress=egress,
    )


async def _run(settings: Settings, clock: FakeClock, selection: Selection) -> RunResult:
    job = Job(target_of(settings, clock), selection)
    return await collect(settings, job, clock=clock, stop=Stop())


def _asked(sandbox: Sandbox) -> Counter[str]:
    """The calls of platforms since the last look."""
    asked = Counter(call.path.rpartition("/")[2] for call in sandbox.calls if "/component/" in call.path)
    sandbox.calls.clear()
    return asked


async def _platforms(database: Database) -> dict[str, str | None]:
    return {
        appid: state.authorizer.component if state.authorizer else None
        for appid, state in (await load(database)).items()
    }


async def test_shards_share_the_accounts(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Each account is looked up, remembered and collected by the run of its shard alone."""
    world = World(size=12)
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "agency"))
        for place, shard in enumerate(shards, start=1):
            result = await _run(settings, clock, Selection(shard=shard))
            own = {account.appid for account in world.accounts if account.appid in shard}
            seen = {account.appid for account in world.accounts for one in shards[:place] if account.appid in one}
            assert (result.exit, result.total) == (0, len(own))
            assert _asked(sandbox)[INFO] == len(own)
            assert (await load(database)).keys() == seen
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_shard_without_an_account(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The platform has accounts, if none of the shard, so nothing is wrong."""
    world = World(size=1)
    other = next(Shard(number, 2) for number in (1, 2) if world.accounts[0].appid not in Shard(number, 2))
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "agency"))
        result = await _run(settings, clock, Selection(shard=other))
        assert (result.exit, result.total, await load(database)) == (0, 0, {})
        await _run(settings, clock, Selection())
        result = await _run(settings, clock, Selection(shard=other))
    assert (result.exit, result.total) == (0, 0)


async def test_shard_of_an_empty_platform(clock: FakeClock, configured: Configured) -> None:
    """A platform that nobody has authorised is a mistake in each shard."""
    world = World(size=1)
    async with Sandbox(world, clock=clock.now, authorised=0) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "agency"))
        for shard in (None, Shard(1, 2), Shard(2, 2)):
            with pytest.raises(UsageError, match="no official account has authorised the platforms yet"):
                await _run(settings, clock, Selection(shard=shard))


async def test_missing_account_of_another_shard(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An account that left the list is looked up, and forgotten, by the run of its shard."""
    world = World(size=2)
    gone = world.accounts[0].appid
    own, other = sorted((Shard(1, 2), Shard(2, 2)), key=lambda shard: gone not in shard)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "agency"))
        await _run(settings, clock, Selection())
        sandbox.withdraw(gone)
        _asked(sandbox)
        await _run(settings, clock, Selection(shard=other))
        assert INFO not in _asked(sandbox)
        assert (await _platforms(database))[gone] == "agency"
        with pytest.raises(UsageError):  # once it is forgotten nobody is left in its shard
            await _run(settings, clock, Selection([gone], shard=own))
    assert (await _platforms(database))[gone] is None


async def test_named_appids(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Of accounts that are named by their appids no other is looked up; a nickname may be anybody's."""
    world = World(size=4)
    one, *others = (account.appid for account in world.accounts)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "agency"))
        assert (await _run(settings, clock, Selection([one]))).total == 1
        assert (_asked(sandbox)[INFO], {*await load(database)}) == (1, {one})
        with pytest.raises(UsageError, match="no account has the name or appid 'wx00000000000000aa'"):
            await _run(settings, clock, Selection(["wx00000000000000aa"]))
        assert _asked(sandbox)[INFO] == 0
        assert (await _run(settings, clock, Selection([one, world.accounts[1].name]))).total == 2
        assert (_asked(sandbox)[INFO], {*await load(database)}) == (3, {one, *others})


async def test_platforms_of_other_labels(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A platform is asked by runs of its label alone: its allow-list may not know the other hosts."""
    world = World(size=3)
    half = [account.appid for account in world.accounts[:1]]
    rest = [account.appid for account in world.accounts[1:]]
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(
            configured, sandbox, _platform(world, "east", "hk", exclude=half), _platform(world, "west", exclude=rest)
        )
        result = await _run(settings, clock, HK)
        assert (result.exit, result.total, _asked(sandbox)[LIST]) == (0, 2, 1)
        assert (await load(database)).keys() == {*rest}
        result = await _run(settings, clock, PLAIN)
        assert (result.exit, result.total, _asked(sandbox)[LIST]) == (0, 1, 1)
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_account_of_platforms_with_two_labels(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    """It belongs to the platform that it is remembered of, whichever run comes next."""
    world = World(size=3)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "east", "hk"), _platform(world, "west", "sh"))
        assert (await _run(settings, clock, SH)).total == 3
        for selection in (HK, BOTH, SH):
            if selection is HK:
                with pytest.raises(UsageError, match="none of the enabled accounts has the egress label 'hk'"):
                    await _run(settings, clock, selection)
            else:
                assert (await _run(settings, clock, selection)).total == 3
            assert {*(await _platforms(database)).values()} == {"west"}


async def test_account_that_its_platform_excludes(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The platform with the other label takes it over."""
    world = World(size=2)
    all_of_them = [account.appid for account in world.accounts]
    async with Sandbox(world, clock=clock.now) as sandbox:
        east, west = _platform(world, "east", "hk"), _platform(world, "west", "sh")
        await _run(_settings(configured, sandbox, east, west), clock, HK)
        excluding = _settings(configured, sandbox, replace(east, exclude=frozenset(all_of_them)), west)
        assert (await _run(excluding, clock, SH)).total == 2
    assert {*(await _platforms(database)).values()} == {"west"}


async def test_check_of_a_label(clock: FakeClock, configured: Configured) -> None:
    """It asks the platforms of that label, and tells the label of each account."""
    world = World(size=2)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _settings(configured, sandbox, _platform(world, "east", "hk"), _platform(world, "west", "sh"))
        checks = await check(settings, HK, clock=clock)
        assert [(each.account, each.egress) for each in checks.accounts] == [
            (account.appid, "hk") for account in world.accounts
        ]
        assert _asked(sandbox)[LIST] == 1
