"""The document of the collection `leases`, which says who is at work on which part of the accounts.

::

    { _id: "run", epoch: 1795487410123,
      leases: [{ run: "20261124T023010Z-1f9a3c", epoch: 1795487410123, command: "run", host: "node-1",
                 pid: 4711, part: { shard: { number: 1, count: 2 } }, since: ISODate(), expires: ISODate() }],
      run: …, command: …, host: …, pid: …, part: …, since: …, expires: ISODate() }

It is one document, so that MongoDB changes all leases at once or none. Its instants are those of the server's clock, so
the clocks of the hosts don't matter. An expired lease counts no more.

`epoch` counts the leases: each has a greater one than all before it. It is the server's time in milliseconds, so it
goes on growing where the document was deleted, and where states are restored into another database.

The fields after `leases` are what earlier versions read and write, which know one lease alone: that of the run that
began last, until all have expired. A document without `leases` was written by one of them: a lease for all accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReturnDocument

from collector.model.parts import Part, from_document
from collector.store.database import AS_IT_IS, Database, Document

LEASES = "leases"

_ID: Document = {"_id": "run"}

_SEEN = {"_id": False, "document": "$$ROOT", "now": "$$NOW"}

_LATER_EPOCH = {"$max": [{"$toLong": "$$NOW"}, {"$cond": [{"$isNumber": "$epoch"}, {"$add": ["$epoch", 1]}, 0]}]}

_FOR_EARLIER_VERSIONS = {
    "$replaceWith": {
        "$mergeObjects": [
            {"$last": "$leases"},
            {"_id": "$_id", "epoch": "$epoch", "leases": "$leases", "expires": {"$max": "$leases.expires"}},
        ]
    }
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The document as it was read, and the server's instant `now` then."""

    document: Document
    now: datetime

    @property
    def live(self) -> list[Document]:
        """The leases that haven't expired, in the order in which they were taken."""
        leases = self.document.get("leases")
        if not isinstance(leases, list):
            leases = [self.document]
        return [each for each in leases if isinstance(each, dict) and self._is_live(each)]

    def seconds_left(self, lease: Document) -> float:
        """Return the seconds until a live lease expires."""
        left: float = (lease["expires"] - self.now).total_seconds()
        return left

    def _is_live(self, lease: Document) -> bool:
        expires = lease.get("expires")
        return isinstance(expires, datetime) and expires > self.now


def part_of(lease: Document) -> Part:
    """Return the part of the accounts that a lease is for."""
    return from_document(lease.get("part", {}))


async def look(database: Database) -> Seen:
    """Read the document, and change nothing."""
    found = await _collection(database).find_one(_ID, _SEEN)
    return Seen(**found) if found else Seen({}, datetime.min)  # noqa: DTZ901 - as MongoDB gives instants, without a zone


async def see(database: Database) -> Seen:
    """Read the document, which is made where there is none."""
    # By a pipeline: a server that lacks those is found out by a run's first command.
    made = [{"$set": {"epoch": {"$ifNull": ["$epoch", 0]}}}]
    found = await _collection(database).find_one_and_update(
        _ID, made, _SEEN, upsert=True, return_document=ReturnDocument.AFTER
    )
    return Seen(**found)


async def take(
    database: Database, seen: Seen, mine: Document, others: Sequence[Document], free_after_s: float
) -> int | None:
    """Replace all leases by `others` and `mine`, which begins now, if the document is still as `seen`.

    Returns the epoch of the lease, or None where anybody has changed the document meanwhile. One call does both, so
    nobody can come in between.
    """
    unchanged = {**_ID, "$expr": {"$eq": ["$$ROOT", {"$literal": seen.document}]}}
    begun = {"epoch": "$epoch", "since": "$$NOW", "expires": expiry(free_after_s)}
    leases = [*({"$literal": each} for each in others), {"$mergeObjects": [{"$literal": mine}, begun]}]
    taken = await _collection(database).find_one_and_update(
        unchanged,
        [{"$set": {"epoch": _LATER_EPOCH}}, {"$set": {"leases": leases}}, _FOR_EARLIER_VERSIONS],
        {"epoch": True},
        return_document=ReturnDocument.AFTER,
    )
    return int(taken["epoch"]) if taken else None


async def renew(database: Database, epoch: int, free_after_s: float) -> bool:
    """Let the lease of that epoch expire `free_after_s` from now; return False if it is there no more."""
    renewed = {"$mergeObjects": ["$$each", {"expires": expiry(free_after_s)}]}
    each = {"$cond": [{"$eq": ["$$each.epoch", epoch]}, renewed, "$$each"]}
    leases = {"leases": {"$map": {"input": "$leases", "as": "each", "in": each}}}
    return await _change(database, _ID | {"leases.epoch": epoch}, leases)


async def release(database: Database, epoch: int) -> None:
    """Delete the lease of that epoch, if it is still there."""
    left = {"$filter": {"input": "$leases", "as": "each", "cond": {"$ne": ["$$each.epoch", epoch]}}}
    await _change(database, _ID | {"leases.epoch": epoch}, {"leases": left})


async def next_epoch(database: Database) -> int:
    """Return an epoch greater than all before, for work under a lease that is another's."""
    later = [{"$set": {"epoch": _LATER_EPOCH}}]
    found = await _collection(database).find_one_and_update(
        _ID, later, {"epoch": True}, upsert=True, return_document=ReturnDocument.AFTER
    )
    return int(found["epoch"])


def expiry(free_after_s: float) -> Document:
    """Return the expression for the server's instant in `free_after_s` seconds."""
    return {"$add": ["$$NOW", round(free_after_s * 1000)]}


async def _change(database: Database, where: Document, leases: Document) -> bool:
    changed = await _collection(database).update_one(where, [{"$set": leases}, _FOR_EARLIER_VERSIONS])
    return changed.matched_count == 1


def _collection(database: Database) -> AsyncIOMotorCollection[Document]:
    return database.get_collection(LEASES, codec_options=AS_IT_IS)
