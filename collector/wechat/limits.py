"""Rate and budget of one account, as WeChat counts its calls; the only user of asyncio-throttle.

Calls are paced, never released in bursts: a burst that the network delays would meet the next one,
and WeChat would see twice the rate.
"""

from __future__ import annotations

import asyncio
from datetime import date
from math import inf
from time import monotonic

from asyncio_throttle import Throttler

from collector.errors import BudgetError
from collector.model.accounts import Rate
from collector.model.days import beijing_day
from collector.runtime import Clock, Stop

MAX_SLOWDOWNS = 3
"""Times that a run halves an account's rate before it leaves the rest to the next run."""

SLOWEST = Rate(1, 60)

_EARLY_S = 0.001
"""Seconds by which a timer of the event loop may be early."""

_ROOM = 0.01
"""Share of a spacing that is added to each, since the network delays some calls and not others."""


class Limiter:
    """Limiter of one account's data calls: one call a spacing, and none in a pause that WeChat ordered.

    `last_turn_s` is the second of the monotonic clock at which the last turn was.
    """

    def __init__(self, rate: Rate, *, stop: Stop, clock: Clock, last_turn_s: float = -inf) -> None:
        self._stop = stop
        self._clock = clock
        self._lock = asyncio.Lock()
        self._spacing_s = rate.spacing_s
        self._throttler = _throttler(self._spacing_s)
        self._paused = False
        self.last_turn_s = last_turn_s
        self.slowdowns = 0

    async def acquire(self) -> int:
        """Wait for the account's turn; return how often it had been slowed down by then.

        One waiter waits for its turn at a time, the others stand behind the lock. Raises `StoppedError` when a stop
        signal ends the wait.
        """
        self._stop.check()
        # Most often nobody waits and a turn is free at once, where the network is slower than the rate.
        if not self._paused and not self._lock.locked() and monotonic() - self.last_turn_s > self._spacing_s:
            await self._throttler.acquire()
            self.last_turn_s = monotonic()
            return self.slowdowns
        async with self._stop.ends(), self._lock:
            while True:
                if (left_s := self.last_turn_s + self._spacing_s - monotonic()) > 0:
                    await asyncio.sleep(left_s + self._room_s)  # the throttler would only be polled until then
                await self._throttler.acquire()
                self.last_turn_s = monotonic()
                if not self._paused:
                    return self.slowdowns
                # A slow-down may come while this waits, so the turn counts only after the pause.
                slowdowns = self.slowdowns
                await self._clock.sleep(60 - self._clock.now().timestamp() % 60)
                self._paused = slowdowns != self.slowdowns

    @property
    def _room_s(self) -> float:
        return max(_EARLY_S, self._spacing_s * _ROOM)

    def slow_down(self, slowdowns_then: int) -> bool:
        """Pause until the next minute and halve the rate (45011); False when that was done too often already.

        `slowdowns_then` is the number that `acquire` returned for the refused call.
        """
        # Calls in flight are refused together; only one of them may slow the account down.
        if slowdowns_then < self.slowdowns:
            return True
        if self.slowdowns == MAX_SLOWDOWNS:
            return False
        self.slowdowns += 1
        self._paused = True
        self._spacing_s = min(self._spacing_s * 2, SLOWEST.spacing_s)
        self._throttler = _throttler(self._spacing_s)
        return True


class Budget:
    """Count of one account's data calls by path and Beijing day, limited to `daily_calls`."""

    def __init__(self, daily_calls: int | None, *, clock: Clock) -> None:
        self._daily_calls = daily_calls
        self._clock = clock
        self.used: dict[str, tuple[date, int]] = {}
        """The last day in Beijing on which calls of a path were made, and how many."""

    def resume(self, path: str, on: date | None, calls: int) -> None:
        """Take over the calls that earlier runs made on a day."""
        if on is not None:
            self.used[path] = (on, calls)

    def spend(self, path: str) -> None:
        """Count one call, or raise `BudgetError` when none is left today."""
        today = beijing_day(self._clock.now())
        on, calls = self.used.get(path, (today, 0))
        if on != today:
            calls = 0
        if self._daily_calls is not None and calls >= self._daily_calls:
            raise BudgetError(f"the {self._daily_calls} calls that daily_calls allows are used up for today")
        self.used[path] = (today, calls + 1)


def _throttler(spacing_s: float) -> Throttler:
    """Return a throttler of one call a spacing; a caller that is too early polls it every 2 % of that."""
    return Throttler(1, spacing_s, min(max(spacing_s * 0.02, 0.005), 0.25))
