"""Read the documents of `user_daily` as they are, whoever wrote them; delete those of an account that left.

A strange document is returned, never an error.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import aclosing
from datetime import date
from functools import partial
from typing import TypeVar

from collector.model.daily import FIELDS, Daily, Source, dailies_of
from collector.model.days import Window
from collector.store.database import AS_IT_IS, Database, Document, outlasting
from collector.store.held import Held
from collector.store.schema import USER_DAILY

T = TypeVar("T")

ASKED_AT_ONCE = 10_000
"""Accounts in one query, which MongoDB limits to 16 MB."""

READ_AT_ONCE = 10_000
"""Days, whether they are stored or not, of the accounts that one query reads: some 10 MB."""

DELETED_AT_ONCE = 1_000
"""Documents that are deleted by one call, which stays far below its time-out."""

_CHANNELS = {"$map": {"input": "$sources", "as": "row", "in": [f"$$row.{field}" for field in Source._fields]}}
_COLUMNS = {
    "_id": "$account",
    **{field: {"$push": {"$ifNull": [f"${field}", None]}} for field in FIELDS},
    "sources": {"$push": {"$cond": [{"$isArray": "$sources"}, _CHANNELS, {"$ifNull": ["$sources", None]}]}},
}
"""The days of an account as one document of columns, which Python reads in half the time of a document for each day."""

_NO_LISTS = {"$nor": [{field: {"$type": "array"}} for field in ("account", "ref_date")]}
"""Condition that leaves out documents of other tools: a query for a text also finds the lists that it is in."""

_SOURCES = {"$cond": [{"$isArray": "$sources"}, {"$size": "$sources"}, None]}


async def read_documents(database: Database, account: str, fields: Iterable[str]) -> list[Document]:
    """Return the documents of an account, sorted by `ref_date`: these `fields`, and the number of `sources`."""
    wanted = {"_id": False, **dict.fromkeys(fields, True), "sources": _SOURCES}
    collection = database.get_collection(USER_DAILY, codec_options=AS_IT_IS)
    return await outlasting(lambda: collection.find({"account": account}, wanted).sort("ref_date").to_list(None))


async def read_totals(
    database: Database, accounts: Sequence[str], days: Collection[date]
) -> dict[str, dict[date, int]]:
    """Return the `cumulate_user` of some accounts on some days, as far as they are stored, by account and day."""
    by_text = {str(day): day for day in days}
    wanted = {"_id": False, "account": True, "ref_date": True, "cumulate_user": True}

    async def read(some: Sequence[str]) -> list[Document]:
        these = {"account": {"$in": some}, "ref_date": {"$in": [*by_text]}, "cumulate_user": {"$type": "number"}}
        return await database[USER_DAILY].find(these | _NO_LISTS, wanted).to_list(None)

    totals: dict[str, dict[date, int]] = defaultdict(dict)
    for begin in range(0, len(accounts), ASKED_AT_ONCE):
        for document in await outlasting(partial(read, accounts[begin : begin + ASKED_AT_ONCE])):
            totals[document["account"]][by_text[document["ref_date"]]] = document["cumulate_user"]
    return totals


async def has_days(database: Database, days: Window) -> bool:
    """Return True where any of `days` is stored, of any account."""
    these = {"ref_date": {"$gte": str(days.begin), "$lte": str(days.end)}}
    return await outlasting(lambda: database[USER_DAILY].find_one(these, {"_id": True})) is not None


async def read_daily(
    database: Database, accounts: Sequence[str], days: Window
) -> AsyncGenerator[tuple[str, list[Daily]], None]:
    """Yield each account, in the order of `accounts`, with its stored days among `days`, oldest first.

    Only some accounts at a time are in memory. Documents without a day of the calendar as `ref_date` are left out.
    """
    collection = database.get_collection(USER_DAILY, codec_options=AS_IT_IS)
    by_text: dict[object, date] = {str(day): day for day in days}

    async def read(some: Sequence[str]) -> dict[str, list[Daily]]:
        these = {"account": {"$in": some}, "ref_date": {"$gte": str(days.begin), "$lte": str(days.end)}, **_NO_LISTS}
        stages: list[Document] = [{"$match": these}, {"$sort": {"account": 1, "ref_date": 1}}, {"$group": _COLUMNS}]
        found = await outlasting(lambda: collection.aggregate(stages).to_list(None))
        return {each["_id"]: dailies_of(each, by_text) for each in found}

    step = max(1, READ_AT_ONCE // len(days))
    batches = [accounts[at : at + step] for at in range(0, len(accounts), step)]
    async with aclosing(_read_ahead(read, batches)) as batches_read:
        async for some, found in batches_read:
            for account in some:
                yield account, found.pop(account, [])


async def _read_ahead(
    read: Callable[[Sequence[str]], Coroutine[None, None, T]], batches: Sequence[Sequence[str]]
) -> AsyncGenerator[tuple[Sequence[str], T], None]:
    """Yield each batch with what `read` returns for it; while that is used, the next one is read."""
    tasks: deque[asyncio.Task[T]] = deque()
    try:
        for place, batch in enumerate(batches):
            tasks.extend(asyncio.create_task(read(each)) for each in batches[place + len(tasks) : place + 2])
            await asyncio.wait([tasks[0]])  # the next one is sent meanwhile, even if its user then holds the loop
            yield batch, tasks.popleft().result()
    finally:
        for task in tasks:
            task.cancel()


async def count_ownerless(database: Database) -> int:
    """Return the number of documents of `user_daily` whose `account` isn't a text."""
    no_text = {"account": {"$not": {"$gte": ""}}}  # unlike {"$not": {"$type": "string"}} it is answered by the index
    return await outlasting(lambda: database[USER_DAILY].count_documents(no_text))


async def count_days(database: Database, account: str) -> int:
    """Return the number of the collector's own documents of an account."""
    return await outlasting(lambda: database[USER_DAILY].count_documents(_days(account)))


async def delete_days(database: Database, account: str, held: Held) -> int:
    """Delete the collector's own documents of an account, in batches; return their number.

    Raises `DatabaseError` where the lease is lost: what is deleted by then stays deleted.
    """
    collection, deleted = database[USER_DAILY], 0

    async def delete_some() -> int:
        held.check()
        some = await collection.find(_days(account), {"_id": True}).limit(DELETED_AT_ONCE).to_list(None)
        await collection.delete_many({"account": account, "_id": {"$in": [each["_id"] for each in some]}})
        return len(some)

    while some := await outlasting(delete_some):
        deleted += some
    return deleted


def _days(account: str) -> Document:
    # Documents of other tools stay: ours have a text as `ref_date`.
    return {"account": account, "ref_date": {"$type": "string"}}
