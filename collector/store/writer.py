"""The one writer: documents of all accounts gather while a write runs, and go out together with the next.

What they justify, the state of each account, goes out when nothing else waits: of an account whose windows come one
upon the other, the last state says all that those before it did.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, ConnectionFailure

from collector.model.state import AccountState, Day, Update
from collector.store.database import USER_DAILY, Database, Document, outlasting
from collector.store.state import ACCOUNTS, replacement

MOST_IN_BATCH = 1_000
"""Documents of one bulk write."""

MOST_WAITING = 1_000
"""Windows whose states may wait: a run that is killed asks for them again with the next."""

MOST_QUEUED = 256
"""Windows that wait for the writer; workers wait when there are more, so memory stays bounded."""


class Writer:
    """Upserts days in bulk, unordered, acknowledged by the majority; then the states that they justify.

    A context manager of `database`: its end waits until everything is acknowledged, and raises what MongoDB
    was lost for. `days` counts the upserts acknowledged; `rejected` has the reason, by account, for documents
    that MongoDB refused: the state of such an account isn't written any more; `unsaved` counts, by account,
    what isn't acknowledged yet, days or state.
    """

    def __init__(self, database: Database) -> None:
        self.days = 0
        self.rejected: dict[str, str] = {}
        self.unsaved: Counter[str] = Counter()
        self.database = database
        self._documents: AsyncIOMotorCollection[Document] = database[USER_DAILY]
        self._accounts: AsyncIOMotorCollection[Document] = database[ACCOUNTS]
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue(MOST_QUEUED)
        self._justified: dict[str, AccountState] = {}
        """The last state of each account whose days are stored, until it is stored too."""
        self._waiting: Counter[str] = Counter()
        """How many states it stands for."""
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
            if (batch or self._justified) and not self._lost:
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
        """Write the days of these updates, and the states that wait if nothing else does, repeated while need be."""
        days = [day for update in batch for day in update.days]
        states = self._justified | {update.state.account: update.state for update in batch}
        waiting = self._waiting + Counter(update.state.account for update in batch)
        may_wait = waiting.total() < MOST_WAITING
        rejected, saved = await outlasting(lambda: self._write(days, states, may_wait=may_wait))
        self.days += len(days) - len(rejected)
        self._justified, self._waiting = ({}, Counter()) if saved else (states, waiting)
        if saved:
            self.unsaved -= waiting

    async def _write(
        self, days: Sequence[Day], states: Mapping[str, AccountState], *, may_wait: bool
    ) -> tuple[Mapping[int, str], bool]:
        """Write the days, then the states, which may wait where more is to be written; twice does no harm.

        Returns the reason, by place among the days, for each that MongoDB refused, and whether states were written.
        """
        if self._lost:
            raise self._lost
        rejected = await self._upsert(days) if days else {}
        for place, reason in rejected.items():
            self.rejected[days[place].account] = f"MongoDB rejected {days[place].ref_date}: {reason}"
        saves = not self._lost and (self._queue.empty() or not may_wait)
        if saves:
            await self._save(states)
        return rejected, saves

    async def _save(self, states: Mapping[str, AccountState]) -> None:
        """Write these states, but for accounts of which MongoDB has refused a day."""
        sound = [state for account, state in states.items() if account not in self.rejected]
        if sound:
            for entry in await _bulk(self._accounts, list(map(replacement, sound))):
                self.rejected[sound[entry["index"]].account] = f"MongoDB rejected its state: {entry.get('errmsg')}"

    async def _upsert(self, days: Sequence[Day]) -> Mapping[int, str]:
        """Write the days; returns the reason, by place among them, for each document that MongoDB refused."""
        writes: list[UpdateOne] = []
        places: list[int] = []
        for place, day in enumerate(days):
            if day.fields:
                writes.append(_upserted(day))
                places.append(place)
            if day.inferred:
                writes += _inferred(day)
                places += [place] * len(day.inferred)
        errors = await _bulk(self._documents, writes)
        return {places[entry["index"]]: str(entry.get("errmsg"))[:200] for entry in errors}


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


def _upserted(day: Day) -> UpdateOne:
    """An upsert that sets the fields of the datasets that came, and leaves those of the others alone."""
    fields: dict[str, object] = {"name": day.name}
    for dataset, values in day.fields.items():
        fields |= values
        fields[f"fetched_at.{dataset}"] = day.fetched_at
    return UpdateOne(_key(day), {"$set": fields}, upsert=True)


def _inferred(day: Day) -> list[UpdateOne]:
    """Upserts of what was inferred, which comes after what came, and only where nothing is stored."""
    writes = []
    for dataset, values in day.inferred.items():
        absent: dict[str, object] = {
            name: {"$ifNull": [f"${name}", {"$literal": value}]} for name, value in values.items()
        }
        absent[f"fetched_at.{dataset}"] = {"$ifNull": [f"$fetched_at.{dataset}", day.fetched_at]}
        writes.append(UpdateOne(_key(day), [{"$set": {"name": {"$literal": day.name}, **absent}}], upsert=True))
    return writes


def _key(day: Day) -> dict[str, str]:
    return {"account": day.account, "ref_date": day.ref_date.isoformat()}
