"""Clocks, the stop signal, and what a process does about its event loop, its memory and its open files."""

from __future__ import annotations

import asyncio
import errno
import gc
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from types import coroutine
from typing import Any

from collector.errors import StoppedError

if sys.platform == "linux":

    def boot_s() -> float:
        """Return seconds that pass evenly, also while the host is suspended: the monotonic clock leaves that out."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

elif sys.platform == "darwin":

    def boot_s() -> float:
        """Return the same: on macOS this clock goes on in sleep, while Python's monotonic one stops."""
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)

else:
    boot_s = time.monotonic


class Clock:
    """This host's clock; tests bring their own, so that none of them sleeps."""

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that pass evenly, whatever happens to `now`."""
        return time.monotonic()

    def instant_of(self, monotonic_s: float) -> datetime:
        """Return the instant (UTC) at which `monotonic` was `monotonic_s`."""
        return self.now() - timedelta(seconds=self.monotonic() - monotonic_s)

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds."""
        await asyncio.sleep(delay_s)


class WechatClock(Clock):
    """WeChat's time: the host's clock until WeChat has answered, then that answer's time and what has passed since.

    A leap of the host's clock in mid-run changes nothing.
    """

    def __init__(self, host: Clock) -> None:
        self.host = host
        self._known: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        if self._known is None:
            return self.host.now()
        instant, at = self._known
        return instant + timedelta(seconds=self.host.monotonic() - at)

    def monotonic(self) -> float:
        """Return the host's."""
        return self.host.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds."""
        await self.host.sleep(delay_s)

    def set(self, instant: datetime) -> None:
        """Go by WeChat's `instant` from now on."""
        self._known = (instant, self.host.monotonic())


@coroutine
def let_others_catch_up() -> Generator[None, Any, None]:
    """Let all tasks that are ready run before this one goes on.

    It stands before each step of a call (plan, send, fold, settle), so that many accounts take the same step one
    right after the other, while its code and data are still in the processor's caches. Measured: 9 % of a run's CPU.
    """
    yield  # as `asyncio.sleep(0)` does, without the two coroutines of that: five times for each call


GC_THRESHOLD = 20_000
"""New objects, about a megabyte, before Python looks for cycles among them."""

NEVER = 1_000_000
"""Times that young objects are looked through before all are; no run comes so far."""


def tune_gc() -> None:
    """Look for cycles rarely, and among young objects alone.

    A run makes few of them, and looking for them took a fifth of its time. To look through all objects held the loop
    for 140 ms with 10,000 accounts.
    """
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 10, NEVER)


@contextmanager
def tuned_gc() -> Iterator[None]:
    """Tune the search for cycles for the body, in a process that goes on after it."""
    threshold = gc.get_threshold()
    tune_gc()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)


def is_out_of_files(error: BaseException) -> bool:
    """Return True if `error` means that this process, or this host, can't open another file or connection."""
    cause = getattr(error, "os_error", error)  # aiohttp's errors carry the system's
    return isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)


class Stop:
    """The stop signal: once set, waits end and no new call begins; what is in flight goes on."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The number of the signal that stopped the run, or None while it goes on."""
        self._came = asyncio.Event()
        self._waits: dict[asyncio.Timeout, float] = {}

    @property
    def is_set(self) -> bool:
        """True once the stop signal has come."""
        return self.signal is not None

    def set(self, signal: int) -> None:
        """End all waits, each after the grace that it asked for. Call it on the loop's own thread."""
        self.signal = signal
        self._came.set()
        now = asyncio.get_running_loop().time()
        for wait, grace_s in self._waits.items():
            wait.reschedule(now + grace_s)

    async def wait(self) -> int:
        """Wait for the signal; returns its number."""
        await self._came.wait()
        return self.signal or 0

    def check(self) -> None:
        """Raise `StoppedError` once the signal has come."""
        if self.is_set:
            raise StoppedError

    @asynccontextmanager
    async def ends(self, *, grace_s: float = 0) -> AsyncIterator[None]:
        """End the body with `StoppedError` `grace_s` seconds after the signal, also if it has come already."""
        if not grace_s:
            self.check()
        wait = asyncio.timeout(grace_s if self.is_set else None)
        try:
            async with wait:
                self._waits[wait] = grace_s
                try:
                    yield
                finally:
                    del self._waits[wait]
        except TimeoutError:
            if wait.expired():
                raise StoppedError from None
            raise


LAG_EVERY_S = 0.05
"""Seconds between two looks at the event loop's lag."""


class LoopLag:
    """Lag of the event loop: `max_s` is the longest time in seconds by which a timer was late.

    For so long some callback, or another process, has held the loop, and neither calls nor the lease went on.
    """

    def __init__(self) -> None:
        self.max_s = 0.0

    async def measure(self) -> None:
        """Look at the lag until cancelled."""
        now = asyncio.get_running_loop().time
        while True:
            due_s = now() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self.max_s = max(self.max_s, now() - due_s)


@asynccontextmanager
async def in_background(work: Coroutine[object, object, None], *, name: str) -> AsyncIterator[None]:
    """Run `work` beside the body, which ends it."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])  # unlike `await task`, it doesn't raise the task's own cancellation here


@contextmanager
def first_of_group() -> Iterator[None]:
    """Let the first error of a task group through as itself: whoever catches it knows one error, not a group."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
