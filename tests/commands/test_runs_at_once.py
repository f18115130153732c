"""Whole runs at once, each for its part, over the sandbox into a real MongoDB."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from support import Configured, FakeClock, stored, truth

from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.verify import verify
from collector.commands.work import Job
from collector.config import Selection, Settings
from collector.console.progress import Watch
from collector.errors import LeaseHeldError
from collector.model.accounts import Component, Secret
from collector.model.days import ONE_DAY, Window
from collector.model.parts import Part
from collector.model.results import AccountResult, Outcome, RunResult
from collector.model.shards import Shard
from collector.runtime import Stop, boot_s
from collector.sandbox import Sandbox, World
from collector.sandbox.api import CUMULATE, SUMMARY
from collector.store.database import Database
from collector.store.held import TIMES
from collector.store.leases import lease, live_runs
from collector.store.state import load
from collector.store.writer import Writer

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
FIRST, SECOND = Shard(1, 2), Shard(2, 2)


class AtEach(Watch):
    """Watch that calls `act` with each account that is done."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self._act = act

    def account(self, result: AccountResult) -> None:
        self._act(result.account.appid)


async def _run(settings: Settings, clock: FakeClock, selection: Selection, watch: Watch | None = None) -> RunResult:
    job = Job(target_of(settings, clock), selection)
    return await collect(settings, job, clock=clock, stop=Stop(), watch=watch)


async def test_two_shards(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=12)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        results = await asyncio.gather(*(_run(settings, clock, Selection(shard=shard)) for shard in (FIRST, SECOND)))
        assert [(result.exit, result.error) for result in results] == [(0, None)] * 2
        assert sum(result.total for result in results) == 12
        calls = len(sandbox.calls)
        async with lease(database, "other", "run", Part(FIRST)):
            with pytest.raises(LeaseHeldError, match=r"for shard 1/2 since"):
                await _run(settings, clock, Selection())
        assert len(sandbox.calls) == calls
    assert await stored(database) == truth(world, LAST_WEEK)
    assert await live_runs(database) == []
    assert [entry["status"] async for entry in database["runs"].find()] == ["ok", "ok"]


async def test_repair_excludes_everybody(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with Sandbox(World(size=2), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        async with lease(database, "other", "run", Part(SECOND)):
            with pytest.raises(LeaseHeldError, match=r"for shard 2/2 since"):
                await verify(settings, Selection(), target_of(settings, clock), repair=True)
        assert not (await verify(settings, Selection(), target_of(settings, clock), repair=True)).at_work


async def test_halted_run_begins_nothing(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back after its lease may have been taken: not one call, not one write."""
    halted_s = 0.0
    for place in ("held", "leases"):
        monkeypatch.setattr(f"collector.store.{place}.boot_s", lambda: boot_s() + halted_s)
    seen: list[int] = []

    def halt(_: str) -> None:
        nonlocal halted_s
        halted_s = TIMES.lost_after_s
        seen.append(len(sandbox.calls))

    async with Sandbox(World(size=6), clock=clock.now) as sandbox:
        result = await _run(configured(sandbox, workers=1), clock, Selection(), AtEach(halt))
        assert len(sandbox.calls) == seen[0]
    assert (result.exit, result.outcomes[Outcome.OK]) == (1, 0)
    assert result.error == (
        "this run lost the lease: it couldn't be renewed in time (MongoDB doesn't answer, or the run was halted). "
        "Another run may be at work, so nothing more is written: run again"
    )
    assert await load(database) == {}
    assert await live_runs(database) == []


async def test_run_whose_accounts_were_taken_over(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writes that were on their way replace no state of the run that came after it."""
    world = World(size=3)
    held: list[str] = []
    write = Writer._save
    later: list[RunResult] = []

    async def late(self: Writer, states: Any) -> None:
        if not held:  # the first run of the two, as it is about to write
            held.append("first")
            await database["leases"].delete_many({})
            later.append(await _run(settings, clock, Selection()))
        await write(self, states)

    monkeypatch.setattr(Writer, "_save", late)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        result = await _run(settings, clock, Selection())
    assert (later[0].exit, later[0].error) == (0, None)
    assert result.exit == 1
    assert "this run lost the lease: another run has taken over its accounts. " in (result.error or "")
    epochs = {state["epoch"] async for state in database["accounts"].find()}
    assert len(epochs) == 1
    assert await stored(database) == truth(world, LAST_WEEK)


# Platforms with different labels


def _platform(world: World, name: str, egress: str) -> Component:
    secret, ticket = Secret(world.component.secret), Secret(world.component.verify_ticket)
    return Component(name, world.component.appid, secret=secret, verify_ticket=ticket, discover=True, egress=egress)


@pytest.mark.parametrize("first", [0, 1])
async def test_account_that_two_platforms_list(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Of two runs that find it at the same moment, the one that writes it first collects it."""
    world = World(size=12)
    change, both_found, is_written = Writer.change_platforms, asyncio.Barrier(2), asyncio.Event()
    epochs: list[int] = []

    async def in_turn(self: Writer, *found: Any) -> list[str]:
        epochs.append(self.held.epoch)
        await both_found.wait()
        if self.held.epoch != sorted(epochs)[first]:
            await is_written.wait()
        left = await change(self, *found)
        is_written.set()
        return left

    monkeypatch.setattr(Writer, "change_platforms", in_turn)
    entry = {"name": "a", "appid": "wx0000000000000001", "secret": "s"}
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(
            {"api": {"hosts": [sandbox.url]}, "accounts": [entry], "defaults": {"rate_limit": "1000/s"}}
        )
        platforms = (_platform(world, "east", "hk"), _platform(world, "west", "sh"))
        settings = replace(settings, accounts=(), components=platforms)
        labels = [Selection(egress=frozenset({label})) for label in ("hk", "sh")]
        results = await asyncio.gather(*(_run(settings, clock, label) for label in labels))
        assert [(result.exit, result.error) for result in results] == [(0, None)] * 2
        assert sorted(result.total for result in results) == [0, 12]
        asked = Counter((call.appid, call.path) for call in sandbox.calls if call.path in (SUMMARY, CUMULATE))
        assert set(asked.values()) == {1}
    assert await stored(database) == truth(world, LAST_WEEK)
