import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import stamina
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect, BulkWriteError, NetworkTimeout
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.model.days import ONE_DAY
from collector.model.state import AccountState, Authorizer, Day, Fields, Update
from collector.store import writer as module
from collector.store.database import Database, prepare
from collector.store.held import Held
from collector.store.leases import lease
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS
from collector.store.state_document import to_document
from collector.store.writer import Writer

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
DAY = date(2026, 11, 23)
MIDNIGHT = datetime.combine(DAY, time.min)
SUMMARY: Fields = {
    "new_user": 18,
    "cancel_user": 5,
    "net_user": 13,
    "sources": [{"user_source": 0, "new_user": 18, "cancel_user": 5, "$odd": {"a.b": 1}}],
}
CUMULATE: Fields = {"cumulate_user": 1217056}
ZEROS: Fields = {"new_user": 0, "cancel_user": 0, "net_user": 0, "sources": []}


def _day(number: int = 0, account: str = "wx0123456789abcdef", now: datetime = NOW, **fields: Fields) -> Day:
    return Day(account, "acme-shoes", DAY - number * ONE_DAY, fields or {"user_cumulate": CUMULATE}, now)


def _update(*days: Day) -> Update:
    return Update(days, AccountState(days[0].account, "acme-shoes"))


async def _stored(database: Database) -> list[dict[str, Any]]:
    return [document async for document in database[USER_DAILY].find({}, {"_id": False}).sort("ref_date", -1)]


def _utc(document: Mapping[str, Any]) -> dict[str, datetime]:
    return {dataset: moment.replace(tzinfo=UTC) for dataset, moment in document["fetched_at"].items()}


async def test_both_datasets_in_one_document(database: Database) -> None:
    await prepare(database)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY, user_cumulate=CUMULATE)))
    (document,) = await _stored(database)
    assert _utc(document) == {"user_summary": NOW, "user_cumulate": NOW}
    del document["fetched_at"]
    assert document == {
        "account": "wx0123456789abcdef",
        "ref_date": "2026-11-23",
        "date": MIDNIGHT,
        "name": "acme-shoes",
        **SUMMARY,
        **CUMULATE,
    }
    assert (writer.days, writer.rejected) == (1, {})


async def test_fields_of_the_other_dataset_stay(database: Database) -> None:
    later = NOW + timedelta(hours=1)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY, user_cumulate=CUMULATE)))
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(now=later, user_cumulate={"cumulate_user": 7})))
    (document,) = await _stored(database)
    assert (document["new_user"], document["cumulate_user"]) == (18, 7)
    assert _utc(document) == {"user_summary": NOW, "user_cumulate": later}


async def test_sources_are_replaced_whole(database: Database) -> None:
    other = dict(SUMMARY) | {"sources": [{"user_source": 1, "new_user": 18, "cancel_user": 5}]}
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY)))
        await writer.put(_update(_day(user_summary=other)))
    (document,) = await _stored(database)
    assert document["sources"] == other["sources"]


async def test_exit_waits_until_all_is_stored(database: Database) -> None:
    async with Writer(database, Held(1)) as writer:
        for number in range(1_500):
            await writer.put(_update(_day(number)))
    assert await database[USER_DAILY].count_documents({}) == writer.days == 1_500


async def test_batch_gathers_during_a_write(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    upsert = Writer._upsert

    async def counted(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        batches.append(len(batch))
        return await upsert(self, batch)

    monkeypatch.setattr(Writer, "_upsert", counted)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(0)))
        while not batches:  # noqa: ASYNC110 - the writer sets no event
            await asyncio.sleep(0)
        for number in range(1, 101):
            await writer.put(_update(_day(number)))
    assert batches == [1, 100]


async def test_refused_document_fails_its_account(database: Database) -> None:
    await prepare(database)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(account="wxbad", user_cumulate={"cumulate_user": -1}), _day(1, account="wxbad")))
        await writer.put(_update(_day(account="wxgood")))
    assert writer.days == 2
    assert writer.rejected == {"wxbad": "MongoDB rejected 2026-11-23: Document failed validation"}
    assert [document["account"] for document in await _stored(database)] == ["wxgood", "wxbad"]


