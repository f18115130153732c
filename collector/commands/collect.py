"""The run: open lease, session and database, let the pool take the accounts, and count everything.

It drains at the first stop signal, and returns a result whatever happened.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from math import inf
from typing import Any

import structlog

from collector import __version__
from collector.completeness.plan import Plan, Target, plan, without_waits
from collector.config import Selection, Settings
from collector.console.progress import Watch
from collector.errors import ClockError, ClusterError, DatabaseError, StoppedError, UnreachableError, UsageError
from collector.model.accounts import Account, BrokenEntry, Entry
from collector.model.days import FIRST_DAY, newest_published
from collector.model.results import AccountResult, Outcome, RunResult
from collector.model.state import AccountState, UnusableState, Update
from collector.run.account import Shared
from collector.run.connect import connect
from collector.run.discovery import discover, known_entries, may_discover, take_discovered
from collector.run.part import part_of
from collector.run.passes import initial_state
from collector.run.pool import Pool
from collector.run.reactions import failed_state, failure_of_state
from collector.run.tally import Tally
from collector.runtime import Clock, Stop, WechatClock, first_of_group, in_background
from collector.store import runs
from collector.store.database import Database, open_database, prepare
from collector.store.leases import lease
from collector.store.location import location_of
from collector.store.state import read_states
from collector.store.writer import Writer
from collector.wechat.session import Session

log = structlog.get_logger()

DRAIN_S = 30
"""Seconds that calls in flight get to finish after a stop signal."""

MAX_READ = 1_000
"""States that are read at once where a platform has new accounts."""


def target_of(settings: Settings, clock: Clock) -> Target:
    """Return the target of the daily job as of now; a backfill adds the history that it wants.

    Raises `ClockError` where this host's clock is so wrong that there is nothing to collect.
    """
    newest = newest_day(settings, clock)
    if newest < FIRST_DAY:
        raise ClockError(clock.now())
    return Target(newest, settings.run.lookback)


def newest_day(settings: Settings, clock: Clock) -> date:
    """Return the newest published day as of now."""
    return newest_published(clock.now(), settings.run.published_at)


@dataclass(frozen=True, slots=True)
class Plans:
    """The plan of each account, made as it is taken, by what is stored in `database`."""

    database: str
    of_accounts: Iterator[tuple[Account, Plan]]


async def plans(
    settings: Settings, selection: Selection, target: Target, clock: Clock, *, ignore_waits: bool = False
) -> Plans:
    """Return what a run would ask for, as of now; nothing is asked, nothing is changed.

    Each account is planned as it is taken, so that one plan is held at a time. Of the accounts that a platform
    discovers, those are planned that an earlier run has found. Accounts whose state can't be used, and broken entries,
    are left out, and only logged.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        states, unusable = await read_states(database)
    now = clock.now()
    entries = selection.of(known_entries(settings, states))
    accounts = [entry for entry in entries if isinstance(entry, Account)]
    if ignore_waits:
        _end_waits(accounts, states)
    for entry in entries:
        if isinstance(entry, BrokenEntry):
            log.warning("account.left_out", account=str(entry), reason=entry.message, remedy=entry.remedy)
        elif state := unusable.get(entry.appid):
            log.warning("account.left_out", account=str(entry), reason=state.reason, remedy=state.remedy)
    of_accounts = (
        (account, plan(account, initial_state(account, states.get(account.appid), target), target, now))
        for account in accounts
        if account.appid not in unusable
    )
    return Plans(str(location), of_accounts)


@dataclass(frozen=True, slots=True)
class Job:
    """Job of a run: its target, the accounts it takes, and its `command` as the lease and the ledger name it.

    `wait_s` are the seconds to wait for another run to end. With `ignore_waits`, the waits that WeChat ordered in
    earlier runs are taken to be over.
    """

    target: Target
    selection: Selection = field(default_factory=Selection)
    command: str = "run"
    wait_s: float = 0.0
    ignore_waits: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run at work. `entries` are empty where platforms' lists must be read first."""

    id: str
    settings: Settings
    job: Job
    entries: Sequence[Entry]
    tally: Tally
    writer: Writer
    clock: WechatClock
    stop: Stop


async def collect(
    settings: Settings,
    job: Job,
    *,
    clock: Clock,
    stop: Stop,
    watch: Watch | None = None,
    work: Callable[[Run], Coroutine[Any, Any, None]] | None = None,
) -> RunResult:
    """Collect for the accounts of `job` what it wants; `watch` follows the progress.

    `work` does it, by default in this process alone.

    Returns the result whatever happens to accounts, to the database or to WeChat. Raises `LeaseHeldError` before
    anything is done when another run is at work on the same accounts, and `UsageError` when no account is selected.
    `clock` is this host's; once WeChat has answered, the run's time is WeChat's.
    """
    clock = WechatClock(clock)
    run, tally = runs.new_run_id(clock.now()), Tally(watch or Watch(), settings.run.workers)
    # With discovery the accounts are known only once the platforms' lists are read.
    entries = () if may_discover(settings, job.selection) else job.selection.of(settings.entries)
    tally.expect(entries)
    location = await location_of(settings.mongodb)
    named = partial(replace, database=str(location))
    part = part_of(settings, job.selection)
    try:
        async with (
            open_database(location) as database,
            AsyncExitStack() as stack,
        ):
            await stack.enter_async_context(in_background(tally.lag.measure(), name="loop's lag"))
            async with stop.ends():
                mine = lease(database, run, job.command, part, wait_s=job.wait_s)
                writer = Writer(database, await stack.enter_async_context(mine))
                await prepare(database)  # it may wait for a long time, too
            await runs.prepare_runs(database)
            await runs.begin(database, run, command=job.command, version=__version__, accounts=len(entries))
            async with in_background(_note_stop(database, run, stop), name="stop noted"):
                try:
                    at_work = Run(run, settings, job, entries, tally, writer, clock, stop)
                    error = await _error_of((work or in_one_process)(at_work))
                except UsageError as usage_error:
                    await _error_of(runs.end(database, tally.result(run, error=str(usage_error), stopped_by=None)))
                    raise
            result = named(tally.result(run, error=error, stopped_by=stop.signal))
            await _error_of(runs.end(database, result))
            return result
    except StoppedError:  # while it waited for another run, or for an index build
        return named(tally.result(run, error=None, stopped_by=stop.signal))
    except DatabaseError as error:
        return named(tally.result(run, error=str(error), stopped_by=stop.signal))


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


