"""The run: lease, session and database are opened, the pool takes the accounts, everything is counted.

It drains at the first stop signal, and comes back with a result whatever happened.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from collector import __version__
from collector.account import Shared, first_of_group
from collector.config import Settings
from collector.days import newest_published
from collector.errors import DatabaseError, StoppedError, UnreachableError
from collector.model import Account, RunResult
from collector.plan import Plan, Target, plan
from collector.pool import Pool, begun
from collector.report.watch import Watch
from collector.store import runs
from collector.store.database import Database, open_database, prepare
from collector.store.leases import lease
from collector.store.state import load
from collector.store.writer import Writer
from collector.tally import Tally
from collector.wechat.account import MOST_IN_FLIGHT
from collector.wechat.client import Client
from collector.wechat.waits import Clock, Stop

log = structlog.get_logger()

if sys.platform != "win32":
    import resource

DRAIN_S = 30
"""Seconds that calls in flight get to finish after a stop signal."""

OTHER_FILES = 100
"""Open files for all but the connections to WeChat: MongoDB's pool, the log, Python's own."""


def target_of(settings: Settings, clock: Clock) -> Target:
    """What the daily job is for, as of now; a backfill adds to it what history it wants."""
    return Target(newest_published(clock.now(), settings.run.published_at), settings.run.lookback)


async def plans(
    settings: Settings, accounts: Sequence[Account], target: Target, clock: Clock
) -> list[tuple[Account, Plan]]:
    """What a run would ask for, as of now; nothing is asked, nothing is changed."""
    async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
        states = await load(database)
    now = clock.now()
    return [
        (account, plan(account, begun(account, states.get(account.appid), target), target, now)) for account in accounts
    ]


@dataclass(frozen=True, slots=True)
class Job:
    """What a run is started for: the `command` that others are told of, and how long to wait for another run."""

    target: Target
    command: str = "run"
    wait_s: float = 0.0


async def collect(
    settings: Settings,
    accounts: Sequence[Account],
    job: Job,
    *,
    clock: Clock,
    stop: Stop,
    watch: Watch | None = None,
) -> RunResult:
    """Collect what `job` wants and is to be had for `accounts`; `watch` hears how it gets on.

    Comes back with the result whatever happens to accounts, to the database or to WeChat. Raises
    `LeaseHeldError` before anything is done when another run is at work.
    """
    run, tally = runs.new_run_id(clock.now()), Tally(accounts, watch or Watch())
    try:
        async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
            writer = Writer(database)
            async with AsyncExitStack() as stack:
                async with stop.ends():
                    mine = lease(database, run, job.command, on_lost=writer.lose, wait_s=job.wait_s)
                    await stack.enter_async_context(mine)
                await _begin(database, run, job, accounts)
                async with _noting_the_stop(database, run, stop):
                    error = await _ended(_collect(settings, job.target, tally, writer, clock=clock, stop=stop))
                result = tally.result(run, error=error, stopped_by=stop.signal)
                await _ended(runs.end(database, result))
                return result
    except StoppedError:  # while it waited for another run
        return tally.result(run, error=None, stopped_by=stop.signal)
    except DatabaseError as error:
        return tally.result(run, error=str(error), stopped_by=stop.signal)


async def _ended(work: Coroutine[Any, Any, None]) -> str | None:
    """What `work` ended with, if that ends the run as well."""
    try:
        await work
    except (DatabaseError, UnreachableError) as error:
        return str(error)
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


async def _collect(
    settings: Settings, target: Target, tally: Tally, writer: Writer, *, clock: Clock, stop: Stop
) -> None:
    states = await load(writer.database)
    async with (
        Client.opened(
            settings.api.hosts,
            timeout_s=settings.api.timeout,
            proxy=settings.api.proxy,
            connections=_connections(settings.run.workers),
            stop=stop,
        ) as client,
        writer,
    ):
        tally.count(client, writer)
        pool = Pool(settings.run.workers, target, states, tally, Shared(client, writer, clock, stop))
        await pool.begin()
        if not stop.is_set:
            await _drainable(pool, stop)


async def _drainable(pool: Pool, stop: Stop) -> None:
    try:
        with first_of_group():
            async with stop.ends(grace_s=DRAIN_S):
                await pool.take_newest_days()
                await pool.take_history()
    except StoppedError:
        log.warning("run.cut", after_seconds=DRAIN_S)


def _connections(workers: int) -> int:
    """How many connections the workers may have: four calls of data each and one for a token, as far as files allow.

    Each connection is an open file. The soft limit is raised as far as the hard one lets it.
    """
    wanted = workers * (MOST_IN_FLIGHT + 1)
    if sys.platform == "win32":
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(soft, wanted + OTHER_FILES)
    if soft < wanted + OTHER_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, wanted + OTHER_FILES), hard))
    if most < wanted + OTHER_FILES:
        log.warning("connections.limited", open_files=most, wanted=wanted + OTHER_FILES, remedy="raise ulimit -n")
    return max(MOST_IN_FLIGHT, min(wanted, most - OTHER_FILES))
