"""The one writer: documents of all accounts gather while a write runs, and go out together with the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import stamina
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure

from collector.model import Day
from collector.store.database import USER_DAILY, Database, translated

MOST_IN_BATCH = 1_000
"""Documents of one bulk write."""

MOST_QUEUED = 256
"""Windows that wait for the writer; workers wait when there are more, so memory stays bounded."""

OUTAGE_S = 60.0
"""Seconds for which a MongoDB that went away is waited for, such as while a replica set elects a primary."""


class Writer:
    """Upserts days in bulk, unordered, acknowledged by the majority.

    A context manager: its end waits until everything that was put is acknowledged, and raises
    `DatabaseError` if MongoDB was lost for good. `days` counts the upserts acknowledged; `rejected`
    has the reason, by account, for documents that MongoDB refused.
    """

    def __init__(self, database: Database) -> None:
        self.days = 0
        self.rejected: dict[str, str] = {}
        self._collection: AsyncIOMotorCollection[dict[str, Any]] = database[USER_DAILY]
        self._queue: asyncio.Queue[Sequence[Day] | None] = asyncio.Queue(MOST_QUEUED)
        self._lost: Exception | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(), name="writer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A cancelled write goes on in the server, so the writer is never cancelled: it ends at the sentinel.
        await self._queue.put(None)
        await asyncio.shield(self._task)
        if self._lost and error is None:
            raise self._lost

    async def put(self, days: Sequence[Day]) -> None:
        """Hand over days to be stored; waits while the queue is full. Raises `DatabaseError` once MongoDB is lost."""
        if self._lost:
            raise self._lost
        await self._queue.put(days)

    async def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = await self._gather()
            if batch and not self._lost:
                try:
                    await self._store(batch)
                except Exception as error:  # noqa: BLE001 - raised by `put` and at the end; the worker itself must go on
                    self._lost = error  # what comes now is let go, so that no worker waits for ever

    async def _gather(self) -> tuple[list[Day], bool]:
        """What is there by now, at least one item, at most about `MOST_IN_BATCH` days; and whether the end has come."""
        batch: list[Day] = []
        item = await self._queue.get()
        while item is not None:
            batch.extend(item)
            if len(batch) >= MOST_IN_BATCH or self._queue.empty():
                return batch, False
            item = self._queue.get_nowait()
        return batch, True

    async def _store(self, batch: Sequence[Day]) -> None:
        with translated():
            async for attempt in stamina.retry_context(
                on=ConnectionFailure, attempts=None, timeout=OUTAGE_S, wait_initial=0.2, wait_max=5
            ):
                with attempt:
                    rejected = await self._upsert(batch)
        self.days += len(batch) - len(rejected)
        for index, reason in rejected.items():
            self.rejected[batch[index].account] = f"MongoDB rejected {batch[index].ref_date}: {reason}"

    async def _upsert(self, batch: Sequence[Day]) -> Mapping[int, str]:
        """Write the batch; returns the reason, by place in it, for each document that MongoDB refused.

        Raises `ConnectionFailure` where the majority didn't acknowledge.
        """
        try:
            await self._collection.bulk_write([_update(day) for day in batch], ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            if details.get("writeConcernErrors"):
                raise ConnectionFailure("the majority of MongoDB's members didn't acknowledge") from None
            return {entry["index"]: str(entry.get("errmsg"))[:200] for entry in details.get("writeErrors", ())}
        return {}


def _update(day: Day) -> UpdateOne:
    """One upsert a day that sets the fields of the datasets that came, and leaves those of the others alone."""
    fields: dict[str, object] = {"name": day.name}
    for dataset, values in day.fields.items():
        fields |= values
        fields[f"fetched_at.{dataset}"] = day.fetched_at
    key = {"account": day.account, "ref_date": day.ref_date.isoformat()}
    return UpdateOne(key, {"$set": fields}, upsert=True)
