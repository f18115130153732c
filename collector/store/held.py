"""A lease, as it is seen by who works under it: held, renewed from time to time, lost by a clock of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import TypeVar

import structlog

from collector.errors import DatabaseError
from collector.runtime import boot_s, in_background
from collector.store.database import outlasting, translated

T = TypeVar("T")
log = structlog.get_logger()

_NO_ANSWER = "MongoDB doesn't answer, or the run was halted"


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Intervals and time-outs of a lease, in seconds.

    It is free `free_after_s` after its last renewal. Its owner renews it every `renew_every_s`, has lost it when
    renewals failed for `lost_after_s`, and has the rest of the time to finish what it is writing. A run that waits
    for the lease, or fails to renew it, tries again every `poll_s`. Releasing it at the end takes at most `release_s`.
    """

    free_after_s: float = 60
    renew_every_s: float = 15
    lost_after_s: float = 45
    poll_s: float = 2
    release_s: float = 5


TIMES = LeaseTimes()


class Held:
    """A lease, as it is seen by who works under it. `epoch` is greater than that of any lease before it.

    It is certain until `until_s`, a second of the boot clock. Once lost, it stays lost.
    """

    __slots__ = ("_error", "epoch", "is_left", "trouble", "until_s")

    def __init__(self, epoch: int, until_s: float = inf) -> None:
        self.epoch = epoch
        self.until_s = until_s
        self.trouble = _NO_ANSWER
        """The reason why it isn't certain for longer, as far as it is known."""
        self.is_left = False
        """True where it isn't released at the end, but expires: others may still be at work under it."""
        self._error: DatabaseError | None = None

    @property
    def is_lost(self) -> bool:
        """True once somebody else may have the lease."""
        return boot_s() >= self.until_s

    @property
    def left_s(self) -> float:
        """Seconds for which the lease is certain, unless it is extended."""
        return self.until_s - boot_s()

    def check(self) -> None:
        """Raise `DatabaseError` once the lease is lost. It costs a quarter of a microsecond, before each call."""
        if boot_s() >= self.until_s:
            raise self.lose().copy()  # each worker raises its own

    def extend(self, until_s: float) -> None:
        """Note that the lease is certain until then, unless it is lost."""
        if not self.is_lost:
            self.until_s, self.trouble = until_s, _NO_ANSWER

    def lose(self, why: str | None = None) -> DatabaseError:
        """Regard the lease as lost, and return the error that says why. The first reason counts."""
        self.until_s = -inf
        why = why or f"it couldn't be renewed in time ({self.trouble})"
        self._error = self._error or DatabaseError(
            f"this run lost the lease: {why}. Another run may be at work, so nothing more is written: run again"
        )
        return self._error


@asynccontextmanager
async def confirmed(
    epoch: int, confirm: Callable[[], Awaitable[float | None]], gone: str, times: LeaseTimes
) -> AsyncIterator[Held]:
    """Work under the lease of that epoch, which is confirmed now and from time to time, as by `keep`.

    It may be lost already. Raises `DatabaseError` if MongoDB is out of reach.
    """
    asked_s = boot_s()  # before the call: however late its answer comes, no lease is trusted for too long
    certain_s = await outlasting(confirm)
    held = Held(epoch, -inf if certain_s is None else asked_s + certain_s)
    if certain_s is None:
        held.lose(gone)
    async with in_background(keep(held, confirm, gone, times), name="lease"):
        yield held


async def keep(held: Held, confirm: Callable[[], Awaitable[float | None]], gone: str, times: LeaseTimes) -> None:
    """Confirm the lease from time to time until it is lost.

    `confirm` returns the seconds for which the lease is certain from now on, or None if it is `gone`.
    """
    now = asyncio.get_running_loop().time
    try:
        # The time-out covers the call as well: a MongoDB that doesn't answer at all must not hold up the end.
        async with asyncio.timeout(held.left_s) as limit:
            while True:
                await asyncio.sleep(min(times.renew_every_s, held.left_s / 2))
                held.check()  # a host that was suspended finds out here
                asked_s, certain_s = await _outlasting(held, confirm, times.poll_s)
                if certain_s is None:
                    held.lose(gone)
                    return
                held.extend(asked_s + certain_s)
                limit.reschedule(now() + held.left_s)
    except (TimeoutError, DatabaseError):
        held.lose()
    except Exception as error:  # noqa: BLE001 - whatever it was, nobody renews the lease any more
        held.lose(f"its renewal failed ({type(error).__name__})")


async def _outlasting(held: Held, confirm: Callable[[], Awaitable[T]], poll_s: float) -> tuple[float, T]:
    """Return the boot clock's second at which `confirm` was called, and its result; retry while MongoDB is away."""
    while True:
        asked_s = boot_s()
        try:
            with translated():
                return asked_s, await confirm()
        except DatabaseError as error:
            held.trouble = str(error)
            log.info("lease.not_renewed", why=held.trouble)
            await asyncio.sleep(poll_s)
