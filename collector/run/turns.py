"""Whose turn it is: accounts wait here for a worker."""

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


class Turns:
    """Accounts that wait in lines: a line's accounts get their turn when the lines before it are empty.

    No account is at work twice at a time. One that was put back comes after the others of its line, and not before
    its time, in seconds of the monotonic `clock`. `before_turn` is called before each choice, and may change the lines.
    """

    def __init__(self, lines: int, *, clock: Clock, stop: Stop, before_turn: Callable[[], None] = lambda: None) -> None:
        self._lines: list[deque[Account]] = [deque() for _ in range(lines)]
        self._at_work: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._clock = clock
        self._stop = stop
        self._before_turn = before_turn
        self._changed = asyncio.Event()
        self._sleeps = False

    def add(self, line: int, accounts: Iterable[Account]) -> None:
        """Let accounts wait at the end of a line."""
        self._lines[line].extend(accounts)
        self._wake()

    def put_back(self, line: int, account: Account, at_s: float) -> None:
        """Let an account wait again, until `at_s` at least."""
        self._not_before[account.appid] = at_s
        self.add(line, [account])

    def clear(self) -> None:
        """Let nobody wait any more."""
        self._not_before.clear()
        for line in self._lines:
            line.clear()

    def is_busy(self, line: int) -> bool:
        """Return True while an account waits in a line, or is at work out of it."""
        return bool(self._lines[line]) or line in self._at_work.values()

    async def take(self) -> tuple[int, Account] | None:
        """Return the next account and its line, which is at work until `done`; None when all have had their turns.

        Waits while others are at work, since they may be put back, or bring new work. After a stop signal nobody
        waits for its time.
        """
        while True:
            self._before_turn()
            for number, line in enumerate(self._lines):
                if account := self._first_of(line):
                    self._at_work[account.appid] = number
                    return number, account
            if not self._at_work and not any(self._lines):
                return None
            await self._change()

    def done(self, account: Account) -> None:
        """End an account's turn."""
        del self._at_work[account.appid]
        self._wake()

    def _first_of(self, line: deque[Account]) -> Account | None:
        now_s = inf if self._stop.is_set else self._clock.monotonic()
        for _ in range(len(line)):
            account = line.popleft()
            if account.appid not in self._at_work and self._not_before.get(account.appid, -inf) <= now_s:
                self._not_before.pop(account.appid, None)
                return account
            line.append(account)
        return None

    async def _change(self) -> None:
        """Wait until the lines change, or the first of those that were put back may be asked."""
        due_s = min((at_s for appid, at_s in self._not_before.items() if appid not in self._at_work), default=None)
        # One worker sleeps until then: by a clock of tests, each sleep moves the time on.
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
