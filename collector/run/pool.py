"""The workers: they take the accounts one by one, first all of them with their newest days, then with their history.

A worker has one account at a time. So memory grows with the workers, not with the accounts, and one account's trouble,
or its slow pace, stops no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import structlog

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Target
from collector.errors import CollectorError
from collector.model.accounts import Account
from collector.model.results import AccountResult, Outcome
from collector.model.state import AccountState
from collector.run.account import AccountRun, Shared
from collector.run.passes import History, Known, NewestDays, Pass
from collector.run.queue import AccountQueue
from collector.run.reactions import crash_of
from collector.run.tally import Tally
from collector.runtime import let_others_catch_up

log = structlog.get_logger()

_DAILY, _HISTORY = range(2)


class Pool:
    """`size` workers, each of which takes the next account when it has finished one.

    `newest` returns the newest published day. When it has moved on while history is filled, the daily job comes first
    again.
    """

    def __init__(self, size: int, tally: Tally, shared: Shared, newest: Callable[[], date]) -> None:
        session = shared.session
        self._size = size
        self._tally = tally
        self._shared = shared
        self._newest = newest
        self._queue = AccountQueue(2, clock=session.clock, stop=session.stop, before_get=self._look_for_a_newer_day)

    async def collect(self, accounts: Sequence[Account], target: Target, states: dict[str, AccountState]) -> None:
        """Do the daily job of all accounts, then fill their history.

        `states` is what is known of each account, and follows what the run learns. Raises `DatabaseError`, or
        `UnreachableError` when no account gets through.
        """
        self._accounts = accounts
        self._known = Known(states)
        self._begin_day(target)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._size, len(accounts))):
                workers.create_task(self._worker())

    def _begin_day(self, target: Target) -> None:
        """Let all accounts wait for the daily job of `target`, after which their history comes."""
        self._target = target
        self._tally.begin_day()
        self._passes: tuple[Pass, Pass] = (
            NewestDays(target, self._known, self._tally, self._shared, self._wait_for_history),
            History(target, self._known, self._tally, self._shared, self._newest),
        )
        self._queue.clear()
        self._queue.put(_DAILY, self._accounts)
        self._tally.watch.begin(len(self._accounts))

    def _wait_for_history(self, account: Account) -> None:
        self._queue.put(_HISTORY, [account])

    def _look_for_a_newer_day(self) -> None:
        """Begin with the daily job again where a newer day has been published while history is filled.

        Not during the daily job: it would begin anew for those who are done, and the older day is as good for now.
        """
        has_history = self._queue.has_waiting(_HISTORY) or self._queue.has_at_work(_HISTORY)
        if has_history and not self._queue.has_waiting(_DAILY) and not self._shared.session.stop.is_set:
            newest = self._newest()
            if newest > self._target.newest:
                log.info("day.published", newest=str(newest))
                self._begin_day(replace(self._target, newest=newest))

    async def _worker(self) -> None:
        while taken := await self._queue.get():
            priority, account = taken
            try:
                await let_others_catch_up()
                await self._ask(priority, account)
            finally:
                self._queue.task_done(account)

    async def _ask(self, priority: int, account: Account) -> None:
        pass_ = self._passes[priority]
        if self._shared.session.stop.is_set:
            await pass_.skip(account)
        elif work := pass_.begin(account):
            result = await self._isolated(work)
            self._look_for_a_newer_day()
            if pass_ is not self._passes[priority]:
                pass_.leave(work)  # a newer day has come, and with it another turn
            elif work.postponed_until_s is not None:
                pass_.leave(work)
                self._queue.postpone(priority, account, work.postponed_until_s)
            else:
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
            work.roll_back()
            failure = crash_of(work.account, error, windows=len(work.asks))
            # Its history would most likely crash as well.
            return AccountResult(work.account, Outcome.FAILED, (failure,), ended=frozenset(DATASETS))
