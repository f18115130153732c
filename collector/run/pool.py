"""The workers: they take the accounts one by one, first all of them with their newest days, then with their history.

A worker takes one account at a time from one shared iterator. So memory grows with the workers, not with the
accounts, and one account's trouble stops no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import structlog

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Ask, Plan, Target, plan
from collector.completeness.settle import Settling
from collector.errors import CollectorError
from collector.model.accounts import Account
from collector.model.results import AccountResult, Outcome
from collector.model.state import AccountState, Update
from collector.run.account import AccountRun, Shared
from collector.run.reactions import crash_of
from collector.run.tally import Tally
from collector.runtime import let_others_catch_up
from collector.wechat.api import AccountApi

log = structlog.get_logger()


def initial_state(account: Account, known: AccountState | None, target: Target) -> AccountState:
    """Return the state with which a run begins: with today's name, and what a backfill wants to be remembered."""
    state = known or AccountState(account.appid, account.name)
    # A backfill with an end wants a part of history once, not all of it from now on.
    since = target.since if target.until is None else None
    return replace(
        state,
        name=account.name,
        tags=account.tags,
        born=None if target.exhaustive else state.born,
        history_since=min((day for day in (state.history_since, since) if day), default=None),
    )


class Pass(Protocol):
    """One round of the workers over the accounts."""

    accounts: Sequence[Account]

    def begin(self, account: Account) -> AccountRun | None:
        """Return the part of an account in this pass; None where there is nothing to ask in it."""

    def end(self, work: AccountRun, result: AccountResult) -> None:
        """Keep what the account has learnt, and count how it came out."""

    async def skip(self, account: Account) -> None:
        """Store and count what is needed of an account whose turn came after the stop signal."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An account between the passes: its token and its pace, what it has learnt, and the oldest day asked so far.

    `held` is the plan of what waits, without its windows.
    """

    api: AccountApi
    settling: Settling
    oldest_asked: date
    held: Plan


class NewestDays:
    """The daily job of all accounts. `kept` are those that go on with their history."""

    def __init__(
        self, accounts: Sequence[Account], target: Target, states: dict[str, AccountState], tally: Tally, shared: Shared
    ) -> None:
        self.accounts = accounts
        self.kept: dict[str, _Kept] = {}
        self._target = target
        self._states = states
        self._tally = tally
        self._shared = shared
        self._at_work: dict[str, tuple[AccountState, Plan]] = {}
        self.windows = 0
        tally.watch.phase("accounts", len(accounts))

    def begin(self, account: Account) -> AccountRun:
        """Plan an account, and ask for its newest days alone."""
        session, known = self._shared.session, self._states.get(account.appid)
        state = initial_state(account, known, self._target)
        planned = plan(account, state, self._target, session.clock.now())
        self._at_work[account.appid] = state, planned
        settling = Settling(state, planned, self._target)
        api = AccountApi(account, session)
        work = AccountRun(
            api, planned.daily, settling, self._shared, stored=known, history_follows=bool(planned.history)
        )
        for dataset, wait in planned.waits.items():
            work.note_wait(dataset, wait.kind, wait.until)
        return work

    def end(self, work: AccountRun, result: AccountResult) -> None:
        """Keep accounts whose history may lack something: not asked yet, held back by a wait, or reopened."""
        appid = work.account.appid
        before, planned = self._at_work.pop(appid)
        self._states[appid] = work.settling.state
        self._tally.add(result)
        if planned.history or planned.windows_held or _has_new_pending_days(before, work.settling.state):
            oldest_asked = work.asks[-1].window.begin if work.asks else self._target.lookback_begin
            held = replace(planned, daily=())
            self.kept[appid] = _Kept(work.api, work.settling, oldest_asked, held)
            self.windows += planned.history.windows

    async def skip(self, account: Account) -> None:
        """Remember what a backfill wants. The old name stays until the documents are renamed."""
        known = self._states.get(account.appid)
        state = initial_state(account, known, self._target)
        state = replace(state, name=known.name) if known else state
        if state != known and (known or state.history_since):
            await self._shared.writer.put(Update((), state))


