"""Leases: two runs are at work at once only if no account can be in the parts of both.

A run takes the lease of its part, renews it while it works, and releases it. `Held` says before each call to WeChat and
each write whether it still has it. The document of all leases is in `lease_document.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from collector.errors import DatabaseError, LeaseHeldError
from collector.model.days import BEIJING
from collector.model.parts import ALL, Part, to_document
from collector.runtime import boot_s, in_background
from collector.store import lease_document as document
from collector.store.database import Database, Document, outlasting
from collector.store.held import TIMES, Held, LeaseTimes, confirmed, keep
from collector.text import counted, printable

T = TypeVar("T")
log = structlog.get_logger()

MAX_TRIES = 200
"""Attempts to take a lease. One fails whenever another run takes, renews or releases its own at the same moment."""

_GONE = "the run was halted for too long, or somebody deleted the lease"

_LACKING = frozenset({9, 14, 115, 168, 238, 303, 304, 17276, 40324})
"""Codes of servers that don't know update pipelines or `$$NOW`.

MongoDB before 4.2 answers 14 (TypeMismatch) or 17276 (undefined variable), Amazon DocumentDB 9 (FailedToParse), 303 or
304 (not supported), others 115 or 238 (not supported), 168 or 40324 (unknown expression or stage).
"""


@asynccontextmanager
async def lease(
    database: Database, run: str, command: str, part: Part = ALL, *, wait_s: float = 0, times: LeaseTimes | None = None
) -> AsyncIterator[Held]:
    """Hold the lease of `part` while the context lasts, so that no other run is at work on any of its accounts.

    `command` names this run's work to the runs that it keeps out.

    Raises `LeaseHeldError` if another run still has a part that overlaps after `wait_s` seconds, `DatabaseError` if
    MongoDB is out of reach. A lease that was taken by a call whose answer never came expires by itself.
    """
    taking = _Taking(database, run, command, part, times or TIMES)
    held = await taking.take(wait_s)
    try:
        async with in_background(keep(held, partial(taking.renew, held), _GONE, taking.times), name="lease"):
            yield held
    finally:
        await taking.release(held)


@asynccontextmanager
async def following(
    database: Database, run: str, epoch: int, *, times: LeaseTimes | None = None
) -> AsyncIterator[Held]:
    """Work under the lease that another process of the same run holds, and renews; this one only looks at it.

    The lease is lost here a while before it is free for others, whether or not its owner is alive. Raises
    `DatabaseError` if the run doesn't hold it any more, or MongoDB is out of reach.
    """
    times = times or TIMES
    gone = "its run has ended, or was halted for too long"

    async def look() -> float | None:
        seen = await document.look(database)
        mine = next((each for each in seen.live if (each.get("run"), each.get("epoch")) == (run, epoch)), None)
        if mine is None:
            return None
        left_s = min(seen.seconds_left(mine), times.free_after_s)  # more only by a new primary whose clock is behind
        return left_s - (times.free_after_s - times.lost_after_s)

    async with confirmed(epoch, look, gone, times) as held:
        held.check()
        yield held


class _Taking:
    """A lease, seen from the run that takes it."""

    def __init__(self, database: Database, run: str, command: str, part: Part, times: LeaseTimes) -> None:
        self.times = times
        self._database = database
        self._run = run
        self._part = part
        origin = {"host": socket.gethostname(), "pid": os.getpid()}
        self._mine: Document = {"run": run, "command": command, **origin, "part": to_document(part)}

    async def take(self, wait_s: float) -> Held:
        """Take the lease as soon as the part is free. Raises `LeaseHeldError` after `wait_s` seconds."""
        now = asyncio.get_running_loop().time
        until = now() + wait_s
        is_logged = False
        while isinstance(found := await self._try(), list):
            left_s = until - now()
            if left_s <= 0:
                raise LeaseHeldError(_refusal(found, self._part, wait_s))
            if not is_logged:
                log.warning("lease.waiting", **_holder(found[0]), seconds=wait_s)
                is_logged = True
            await asyncio.sleep(min(self.times.poll_s, left_s))
        return found

    async def renew(self, held: Held) -> float | None:
        """Renew the lease; return the seconds for which it is certain from now on, None if it is gone."""
        is_there = await document.renew(self._database, held.epoch, self.times.free_after_s)
        return self.times.lost_after_s if is_there else None

    async def release(self, held: Held) -> None:
        """Delete the lease if it is still this run's. A failure is only logged, since the lease expires by itself."""
        why = "workers may still be at work"
        if not held.is_left:
            try:
                async with asyncio.timeout(self.times.release_s):
                    await document.release(self._database, held.epoch)
            except (PyMongoError, TimeoutError) as error:
                why = type(error).__name__
            else:
                return
        log.info("lease.not_released", why=why, free_after_seconds=self.times.free_after_s)

    async def _try(self) -> Held | list[Document]:
        """Take the lease, or return those that overlap with it."""
        for _ in range(MAX_TRIES):
            seen = await outlasting(lambda: _known_to(document.see(self._database)))
            # A lease of this run was taken by a call whose answer never came: it is taken again, and counts from now.
            others = [each for each in seen.live if each.get("run") != self._run]
            if overlapping := [each for each in others if not self._part.is_disjoint(document.part_of(each))]:
                return overlapping
            if (taken := await self._take(seen, others)) is not None:
                return taken
        raise DatabaseError(
            f"the collection {document.LEASES} changes all the time, or is damaged: when no run is at work, delete its "
            "document, then run again"
        )

    async def _take(self, seen: document.Seen, others: Sequence[Document]) -> Held | None:
        """Take the lease unless somebody has changed what was `seen`."""

        async def call() -> Held | None:
            asked_s = boot_s()  # before the call: however late its answer comes, no lease is trusted for too long
            epoch = await document.take(self._database, seen, self._mine, others, self.times.free_after_s)
            return None if epoch is None else Held(epoch, asked_s + self.times.lost_after_s)

        return await outlasting(call)


