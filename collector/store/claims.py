"""Claims: the worker that does a batch of accounts, in a run that is spread over several processes.

The collection `leases` has a document for each batch that was given to a worker::

    { _id: "20261124T023010Z-1f9a3c/17", epoch: 1795487410124, worker: "tls://10.0.0.2:4123",
      begun: "5d0f7c9a01b2e344", expires: ISODate() }

The worker renews its claim while it is at work, and the coordinator until it has begun. Once it has expired, the
coordinator may give the batch to another worker, under a greater epoch. Instants are those of the server's clock.

`begun` is a random text of the task that has begun. No other begins under the same claim: where a worker has died,
Dask gives its task at once to the next process at the same address.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReturnDocument

from collector.store.database import Database, Document, outlasting
from collector.store.held import Held, LeaseTimes, confirmed
from collector.store.lease_document import LEASES, expiry, next_epoch

_GONE = "the batch was given to another worker, or its run has ended"

KEPT_S = 86_400
"""Seconds for which expired claims are kept that a run has left which was killed."""


async def assign(database: Database, run: str, batch: int, worker: str, times: LeaseTimes) -> int:
    """Give a batch to a worker as soon as no other has a valid claim to it; return the epoch of the claim."""
    epoch = await outlasting(lambda: next_epoch(database))
    is_free = {"$lte": ["$expires", "$$NOW"]}  # also true without a document
    mine = {"_id": _id(run, batch), "epoch": epoch, "worker": worker}
    claim = {"$mergeObjects": [{"$literal": mine}, _expires(times)]}
    pipeline = [{"$replaceWith": {"$cond": [is_free, claim, "$$ROOT"]}}]

    async def is_given() -> bool:
        found = await _claims(database).find_one_and_update(
            {"_id": _id(run, batch)}, pipeline, upsert=True, return_document=ReturnDocument.AFTER
        )
        return bool(found["epoch"] == epoch)

    while not await outlasting(is_given):  # noqa: ASYNC110 - MongoDB sets no event
        # The other one had expired, but a new primary's clock is behind.
        await asyncio.sleep(times.poll_s)
    return epoch


async def hold(database: Database, run: str, batches: Sequence[int], times: LeaseTimes) -> None:
    """Renew the claims of these batches whose worker hasn't begun with them."""
    unbegun = {"_id": {"$in": [_id(run, batch) for batch in batches]}, "begun": {"$exists": False}}
    valid = {"$expr": {"$gt": ["$expires", "$$NOW"]}}
    await outlasting(lambda: _claims(database).update_many(unbegun | valid, [{"$set": _expires(times)}]))


async def valid(database: Database, run: str) -> set[int]:
    """Return the batches of a run that have a valid claim: those whose worker has renewed it lately."""
    query = _of(run) | {"$expr": {"$gt": ["$expires", "$$NOW"]}}
    found = await outlasting(lambda: _claims(database).find(query, {"_id": True}).to_list(None))
    return {int(claim["_id"].partition("/")[2]) for claim in found}


async def end(database: Database, run: str, batch: int, epoch: int) -> None:
    """Delete the claim of that epoch, if it is still there."""
    await outlasting(lambda: _claims(database).delete_one({"_id": _id(run, batch), "epoch": epoch}))


async def end_all(database: Database, run: str) -> None:
    """Delete the claims of a run, and what runs that were killed have left."""
    is_old = {"$lte": ["$expires", {"$subtract": ["$$NOW", KEPT_S * 1000]}]}
    left = {"_id": {"$regex": "/"}, "$expr": is_old}
    await outlasting(lambda: _claims(database).delete_many({"$or": [_of(run), left]}))


@asynccontextmanager
async def claimed(
    database: Database, run: str, batch: int, epoch: int, lease: Held, times: LeaseTimes
) -> AsyncIterator[Held]:
    """Work on a batch under the claim of that epoch, which is renewed meanwhile.

    It is lost with the `lease` of its run at the latest; from the beginning if it has expired by then, or another task
    has begun under it. Raises `DatabaseError` if MongoDB is out of reach.
    """
    task = secrets.token_hex(8)
    mine = {"_id": _id(run, batch), "epoch": epoch, "begun": {"$in": [None, task]}}  # None for a missing one, too

    async def renew() -> float | None:
        query = mine | {"$expr": {"$gt": ["$expires", "$$NOW"]}}
        renewed = await _claims(database).update_one(query, [{"$set": {"begun": task} | _expires(times)}])
        return min(times.lost_after_s, lease.left_s) if renewed.matched_count and not lease.is_lost else None

    async with confirmed(epoch, renew, _GONE, times) as held:
        yield held


def _claims(database: Database) -> AsyncIOMotorCollection[Document]:
    return database[LEASES]


def _id(run: str, batch: int) -> str:
    return f"{run}/{batch}"


def _of(run: str) -> Document:
    return {"_id": {"$regex": f"^{re.escape(run)}/"}}


def _expires(times: LeaseTimes) -> Document:
    return {"expires": expiry(times.free_after_s)}
