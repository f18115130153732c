"""Windows of history that a run leaves, however it ends: those that the next one would ask for."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from support import Configured, FakeClock

from collector.commands.collect import collect
from collector.commands.plans import plans, target_of
from collector.commands.work import Job, Run, in_one_process
from collector.config import Selection, Settings
from collector.console.progress import Watch
from collector.model.days import ONE_DAY
from collector.model.results import ExitCode, Outcome, RunResult
from collector.runtime import Stop
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database

DAYS = 69
WINDOWS = 9
"""Windows of history of an account with 70 days."""


class AtFifth(Watch):
    """Watch that does something when the fifth window of history is done."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._windows = 0

    def window(self) -> None:
        self._windows += 1
        if self._windows == 5:
            self._act()


async def _backfill(settings: Settings, clock: FakeClock, act: Callable[[Run], object]) -> RunResult:
    """Fill the history of all accounts until `act` ends the run."""
    runs: list[Run] = []

    async def work(run: Run) -> None:
        runs.append(run)
        await in_one_process(run)

    return await collect(
        settings, _job(settings, clock), clock=clock, stop=Stop(), watch=AtFifth(lambda: act(runs[0])), work=work
    )


def _since(clock: FakeClock) -> date:
    return clock.now().date() - (DAYS + 1) * ONE_DAY


def _job(settings: Settings, clock: FakeClock) -> Job:
    return Job(replace(target_of(settings, clock), since=_since(clock)), command="backfill")


async def _planned(settings: Settings, clock: FakeClock) -> int:
    """Return the windows of history that the same command would ask for."""
    planned = await plans(settings, Selection(), _job(settings, clock).target, clock)
    return sum(plan.windows_of_history for _, plan in planned.of_accounts)


def _stop(run: Run) -> None:
    run.stop.set(signal.SIGTERM)


def _lose_lease(run: Run) -> None:
    run.writer.held.lose("somebody deleted it")


@pytest.mark.parametrize(
    ("end", "code"), [(_stop, ExitCode.SIGTERM), (_lose_lease, ExitCode.FAILED)], ids=["stopped", "lease_lost"]
)
async def test_history_that_is_cut(
    clock: FakeClock, database: Database, configured: Configured, end: Callable[[Run], None], code: ExitCode
) -> None:
    """Of accounts at work, those that wait for their turn, and those whose last states couldn't be stored."""
    async with Sandbox(World(size=6, sparse=False), clock=clock.now) as sandbox:
        settings = configured(sandbox, workers=2)
        result = await _backfill(settings, clock, end)
    assert (result.exit, result.outcomes[Outcome.FAILED]) == (code, 0)
    assert 6 * (WINDOWS - 1) - 5 < result.windows_left <= 6 * WINDOWS
    assert result.windows_left == await _planned(settings, clock)


async def test_nobody_had_a_turn(clock: FakeClock, database: Database, configured: Configured) -> None:
    """WeChat is out of reach: accounts that failed lack their history like those that were never asked."""
    async with Sandbox(World(size=6), clock=clock.now) as sandbox:
        settings = configured(sandbox, since=_since(clock), workers=1)
    result = await collect(settings, Job(target_of(settings, clock)), clock=clock, stop=Stop())
    assert (result.exit, result.outcomes[Outcome.SKIPPED] > 0, result.windows_left) == (
        ExitCode.FAILED,
        True,
        6 * WINDOWS,
    )
    assert await _planned(settings, clock) == 6 * WINDOWS


async def test_failed_account(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Its history is left, and that of others is not; nor are days that were answered without a row today."""
    world = World(size=3)
    async with Sandbox(world, clock=clock.now, faults=Faults(broken={world.accounts[1].appid: 40125})) as sandbox:
        settings = configured(sandbox, since=_since(clock))
        result = await collect(settings, Job(target_of(settings, clock)), clock=clock, stop=Stop())
    assert (result.exit, result.windows_left) == (ExitCode.PARTIAL, WINDOWS)
    assert await _planned(settings, clock) == WINDOWS


async def test_days_asked_for_again(clock: FakeClock, database: Database, configured: Configured) -> None:
    """They are stored already."""
    async with Sandbox(World(size=2, sparse=False), clock=clock.now) as sandbox:
        settings = configured(sandbox, since=_since(clock))
        job = Job(target_of(settings, clock))
        await collect(settings, job, clock=clock, stop=Stop())
        again = replace(job.target, since=_since(clock), refetch=True)
        result = await collect(settings, replace(job, target=again), clock=clock, stop=Stop())
    assert (result.exit, result.calls, result.windows_left) == (0, 2 * 2 * (WINDOWS + 1), 0)
