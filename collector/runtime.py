"""Clock, stop signal, values that are fetched once, circuit breakers."""

from __future__ import annotations

import asyncio
import errno
import gc
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from types import coroutine
from typing import Any, Generic, TypeVar

from collector.errors import CallError, CollectorError, PostponedError, StoppedError

T = TypeVar("T")
E = TypeVar("E", bound=CollectorError)


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


class Once(Generic[T]):
    """A value fetched by the first caller and shared by all: later callers get it, or a copy of its `CallError`.

    A first caller that is cancelled, or fails otherwise, leaves the fetching to the next one; so does one with an error
    that `may_recover`.
    """

    _value: T

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._has_value = False
        self._error: CallError | None = None

    @property
    def has_failed(self) -> bool:
        """True if an error is remembered."""
        return self._error is not None

    async def get(self) -> T:
        """Return the value. Raises the error of the fetching, as an exception object of the caller's own."""
        async with self._lock:
            if self._error:
                raise self._error.copy()
            if not self._has_value:
                try:
                    self._value = await self._fetch()
                except CallError as error:
                    if not error.may_recover:
                        # Raised to thousands of callers, one object would collect the frames of them all.
                        self._error = error.copy()
                    raise
                self._has_value = True
            return self._value


MAX_FAILURES = 3
"""Failures for one and the same reason before a circuit breaker opens."""


class CircuitBreaker(Generic[E]):
    """Circuit breaker of one server, program or platform: closed at first, open after `max_failures` failures.

    A caller uses `check` first, and notes the result with `failed` or `succeeded`. A success closes the breaker.
    `error` is the failure noted last, or the one that opened it.
    """

    def __init__(self, max_failures: int = MAX_FAILURES) -> None:
        self._max_failures = max_failures
        self.failures = 0
        self.error: E | None = None

    @property
    def is_open(self) -> bool:
        """True if calls would fail like those before, so that none should be made."""
        return self.failures >= self._max_failures

    def check(self) -> None:
        """Raise a copy of the failure that opened the breaker, if it is open."""
        if self.error and self.is_open:
            raise self.error.copy()

    def failed(self, error: E, *, at_once: bool = False) -> None:
        """Note a failure; `at_once` opens the breaker whatever the number of failures."""
        if self.is_open:
            return  # calls that were in flight when it opened add nothing
        self.failures = self._max_failures if at_once else self.failures + 1
        self.error = error.copy()

    def succeeded(self) -> None:
        """Close the breaker."""
        self.failures = 0
        self.error = None


PROBE_EVERY_S = 15
"""Seconds between the calls that find out whether a server or a program is back."""

POSTPONE_S = 120
"""Seconds after opening in which callers are postponed; a restart takes no longer, and later ones fail at once."""


class HalfOpenBreaker(CircuitBreaker[CallError]):
    """Circuit breaker that lets one caller through every `PROBE_EVERY_S` seconds while it is open: the probe.

    A caller uses `begin` first, and notes the result. `monotonic` gives seconds that pass evenly. When a probe began
    is what counts, not its end: one that is cancelled, or takes long, doesn't hold up the next one.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._opened_s = self._next_probe_s = 0.0

    def check(self) -> None:
        """Raise `refusal` if the breaker is open and no probe is due."""
        if self.error and self.is_open and self._monotonic() < self._next_probe_s:
            raise self.refusal(self.error)

    def begin(self) -> None:
        """Begin a call, which is the probe if the breaker is open. Raises what `check` raises."""
        self.check()
        self._next_probe_s = self._monotonic() + PROBE_EVERY_S

    def refusal(self, error: CallError) -> CollectorError:
        """Return the error to raise in the place of `error` while the breaker is open.

        It is a `PostponedError` until `POSTPONE_S` seconds after opening, then a copy of `error`, which may recover: a
        later probe may succeed.
        """
        now_s, fails_s = self._monotonic(), self._opened_s + POSTPONE_S
        error = error.copy()
        error.may_recover = True
        return error if now_s >= fails_s else PostponedError(error, at_s=min(max(now_s, self._next_probe_s), fails_s))

    def failed(self, error: CallError, *, at_once: bool = False) -> None:
        """Note a failure. The one that opens the breaker counts as the first probe."""
        if not self.is_open:
            self._opened_s = self._monotonic()
            self._next_probe_s = self._opened_s + PROBE_EVERY_S
        super().failed(error, at_once=at_once)
