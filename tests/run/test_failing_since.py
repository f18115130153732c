"""Since when accounts fail, and which of them are new in a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from support import Configured, FakeClock, run

from collector.errors import Fault
from collector.model.accounts import BrokenEntry
from collector.model.days import ONE_DAY
from collector.model.results import RunResult
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.runs import read_run


def _failing(result: RunResult) -> list[tuple[str, str | None, datetime | None, bool]]:
    return [(failure.name, failure.dataset, failure.since, failure.new) for failure in result.failures]


async def test_failures_are_dated(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A failure is new in its first run, then dated by it, also in the ledger, until the account recovers."""
    world, first = World(size=3), clock.now()
    one, two, _ = world.accounts
    broken, data = {one.appid: 40125}, {two.appid: 48001}
    async with Sandbox(world, clock=clock.now, faults=Faults(broken=broken, broken_data=data)) as sandbox:
        settings = configured(sandbox)
        expected = [(one.name, None), (two.name, "user_summary"), (two.name, "user_cumulate")]
        assert _failing(await run(settings, clock)) == [(*each, first, True) for each in expected]
        clock.instant += ONE_DAY
        result = await run(settings, clock)
        assert _failing(result) == [(*each, first, False) for each in expected]
        record = await read_run(database, result.run)
        assert record
        assert record.failures == result.failures
        broken.clear()
        await run(settings, clock)
        clock.instant += ONE_DAY
        broken[one.appid] = 40125
        assert _failing(await run(settings, clock))[0] == (one.name, None, clock.now(), True)


async def test_history_of_an_account_that_fails(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A failure with the newest days counts once, and is new although history is asked for later."""
    world = World(size=1, sparse=False)
    data = {world.accounts[0].appid: 48001}
    async with Sandbox(world, clock=clock.now, faults=Faults(broken_data=data)) as sandbox:
        settings = configured(sandbox, since=clock.now().date() - 40 * ONE_DAY)
        result = await run(settings, clock)
    assert [failure.new for failure in result.failures] == [True, True]


async def test_broken_entry(clock: FakeClock, database: Database, configured: Configured) -> None:
    world, first = World(size=2), clock.now()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        broken = BrokenEntry("b", settings.accounts[1].appid, (Fault("a.yaml:1", "what", "do"),))
        unknown = BrokenEntry("c", None, (Fault("a.yaml:2", "what", "do"),))
        settings = replace(settings, accounts=settings.accounts[:1], broken=(broken, unknown))
        for new in (True, False):
            result = await run(settings, clock)
            assert _failing(result) == [("b", None, first, new), ("c", None, None, False)]
            clock.instant += ONE_DAY
