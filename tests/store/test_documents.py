"""Documents of `user_daily`, whoever wrote them."""

from datetime import UTC, datetime

from bson import DatetimeMS

from collector.store.database import Database
from collector.store.documents import count_ownerless, read_documents
from collector.store.schema import USER_DAILY

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


async def test_count_ownerless(database: Database) -> None:
    accounts: list[dict[str, object]] = [{"account": APPID}, {"account": ""}, {"account": 7}, {"account": None}, {}]
    await database[USER_DAILY].insert_many([{"ref_date": "2026-11-23", **account} for account in accounts])
    assert await count_ownerless(database) == 3
