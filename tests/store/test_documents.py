"""Documents of `user_daily`, whoever wrote them."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime

import pytest
from bson import DatetimeMS

from collector.errors import DatabaseError
from collector.model.daily import Daily
from collector.model.days import Window
from collector.store.database import Database
from collector.store.documents import (
    _read_ahead,
    count_days,
    count_ownerless,
    delete_days,
    has_days,
    read_daily,
    read_documents,
    read_totals,
)
from collector.store.held import Held
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, delete_state

APPID = "wx0123456789abcdef"


async def test_read_documents(database: Database) -> None:
    """Those of one account by day, with the fields asked for, and the number of sources."""
    await database[USER_DAILY].insert_many(
        [
            {"account": APPID, "ref_date": "2026-11-23", "new_user": 3, "net_user": 3, "sources": [{}, {}]},
            {"account": APPID, "ref_date": "2026-11-22", "new_user": 0, "sources": []},
            {"account": "wxother", "ref_date": "2026-11-22", "new_user": 7, "sources": []},
        ]
    )
    assert await read_documents(database, APPID, ("ref_date", "new_user")) == [
        {"ref_date": "2026-11-22", "new_user": 0, "sources": 0},
        {"ref_date": "2026-11-23", "new_user": 3, "sources": 2},
    ]


async def test_strange_documents_are_read(database: Database) -> None:
    """Values that Python can't hold, or of another type, are no error."""
    strange = [
        {"ref_date": 5, "new_user": "many", "sources": None},
        {
            "ref_date": datetime(2026, 11, 23, tzinfo=UTC),
            "new_user": DatetimeMS(300_000_000_000_000),
            "sources": "many",
        },
    ]
    await database[USER_DAILY].insert_many([{"account": APPID, **document} for document in strange])
    found = await read_documents(database, APPID, ("new_user",))
    assert found == [
        {"new_user": "many", "sources": None},
        {"new_user": DatetimeMS(300_000_000_000_000), "sources": None},
    ]


async def test_totals_of_some_accounts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read in several queries where there are many."""
    monkeypatch.setattr("collector.store.documents.ASKED_AT_ONCE", 2)
    await database[USER_DAILY].insert_many(
        [
            {"account": account, "ref_date": str(day), "cumulate_user": total}
            for account, total in (("a", 1), ("b", 2), ("c", 3), ("other", 4))
            for day in (date(2026, 11, 22), date(2026, 11, 23))
        ]
    )
    await database[USER_DAILY].insert_one({"account": "d", "ref_date": "2026-11-23", "cumulate_user": "many"})
    day = date(2026, 11, 23)
    assert await read_totals(database, ["a", "b", "c", "d"], [day]) == {"a": {day: 1}, "b": {day: 2}, "c": {day: 3}}


async def test_read_daily_of_strange_documents(database: Database) -> None:
    """Values of another type are as good as not stored; the day's others stay."""
    await database[USER_DAILY].insert_many(
        [
            {
                "account": "a",
                "ref_date": "2026-11-21",
                "new_user": 1,
                "cancel_user": 2,
                "sources": [{"user_source": 1}],
            },
            {"account": "a", "ref_date": "2026-11-22", "new_user": 1, "cumulate_user": 2.5, "sources": "many"},
            {"account": "a", "ref_date": "2026-11-23", "new_user": 1, "cancel_user": 2, "sources": [5]},
        ]
    )
    sums = Daily(date(2026, 11, 21), 1, 2, is_damaged=True), Daily(date(2026, 11, 23), 1, 2, is_damaged=True)
    found = [each async for each in read_daily(database, ["a"], Window(date(2026, 11, 1), date(2026, 11, 30)))]
    assert found == [("a", [sums[0], Daily(date(2026, 11, 22), is_damaged=True), sums[1]])]


async def test_lists_of_accounts_and_of_days(database: Database) -> None:
    """Documents of other tools that have such are left out, though a query for one of the texts finds them."""
    lists: list[dict[str, object]] = [
        {"account": ["a", "b"], "ref_date": "2026-11-23"},
        {"account": "a", "ref_date": ["2026-11-22", "2026-11-23"]},
    ]
    await database[USER_DAILY].insert_many(each | {"cumulate_user": 1} for each in lists)
    day = date(2026, 11, 23)
    assert [each async for each in read_daily(database, ["a"], Window(day, day))] == [("a", [])]
    assert await read_totals(database, ["a"], [day]) == {}