async def live_runs(database: Database) -> list[str]:
    """Return the runs that hold a lease. Raises `DatabaseError` when MongoDB is out of reach."""
    seen = await outlasting(lambda: document.look(database))
    return [str(each.get("run")) for each in seen.live]


async def is_at_work(database: Database) -> bool:
    """Return True while any run holds a lease. Raises `DatabaseError` when MongoDB is out of reach."""
    return bool(await live_runs(database))


async def _known_to(call: Awaitable[T]) -> T:
    """Await a run's first command: a server that lacks something is told as such before anything is asked."""
    try:
        return await call
    except OperationFailure as error:
        if error.code not in _LACKING:
            raise
        reason = printable((error.details or {}).get("errmsg"))
    raise DatabaseError(
        f"the server of mongodb.uri lacks what the collector needs, update pipelines and $$NOW ({reason}). Use MongoDB "
        "5.0 or later: Amazon DocumentDB and older Azure Cosmos DB don't suffice (see docs/mongodb.md)"
    )


def _holder(held: Document) -> dict[str, object]:
    """Return who has a lease, and which one."""
    return {
        **{key: printable(held.get(key)) for key in ("run", "host")},
        "pid": held.get("pid"),
        "part": printable(document.part_of(held)),
    }


def _refusal(overlapping: Sequence[Document], mine: Part, waited_s: float) -> str:
    first, *others = overlapping
    part = document.part_of(first)
    is_other = mine.egress and part.egress and mine.egress.may_share(part.egress)
    hint = " Its configuration gives accounts other egress labels: use the same on all hosts." if is_other else ""
    who, command, since = _holder(first), printable(first.get("command")), first.get("since")
    more = f", and {counted(len(others), 'more run')}" if others else ""
    if isinstance(since, datetime):  # which MongoDB gives without a zone
        since = f"{since.replace(tzinfo=UTC).astimezone(BEIJING):%Y-%m-%d %H:%M:%S} Beijing time"
    then = "Wait for it, or start with --wait."
    if waited_s:
        then = f"It didn't end in the {counted(round(waited_s), 'second')} of --wait: run again when it has."
    return (
        f"another run is at work: {command} {who['run']} on {who['host']} (pid {printable(who['pid'])}) for "
        f"{who['part']} since {since}{more}.{hint} {then} If it was killed, its lease ends "
        "within 60 seconds"
    )
