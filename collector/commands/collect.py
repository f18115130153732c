"""The run: lease, session and database are opened, the pool takes the accounts, everything is counted.

It drains at the first stop signal, and comes back with a result whatever happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from collector import __version__
from collector.completeness.plan import Plan, Target, plan
from collector.config import Selection, Settings
from collector.console.progress import Watch
from collector.errors import DatabaseError, StoppedError, UnreachableError, UsageError
from collector.model.accounts import Account
from collector.model.days import newest_published
from collector.model.results import RunResult
from collector.model.state import AccountState, Update
from collector.run.account import Shared
from collector.run.connect import connect
from collector.run.discovery import discover, known_accounts, selected
from collector.run.pool import Pool, begun
from collector.run.tally import Tally
from collector.runtime import Clock, Stop, first_of_group
from collector.store import runs
from collector.store.database import Database, open_database, prepare
from collector.store.leases import lease
from collector.store.state import load
from collector.store.writer import Writer

log = structlog.get_logger()

DRAIN_S = 30
"""Seconds that calls in flight get to finish after a stop signal."""


def target_of(settings: Settings, clock: Clock) -> Target:
    """What the daily job is for, as of now; a backfill adds to it what history it wants."""
    return Target(newest_published(clock.now(), settings.run.published_at), settings.run.lookback)


async def plans(settings: Settings, selection: Selection, target: Target, clock: Clock) -> list[tuple[Account, Plan]]:
    """What a run would ask for, as of now; nothing is asked, nothing is changed.

    Of the accounts that a platform discovers, those are planned that an earlier run has found.
    """
    async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
        states = await load(database)
    now = clock.now()
    return [
        (account, plan(account, begun(account, states.get(account.appid), target), target, now))
        for account in selection.of(known_accounts(settings, states))
    ]


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is for, which accounts it takes, the `command` that others are told of, and how long to wait for them.

    `wait_s` are the seconds to wait for another run to end.
    """

    target: Target
    selection: Selection = field(default_factory=Selection)
    command: str = "run"
    wait_s: float = 0.0


async def collect(settings: Settings, job: Job, *, clock: Clock, stop: Stop, watch: Watch | None = None) -> RunResult:
    """Collect what `job` wants and is to be had for its accounts; `watch` hears how it gets on.

    Comes back with the result whatever happens to accounts, to the database or to WeChat. Raises `LeaseHeldError`
    before anything is done when another run is at work, and `UsageError` when no account is selected.
    """
    run, tally = runs.new_run_id(clock.now()), Tally(watch or Watch())
    if not _discovers(settings, job):
        tally.expect(job.selection.of(settings.accounts))
    try:
        async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
            writer = Writer(database)
            async with AsyncExitStack() as stack:
                async with stop.ends():
                    mine = lease(database, run, job.command, on_lost=writer.lose, wait_s=job.wait_s)
                    await stack.enter_async_context(mine)
                await _begin(database, run, job, tally.accounts)
                async with _noting_the_stop(database, run, stop):
                    try:
                        error = await _ended(_collect(settings, job, tally, writer, clock=clock, stop=stop))
                    except UsageError as nobody:
                        await _ended(runs.end(database, tally.result(run, error=str(nobody), stopped_by=None)))
                        raise
                result = tally.result(run, error=error, stopped_by=stop.signal)
                await _ended(runs.end(database, result))
                return result
    except StoppedError:  # while it waited for another run
        return tally.result(run, error=None, stopped_by=stop.signal)
    except DatabaseError as error:
        return tally.result(run, error=str(error), stopped_by=stop.signal)


def _discovers(settings: Settings, job: Job) -> bool:
    """Whether the job may be for accounts that stand in no file."""
    return job.selection.reaches_beyond(settings.accounts) and any(each.discover for each in settings.components)


async def _ended(work: Coroutine[Any, Any, None]) -> str | None:
    """What `work` ended with, if that ends the run as well."""
    try:
        await work
    except (DatabaseError, UnreachableError) as error:
        return str(error)
    except StoppedError:  # before any account was at work
        pass
    return None


async def _begin(database: Database, run: str, job: Job, accounts: Sequence[Account]) -> None:
    for difference in await prepare(database):
        log.warning("database.differs", what=difference)
    await runs.prepare_runs(database)
    await runs.begin(database, run, command=job.command, version=__version__, accounts=len(accounts))


@asynccontextmanager
async def _noting_the_stop(database: Database, run: str, stop: Stop) -> AsyncIterator[None]:
    """Enter a stop signal in the ledger when it comes, in case that the end of the run isn't reached."""

    async def note() -> None:
        await _ended(runs.note_stop(database, run, await stop.wait()))

    noting = asyncio.create_task(note(), name="stop noted")
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.wait([noting])


async def _collect(settings: Settings, job: Job, tally: Tally, writer: Writer, *, clock: Clock, stop: Stop) -> None:
    states = await load(writer.database)
    async with connect(settings, clock=clock, stop=stop) as access, writer:
        tally.count(access.client, writer)
        if _discovers(settings, job):
            states = await _discovered(settings, job, states, tally, Shared(access, writer))
        pool = Pool(settings.run.workers, job.target, states, tally, Shared(access, writer))
        await pool.begin()
        if not stop.is_set:
            await _drainable(pool, stop)


async def _discovered(
    settings: Settings, job: Job, states: dict[str, AccountState], tally: Tally, shared: Shared
) -> dict[str, AccountState]:
    """The states, with what the platforms have found; the accounts of the run are known from here on."""
    async with shared.access.stop.ends(grace_s=DRAIN_S):
        found = await discover(settings, states, shared.access)
    for state in found.changed:
        await shared.writer.put(Update((), state))
    for failure in found.failures:
        tally.fail(failure, of=failure.account)
    for notice in found.notices:
        tally.note(notice)
    tally.expect(selected(job.selection, settings, found))
    return dict(found.states)


async def _drainable(pool: Pool, stop: Stop) -> None:
    try:
        with first_of_group():
            async with stop.ends(grace_s=DRAIN_S):
                await pool.take_newest_days()
                await pool.take_history()
    except StoppedError:
        log.warning("run.cut", after_seconds=DRAIN_S)
