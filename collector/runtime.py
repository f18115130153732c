"""Waits that end at the stop signal, and the clock that they go by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

from collector.errors import StoppedError


class Clock:
    """The instant and the passing of time; tests bring their own, so that none of them sleeps."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        """Wait for `delay_s` seconds."""
        await asyncio.sleep(delay_s)


async def in_step() -> None:
    """Let all tasks that can go on come as far as this one, before it goes on itself.

    The same code runs for many of them in a row then, while the processor still knows it: that saves a run some 5 % of
    its CPU.
    """
    await asyncio.sleep(0)


class Stop:
    """The stop signal: once set, waits end and no new call begins; what is in flight goes on."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The number of the signal that stopped the run, or None while it goes on."""
        self._came = asyncio.Event()
        self._waits: dict[asyncio.Timeout, float] = {}

    @property
    def is_set(self) -> bool:
        """Whether the run is stopping."""
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
        """End the body with `StoppedError` `grace_s` seconds after the signal, or at once if it has come already."""
        self.check()
        wait = asyncio.timeout(None)
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