async def in_one_process(run: Run) -> None:
    """Do a run's work in this process."""
    states, unusable = await read_states(run.writer.database)
    async with (
        connect(run.settings, clock=run.clock, stop=run.stop, before_call=run.writer.held.check) as session,
        run.writer,
    ):
        run.tally.attach(session.client, run.writer)
        entries = run.entries
        if may_discover(run.settings, run.job.selection):
            entries, states = await discovered(run, session, states)
        accounts = await without_broken(run, entries)
        shared = Shared(session, run.writer)
        await ask(accounts, states, unusable, settings=run.settings, job=run.job, tally=run.tally, shared=shared)


async def discovered(
    run: Run, session: Session, states: Mapping[str, AccountState]
) -> tuple[Sequence[Entry], dict[str, AccountState]]:
    """Read the platforms' lists; return the entries of the run, and `states` with what was found."""
    async with run.stop.ends(grace_s=DRAIN_S):
        found = await discover(run.settings, states, session, run.job.selection)
    lost: list[str] = []
    for begin in range(0, len(found.changed), MAX_READ):
        changed = found.changed[begin : begin + MAX_READ]
        stored, unusable = await read_states(run.writer.database, [state.account for state in changed])
        # `states` may be outlines. A document that can't be used is a repair's to replace.
        whole = [stored.get(each.account, each)._replace(authorizer=each.authorizer) for each in changed]
        lost += await run.writer.change_platforms([each for each in whole if each.account not in unusable], states)
    found.leave(lost, states)
    return take_discovered(found, run.job.selection, run.settings, run.tally), found.states


async def without_broken(run: Run, entries: Sequence[Entry]) -> list[Account]:
    """Store why broken entries have failed, as far as it is known for which accounts; return the accounts."""
    broken = {entry.appid: entry for entry in entries if isinstance(entry, BrokenEntry) and entry.appid}
    if broken:
        states, unusable = await read_states(run.writer.database, [*broken])
        for appid, entry in broken.items():
            if appid not in unusable:  # a document that can't be used is a repair's to replace
                await run.writer.put(Update((), failed_state(entry, states.get(appid), run.clock.now())))
    return [entry for entry in entries if isinstance(entry, Account)]


async def ask(  # noqa: PLR0913 - everything that is needed to ask, by its names
    accounts: Sequence[Account],
    states: dict[str, AccountState],
    unusable: Mapping[str, UnusableState],
    *,
    settings: Settings,
    job: Job,
    tally: Tally,
    shared: Shared,
    history: bool = True,
    last_turn_s: float = -inf,
) -> Sequence[Account]:
    """Ask for what `job` wants of `accounts`, and store it; `history` and `last_turn_s` are those of `Pool.collect`.

    Returns the accounts whose history is left to another process.
    """
    session = shared.session
    accounts = _fail_unusable(accounts, unusable, tally)
    if job.ignore_waits:
        _end_waits(accounts, states)
    newest = partial(newest_day, settings, session.clock)
    pool = Pool(settings.run.workers, tally, shared, newest)
    try:
        with first_of_group():
            async with session.stop.ends(grace_s=DRAIN_S):
                # The wait for another run, or for an index build, may have taken hours.
                target = replace(job.target, newest=max(job.target.newest, newest()))
                return await pool.collect(accounts, target, states, history=history, last_turn_s=last_turn_s)
    except StoppedError:
        log.warning("run.cut", after_seconds=DRAIN_S)
        return ()


def _end_waits(accounts: Iterable[Account], states: dict[str, AccountState]) -> None:
    """Take the stored waits of `accounts` to be over: what WeChat answers now is stored in their place."""
    chosen = {account.appid for account in accounts}
    states |= {appid: without_waits(state) for appid, state in states.items() if appid in chosen}


def _fail_unusable(
    accounts: Sequence[Account], unusable: Mapping[str, UnusableState], tally: Tally
) -> Sequence[Account]:
    """Count the accounts whose state can't be used as failed; return the others."""
    for account in accounts:
        if state := unusable.get(account.appid):
            tally.add(AccountResult(account, Outcome.FAILED, (failure_of_state(account, state),)))
    return [account for account in accounts if account.appid not in unusable]