async def _away(*_: Any, **__: Any) -> None:
    raise AutoReconnect("connection closed")


async def test_outage_that_ends(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    troubles = [AutoReconnect("not primary"), AutoReconnect("connection closed")]
    bulk_write = AsyncIOMotorCollection.bulk_write

    async def failing(self: Any, *arguments: Any, **options: Any) -> Any:
        if troubles:
            raise troubles.pop()
        return await bulk_write(self, *arguments, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", failing)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day()))
    assert len(await _stored(database)) == 1


async def test_outage_for_good(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails the run, and no worker waits for room in the queue."""

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", _away)
    monkeypatch.setattr(module, "MAX_QUEUED", 2)
    writer = Writer(database, Held(1))

    async def put_many() -> None:
        async with writer:
            for number in range(100):
                await writer.put(_update(_day(number)))
                await asyncio.sleep(0.001)

    with pytest.raises(DatabaseError, match=r"can't be reached \(connection closed\)"):
        await put_many()
    assert writer.days == 0


async def test_outage_at_the_last_write(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", _away)
    with pytest.raises(DatabaseError):
        async with Writer(database, Held(1)) as writer:
            await writer.put(_update(_day()))


async def test_queue_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = asyncio.Event()
    upsert = Writer._upsert

    async def waiting(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        await goes_on.wait()
        return await upsert(self, batch)

    monkeypatch.setattr(Writer, "_upsert", waiting)
    monkeypatch.setattr(module, "MAX_QUEUED", 2)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(0)))
        await asyncio.sleep(0)  # the writer takes it
        await writer.put(_update(_day(1)))
        await writer.put(_update(_day(2)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await writer.put(_update(_day(3)))
        goes_on.set()
    assert writer.days == 3


async def test_batch_that_times_out_is_halved(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is, down to 50 documents, and the rest of the run is written in parts of that size."""
    sizes: list[int] = []
    bulk_write = AsyncIOMotorCollection.bulk_write

    async def slow(self: Any, writes: list[Any], **options: Any) -> object:
        sizes.append(len(writes))
        if len(writes) > 60:
            raise NetworkTimeout("timed out")
        return await bulk_write(self, writes, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", slow)
    with capture_logs() as logs:
        async with Writer(database, Held(1)) as writer:
            await writer.put(_update(*map(_day, range(1_000))))
            await writer.put(_update(*map(_day, range(1_000, 1_060))))
    assert sizes == [1_000, 500, 250, 125, 62, *[50] * 20, 50, 10, 1]  # the last is the state
    assert await database[USER_DAILY].count_documents({}) == writer.days == 1_060
    assert {entry["event"] for entry in logs} == {"mongodb.slow"}


async def test_batch_of_50_is_retried_whole(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    bulk_write = AsyncIOMotorCollection.bulk_write

    async def late(self: Any, writes: list[Any], **options: Any) -> object:
        sizes.append(len(writes))
        if len(sizes) < 3:
            raise NetworkTimeout("timed out")
        return await bulk_write(self, writes, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", late)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(*map(_day, range(50))))
    assert (sizes, writer.days) == ([50, 50, 50, 1], 50)


async def test_refused_day_beyond_the_first_part(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named by its own date."""
    await prepare(database)
    monkeypatch.setattr(module, "MAX_IN_BATCH", 10)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(*map(_day, range(14)), _day(14, user_cumulate={"cumulate_user": -1})))
    assert writer.rejected == {_day().account: "MongoDB rejected 2026-11-09: Document failed validation"}
    assert writer.days == 14


@pytest.mark.parametrize("code", [6, 91, 112, 133, 189, 16500])
async def test_write_error_that_passes(code: int, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is outlasted: mongos reports a shard's outage with each write, and the documents are sound."""
    troubles = [{"index": 0, "code": 121, "errmsg": "no"}, {"index": 1, "code": code, "errmsg": "shard away"}]
    bulk_write = AsyncIOMotorCollection.bulk_write
    failures = [BulkWriteError({"writeErrors": troubles})] * 2

    async def failing(self: Any, writes: list[Any], **options: Any) -> object:
        if failures:
            raise failures.pop()
        return await bulk_write(self, writes, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", failing)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(account="wxa"), _day(1, account="wxa")))
    assert (writer.rejected, writer.days, failures) == ({}, 2, [])


async def test_majority_write_concern(database: Database) -> None:
    assert Writer(database, Held(1))._documents.write_concern.document == {"w": "majority", "wtimeout": 10_000}


async def test_no_majority_is_an_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unacknowledged(*_: Any, **__: Any) -> None:
        raise BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]})

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", unacknowledged)
    with pytest.raises(DatabaseError, match=r"the majority of MongoDB's members didn't acknowledge"):
        async with Writer(database, Held(1)) as writer:
            await writer.put(_update(_day()))


async def test_inferred_makes_a_document(database: Database) -> None:
    inferred = Day("wx0123456789abcdef", "$acme.shoes", DAY, {}, NOW, {"user_summary": ZEROS})
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(inferred))
    (document,) = await _stored(database)
    assert _utc(document) == {"user_summary": NOW}
    del document["fetched_at"]
    assert document == {
        "account": "wx0123456789abcdef",
        "ref_date": "2026-11-23",
        "date": MIDNIGHT,
        "name": "$acme.shoes",
        **ZEROS,
    }


async def test_inferred_gives_way_to_stored(database: Database) -> None:
    later = Day("wx0123456789abcdef", "new-name", DAY, {}, NOW + ONE_DAY, {"user_summary": ZEROS})
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(user_summary=SUMMARY)))
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(later))
    (document,) = await _stored(database)
    assert {name: document[name] for name in SUMMARY} == SUMMARY
    assert (document["name"], _utc(document)) == ("new-name", {"user_summary": NOW})


async def test_inferred_beside_the_other_dataset(database: Database) -> None:
    both = Day("wx0123456789abcdef", "acme-shoes", DAY, {"user_cumulate": CUMULATE}, NOW, {"user_summary": ZEROS})
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(both))
    (document,) = await _stored(database)
    assert {name: document[name] for name in (*ZEROS, *CUMULATE)} == {**ZEROS, **CUMULATE}
    assert (_utc(document), writer.days) == ({"user_summary": NOW, "user_cumulate": NOW}, 1)


