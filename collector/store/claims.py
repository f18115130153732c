"""Claims: the worker that does a batch of accounts, in a run that is spread over several processes.

The collection `leases` has a document for each batch that was given to a worker::

    { _id: "20261124T023010Z-1f9a3c/17", epoch: 1795487410124, worker: "tls://10.0.0.2:4123",
      begun: "9c1d06b27e5f4a83", expires: ISODate() }

The worker renews its claim while it is at work, and the coordinator until it has begun. Once it has expired, the
coordinator may give the batch to another worker, under a greater epoch. Instants are those of the server's clock.

`begun` is random. A process that takes a dead worker's address gets its order as well, since Dask repeats it there; it
doesn't begin under a claim that another process has begun.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from math import inf
from secrets import token_hex

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReturnDocument

from collector.runtime import boot_s, in_background
from collector.store.database import Database, Document, outlasting
from collector.store.held import Held, Times, keep
from collector.store.lease_document import LEASES, next_epoch

_GONE = "the batch is another worker's, or its run has ended"

KEPT_S = 86_400
"""Seconds for which expired claims are kept that a run has left which was killed."""


async def assign(database: Database, run: str, batch: int, worker: str, times: Times) -> int | None:
    """Give a batch to a worker; return the epoch of its claim, or None while another worker's claim is valid."""
    epoch = await outlasting(lambda: next_epoch(database))
    is_free = {"$or": [{"$lte": ["$expires", "$$NOW"]}, {"$eq": ["$epoch", epoch]}]}  # also true without a document
    mine = {"_id": _id(run, batch), "epoch": epoch, "worker": worker}
    claim = {"$mergeObjects": [{"$literal": mine}, _expiry(times)]}
    pipeline = [{"$replaceWith": {"$cond": [is_free, claim, "$$ROOT"]}}]
    found = await outlasting(
        lambda: _claims(database).find_one_and_update(
            {"_id": _id(run, batch)}, pipeline, upsert=True, return_document=ReturnDocument.AFTER
        )
    )
    return epoch if found["epoch"] == epoch else None


async def hold(database: Database, run: str, batches: Sequence[int], times: Times) -> None:
    """Renew the claims of these batches whose worker hasn't begun with them."""
    unbegun = {"_id": {"$in": [_id(run, batch) for batch in batches]}, "begun": {"$exists": False}}
    valid = {"$expr": {"$gt": ["$expires", "$$NOW"]}}
    await outlasting(lambda: _claims(database).update_many(unbegun | valid, [{"$set": _expiry(times)}]))


async def expired(database: Database, run: str) -> set[int]:
    """Return the batches of a run whose worker hasn't renewed its claim for too long."""
    query = _of(run) | {"$expr": {"$lte": ["$expires", "$$NOW"]}}
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
    database: Database, run: str, batch: int, epoch: int, lease: Held, times: Times
) -> AsyncIterator[Held]:
    """Work on a batch under the claim of that epoch, which is renewed meanwhile.

    It is lost with the `lease` of its run at the latest, and from the beginning where it has expired or another process
    has begun it. Raises `DatabaseError` when MongoDB is out of reach.
    """
    begun = token_hex(8)

    async def renew() -> float | None:
        valid = {"epoch": epoch, "begun": {"$in": [None, begun]}, "$expr": {"$gt": ["$expires", "$$NOW"]}}
        renewal = [{"$set": {"begun": begun} | _expiry(times)}]
        renewed = await _claims(database).update_one({"_id": _id(run, batch)} | valid, renewal)
        return min(times.lost_after_s, lease.left_s) if renewed.matched_count and not lease.is_lost else None

    asked_s = boot_s()
    certain_s = await outlasting(renew)
    held = Held(epoch, -inf if certain_s is None else asked_s + certain_s)
    if certain_s is None:
        held.lose(_GONE)
    async with in_background(keep(held, renew, _GONE, times), name="claim"):
        yield held


def _claims(database: Database) -> AsyncIOMotorCollection[Document]:
    return database[LEASES]


def _id(run: str, batch: int) -> str:
    return f"{run}/{batch}"


def _of(run: str) -> Document:
    return {"_id": {"$regex": f"^{re.escape(run)}/"}}


def _expiry(times: Times) -> Document:
    return {"expires": {"$add": ["$$NOW", round(times.free_after_s * 1000)]}}
