import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, ConnectionFailure

from collector.days import ONE_DAY
from collector.errors import DatabaseError
from collector.model import AccountState, Day, Fields, Update
from collector.store import writer as module
from collector.store.database import USER_DAILY, Database, prepare
from collector.store.writer import Writer

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
DAY = date(2026, 11, 23)
SUMMARY: Fields = {
    "new_user": 18,
    "cancel_user": 5,
    "net_user": 13,
    "sources": [{"user_source": 0, "new_user": 18, "cancel_user": 5, "$odd": {"a.b": 1}}],
}
CUMULATE: Fields = {"cumulate_user": 1217056}


def _day(number: int = 0, account: str = "wx0123456789abcdef", now: datetime = NOW, **fields: Fields) -> Day:
    return Day(account, "acme-shoes", DAY - number * ONE_DAY, fields or {"user_cumulate": CUMULATE}, now)


def _update(*days: Day) -> Update:
    return Update(days, AccountState(days[0].account, "acme-shoes"))


async def _stored(database: Database) -> list[dict[str, Any]]:
    return [document async for document in database[USER_DAILY].find({}, {"_id": False}).sort("ref_date", -1)]


def _utc(document: Mapping[str, Any]) -> dict[str, datetime]:
    return {dataset: moment.replace(tzinfo=UTC) for dataset, moment in document["fetched_at"].items()}


async def test_one_document_holds_both_datasets_of_a_day(database: Database) -> None:
    await prepare(database)
    async with Writer(database) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY, user_cumulate=CUMULATE)))
    (document,) = await _stored(database)
    assert _utc(document) == {"user_summary": NOW, "user_cumulate": NOW}
    del document["fetched_at"]
    assert document == {
        "account": "wx0123456789abcdef",
        "ref_date": "2026-11-23",
        "name": "acme-shoes",
        **SUMMARY,
        **CUMULATE,
    }
    assert (writer.days, writer.rejected) == (1, {})


async def test_a_dataset_writes_its_own_fields_alone(database: Database) -> None:
    later = NOW + timedelta(hours=1)
    async with Writer(database) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY, user_cumulate=CUMULATE)))
    async with Writer(database) as writer:
        await writer.put(_update(_day(now=later, user_cumulate={"cumulate_user": 7})))
    (document,) = await _stored(database)
    assert (document["new_user"], document["cumulate_user"]) == (18, 7)
    assert _utc(document) == {"user_summary": NOW, "user_cumulate": later}


async def test_sources_are_replaced_whole(database: Database) -> None:
    other = dict(SUMMARY) | {"sources": [{"user_source": 1, "new_user": 18, "cancel_user": 5}]}
    async with Writer(database) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY)))
        await writer.put(_update(_day(user_summary=other)))
    (document,) = await _stored(database)
    assert document["sources"] == other["sources"]


async def test_the_end_of_the_writer_waits_until_all_is_stored(database: Database) -> None:
    async with Writer(database) as writer:
        for number in range(1_500):
            await writer.put(_update(_day(number)))
    assert await database[USER_DAILY].count_documents({}) == writer.days == 1_500


async def test_what_gathers_while_a_write_runs_goes_out_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    upsert = Writer._upsert

    async def counted(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        batches.append(len(batch))
        return await upsert(self, batch)

    monkeypatch.setattr(Writer, "_upsert", counted)
    async with Writer(database) as writer:
        await writer.put(_update(_day(0)))
        while not batches:  # noqa: ASYNC110 - the writer sets no event
            await asyncio.sleep(0)
        for number in range(1, 101):
            await writer.put(_update(_day(number)))
    assert batches == [1, 100]


async def test_a_document_that_mongodb_refuses_fails_its_account_and_no_other(database: Database) -> None:
    await prepare(database)
    async with Writer(database) as writer:
        await writer.put(_update(_day(account="wxbad", user_cumulate={"cumulate_user": -1}), _day(1, account="wxbad")))
        await writer.put(_update(_day(account="wxgood")))
    assert writer.days == 2
    assert writer.rejected == {"wxbad": "MongoDB rejected 2026-11-23: Document failed validation"}
    assert [document["account"] for document in await _stored(database)] == ["wxgood", "wxbad"]


async def test_an_outage_that_ends_loses_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    troubles = [AutoReconnect("not primary"), AutoReconnect("connection closed")]
    upsert = Writer._upsert

    async def failing(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        if troubles:
            raise troubles.pop()
        return await upsert(self, batch)

    monkeypatch.setattr(Writer, "_upsert", failing)
    async with Writer(database) as writer:
        await writer.put(_update(_day()))
    assert len(await _stored(database)) == 1


async def test_a_database_lost_for_good_fails_the_run_and_lets_no_worker_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Writer, "_upsert", failing)
    monkeypatch.setattr(module, "MOST_QUEUED", 2)
    writer = Writer(database)

    async def put_many() -> None:
        async with writer:
            for number in range(100):
                await writer.put(_update(_day(number)))
                await asyncio.sleep(0.001)

    with pytest.raises(DatabaseError, match=r"can't be reached \(connection closed\)"):
        await put_many()
    assert writer.days == 0


async def test_a_database_lost_with_the_last_write_fails_the_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Writer, "_upsert", failing)
    with pytest.raises(DatabaseError):
        async with Writer(database) as writer:
            await writer.put(_update(_day()))


async def test_the_queue_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = asyncio.Event()
    upsert = Writer._upsert

    async def waiting(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        await goes_on.wait()
        return await upsert(self, batch)

    monkeypatch.setattr(Writer, "_upsert", waiting)
    monkeypatch.setattr(module, "MOST_QUEUED", 2)
    async with Writer(database) as writer:
        await writer.put(_update(_day(0)))
        await asyncio.sleep(0)  # the writer takes it
        await writer.put(_update(_day(1)))
        await writer.put(_update(_day(2)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await writer.put(_update(_day(3)))
        goes_on.set()
    assert writer.days == 3


async def test_writes_are_acknowledged_by_the_majority(database: Database) -> None:
    assert Writer(database)._documents.write_concern.document == {"w": "majority", "wtimeout": 10_000}


async def test_a_majority_that_does_not_acknowledge_is_an_outage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unacknowledged:
        async def bulk_write(self, operations: object, *, ordered: bool) -> None:
            raise BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]})

    writer = Writer(database)
    monkeypatch.setattr(writer, "_documents", Unacknowledged())
    with pytest.raises(ConnectionFailure, match="the majority"):
        await writer._upsert([_day()])
