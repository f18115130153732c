"""A pool that leaves history to another process."""

from __future__ import annotations

from datetime import date
from math import inf
from time import monotonic

from support import Configured, FakeClock, stored, truth

from collector.commands.plans import target_of
from collector.commands.work import Job, ask
from collector.config import Settings
from collector.console.progress import Watch
from collector.model.accounts import Rate
from collector.model.days import ONE_DAY, Window
from collector.model.results import Outcome
from collector.run.account import Shared
from collector.run.connect import connect
from collector.run.counts import Counts
from collector.run.tally import Tally
from collector.runtime import Stop, WechatClock
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.held import Held
from collector.store.state import read_states
from collector.store.writer import Writer

NEWEST = date(2026, 11, 23)
SINCE = NEWEST - 34 * ONE_DAY


async def _asked(
    settings: Settings, clock: FakeClock, database: Database, *, history: bool, last_turn_s: float = -inf
) -> tuple[set[str], Counts]:
    """Ask as a worker process does; return the names of the accounts whose history is left, and the counts."""
    tally = Tally(Watch())
    tally.expect(settings.accounts)
    states, unusable = await read_states(database)
    wechat_clock = WechatClock(clock)
    async with connect(settings, clock=wechat_clock, stop=Stop()) as session, Writer(database, Held(1)) as writer:
        tally.attach(session.client, writer)
        left = await ask(
            settings.accounts,
            states,
            unusable,
            settings=settings,
            job=Job(target_of(settings, clock)),
            tally=tally,
            shared=Shared(session, writer),
            history=history,
            last_turn_s=last_turn_s,
        )
    return {account.name for account in left}, tally.counts()


async def test_history_is_left_and_filled(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The truth is stored by both together, and no day is asked for twice; what failed whole is left to nobody."""
    world = World(size=6, sparse=False)
    broken = world.accounts[2]
    async with Sandbox(world, faults=Faults(broken={broken.appid: 40125}), clock=clock.now) as sandbox:
        settings = configured(sandbox, since=SINCE)
        left, first = await _asked(settings, clock, database, history=False)
        assert left == {account.name for account in world.accounts} - {broken.name}
        assert (first.calls, first.outcomes[broken.appid]) == (5 * 2, Outcome.FAILED)
        assert await stored(database) == truth(world, Window(NEWEST - 6 * ONE_DAY, NEWEST), without=[broken.appid])
        none, second = await _asked(settings, clock, database, history=True)
    assert none == set()
    assert second.calls == 5 * 4 * 2
    assert await stored(database) == truth(world, Window(SINCE, NEWEST), without=[broken.appid])


async def test_nothing_is_left_without_history(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with Sandbox(World(size=3, sparse=False), clock=clock.now) as sandbox:
        left, counts = await _asked(configured(sandbox), clock, database, history=False)
    assert (left, counts.calls) == (set(), 6)


async def test_pace_goes_on_after_another_process(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The first call comes a spacing after the last one that another process may have made."""
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        settings, last_turn_s = configured(sandbox, account={"rate_limit": Rate(2, 1)}), monotonic()
        await _asked(settings, clock, database, history=False, last_turn_s=last_turn_s)
        arrived = [call.arrived_s for call in sandbox.calls if call.path.startswith("/datacube")]
    assert arrived[0] - last_turn_s >= 0.5
