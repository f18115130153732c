"""The workers: they take the accounts one by one, first all of them with their newest days, then with their history.

A worker takes one account at a time from one shared iterator, so memory follows the workers, not the accounts;
one account's trouble never stops another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import structlog

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Ask, Plan, Target, plan
from collector.completeness.settle import Settling
from collector.errors import CollectorError
from collector.model.accounts import Account
from collector.model.days import ONE_DAY
from collector.model.results import AccountResult, Failure, Outcome
from collector.model.state import AccountState, Update
from collector.run.account import AccountRun, Shared
from collector.run.tally import Tally
from collector.runtime import in_step
from collector.store.state import rename
from collector.wechat.api import AccountApi

log = structlog.get_logger()


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


def _wants_more(before: AccountState, after: AccountState) -> bool:
    """Whether answers have made days wanted that weren't: older than the account's birth, or void by mistake."""
    return before.born != after.born or any(
        before.dataset(name).void - after.dataset(name).settled for name in DATASETS
    )


class Pool:
    """The workers: each takes the next account when it is done with one.

    `size` accounts could be at work at once with all the calls that one may have in flight. Twice as many ask, since
    most have less to ask at times, or wait for the last of their answers; with their newest days, half as many again
    wait for their tokens meanwhile. `states` is what is known of each account, and follows what the run learns.
    Accounts whose history may lack something are kept after their newest days, and go on with it.
    """

    def __init__(
        self, size: int, target: Target, states: dict[str, AccountState], tally: Tally, shared: Shared
    ) -> None:
        self._size = size
        self._most_asking = 2 * size
        self._target = target
        self._states = states
        self._tally = tally
        self._shared = shared
        self._asking = asyncio.Semaphore(self._most_asking)
        self._kept: dict[str, tuple[Settling, AccountApi]] = {}
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
        accounts, windows = [], 0
        for account in self._tally.accounts:
            if account.appid not in self._kept:
                continue
            planned = self._plan(account, history=True)
            if planned.windows_held:
                self._tally.hold(account, planned)
            if planned.history and self._tally.can_go_on(account):
                accounts.append(account)
                windows += len(planned.history)
        if accounts:
            self._tally.watch.phase("windows", windows)
            await self._take(accounts, history=True)

    async def _take(self, accounts: Sequence[Account], *, history: bool) -> None:
        waiting, at_work = iter(accounts), self._most_asking + (0 if history else self._size)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(at_work, len(accounts))):
                workers.create_task(self._worker(waiting, history=history))

    async def _worker(self, accounts: Iterator[Account], *, history: bool) -> None:
        for account in accounts:
            await in_step()
            if self._shared.access.stop.is_set:
                return
            result = await self._isolated(account, self._plan(account, history=history), history=history)
            self._tally.add(result, history=history)
            self._tally.give_up_if_unreachable(self._shared.access, self._size)

    def _plan(self, account: Account, *, history: bool) -> Plan:
        """What to ask now; of history, what lies before the days asked so far, of datasets not at their end."""
        state, now = self._states[account.appid], self._shared.access.clock.now()
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
        if history:
            settling, api = self._kept.pop(appid)
        else:
            settling, api = Settling(self._states[appid], planned, self._target), AccountApi(account, shared.access)
        on_window = self._tally.watch.window if history else None
        work = AccountRun(account, asks, settling, shared, goes_on=goes_on, on_window=on_window)
        if not history:
            for dataset, wait in planned.waits.items():
                work.wait(dataset, wait.kind, wait.until)
        try:
            await work.log_in(api)
            async with self._asking:
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
            if not history and (goes_on or planned.windows_held or _wants_more(self._states[appid], settling.state)):
                self._kept[appid] = (settling, api)  # its token and its pace
            self._states[appid] = settling.state
