"""Fill in the field `date` of documents that an older version has written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import structlog
from motor.motor_asyncio import AsyncIOMotorCursor
from pymongo import UpdateOne

from collector.model.daily import day_of
from collector.runtime import Stop
from collector.store.bulk import write_bulk
from collector.store.database import AS_IT_IS, Database, Document, outlasting
from collector.store.held import Held
from collector.store.schema import USER_DAILY, midnight
from collector.text import printable

log = structlog.get_logger()

FILLED_AT_ONCE = 500
"""Documents that are filled in by one write, which stays far below its time-out."""

# The index of `date` answers it, so where nothing lacks a date it costs a millisecond. As `$expr`, the other conditions
# don't lead MongoDB to the indexes that have all documents.
_ARE_TEXTS = [{"$eq": [{"$type": field}, "string"]} for field in ("$account", "$ref_date")]
_LACKING = {"date": None, "$expr": {"$and": _ARE_TEXTS}}


async def fill_in_dates(database: Database, held: Held, stop: Stop) -> None:
    """Give each document of `user_daily` without a `date` the one of its `ref_date`, until the stop signal.

    Documents of other tools, without an account or a day as texts, stay as they are. So does one that a validator
    refuses, which is only logged. Where this is cut short, the next call does the rest. Raises `DatabaseError` where
    the lease is lost, or MongoDB is out of reach.
    """
    filling = _Filling(database, held)
    try:
        # Each step for itself: an outage that comes minutes after an earlier one is waited for as long as that.
        while not stop.is_set and await outlasting(filling.step):
            pass
    finally:
        await filling.close()
        if filling.filled:
            log.info("dates.filled", documents=filling.filled)
    if filling.refused:
        log.warning("dates.refused", documents=filling.refused, reason=filling.reason)


class _Filling:
    """Filling in of dates: the documents `filled` and `refused` by now, and the `reason` for a refused one."""

    def __init__(self, database: Database, held: Held) -> None:
        self.filled = 0
        self.refused = 0
        self.reason = ""
        self._documents = database.get_collection(USER_DAILY, codec_options=AS_IT_IS)
        self._held = held
        self._cursor: AsyncIOMotorCursor[Document] | None = None

    async def step(self) -> bool:
        """Fill in some more that lack a date; return False where none is left. After an error it begins anew."""
        if self._cursor is None:
            self.refused = 0  # they are tried again
            self._cursor = self._documents.find(_LACKING, {"ref_date": True}, batch_size=FILLED_AT_ONCE)
        try:
            batch = await self._cursor.to_list(FILLED_AT_ONCE)
            if batch:
                self._held.check()
                await self._write([(each["_id"], day) for each in batch if (day := day_of(each["ref_date"]))])
        except BaseException:
            await self.close()
            raise
        return bool(batch)

    async def close(self) -> None:
        """End the query."""
        if self._cursor is not None:
            await self._cursor.close()
            self._cursor = None

    async def _write(self, days: Sequence[tuple[object, date]]) -> None:
        writes = [UpdateOne({"_id": key}, {"$set": {"date": midnight(day)}}) for key, day in days]
        errors = await write_bulk(self._documents, writes) if writes else ()
        self.filled += len(writes) - len(errors)
        self.refused += len(errors)
        for error in errors[:1]:
            # A message repeats the value that was refused, of whatever length.
            self.reason = printable(error.get("errmsg"), 200)