async def test_count_ownerless(database: Database) -> None:
    accounts: list[dict[str, object]] = [{"account": APPID}, {"account": ""}, {"account": 7}, {"account": None}, {}]
    await database[USER_DAILY].insert_many([{"ref_date": "2026-11-23", **account} for account in accounts])
    assert await count_ownerless(database) == 3


async def test_delete_days(database: Database) -> None:
    """The collector's own, of that account."""
    accounts = ((APPID, "2026-11-22"), (APPID, "2026-11-23"), (APPID, 20261123), ("wxother", "2026-11-23"))
    await database[USER_DAILY].insert_many([{"account": account, "ref_date": day} for account, day in accounts])
    assert await count_days(database, APPID) == 2
    assert await delete_days(database, APPID, Held(1)) == 2
    left = database[USER_DAILY].find({}, {"_id": False})
    assert [each async for each in left] == [
        {"account": APPID, "ref_date": 20261123},
        {"account": "wxother", "ref_date": "2026-11-23"},
    ]


async def test_nothing_is_deleted_without_the_lease(database: Database) -> None:
    await database[USER_DAILY].insert_one({"account": APPID, "ref_date": "2026-11-23"})
    await database[ACCOUNTS].insert_one({"_id": APPID})
    held = Held(1)
    held.lose("gone")
    with pytest.raises(DatabaseError, match="lost the lease: gone"):
        await delete_days(database, APPID, held)
    with pytest.raises(DatabaseError, match="lost the lease: gone"):
        await delete_state(database, APPID, held)
    assert await count_days(database, APPID) == await database[ACCOUNTS].count_documents({}) == 1


async def test_read_daily(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each account in the order asked for, with its days of the window, some accounts in one query."""
    monkeypatch.setattr("collector.store.documents.READ_AT_ONCE", 4)
    await database[USER_DAILY].insert_many(
        [
            {"account": account, "ref_date": f"2026-11-{day}", "cumulate_user": day}
            for account in ("a", "b", "c", "other")
            for day in (23, 22, 21, 20)
        ]
    )
    days = Window(date(2026, 11, 21), date(2026, 11, 22))
    found = [each async for each in read_daily(database, ["c", "nobody", "a", "b"], days)]
    two = [Daily(date(2026, 11, 21), cumulate_user=21), Daily(date(2026, 11, 22), cumulate_user=22)]
    assert found == [("c", two), ("nobody", []), ("a", two), ("b", two)]


async def test_next_batch_is_read_meanwhile() -> None:
    begun: list[str] = []

    async def read(batch: Sequence[str]) -> Sequence[str]:
        begun.extend(batch)
        return batch

    assert [len(begun) async for _ in _read_ahead(read, ["a", "b", "c"])] == [2, 3, 3]


async def test_has_days(database: Database) -> None:
    await database[USER_DAILY].insert_one({"account": "a", "ref_date": "2026-11-22"})
    days = [date(2026, 11, day) for day in (20, 21, 22, 23)]
    assert [await has_days(database, Window(day, day)) for day in days] == [False, False, True, False]


async def test_read_daily_reads_ahead_no_longer_than_it_is_open(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may be closed after it."""
    monkeypatch.setattr("collector.store.documents.READ_AT_ONCE", 1)
    before = asyncio.all_tasks()
    async with aclosing(read_daily(database, ["a", "b", "c"], Window(date(2026, 11, 21), date(2026, 11, 22)))) as found:
        await anext(found)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_read_daily_without_a_day(database: Database) -> None:
    """A document of another tool has perhaps no day of the calendar."""
    await database[USER_DAILY].insert_one({"account": "a", "ref_date": "2026-11-2x", "cumulate_user": 1})
    assert [each async for each in read_daily(database, ["a"], Window(date(2026, 11, 1), date(2026, 11, 30)))] == [
        ("a", [])
    ]
