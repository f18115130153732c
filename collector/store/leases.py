"""The lease: one run at a time for a database, whatever accounts it is for.

The collection `leases` has one document, which names the run at work::

    { _id: "run", run: "20261124T023010Z-1f9a3c", command: "backfill", host: "collector-1", pid: 4711,
      since: ISODate(), expires: ISODate() }

Its instants are those of the server's clock, so the clocks of the hosts don't matter. The owner finds out by its own
monotonic clock that it has lost the lease, since it can't ask the server then.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC

import structlog
from pymongo import ReturnDocument
from pymongo.errors import OperationFailure, PyMongoError

from collector.errors import DatabaseError, LeaseHeldError
from collector.model.days import BEIJING
from collector.runtime import in_background
from collector.store.database import Database, Document, outlasting, translated
from collector.text import printable

log = structlog.get_logger()

LEASES = "leases"

_NO_ANSWER = "MongoDB doesn't answer"

_LACKING = frozenset({9, 14, 115, 168, 238, 303, 304, 17276, 40324})
"""Codes of servers that don't know update pipelines or `$$NOW`.

MongoDB before 4.2 answers 14 (TypeMismatch) or 17276 (undefined variable), Amazon DocumentDB 9 (FailedToParse), 303 or
304 (not supported), others 115 or 238 (not supported), 168 or 40324 (unknown expression or stage).
"""


@dataclass(frozen=True, slots=True)
class Times:
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
    """Hold the lease of `database` while the context lasts, so that no other run is at work in it.

    `on_lost` is called once if the lease is lost: the caller must stop writing, and end the run with that error.
    `command` names this run's work to the runs that it keeps out.

    Raises `LeaseHeldError` if another run still has the lease after `wait_s` seconds, `DatabaseError` if MongoDB
    is out of reach. A lease that was taken by a call whose answer never came expires by itself.
    """
    mine = _Lease(database, run, command, times)
    await mine.take(wait_s)
    try:
        async with in_background(mine.keep(on_lost), name="lease"):
            yield
    finally:
        await mine.release()


class _Lease:
    """The lease, seen from the run that takes it."""

    def __init__(self, database: Database, run: str, command: str, times: Times) -> None:
        self._leases = database[LEASES]
        self._mine = {"_id": "run", "run": run}
        self._owner = self._mine | {"command": command, "host": socket.gethostname(), "pid": os.getpid()}
        self._times = times
        self._expires = {"$add": ["$$NOW", round(times.free_after_s * 1000)]}
        self._now = asyncio.get_running_loop().time
        self._confirmed = 0.0
        """The loop's time at which the call began that took or last renewed the lease."""
        self._trouble = _NO_ANSWER

    async def take(self, wait_s: float) -> None:
        """Take the lease as soon as it is free. Raises `LeaseHeldError` after `wait_s` seconds."""
        until = self._now() + wait_s
        is_logged = False
        while holder := await self._try():
            left_s = until - self._now()
            if left_s <= 0:
                raise _held(holder)
            if not is_logged:
                run, host = printable(holder["run"]), printable(holder["host"])
                log.warning("lease.waiting", run=run, host=host, pid=holder["pid"], seconds=wait_s)
                is_logged = True
            await asyncio.sleep(min(self._times.poll_s, left_s))

    async def keep(self, on_lost: Callable[[DatabaseError], None]) -> None:
        """Renew the lease until it is lost, then call `on_lost`."""
        lost_after_s = self._times.lost_after_s
        try:
            # The time-out covers the call as well: a MongoDB that doesn't answer at all must not hold up the end.
            async with asyncio.timeout_at(self._confirmed + lost_after_s) as limit:
                while await self._renew():
                    limit.reschedule(self._confirmed + lost_after_s)
            why = "the run was halted for too long, or somebody deleted the lease"
        except TimeoutError:
            why = f"it couldn't be renewed for {lost_after_s:g} s ({self._trouble})"
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody renews the lease any more
            why = f"its renewal failed ({type(error).__name__})"
        on_lost(
            DatabaseError(
                f"this run lost the lease: {why}. Another run may be at work, so nothing more is written: run again"
            )
        )

    async def release(self) -> None:
        """Delete the lease if it is still this run's. A failure is only logged, since the lease expires by itself."""
        try:
            async with asyncio.timeout(self._times.release_s):
                # By its run: another run may have taken the lease meanwhile.
                await self._leases.delete_one(self._mine)
        except (PyMongoError, TimeoutError) as error:
            log.info("lease.not_released", why=type(error).__name__, free_after_seconds=self._times.free_after_s)

    async def _try(self) -> Document | None:
        """Take the lease if it is free; return the document of its holder otherwise.

        One call does both, so no other run can come in between.
        """
        # Also true without a document, since an absent value sorts first. A lease of this run was taken by a call whose
        # answer never came: taken again, it counts from now.
        is_free = {"$or": [{"$lte": ["$expires", "$$NOW"]}, {"$eq": ["$run", self._mine["run"]]}]}
        taken = {"$mergeObjects": [{"$literal": self._owner}, {"since": "$$NOW", "expires": self._expires}]}
        pipeline = [{"$replaceWith": {"$cond": [is_free, taken, "$$ROOT"]}}]

        async def call() -> tuple[float, Document]:
            asked = self._now()  # before the call: however late its answer comes, no lease is trusted for too long
            try:
                holder: Document = await self._leases.find_one_and_update(
                    {"_id": "run"}, pipeline, upsert=True, return_document=ReturnDocument.AFTER
                )
            except OperationFailure as error:
                # It is a run's first write, so a server that lacks something is found out before anything is asked.
                if error.code in _LACKING:
                    raise _lacking(error) from None
                raise
            return asked, holder

        asked, holder = await outlasting(call)
        if holder["run"] != self._mine["run"]:
            return holder
        self._confirmed = asked
        return None

    async def _renew(self) -> bool:
        """Renew the lease when it is due, retrying; return False if it was no longer this run's."""
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
    """Return True while a run holds the lease of `database`. Raises `DatabaseError` when MongoDB is out of reach."""
    held = {"_id": "run", "$expr": {"$gt": ["$expires", "$$NOW"]}}
    return await outlasting(lambda: database[LEASES].find_one(held)) is not None


def _lacking(error: OperationFailure) -> DatabaseError:
    reason = printable((error.details or {}).get("errmsg"))
    return DatabaseError(
        f"the server of mongodb.uri lacks what the collector needs, update pipelines and $$NOW ({reason}). Use MongoDB "
        "5.0 or later: Amazon DocumentDB and older Azure Cosmos DB don't suffice (see docs/mongodb.md)"
    )


def _held(holder: Document) -> LeaseHeldError:
    command, run, host = (printable(holder[key]) for key in ("command", "run", "host"))
    since = holder["since"].replace(tzinfo=UTC).astimezone(BEIJING)  # MongoDB gives instants without a zone
    return LeaseHeldError(
        f"another run is at work: {command} {run} on {host} (pid {holder['pid']}) since {since:%Y-%m-%d %H:%M:%S} "
        "Beijing time. Wait for it, or start with --wait. If it was killed, its lease ends within 60 seconds"
    )
