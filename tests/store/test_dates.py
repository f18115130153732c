from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest
import stamina
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.runtime import Stop
from collector.store import dates as module
from collector.store.bulk import write_bulk
from collector.store.database import Database, prepare
from collector.store.dates import fill_in_dates
from collector.store.held import Held
from collector.store.schema import USER_DAILY

APPID = "wx0123456789abcdef"
FOREIGN: list[dict[str, Any]] = [
    {"_id": 1, "something": "else"},
    {"_id": {"tenant": 2}, "account": APPID, "ref_date": datetime(2026, 11, 23)},  # noqa: DTZ001 - any date
    {"_id": 3, "account": APPID, "ref_date": "20261123"},
    {"_id": 4, "account": APPID, "ref_date": "2026-02-30"},
    {"_id": 5, "account": APPID, "ref_date": ["2026-11-23"]},
    {"_id": 6, "account": 7, "ref_date": "2026-11-23"},
    {"_id": 7, "account": APPID, "ref_date": "2026-11-21", "date": "their own"},
    {"_id": 8, "account": APPID},
]
Log = list[Any]
Write = Callable[..., Awaitable[Any]]


async def _insert_old(database: Database, count: int) -> None:
    await database[USER_DAILY].insert_many(
        {"account": f"wx{number}", "ref_date": "2026-11-23", "name": "acme-shoes", "new_user": number}
        for number in range(count)
    )


async def _fill(database: Database, held: Held | None = None, stop: Stop | None = None) -> Log:
    with capture_logs() as logs:
        await fill_in_dates(database, held or Held(1), stop or Stop())
    return logs


async def _filled(database: Database) -> int:
    return await database[USER_DAILY].count_documents({"date": {"$type": "date"}})


def _after(monkeypatch: pytest.MonkeyPatch, writes: int, trouble: Callable[[], object]) -> None:
    """Cause a trouble once so many batches of two documents are written."""
    left = writes

    async def write(*arguments: Any) -> Any:
        nonlocal left
        errors = await write_bulk(*arguments)
        left -= 1
        if not left:
            trouble()
        return errors

    monkeypatch.setattr(module, "FILLED_AT_ONCE", 2)
    monkeypatch.setattr(module, "write_bulk", write)


async def test_day_of_each_document(database: Database) -> None:
    old = {"account": APPID, "name": "acme-shoes", "new_user": 3}
    await database[USER_DAILY].insert_many(
        [old | {"_id": day, "ref_date": day} for day in ("2026-11-23", "2014-12-01")]
    )
    assert await _fill(database) == [{"event": "dates.filled", "log_level": "info", "documents": 2}]
    assert await database[USER_DAILY].find().to_list(None) == [
        old | {"_id": day, "ref_date": day, "date": datetime.fromisoformat(day)} for day in ("2026-11-23", "2014-12-01")
    ]


async def test_foreign_documents_stay(database: Database) -> None:
    await database[USER_DAILY].insert_many(FOREIGN)
    assert await _fill(database) == []
    assert await database[USER_DAILY].find().to_list(None) == FOREIGN


async def test_more_than_one_batch(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILLED_AT_ONCE", 2)
    await database[USER_DAILY].insert_many(FOREIGN)
    await _insert_old(database, 7)
    await _fill(database)
    assert await _filled(database) == 7


async def test_stop_in_mid_way(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch at work is finished, and the next run does the rest."""
    await _insert_old(database, 7)
    stop = Stop()
    _after(monkeypatch, 2, lambda: stop.set(15))
    assert await _fill(database, stop=stop) == [{"event": "dates.filled", "log_level": "info", "documents": 4}]
    assert await _filled(database) == 4
    assert await _fill(database) == [{"event": "dates.filled", "log_level": "info", "documents": 3}]


async def test_nothing_is_asked_after_the_stop_signal(database: Database) -> None:
    await _insert_old(database, 1)
    stop = Stop()
    stop.set(15)
    assert (await _fill(database, stop=stop), await _filled(database)) == ([], 0)


async def test_lost_lease(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await _insert_old(database, 7)
    held = Held(1)
    _after(monkeypatch, 1, held.lose)
    with capture_logs() as logs, pytest.raises(DatabaseError, match="lost the lease"):
        await fill_in_dates(database, held, Stop())
    assert logs == [{"event": "dates.filled", "log_level": "info", "documents": 2}]
    assert await _filled(database) == 2


async def test_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await _insert_old(database, 7)

    def fail() -> None:
        raise AutoReconnect("connection closed")

    await database.command("collMod", USER_DAILY, validator={"new_user": {"$ne": 1}})
    _after(monkeypatch, 2, fail)
    (refused,) = (log for log in await _fill(database) if log["event"] == "dates.refused")
    assert (refused["documents"], await _filled(database)) == (1, 6)


async def test_many_outages(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is waited for, however long ago the first one was."""
    await _insert_old(database, 20)
    writes = 0

    async def write(*arguments: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes % 2:
            raise AutoReconnect("connection closed")
        return await write_bulk(*arguments)

    monkeypatch.setattr(module, "FILLED_AT_ONCE", 2)
    monkeypatch.setattr(module, "write_bulk", write)
    monkeypatch.setattr("collector.store.database.OUTAGE_S", 1.0)
    with stamina.set_testing(False):
        await _fill(database)
    assert await _filled(database) == 20


async def test_document_that_a_validator_refuses(database: Database) -> None:
    """The others are filled in, and the next run only logs it again."""
    await _insert_old(database, 3)
    await database.command("collMod", USER_DAILY, validator={"new_user": {"$ne": 1}})
    refused = {"event": "dates.refused", "log_level": "warning", "documents": 1, "reason": "Document failed validation"}
    assert await _fill(database) == [{"event": "dates.filled", "log_level": "info", "documents": 2}, refused]
    assert await _fill(database) == [refused]


async def test_long_reason(database: Database) -> None:
    """MongoDB's message repeats the value that it refuses; the log gets a part of it."""
    name = "acme" * 100
    dated = {"date": {"$type": "date"}}
    await database[USER_DAILY].create_index(["date", "name"], unique=True, partialFilterExpression=dated)
    await database[USER_DAILY].insert_many(
        {"account": account, "ref_date": "2026-11-23", "name": name} for account in ("wx1", "wx2")
    )
    (refused,) = (log for log in await _fill(database) if log["event"] == "dates.refused")
    assert (refused["documents"], len(refused["reason"])) == (1, 200)


async def test_cost_once_all_are_filled(database: Database) -> None:
    """The index tells that nothing is left."""
    await prepare(database)
    await _insert_old(database, 100)
    await _fill(database)
    explained = await database[USER_DAILY].find(module._LACKING).explain()
    assert explained["executionStats"]["totalKeysExamined"] <= 1
    assert explained["executionStats"]["totalDocsExamined"] == 0
