"""The run: session and database are opened, a pool of workers takes the accounts, everything is counted.

A worker takes one account at a time from one shared iterator, so memory follows the workers, not the
accounts; one account's trouble never stops another's. The newest days of all accounts come first, then the
history of all.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import structlog

from collector import __version__
from collector.account import AccountRun, Shared, first_of_group
from collector.config import Settings
from collector.datasets import DATASETS
from collector.days import ONE_DAY, newest_published
from collector.errors import CollectorError, DatabaseError, StoppedError, UnreachableError
from collector.model import Account, AccountResult, AccountState, Failure, Outcome, RunResult, Update
from collector.plan import Ask, Plan, Target, plan
from collector.report.watch import Watch
from collector.settle import Settling
from collector.store import runs
from collector.store.database import Database, open_database, prepare
from collector.store.leases import lease
from collector.store.state import load, rename
from collector.store.writer import Writer
from collector.tally import Tally
from collector.wechat.account import MOST_IN_FLIGHT, AccountApi
from collector.wechat.client import Client
from collector.wechat.tokens import Token
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


def begun(account: Account, known: AccountState | None, target: Target) -> AccountState:
    """What is known of an account as a run begins: with its name of now, and what a backfill wants remembered."""
    state = known or AccountState(account.appid, account.name)
    since = target.since if target.until is None else None
    return replace(
        state,
        name=account.name,
        tags=account.tags,
        born=None if target.exhaustive else state.born,
        history_since=min((day for day in (state.history_since, since) if day), default=None),
    )


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


class Pool:
    """The workers: each takes the next account when it is done with one.

    `size` accounts are at work at once. As many more have their token by then, so that no account at work waits
    for one. `states` is what is known of each account, and follows what the run learns.
    """

    def __init__(
        self, size: int, target: Target, states: dict[str, AccountState], tally: Tally, shared: Shared
    ) -> None:
        self._size = size
        self._target = target
        self._states = states
        self._tally = tally
        self._shared = shared
        self._at_work = asyncio.Semaphore(size)
        self._kept: dict[str, tuple[Settling, Token | None]] = {}
        self._asked_from: dict[str, date] = {}

    async def begin(self) -> None:
        """Make the states ready: names as they are configured, and what a backfill wants to be remembered."""
        for account in self._tally.accounts:
            known = self._states.get(account.appid)
            self._states[account.appid] = state = begun(account, known, self._target)
            if known is not None and known.name != state.name:
                await rename(self._shared.writer.database, account.appid, account.name)
            if (known is not None or self._target.since) and known != state:
                await self._shared.writer.put(Update((), state))

    async def take_newest_days(self) -> None:
        """The daily job of all accounts. Raises `DatabaseError`, or `UnreachableError` when nobody gets through."""
        self._tally.watch.phase("accounts", len(self._tally.accounts))
        await self._take(self._tally.accounts, history=False)

    async def take_history(self) -> None:
        """What is missing of older days, of all datasets that can still be asked."""
        accounts = []
        for account in self._tally.accounts:
            planned = self._plan(account, history=True)
            if not self._tally.can_go_on(account):
                continue
            if planned.windows_held:
                self._tally.hold(account, planned)
            if planned.history:
                accounts.append(account)
        if accounts:
            total = sum(len(self._plan(account, history=True).history) for account in accounts)
            self._tally.watch.phase("windows", total)
            await self._take(accounts, history=True)

    async def _take(self, accounts: Sequence[Account], *, history: bool) -> None:
        waiting = iter(accounts)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(2 * self._size, len(accounts))):
                workers.create_task(self._worker(waiting, history=history))

    async def _worker(self, accounts: Iterator[Account], *, history: bool) -> None:
        for account in accounts:
            if self._shared.stop.is_set:
                return
            result = await self._isolated(account, self._plan(account, history=history), history=history)
            self._tally.add(result, history=history)
            self._give_up_if_unreachable()

    def _plan(self, account: Account, *, history: bool) -> Plan:
        """What to ask now; of history, what lies before the days asked so far, of datasets not at their end."""
        state, now = self._states[account.appid], self._shared.clock.now()
        if not history:
            return plan(account, state, self._target, now)
        oldest_asked = self._asked_from.get(account.appid)
        before = oldest_asked or self._target.newest - ONE_DAY * (self._target.lookback_days - 1)
        planned = plan(account, state, self._target, now, before=before)
        ended = self._tally.ended(account)
        asks = [Ask(ask.window, tuple(name for name in ask.datasets if name not in ended)) for ask in planned.history]
        return replace(planned, history=tuple(ask for ask in asks if ask.datasets))

    async def _isolated(self, account: Account, planned: Plan, *, history: bool) -> AccountResult:
        """One account's result; even a mistake of ours stops that account alone."""
        shared, appid = self._shared, account.appid
        asks, goes_on = (planned.history, False) if history else (planned.daily, bool(planned.history))
        if planned.daily and not history:
            self._asked_from[appid] = planned.daily[-1].window.begin
        fresh = (Settling(self._states[appid], planned, self._target), None)
        settling, token = self._kept.pop(appid, fresh)
        on_window = self._tally.watch.window if history else None
        work = AccountRun(account, asks, settling, shared, goes_on=goes_on, on_window=on_window)
        if not history:
            for dataset, wait in planned.waits.items():
                work.wait(dataset, wait.kind, wait.until)
        api = AccountApi(account, shared.client, stop=shared.stop, clock=shared.clock, token=token)
        try:
            await work.log_in(api)
            async with self._at_work:
                return await work.collect(api)
        except CollectorError:
            raise
        except Exception as error:
            log.exception("account.crashed", account=str(account))
            what = f"the collector failed on this account ({type(error).__name__})"
            hint = "this is a mistake of the collector: please report it with the log"
            failure = Failure(account.appid, account.name, None, what, hint=hint, windows=len(asks))
            # Nothing of it is asked any more: what was learnt when it failed may not be stored.
            return AccountResult(account, Outcome.FAILED, (failure,), ended=frozenset(DATASETS))
        finally:
            self._states[appid] = settling.state
            if goes_on:
                self._kept[appid] = (settling, api.token)

    def _give_up_if_unreachable(self) -> None:
        client, tally = self._shared.client, self._tally
        enough = min(2 * self._size, len(tally.accounts))
        if not client.answered and tally.unreachable >= enough:
            raise UnreachableError(
                f"WeChat can't be reached: {tally.unreachable} accounts tried {', '.join(client.hosts)} "
                "and none had an answer. Check this host's network, the proxy and api.hosts"
            )
