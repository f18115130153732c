"""The workers: they take the accounts one by one, first all of them with their newest days, then with their history.

A worker has one account at a time. So memory grows with the workers, not with the accounts, and one account's trouble,
or its slow pace, stops no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from math import inf

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
from collector.run.reach import Reach
from collector.run.reactions import crash_of
from collector.run.tally import Tally
from collector.runtime import let_others_catch_up

log = structlog.get_logger()

_DAILY, _HISTORY = range(2)


class Pool:
    """`size` workers, each of which takes the next account when it has finished one.

    `newest` returns the newest published day. When it has moved on while history is filled, the daily job comes first
    again. Between two windows a history makes way for a daily job that can be done.
    """

    def __init__(self, size: int, tally: Tally, shared: Shared, newest: Callable[[], date]) -> None:
        session = shared.session
        self._size = size
        self._tally = tally
        self._shared = shared
        self._newest = newest
        self._newest_known, self._look_again_s = date.min, -inf
        self._queue = AccountQueue(2, clock=session.clock, stop=session.stop, before_get=self._look_for_a_newer_day)

    async def collect(
        self,
        accounts: Sequence[Account],
        target: Target,
        states: dict[str, AccountState],
        *,
        history: bool = True,
        last_turn_s: float = -inf,
    ) -> Sequence[Account]:
        """Do the daily job of all accounts, then fill their history; without `history`, return those that lack some.

        `states` is what is known of each account, and follows what the run learns. `last_turn_s` is the second of the
        monotonic clock at which another process may have made the last call of these accounts. Raises `DatabaseError`,
        or `UnreachableError` when no account gets through.
        """
        self._accounts = accounts
        self._fills_history = history
        self._known = Known(states, last_turn_s=last_turn_s)
        # Of all that are expected: one that is left of many is no sign.
        self._reach = Reach(self._shared.session, workers=self._size, accounts=self._tally.total)
        self._begin_day(target)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._size, len(accounts))):
                workers.create_task(self._worker())
        return self._lacking_history

    def _begin_day(self, target: Target) -> None:
        """Let all accounts wait for the daily job of `target`, after which their history comes."""
        self._target = target
        self._lacking_history: list[Account] = []
        self._passes: tuple[Pass, Pass] = (
            NewestDays(
                target, self._known, self._tally, self._shared, self._wait_for_history, is_last=not self._fills_history
            ),
            History(target, self._known, self._tally, self._shared, self._must_make_way),
        )
        self._queue.clear()
        self._queue.put(_DAILY, self._accounts)
        self._tally.watch.begin(len(self._accounts))

    def _wait_for_history(self, account: Account) -> None:
        if self._fills_history:
            self._queue.put(_HISTORY, [account])
        elif self._tally.may_gain_history(account):
            self._lacking_history.append(account)

    def _must_make_way(self) -> bool:
        """Return True where a history stops between two windows, since a daily job comes first."""
        is_stopping = self._shared.session.stop.is_set
        return (self._queue.has_ready(_DAILY) and not is_stopping) or self._is_newer_day_due()

    def _is_newer_day_due(self) -> bool:
        """Return True where a newer day has been published while history is filled.

        Not during the daily job: it would begin anew for those who are done, and the older day is as good for now.
        """
        if self._newest_lately() <= self._target.newest or self._shared.session.stop.is_set:
            return False
        has_history = self._queue.has_waiting(_HISTORY) or self._queue.has_at_work(_HISTORY)
        return has_history and not self._queue.has_ready(_DAILY)

    def _newest_lately(self) -> date:
        """Return the newest published day of the last second: it is asked for between any two windows."""
        now_s = self._shared.session.clock.monotonic()
        if now_s >= self._look_again_s:
            self._newest_known, self._look_again_s = self._newest(), now_s + 1
        return self._newest_known

    def _look_for_a_newer_day(self) -> None:
        if self._is_newer_day_due():
            newest = self._newest()
            log.info("day.published", newest=str(newest))
            # What failed for the older day is tried again for the newer one.
            self._shared.session.forget_failures()
            self._known.drop_apis()
            self._begin_day(replace(self._target, newest=newest))

    async def _worker(self) -> None:
        while True:
            # Before the choice: what is chosen must be begun before anybody else changes the queue.
            await let_others_catch_up()
            taken = await self._queue.get()
            if taken is None:
                return
            priority, account = taken
            try:
                await self._ask(priority, account)
            finally:
                self._queue.task_done(account)

    async def _ask(self, priority: int, account: Account) -> None:
        pass_ = self._passes[priority]
        if self._shared.session.stop.is_set:
            await pass_.skip(account)
        elif work := self._begun(pass_, account):
            result = await self._isolated(work)
            self._look_for_a_newer_day()
            if pass_ is not self._passes[priority]:
                pass_.leave(work)  # a newer day has come, and with it another turn
                self._known.drop_api(account.appid)
            elif work.postponed_until_s is not None:
                pass_.leave(work)
                self._queue.postpone(priority, account, work.postponed_until_s)
            elif work.has_made_way:
                pass_.leave(work)
                self._queue.put(priority, [account])
            else:
                pass_.end(work, result)
                self._reach.note(result)

    def _begun(self, pass_: Pass, account: Account) -> AccountRun | None:
        """Begin an account's part; a mistake of ours stops that account alone."""
        try:
            return pass_.begin(account)
        except Exception as error:
            log.exception("account.crashed", account=str(account))
            self._tally.add(_crashed(account, error, windows=0))
            return None

    async def _isolated(self, work: AccountRun) -> AccountResult:
        """Return one account's result; even a mistake of ours stops that account alone."""
        try:
            return await work.collect()
        except CollectorError:
            raise
        except Exception as error:
            log.exception("account.crashed", account=str(work.account))
            work.roll_back()
            return _crashed(work.account, error, windows=len(work.asks))


def _crashed(account: Account, error: Exception, *, windows: int) -> AccountResult:
    """Return the result of an account on which we made a mistake; its history would most likely crash as well."""
    failure = crash_of(account, error, windows=windows)
    return AccountResult(account, Outcome.FAILED, (failure,), ended=frozenset(DATASETS))
