"""The one writer: documents of all accounts gather while a write runs, and go out together with the next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import structlog
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure

from collector.model import Day, Update
from collector.store.database import USER_DAILY, Database, Document, outlasting
from collector.store.state import ACCOUNTS, replacement

log = structlog.get_logger()

MOST_IN_BATCH = 1_000
"""Documents of one bulk write."""

MOST_QUEUED = 256
"""Windows that wait for the writer; workers wait when there are more, so memory stays bounded."""


class Writer:
    """Upserts days in bulk, unordered, acknowledged by the majority; then the states that they justify.

    A context manager of `database`: its end waits until everything is acknowledged, and raises what MongoDB
    was lost for. `days` counts the upserts acknowledged; `rejected` has the reason, by account, for documents
    that MongoDB refused: the state of such an account isn't written any more; `unsaved` counts, by account,
    what isn't acknowledged yet.
    """

    def __init__(self, database: Database) -> None:
        self.days = 0
        self.rejected: dict[str, str] = {}
        self.unsaved: Counter[str] = Counter()
        self.database = database
        self._documents: AsyncIOMotorCollection[Document] = database[USER_DAILY]
        self._states: AsyncIOMotorCollection[Document] = database[ACCOUNTS]
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue(MOST_QUEUED)
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
        if self._lost:
            raise self._lost

    async def put(self, update: Update) -> None:
        """Hand over days to be stored and what they justify; waits while the queue is full.

        Raises `DatabaseError` once MongoDB is lost.
        """
        if self._lost:
            raise self._lost
        self.unsaved[update.state.account] += 1
        await self._queue.put(update)

    def lose(self, error: Exception) -> None:
        """Write nothing any more: what comes now is let go, and `error` is what the run ends with."""
        self._lost = self._lost or error

    async def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = await self._gather()
            if batch and not self._lost:
                try:
                    await self._store(batch)
                except Exception as error:  # noqa: BLE001 - raised by `put` and at the end; no worker may wait for ever
                    self.lose(error)

    async def _gather(self) -> tuple[list[Update], bool]:
        """What is there by now, one update at least, and whether the end has come; `MOST_IN_BATCH` is passed by one."""
        batch: list[Update] = []
        days = 0
        item = await self._queue.get()
        while item is not None:
            batch.append(item)
            days += len(item.days)
            if days >= MOST_IN_BATCH or self._queue.empty():
                return batch, False
            item = self._queue.get_nowait()
        return batch, True

    async def _store(self, batch: Sequence[Update]) -> None:
        rejected = await outlasting(lambda: self._write(batch))
        self.days += sum(len(update.days) for update in batch) - len(rejected)
        self.unsaved -= Counter(update.state.account for update in batch)

    async def _write(self, batch: Sequence[Update]) -> Mapping[int, str]:
        """Write the days, then the last state of each account whose days were all taken; twice does no harm."""
        if self._lost:
            raise self._lost
        days = [day for update in batch for day in update.days]
        rejected = await self._upsert(days) if days else {}
        for index, reason in rejected.items():
            self.rejected[days[index].account] = f"MongoDB rejected {days[index].ref_date}: {reason}"
        states = {update.state.account: update.state for update in batch}
        writes = [replacement(state) for account, state in states.items() if account not in self.rejected]
        if writes and not self._lost:
            accounts = [account for account in states if account not in self.rejected]
            for entry in await _bulk(self._states, writes):
                self.rejected[accounts[entry["index"]]] = f"MongoDB rejected its state: {entry.get('errmsg')}"
        return rejected

    async def _upsert(self, days: Sequence[Day]) -> Mapping[int, str]:
        """Write the days; returns the reason, by place among them, for each document that MongoDB refused."""
        writes = [(index, write) for index, day in enumerate(days) for write in _writes(day)]
        errors = await _bulk(self._documents, [write for _, write in writes])
        return {writes[entry["index"]][0]: str(entry.get("errmsg"))[:200] for entry in errors}


async def _bulk(
    collection: AsyncIOMotorCollection[Document], writes: Sequence[UpdateOne | ReplaceOne[Document]]
) -> Sequence[Document]:
    """Write all, in any order; returns the errors of single writes.

    Raises `ConnectionFailure` where the majority didn't acknowledge.
    """
    try:
        await collection.bulk_write(list(writes), ordered=False)
    except BulkWriteError as error:
        details = error.details or {}
        if details.get("writeConcernErrors"):
            raise ConnectionFailure("the majority of MongoDB's members didn't acknowledge") from None
        return list(details.get("writeErrors", ()))
    return ()


def _writes(day: Day) -> Iterator[UpdateOne]:
    """An upsert that sets the fields of the datasets that came, and leaves those of the others alone.

    What was inferred comes after it, and only where nothing is stored.
    """
    key = {"account": day.account, "ref_date": day.ref_date.isoformat()}
    if day.fields:
        fields: dict[str, object] = {"name": day.name}
        for dataset, values in day.fields.items():
            fields |= values
            fields[f"fetched_at.{dataset}"] = day.fetched_at
        yield UpdateOne(key, {"$set": fields}, upsert=True)
    for dataset, values in day.inferred.items():
        absent: dict[str, object] = {
            name: {"$ifNull": [f"${name}", {"$literal": value}]} for name, value in values.items()
        }
        absent[f"fetched_at.{dataset}"] = {"$ifNull": [f"$fetched_at.{dataset}", day.fetched_at]}
        yield UpdateOne(key, [{"$set": {"name": {"$literal": day.name}, **absent}}], upsert=True)
