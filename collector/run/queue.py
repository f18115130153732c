"""Queue of accounts that wait for a worker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf

from collector.errors import StoppedError
from collector.model.accounts import Account
from collector.runtime import Clock, Stop

LOOK_EVERY_S = 60.0
"""Seconds after which a worker that waits looks again, since the time of day may have brought new work."""


class AccountQueue:
    """Accounts that wait for a worker, by priority: those of 1 are taken when none of 0 can be, and so on.

    No account is at work twice at a time. A postponed account comes after the others of its priority, and not before
    its time, in seconds of the monotonic `clock`. `before_get` is called before each choice, and may change the queue.
    """

    def __init__(
        self, priorities: int, *, clock: Clock, stop: Stop, before_get: Callable[[], None] = lambda: None
    ) -> None:
        self._waiting: list[deque[Account]] = [deque() for _ in range(priorities)]
        self._at_work: dict[str, int] = {}
        self._postponed_until_s: dict[str, float] = {}
        self._clock = clock
        self._stop = stop
        self._before_get = before_get
        self._changed = asyncio.Event()
        self._sleeps = False

    def put(self, priority: int, accounts: Iterable[Account]) -> None:
        """Let accounts wait behind those of their priority."""
        self._waiting[priority].extend(accounts)
        self._wake()

    def postpone(self, priority: int, account: Account, until_s: float) -> None:
        """Let an account wait again, until `until_s` at least."""
        self._postponed_until_s[account.appid] = until_s
        self.put(priority, [account])

    def clear(self) -> None:
        """Let nobody wait any more."""
        self._postponed_until_s.clear()
        for waiting in self._waiting:
            waiting.clear()

    def has_waiting(self, priority: int) -> bool:
        """Return True while an account of a priority waits."""
        return bool(self._waiting[priority])

    def has_ready(self, priority: int) -> bool:
        """Return True while an account of a priority waits that may be taken now."""
        waiting = self._waiting[priority]
        if not waiting:  # as for most windows of history
            return False
        now_s = self._clock.monotonic()
        return any(self._may_be_taken(account, now_s) for account in waiting)

    def has_at_work(self, priority: int) -> bool:
        """Return True while an account is at work that waited with a priority."""
        return priority in self._at_work.values()

    async def get(self) -> tuple[int, Account] | None:
        """Return the next account and its priority, which is at work until `task_done`; None when all are done.

        Waits while others are at work, since they may be postponed, or bring new work. After a stop signal nobody
        waits for its time.
        """
        while True:
            self._before_get()
            for priority, waiting in enumerate(self._waiting):
                if account := self._first_of(waiting):
                    self._at_work[account.appid] = priority
                    return priority, account
            if not self._at_work and not any(self._waiting):
                return None
            await self._change()

    def task_done(self, account: Account) -> None:
        """End an account's work."""
        del self._at_work[account.appid]
        self._wake()

    def _first_of(self, waiting: deque[Account]) -> Account | None:
        now_s = inf if self._stop.is_set else self._clock.monotonic()
        for _ in range(len(waiting)):
            account = waiting.popleft()
            if self._may_be_taken(account, now_s):
                self._postponed_until_s.pop(account.appid, None)
                return account
            waiting.append(account)
        return None

    def _may_be_taken(self, account: Account, now_s: float) -> bool:
        return account.appid not in self._at_work and self._postponed_until_s.get(account.appid, -inf) <= now_s

    async def _change(self) -> None:
        """Wait until the queue changes, or the first postponed account may be taken."""
        postponed = {appid: at_s for appid, at_s in self._postponed_until_s.items() if appid not in self._at_work}
        due_s = min(postponed.values(), default=None)
        # One worker sleeps until then, so that one is woken and not all.
        if due_s is not None and not self._sleeps:
            self._sleeps = True
            try:
                with suppress(StoppedError):
                    async with self._stop.ends():
                        await self._clock.sleep(due_s - self._clock.monotonic())
            finally:
                self._sleeps = False
                self._wake()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()  # those who wait have seen the old one