async def test_refused_day_among_inferred_ones(database: Database) -> None:
    await prepare(database)
    inferred = _day(1)._replace(fields={}, inferred={"user_summary": ZEROS})
    refused = _day(2, user_cumulate={"cumulate_user": -1})
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(0), inferred, refused))
    assert writer.rejected == {refused.account: "MongoDB rejected 2026-11-21: Document failed validation"}


async def _states(database: Database) -> list[dict[str, Any]]:
    return await database[ACCOUNTS].find({}, {"epoch": False}).sort("_id").to_list(None)


async def test_last_state_of_each_account(database: Database) -> None:
    newest = [AccountState("wxa", "acme-shoes", tags=("newest",)), AccountState("wxb", "acme-hats")]
    async with Writer(database, Held(1)) as writer:
        await writer.put(Update([_day(account="wxa")], AccountState("wxa", "acme-shoes")))
        await writer.put(Update([_day(1, account="wxa")], newest[0]))
        await writer.put(Update([_day(account="wxb")], newest[1]))
    assert await _states(database) == [to_document(state) for state in newest]


def _counted_states(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return a list that gets the accounts of each write of states."""
    saved: list[list[str]] = []
    save = Writer._save

    async def counted(self: Writer, states: Mapping[str, AccountState]) -> None:
        saved.append(list(states))
        await save(self, states)

    monkeypatch.setattr(Writer, "_save", counted)
    return saved


async def test_states_wait_while_days_do(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last state of each account is written once, when no more days wait."""
    saved = _counted_states(monkeypatch)
    monkeypatch.setattr(module, "MAX_IN_BATCH", 10)
    days = [_day(number) for number in range(4)]  # three of these fill a batch
    states = [AccountState(account, "acme", (str(n),)) for n, account in enumerate(("wxa", "wxb", "wxa", "wxa"))]
    async with Writer(database, Held(1)) as writer:
        for state in states:
            await writer.put(Update([day._replace(account=state.account) for day in days], state))
    assert saved == [["wxa", "wxb"]]
    assert await _states(database) == [to_document(states[3]), to_document(states[1])]
    assert (writer.unsaved, writer.days) == (Counter(), 16)


async def test_waiting_state_after_a_refused_day(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never stored."""
    await prepare(database)
    monkeypatch.setattr(module, "MAX_IN_BATCH", 1)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day(account="wxbad")))
        await writer.put(_update(_day(account="wxgood")))
        await writer.put(_update(_day(1, account="wxbad", user_cumulate={"cumulate_user": -1})))
    assert await _states(database) == [to_document(AccountState("wxgood", "acme-shoes"))]


async def test_waiting_states_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed asks again for the windows whose states waited, and for no more."""
    saved = _counted_states(monkeypatch)
    monkeypatch.setattr(module, "MAX_IN_BATCH", 2)
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    async with Writer(database, Held(1)) as writer:
        for number in range(7):
            await writer.put(_update(_day(2 * number), _day(2 * number + 1)))
    assert len(saved) == 4


async def test_unsaved_until_the_state_is_stored(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    bulk_write = AsyncIOMotorCollection.bulk_write

    async def failing(self: Any, *arguments: Any, **options: Any) -> Any:
        if self.name == ACCOUNTS:
            raise AutoReconnect("connection closed")
        return await bulk_write(self, *arguments, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", failing)
    writer = Writer(database, Held(1))
    with pytest.raises(DatabaseError):
        async with writer:
            await writer.put(_update(_day(account="wxa")))
    assert (writer.unsaved, len(await _stored(database))) == (Counter(wxa=1), 1)


async def test_state_without_days(database: Database) -> None:
    state = AccountState("wxa", "acme-shoes", tags=("new",))
    async with Writer(database, Held(1)) as writer:
        await writer.put(Update([], state))
    assert await _states(database) == [to_document(state)]
    assert (await _stored(database), writer.days) == ([], 0)


async def test_no_state_after_refused_days(database: Database) -> None:
    await prepare(database)
    bad = _update(_day(account="wxbad", user_cumulate={"cumulate_user": -1}))
    async with Writer(database, Held(1)) as writer:
        await writer.put(bad)
    async with Writer(database, Held(1)) as writer:
        await writer.put(bad)
        await writer.put(_update(_day(account="wxgood")))
        await writer.put(_update(_day(1, account="wxbad")))
    assert await _states(database) == [to_document(AccountState("wxgood", "acme-shoes"))]


async def test_reason_is_cut_to_200_characters(database: Database) -> None:
    """Another tool's unique index makes MongoDB repeat the value, however long."""
    await database[USER_DAILY].create_index("name", unique=True)
    first, second = (Day("wxa", "n" * 400, DAY - days * ONE_DAY, {"user_cumulate": CUMULATE}, NOW) for days in (0, 1))
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(first))
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(second))
    reason = writer.rejected["wxa"].removeprefix("MongoDB rejected 2026-11-22: ")
    assert (reason[:6], len(reason)) == ("E11000", 200)


async def test_unsaved_by_account(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = asyncio.Event()
    upsert = Writer._upsert

    async def waiting(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        await goes_on.wait()
        return await upsert(self, batch)

    monkeypatch.setattr(Writer, "_upsert", waiting)
    async with Writer(database, Held(1)) as writer:
        for update in (_update(_day(account="wxa")), _update(_day(account="wxb")), _update(_day(1, account="wxa"))):
            await writer.put(update)
        assert writer.unsaved == Counter(wxa=2, wxb=1)
        goes_on.set()
    assert writer.unsaved == Counter()


async def test_unsaved_after_an_outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        raise AutoReconnect("connection closed")

    writer = Writer(database, Held(1))
    async with writer:
        await writer.put(_update(_day(account="wxa")))
    monkeypatch.setattr(Writer, "_upsert", failing)
    with pytest.raises(DatabaseError):
        async with writer:
            await writer.put(_update(_day(account="wxb"), _day(1, account="wxb")))
    assert (writer.unsaved, writer.days) == (Counter(wxb=1), 1)


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([1, 1, 1, 1, 1, 1, 1], [3, 3, 1]),
        ([2, 2, 1, 1, 2], [2, 3]),
        ([3, 5, 1], [1, 1, 1]),
        ([0, 0, 0, 0, 3, 0], [5, 1]),
    ],
)
async def test_batch_ends_when_full(
    sizes: list[int], batches: list[int], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_IN_BATCH", 3)
    writer = Writer(database, Held(1))
    for size in sizes:
        await writer.put(Update([_day(number) for number in range(size)], AccountState("wxa", "acme-shoes")))
    gathered = [await writer._gather() for _ in batches]
    assert [(len(batch), ended) for batch, ended in gathered] == [(count, False) for count in batches]


@pytest.mark.parametrize("failures", [1, 20])
async def test_outage_of_45_s_is_logged_once(
    failures: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = [AutoReconnect("not primary")] * failures
    waits: list[dict[str, Any]] = []
    bulk_write, caller = AsyncIOMotorCollection.bulk_write, stamina.AsyncRetryingCaller

    async def failing(self: Any, *arguments: Any, **options: Any) -> Any:
        if troubles:
            raise troubles.pop()
        return await bulk_write(self, *arguments, **options)

    def noted(**how: Any) -> Any:
        waits.append(how)
        return caller(**how)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", failing)
    monkeypatch.setattr(stamina, "AsyncRetryingCaller", noted)
    with capture_logs() as logs:
        async with Writer(database, Held(1)) as writer:
            await writer.put(_update(_day()))
    assert waits == [{"attempts": None, "timeout": 45.0, "wait_initial": 0.2, "wait_max": 5}]
    assert [log for log in logs if log["event"] != "stamina.retry_scheduled"] == [
        {"event": "mongodb.away", "waiting_s": 45.0, "log_level": "warning"},
        {"event": "mongodb.back", "after_s": 0, "calls_waited": 1, "log_level": "warning"},
    ]
    assert (len(await _stored(database)), writer.days) == (1, 1)


async def test_no_retry_context_without_trouble(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A context of stamina is garbage that only a search for cycles finds; with each batch it would gather."""
    contexts: list[dict[str, Any]] = []
    monkeypatch.setattr(stamina, "AsyncRetryingCaller", lambda **how: contexts.append(how))
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(_day()))
    assert (contexts, writer.days) == ([], 1)


async def test_nothing_is_written_without_the_lease(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates queued meanwhile are dropped, the state of the write that ran is too, and the first error stays."""
    upsert = Writer._upsert

    async def losing(self: Writer, batch: list[Day]) -> Mapping[int, str]:
        rejected = await upsert(self, batch)
        self.held.lose("it was halted")
        self.held.lose("and again")
        return rejected

    monkeypatch.setattr(Writer, "_upsert", losing)
    writer = await Writer(database, Held(1)).__aenter__()
    await writer.put(_update(_day(account="wxa")))
    async with asyncio.timeout(5):
        while not writer.held.is_lost:  # noqa: ASYNC110 - the writer sets no event
            await asyncio.sleep(0)
    with pytest.raises(DatabaseError, match=r"^this run lost the lease: it was halted\. "):
        await writer.put(_update(_day(account="wxb")))
    writer._queue.put_nowait(_update(_day(account="wxc")))  # as one that waited for room
    with pytest.raises(DatabaseError, match=r"^this run lost the lease: it was halted\. "):
        await writer.__aexit__(None, None, None)
    assert [document["account"] for document in await _stored(database)] == ["wxa"]
    assert await _states(database) == []


async def test_database_attribute(database: Database) -> None:
    assert Writer(database, Held(1)).database is database


async def test_refused_state(database: Database) -> None:
    await database.create_collection(ACCOUNTS, validator={"_id": {"$ne": "wxrefused"}})
    async with Writer(database, Held(1)) as writer:
        for account in ("wxfirst", "wxrefused", "wxlast"):
            await writer.put(_update(_day(account=account)))
    assert writer.rejected == {"wxrefused": "MongoDB rejected its state: Document failed validation"}
    assert [state["_id"] async for state in database[ACCOUNTS].find().sort("_id")] == ["wxfirst", "wxlast"]


async def test_acknowledged_part_is_not_repeated(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage between two parts of a batch repeats the second alone."""
    monkeypatch.setattr(module, "MAX_IN_BATCH", 4)
    bulk_write, sizes, troubles = AsyncIOMotorCollection.bulk_write, list[int](), [AutoReconnect("not primary")]

    async def failing(self: Any, writes: Any, **options: Any) -> Any:
        sizes.append(len(writes))
        if len(sizes) == 2:
            raise troubles.pop()
        return await bulk_write(self, writes, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", failing)
    async with Writer(database, Held(1)) as writer:
        await writer.put(_update(*map(_day, range(6))))
    assert (sizes, writer.days) == ([4, 2, 2, 1], 6)


async def test_crash_is_told_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Day) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr(module, "_writes", failing)
    message = (
        r"^the collector failed as it wrote to MongoDB \(KeyError\). This is a mistake of the collector: please report "
        r"it with the log$"
    )
    with capture_logs() as logs, pytest.raises(DatabaseError, match=message):
        async with Writer(database, Held(1)) as writer:
            await writer.put(_update(_day()))
    assert [log["event"] for log in logs] == ["writer.crashed"]


async def test_refusals_of_all_parts_count(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of a batch may have some, and slowness is logged."""
    await prepare(database)
    monkeypatch.setattr(module, "MAX_IN_BATCH", 4)
    monkeypatch.setattr(module, "MIN_IN_BATCH", 2)
    bulk_write, troubles = AsyncIOMotorCollection.bulk_write, [NetworkTimeout("too slow")]

    async def slow(self: Any, *arguments: Any, **options: Any) -> Any:
        if troubles:
            raise troubles.pop()
        return await bulk_write(self, *arguments, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", slow)
    bad = {"user_cumulate": {"cumulate_user": -1}}
    days = [_day(number, account=f"wx{number}")._replace(fields=bad) for number in range(4)]
    writer = Writer(database, Held(1))
    with capture_logs() as logs:
        async with writer:
            await writer.put(_update(*days))
    assert sorted(writer.rejected) == ["wx0", "wx1", "wx2", "wx3"]
    assert logs == [{"event": "mongodb.slow", "documents": 4, "next": 2, "log_level": "warning"}]


# Leases


async def test_lease_lost_before_a_write(database: Database) -> None:
    """Nothing is begun any more, as by a process that was halted."""
    held = Held(1)
    writer = await Writer(database, held).__aenter__()
    await writer.put(_update(_day()))
    held.lose("it was halted")
    with pytest.raises(DatabaseError, match=r"^this run lost the lease: it was halted\. "):
        await writer.__aexit__(None, None, None)
    assert (await _stored(database), await _states(database)) == ([], [])


@pytest.mark.parametrize("epoch", [None, 1, 6, 7, "odd"])
async def test_state_of_an_earlier_lease_is_replaced(database: Database, epoch: object) -> None:
    """Also one that a version without epochs has written."""
    known = {"_id": "wxa", "version": 1} | ({} if epoch is None else {"epoch": epoch})
    await database[ACCOUNTS].insert_one(known)
    async with Writer(database, Held(7)) as writer:
        await writer.put(Update((), AccountState("wxa", "acme-shoes")))
    assert await database[ACCOUNTS].find_one() == to_document(AccountState("wxa", "acme-shoes")) | {"epoch": 7}


async def test_state_of_a_later_lease_stays(database: Database) -> None:
    """The run whose state MongoDB refuses has lost its lease, whether or not it knows it."""
    later = {"_id": "wxa", "version": 1, "epoch": 8}
    await database[ACCOUNTS].insert_one(dict(later))
    held = Held(7)
    with pytest.raises(DatabaseError, match=r"^this run lost the lease: another run has taken over its accounts\. "):
        async with Writer(database, held) as writer:
            await writer.put(_update(_day(account="wxa")))
    assert held.is_lost
    assert await database[ACCOUNTS].find().to_list(None) == [later]


async def test_epochs_of_a_clock_that_was_ahead(database: Database) -> None:
    """The next run is after them, though the document of leases was deleted."""
    ahead = 2**42
    await database[ACCOUNTS].insert_many([{"_id": "wxa", "epoch": ahead}, {"_id": "wxb", "epoch": ahead + 5}])

    async def store(run: str) -> None:
        async with lease(database, run, "run") as held, Writer(database, held) as writer:
            for account in ("wxa", "wxb"):
                await writer.put(_update(_day(account=account)))

    with pytest.raises(DatabaseError, match="another run has taken over its accounts"):
        await store("first")
    await store("second")
    assert await database[ACCOUNTS].distinct("epoch") == [ahead + 6]


async def test_first_write_that_is_repeated(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A duplicate that no later lease explains is the run's own, from a call whose answer never came."""
    write = AsyncIOMotorCollection.bulk_write

    async def doubled(self: Any, writes: list[Any], **options: Any) -> Any:
        monkeypatch.undo()
        own = {"index": 0, "code": 11000, "errmsg": "E11000 duplicate key"}
        await write(self, writes, **options)
        raise BulkWriteError({"writeErrors": [own]})

    async with Writer(database, Held(1)) as writer:
        monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", doubled)
        await writer.put(Update((), AccountState("wxa", "acme-shoes")))
    assert (writer.rejected, len(await _states(database))) == ({}, 1)


def _found(account: str, platform: str | None) -> AccountState:
    return AccountState(
        account, account, authorizer=Authorizer(platform, account, mini_program=False) if platform else None
    )


@pytest.mark.parametrize(
    ("before", "there", "is_ours"),
    [
        (None, None, True),
        (None, "mine", True),  # an answer that never came
        (None, "other", False),
        ("other", "other", True),
        ("other", "third", False),
        ("mine", "mine", True),
    ],
)
async def test_platform_changes(database: Database, before: str | None, there: str | None, is_ours: bool) -> None:
    """An account is the run's if no other run has given it to a platform since the states were read."""
    if there:
        await database[ACCOUNTS].insert_one(to_document(_found("wxa", there)))
    states = {} if before is None else {"wxa": _found("wxa", before)}
    async with Writer(database, Held(7)) as writer:
        found = [_found("wxa", "mine"), _found("wxb", "mine")]
        assert await writer.change_platforms(found, states) == ([] if is_ours else ["wxa"])
    platforms = [state["authorizer"]["component"] for state in await _states(database)]
    assert platforms == (["mine", "mine"] if is_ours else [there, "mine"])


async def test_withdrawn_account(database: Database) -> None:
    """Once it is stored, another run may give the account to its platform."""
    async with Writer(database, Held(6)) as writer:
        assert await writer.change_platforms([_found("wxa", "mine")], {}) == []
        assert await writer.change_platforms([_found("wxa", None)], {"wxa": _found("wxa", "mine")}) == []
        for epoch, lost in ((5, ["wxa"]), (7, [])):
            other = Writer(database, Held(epoch))
            assert await other.change_platforms([_found("wxa", "other")], {"wxa": _found("wxa", None)}) == lost


async def test_platform_change_that_a_validator_rejects(database: Database) -> None:
    await database.create_collection(ACCOUNTS, validator={"name": {"$ne": "wxa"}})
    async with Writer(database, Held(1)) as writer:
        assert await writer.change_platforms([_found("wxa", "mine"), _found("wxb", "mine")], {}) == []
    assert writer.rejected == {"wxa": "MongoDB rejected its state: Document failed validation"}
