"""The run: open database, lease and ledger, let its work be done, and return a result whatever happened."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog

from collector import __version__
from collector.commands.work import Job, Run, Work, in_one_process
from collector.config import Settings
from collector.console.progress import Watch
from collector.errors import ClockError, ClusterError, DatabaseError, StoppedError, UnreachableError, UsageError
from collector.model.results import RunResult
from collector.run.discovery import may_discover
from collector.run.part import part_of
from collector.run.tally import Tally
from collector.runtime import Clock, Stop, WechatClock, in_background
from collector.store import runs
from collector.store.database import Database, open_database, prepare
from collector.store.leases import lease
from collector.store.location import location_of
from collector.store.writer import Writer

log = structlog.get_logger()


async def collect(
    settings: Settings,
    job: Job,
    *,
    clock: Clock,
    stop: Stop,
    watch: Watch | None = None,
    work: Work | None = None,
) -> RunResult:
    """Collect for the accounts of `job` what it wants; `watch` follows the progress.

    `work` does it, by default in this process alone. Drains at the first stop signal. Returns the result whatever
    happens to accounts, to the database or to WeChat. Raises `LeaseHeldError` before anything is done when another run
    is at work on the same accounts, and `UsageError` when no account is selected. `clock` is this host's; once WeChat
    has answered, the run's time is WeChat's.
    """
    clock = WechatClock(clock)
    run, tally = runs.new_run_id(clock.now()), Tally(watch or Watch(), settings.run.workers)
    # With discovery the accounts are known only once the platforms' lists are read.
    entries = () if may_discover(settings, job.selection) else job.selection.of(settings.entries)
    tally.expect(entries)
    part = part_of(settings, job.selection)
    location, error = await location_of(settings.mongodb), None
    try:
        async with open_database(location) as database, AsyncExitStack() as stack:
            await stack.enter_async_context(in_background(tally.lag.measure(), name="loop's lag"))
            async with stop.ends():
                mine = lease(database, run, job.command, part, wait_s=job.wait_s)
                writer = Writer(database, await stack.enter_async_context(mine))
                await prepare(database)  # it may wait for a long time, too
            at_work = Run(run, settings, job, entries, tally, writer, clock, stop)
            result = await _entered(at_work, work or in_one_process)
            return replace(result, database=str(location))
    except StoppedError:  # while it waited for another run, or for an index build
        pass
    except DatabaseError as lost:
        error = str(lost)
    return replace(tally.result(run, error=error, stopped_by=stop.signal), database=str(location))


async def _entered(run: Run, work: Work) -> RunResult:
    """Do the work of a run, and enter the run in the ledger with what came of it."""
    database = run.writer.database
    await runs.prepare_runs(database)
    await runs.begin(database, run.id, command=run.job.command, version=__version__, accounts=len(run.entries))
    # Accounts that a platform discovers aren't known yet.
    known = {"accounts": len(run.entries)} if run.entries else {}
    log.info("run.begun", run=run.id, command=run.job.command, version=__version__, **known)
    async with in_background(_note_stop(database, run.id, run.stop), name="stop noted"):
        try:
            error = await _error_of(work(run))
        except UsageError as usage_error:
            await _ended(run, str(usage_error))
            raise
    return await _ended(run, error)


async def _ended(run: Run, error: str | None) -> RunResult:
    """Enter the end of a run in the ledger and in the log, and return its result."""
    result = run.tally.result(run.id, error=error, stopped_by=run.stop.signal)
    await _error_of(runs.end(run.writer.database, result))
    log.info(
        "run.ended",
        run=run.id,
        status=result.status,
        exit=int(result.exit),
        seconds=round(result.seconds, 1),
        accounts=result.total,
        **{str(outcome): count for outcome, count in result.outcomes.items() if count},
        days=result.days,
        calls=result.calls,
        token_calls=result.token_calls,
        retries=result.retries,
        **{"windows_left": result.windows_left} if result.windows_left else {},
        **{"error": error} if error else {},
    )
    return result


async def _error_of(work: Coroutine[Any, Any, None]) -> str | None:
    """Return the message of an error that ends the run, or None."""
    try:
        await work
    except (DatabaseError, UnreachableError, ClockError, ClusterError) as error:
        return str(error)
    except StoppedError:  # before any account was at work
        pass
    return None


async def _note_stop(database: Database, run: str, stop: Stop) -> None:
    """Enter a stop signal in the ledger when it comes: the end of the run may never be reached."""
    await _error_of(runs.note_stop(database, run, await stop.wait()))
