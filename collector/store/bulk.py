"""Write many documents at once; those that MongoDB refuses are returned and don't keep the others out."""

from __future__ import annotations

from collections.abc import Sequence

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure

from collector.store.database import PASSING, Document


async def write_bulk(
    collection: AsyncIOMotorCollection[Document], writes: Sequence[UpdateOne | ReplaceOne[Document]]
) -> Sequence[Document]:
    """Write all, in any order; return the errors of single writes.

    Raises `ConnectionFailure` where the majority didn't acknowledge, and `OperationFailure` where a single write failed
    for a reason that passes, so that the caller retries.
    """
    try:
        await collection.bulk_write(list(writes), ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        if details.get("writeConcernErrors"):
            raise ConnectionFailure("the majority of MongoDB's members didn't acknowledge") from None
        errors: list[Document] = details.get("writeErrors", [])
        for entry in errors:
            # mongos reports a shard's outage with each write: no fault of the document.
            if entry["code"] in PASSING:
                raise OperationFailure(str(entry.get("errmsg")), entry["code"]) from None
        return errors
    return ()
