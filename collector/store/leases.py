"""The lease: one run at a time for a database, whatever accounts it is for.

The collection `leases` has one document, which says who is at work::

    { _id: "run", run: "20261124T023010Z-1f9a3c", command: "backfill", host: "collector-1", pid: 4711,
      since: ISODate(), expires: ISODate() }

Its instants are those of the server's clock, so the clocks of the hosts don't matter. Whether a lease is lost is
told by its owner's own monotonic clock, since the server can't be asked then.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from collector.errors import DatabaseError, LeaseHeldError
from collector.model.days import BEIJING
from collector.store.database import Database, Document, translated
from collector.text import printable

log = structlog.get_logger()

LEASES = "leases"

_NO_ANSWER = "MongoDB doesn't answer"


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds that a lease goes by.

    It is free `free_after_s` after its last renewal. Its owner renews it every `renew_every_s`, has lost it when
    that failed for `lost_after_s`, and has the rest to let go of what it writes. Whoever waits for it or has trouble
    to renew it tries again every `poll_s`. The call that frees it as the run ends gets `release_s`.
    """

    free_after_s: float = 60
    renew_every_s: float = 15
    lost_after_s: float = 45
    poll_s: float = 2
    release_s: float = 5


TIMES = Times()


@asynccontextmanager
async def lease(
    database: Database,
    run: str,
    command: str,
    *,
    on_lost: Callable[[DatabaseError], None],
    wait_s: float = 0,
    times: Times = TIMES,
) -> AsyncIterator[None]:
    """Be the one run at work in `database` as long as the context lasts.

    `on_lost` is called once if the lease is lost: write nothing any more then, and end the run with that error.
    `command` is what others are told that this run does.

    Raises `LeaseHeldError` if another run still has the lease after `wait_s` seconds, `DatabaseError` if MongoDB
    can't be asked. A lease that was taken by a call whose answer never came runs out by itself.
    """
    mine = _Lease(database, run, command, times)
    await mine.take(wait_s)
    renewing = asyncio.create_task(mine.keep(on_lost), name="lease")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])
        await mine.release()


class _Lease:
    """The lease as one run sees it."""

    def __init__(self, database: Database, run: str, command: str, times: Times) -> None:
        self._leases = database[LEASES]
        self._mine = {"_id": "run", "run": run}
        self._owner = self._mine | {"command": command, "host": socket.gethostname(), "pid": os.getpid()}
        self._times = times
        self._expires = {"$add": ["$$NOW", round(times.free_after_s * 1000)]}
        self._now = asyncio.get_running_loop().time
        self._confirmed = 0.0
        """When the call was made that took or last renewed the lease."""
        self._trouble = _NO_ANSWER

    async def take(self, wait_s: float) -> None:
        """Take the lease as soon as it is free. Raises `LeaseHeldError` if that isn't within `wait_s` seconds."""
        until = self._now() + wait_s
        told = False
        while error := await self._try():
            left_s = until - self._now()
            if left_s <= 0:
                raise error
            if not told:
                log.warning("lease.waiting", run=error.run, host=error.host, pid=error.pid, seconds=wait_s)
                told = True
            await asyncio.sleep(min(self._times.poll_s, left_s))

    async def keep(self, on_lost: Callable[[DatabaseError], None]) -> None:
        """Renew the lease again and again; when it is lost, say so and end."""
        lost_after_s = self._times.lost_after_s
        try:
            async with asyncio.timeout_at(self._confirmed + lost_after_s) as limit:
                while await self._renew():
                    limit.reschedule(self._confirmed + lost_after_s)
            why = "the lease of this run isn't its own any more: it was halted for too long, or somebody deleted it"
        except TimeoutError:
            why = f"the lease of this run couldn't be renewed for {lost_after_s:g} s ({self._trouble})"
        on_lost(DatabaseError(f"{why}. Another run may be at work, so nothing more is written: run again"))

    async def release(self) -> None:
        """Let others have the lease, if it is still this run's. Trouble is passed over: the lease runs out."""
        try:
            async with asyncio.timeout(self._times.release_s):
                await self._leases.delete_one(self._mine)
        except (PyMongoError, TimeoutError) as error:
            log.info("lease.not_released", why=type(error).__name__, free_after_seconds=self._times.free_after_s)

    async def _try(self) -> LeaseHeldError | None:
        """Take the lease if it is free, and say else who has it: one call, so nobody comes in between."""
        is_free = {"$lte": ["$expires", "$$NOW"]}  # true as well where there is none: an absent value sorts first
        taken = {"$mergeObjects": [{"$literal": self._owner}, {"since": "$$NOW", "expires": self._expires}]}
        asked = self._now()
        with translated():
            holder = await self._leases.find_one_and_update(
                {"_id": "run"},
                [{"$replaceWith": {"$cond": [is_free, taken, "$$ROOT"]}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        if holder["run"] != self._mine["run"]:
            return _held(holder)
        self._confirmed = asked
        return None

    async def _renew(self) -> bool:
        """Renew the lease when it is time to, as often as it takes; returns whether it was still this run's."""
        await asyncio.sleep(self._times.renew_every_s)
        while True:
            asked = self._now()
            try:
                with translated():
                    renewed = await self._leases.update_one(self._mine, [{"$set": {"expires": self._expires}}])
            except DatabaseError as error:
                self._trouble = str(error)
                log.info("lease.not_renewed", why=self._trouble)
                await asyncio.sleep(self._times.poll_s)
            else:
                self._confirmed, self._trouble = asked, _NO_ANSWER
                return renewed.matched_count == 1


async def is_held(database: Database) -> bool:
    """Whether a run is at work in `database`. Raises `DatabaseError` when MongoDB is out of reach."""
    with translated():
        return await database[LEASES].find_one({"_id": "run", "$expr": {"$gt": ["$expires", "$$NOW"]}}) is not None


def _held(holder: Document) -> LeaseHeldError:
    is_gone = holder["host"] == socket.gethostname() and not _is_running(holder["pid"])
    return LeaseHeldError(
        command=printable(holder["command"]),
        run=printable(holder["run"]),
        host=printable(holder["host"]),
        pid=holder["pid"],
        since=_beijing(holder["since"]),
        gone_until=_beijing(holder["expires"]) if is_gone else None,
    )


def _is_running(pid: int) -> bool:
    """Whether a process of this host has that number, as far as can be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError, TypeError):  # another user's, or no number of a process
        pass
    return True


def _beijing(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC).astimezone(BEIJING)