def _has_new_pending_days(before: AccountState, after: AccountState) -> bool:
    """Return True where answers made days pending that weren't: before the account's birth, or void."""
    return before.born != after.born or any(
        before.dataset(name).void - after.dataset(name).settled for name in DATASETS
    )


class History:
    """The older days that are pending, of the accounts that the daily job has kept."""

    def __init__(self, newest_days: NewestDays, target: Target, tally: Tally, shared: Shared) -> None:
        self.accounts: Sequence[Account] = [
            account for account in newest_days.accounts if account.appid in newest_days.kept
        ]
        self._kept = newest_days.kept
        self._target = target
        self._tally = tally
        self._shared = shared
        # Without a bar of their own, windows would count among the accounts.
        self._on_window = tally.watch.window if newest_days.windows else None
        if newest_days.windows:
            tally.watch.phase("windows", newest_days.windows)

    def begin(self, account: Account) -> AccountRun | None:
        """Plan the days before those asked so far, of the datasets that haven't ended in this run."""
        kept = self._kept.pop(account.appid)
        state, now = kept.settling.state, self._shared.session.clock.now()
        planned = plan(account, state, self._target, now, before=kept.oldest_asked)
        if planned.windows_held:
            self._tally.note_waiting(account, planned)
        asks = _without(planned.history, self._tally.ended(account))
        if not asks or not self._tally.may_ask_history(account):
            return None
        return AccountRun(kept.api, asks, kept.settling, self._shared, on_window=self._on_window)

    def end(self, work: AccountRun, result: AccountResult) -> None:
        """Count how the account came out."""
        del work
        self._tally.add_history(result)

    async def skip(self, account: Account) -> None:
        """Count the windows that wait, as the run ends before the account's turn."""
        if (held := self._kept.pop(account.appid).held).windows_held:
            self._tally.note_waiting(account, held)


def _without(asks: Iterable[Ask], ended: frozenset[str | None]) -> list[Ask]:
    """Return the windows without the datasets that have ended."""
    left = [Ask(ask.window, tuple(name for name in ask.datasets if name not in ended)) for ask in asks]
    return [ask for ask in left if ask.datasets]


class Pool:
    """`size` workers, each of which takes the next account when it has finished one."""

    def __init__(self, size: int, tally: Tally, shared: Shared) -> None:
        self._size = size
        self._tally = tally
        self._shared = shared

    async def collect(self, accounts: Sequence[Account], target: Target, states: dict[str, AccountState]) -> None:
        """Do the daily job of all accounts, then fill their history.

        `states` is what is known of each account, and follows what the run learns. Raises `DatabaseError`, or
        `UnreachableError` when no account gets through.
        """
        newest_days = NewestDays(accounts, target, states, self._tally, self._shared)
        await self._run_pass(newest_days)
        await self._run_pass(History(newest_days, target, self._tally, self._shared))

    async def _run_pass(self, pass_: Pass) -> None:
        waiting = iter(pass_.accounts)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._size, len(pass_.accounts))):
                workers.create_task(self._worker(waiting, pass_))

    async def _worker(self, waiting: Iterator[Account], pass_: Pass) -> None:
        for account in waiting:
            await let_others_catch_up()
            if self._shared.session.stop.is_set:
                await pass_.skip(account)
            elif work := pass_.begin(account):
                result = await self._isolated(work)
                pass_.end(work, result)
                self._tally.give_up_if_unreachable(result, self._shared.session)

    async def _isolated(self, work: AccountRun) -> AccountResult:
        """Return one account's result; even a mistake of ours stops that account alone."""
        try:
            return await work.collect()
        except CollectorError:
            raise
        except Exception as error:
            log.exception("account.crashed", account=str(work.account))
            failure = crash_of(work.account, error, windows=len(work.asks))
            # What was learnt when it crashed may not be stored, so nothing of the account is asked any more.
            return AccountResult(work.account, Outcome.FAILED, (failure,), ended=frozenset(DATASETS))
