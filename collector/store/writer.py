"""The only writer of a run: documents of all accounts gather while one write runs, and go out with the next.

The states that they justify are written when no more documents wait: an account's last state replaces its earlier
ones, so writing each of them would be a waste.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Self

import structlog
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReplaceOne, UpdateOne
from pymongo.errors import NetworkTimeout

from collector.errors import DatabaseError
from collector.model.state import AccountState, Day, Update
from collector.store.bulk import write_bulk
from collector.store.database import DUPLICATE, Database, Document, outlasting
from collector.store.held import Held
from collector.store.schema import USER_DAILY, midnight
from collector.store.state import ACCOUNTS, change_of_platform, lose_if_taken_over, replacement

log = structlog.get_logger()

MAX_IN_BATCH = 1_000
"""Documents at which a bulk write is full. The update that fills it is written whole."""

MIN_IN_BATCH = 50
"""Documents below which a bulk write isn't halved any more when it takes too long."""

MAX_WAITING = 1_000
"""Windows whose states may wait. After a run that was killed, the next one asks for these windows again."""

MAX_QUEUED = 256
"""Windows in the queue. Workers wait when it is full, so memory stays bounded while MongoDB is slow."""


class Writer:
    """Writer of days, in bulk, unordered, acknowledged by the majority; then of the states that they justify.

    A context manager over `database`, under the lease `held`. Its exit waits until everything is acknowledged, and
    raises the error with which MongoDB or the lease was lost.

    * `days`: upserts acknowledged.
    * `rejected`: the reason, by account, for documents that MongoDB refused. The state of such an account isn't
      written any more.
    * `unsaved`: updates, by account, whose days or state aren't acknowledged yet.
    * `stored`: states, by account, as MongoDB has them. Whoever has read some puts them in.
    """

    def __init__(self, database: Database, held: Held) -> None:
        self.days = 0
        self.rejected: dict[str, str] = {}
        self.unsaved: Counter[str] = Counter()
        self.stored: dict[str, AccountState] = {}
        self.database = database
        self.held = held
        self._documents: AsyncIOMotorCollection[Document] = database[USER_DAILY]
        self._accounts: AsyncIOMotorCollection[Document] = database[ACCOUNTS]
        self._queue: asyncio.Queue[Update | None] = asyncio.Queue(MAX_QUEUED)
        self._justified: dict[str, AccountState] = {}
        """Last state of each account whose days are stored, until it is stored too."""
        self._waiting: Counter[str] = Counter()
        """Number of updates, by account, that the states in `_justified` stand for."""
        self._in_bulk = MAX_IN_BATCH
        """Writes that MongoDB gets at once: fewer once a bulk write took too long, for the rest of the run, since each
        attempt at more may cost a time-out of 15 s."""
        self._lost: DatabaseError | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work(), name="writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        # A cancelled write goes on in the server, so the writer is never cancelled: it ends at the sentinel.
        await self._queue.put(None)
        await asyncio.shield(self._task)
        self._raise_if_lost()

    async def put(self, update: Update) -> None:
        """Queue days and the state that they justify; waits while the queue is full.

        Raises a copy of the error with which MongoDB or the lease was lost, once it is.
        """
        self._raise_if_lost()
        self.unsaved[update.state.account] += 1
        await self._queue.put(update)

    async def change_platforms(self, states: Sequence[AccountState], before: Mapping[str, AccountState]) -> list[str]:
        """Write the states of accounts that platforms have found or lost since those `before` were read.

        Returns the accounts that another run has given to another platform meanwhile: they aren't this run's.
        """
        lost: list[str] = []
        for begin in range(0, len(states), MAX_IN_BATCH):
            batch = states[begin : begin + MAX_IN_BATCH]
            errors = await self._replace(
                {each.account: change_of_platform(each, before.get(each.account), self.held.epoch) for each in batch}
            )
            lost += [account for account, error in errors.items() if error["code"] == DUPLICATE]
            self._reject({account: error for account, error in errors.items() if error["code"] != DUPLICATE})
        return lost

    def _raise_if_lost(self) -> None:
        if self._lost:
            raise self._lost.copy()  # each worker raises its own
        self.held.check()

    async def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = await self._gather()
            # Once lost, it goes on emptying the queue, so that no worker waits for room in it.
            if (batch or self._justified) and not self._lost:
                try:
                    await self._store(batch)
                except DatabaseError as error:
                    self._lost = error
                except Exception as error:
                    # No worker can go on without the writer, so a mistake of ours ends the run.
                    self._lost = DatabaseError(
                        f"the collector failed as it wrote to MongoDB ({type(error).__name__}). This is a mistake of "
                        "the collector: please report it with the log"
                    )
                    log.exception("writer.crashed")

    async def _gather(self) -> tuple[list[Update], bool]:
        """Return what is queued by now, after waiting for one item, and whether the sentinel was reached."""
        batch: list[Update] = []
        days = 0
        item = await self._queue.get()
        while item is not None:
            batch.append(item)
            days += len(item.days)
            if days >= MAX_IN_BATCH or self._queue.empty():
                return batch, False
            item = self._queue.get_nowait()
        return batch, True

    async def _store(self, batch: Sequence[Update]) -> None:
        """Write the days of these updates and perhaps the states that wait."""
        days = [day for update in batch for day in update.days]
        states = self._justified | {update.state.account: update.state for update in batch}
        waiting = self._waiting + Counter(update.state.account for update in batch)
        may_wait = waiting.total() < MAX_WAITING
        rejected, saved = await self._write(days, states, may_wait=may_wait)
        self.days += len(days) - len(rejected)
        # Only now, after the acknowledgement: a retry must begin with the same states.
        self._justified, self._waiting = ({}, Counter()) if saved else (states, waiting)
        if saved:
            self.unsaved -= waiting

    async def _write(
        self, days: Sequence[Day], states: Mapping[str, AccountState], *, may_wait: bool
    ) -> tuple[Mapping[int, str], bool]:
        """Write the days, then the states unless they may wait and more updates are queued.

        Returns the reason, by index, for each day that MongoDB refused, and whether the states were written.
        """
        self._raise_if_lost()
        # Days first: a state must never claim a day that isn't stored.
        rejected = await self._upsert(days) if days else {}
        for index, reason in rejected.items():
            self.rejected[days[index].account] = f"MongoDB rejected {days[index].ref_date}: {reason}"
        # The lease may have been lost while the days were written.
        saves = not self.held.is_lost and (self._queue.empty() or not may_wait)
        if saves:
            await self._save(states)
        return rejected, saves

    async def _save(self, states: Mapping[str, AccountState]) -> None:
        """Write these states, except for accounts of which MongoDB has refused a day."""
        sound = {account: state for account, state in states.items() if account not in self.rejected}
        errors = await self._replace({account: replacement(state, self.held.epoch) for account, state in sound.items()})
        if errors:
            await lose_if_taken_over(self.database, errors, self.held)
        self._reject(errors)
        self.stored |= {account: state for account, state in sound.items() if account not in errors}

    async def _replace(self, writes: Mapping[str, ReplaceOne[Document]]) -> dict[str, Document]:
        """Replace documents of `accounts`, by account; return the errors of those that MongoDB refused."""
        errors = await self._errors(writes)
        # Of two first writes of a document at once, as after an answer that never came, MongoDB refuses one.
        again = {account: writes[account] for account, error in errors.items() if error["code"] == DUPLICATE}
        return {account: errors[account] for account in errors.keys() - again} | await self._errors(again)

    async def _errors(self, writes: Mapping[str, ReplaceOne[Document]]) -> dict[str, Document]:
        accounts = list(writes)
        return {accounts[error["index"]]: error for error in await self._bulk(self._accounts, list(writes.values()))}

    def _reject(self, errors: Mapping[str, Document]) -> None:
        for account, error in errors.items():
            self.rejected[account] = f"MongoDB rejected its state: {error.get('errmsg')}"

    async def _upsert(self, days: Sequence[Day]) -> Mapping[int, str]:
        """Write the days; return the reason, by index, for each day that MongoDB refused."""
        # A day takes more than one write where something was inferred.
        writes = [(index, write) for index, day in enumerate(days) for write in _writes(day)]
        errors = await self._bulk(self._documents, [write for _, write in writes])
        # A message repeats the value that was refused, of whatever length.
        return {writes[entry["index"]][0]: str(entry.get("errmsg"))[:200] for entry in errors}

    async def _bulk(
        self, collection: AsyncIOMotorCollection[Document], writes: Sequence[UpdateOne | ReplaceOne[Document]]
    ) -> Sequence[Document]:
        """Write all, retrying through outages; return the errors of single writes."""
        errors: list[Document] = []
        done = 0
        while done < len(writes):
            # Each part by itself: a slow MongoDB that makes progress is waited for, and nothing is written twice.
            count, refused = await outlasting(partial(self._write_part, collection, writes[done:]))
            errors += [{**entry, "index": done + entry["index"]} for entry in refused]
            done += count
        return errors

    async def _write_part(
        self, collection: AsyncIOMotorCollection[Document], writes: Sequence[UpdateOne | ReplaceOne[Document]]
    ) -> tuple[int, Sequence[Document]]:
        """Write the first ones, as many as MongoDB manages in time; return their number and those refused."""
        while True:
            self._raise_if_lost()
            part = writes[: self._in_bulk]
            try:
                return len(part), await write_bulk(collection, part)
            except NetworkTimeout:
                if len(part) <= MIN_IN_BATCH:
                    raise
                self._in_bulk = max(MIN_IN_BATCH, len(part) // 2)
                log.warning("mongodb.slow", documents=len(part), next=self._in_bulk)


def _writes(day: Day) -> list[UpdateOne]:
    """Return an upsert of the datasets that had a row, then upserts of inferred fields where nothing is stored.

    The first leaves the fields of other datasets alone. The others are pipelines, which read every text that begins
    with `$` as a field: hence `$literal`.
    """
    key = {"account": day.account, "ref_date": day.ref_date.isoformat()}
    date = midnight(day.ref_date)
    writes = []
    if day.fields:
        fields: dict[str, object] = {"date": date, "name": day.name}
        for dataset, values in day.fields.items():
            fields |= values
            fields[f"fetched_at.{dataset}"] = day.fetched_at
        writes.append(UpdateOne(key, {"$set": fields}, upsert=True))
    for dataset, values in day.inferred.items():
        absent: dict[str, object] = {"date": date, "name": {"$literal": day.name}}
        absent |= {name: {"$ifNull": [f"${name}", {"$literal": value}]} for name, value in values.items()}
        absent[f"fetched_at.{dataset}"] = {"$ifNull": [f"$fetched_at.{dataset}", day.fetched_at]}
        writes.append(UpdateOne(key, [{"$set": absent}], upsert=True))
    return writes
