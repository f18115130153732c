import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect

from collector.errors import DatabaseError
from collector.model.ledger import RunRecord
from collector.model.parts import Part
from collector.model.results import Failure, Outcome, RunResult
from collector.model.shards import Shard
from collector.store import runs
from collector.store.database import Database, Document
from collector.store.leases import lease, live_runs

RUN, LATER = "20261124T023010Z-aaaaaa", "20261125T023010Z-bbbbbb"
OUTCOMES = {Outcome.OK: 48, Outcome.PENDING: 0, Outcome.FAILED: 2, Outcome.SKIPPED: 0}
FAILURE = Failure(
    "wx0123456789abcdef", "acme-shoes", None, "$invalid appid", 40013, "rid-1", "correct appid", windows=2
)


async def _begin(database: Database, run: str = RUN) -> None:
    await runs.begin(database, run, command="backfill", version="0.3.0", accounts=50)


async def _entry(database: Database, run: str = RUN) -> tuple[Document, list[str]]:
    """Return the document without its instants, which must all be recent, and their names."""
    document = await database[runs.RUNS].find_one({"_id": run}) or {}
    instants = [key for key, value in document.items() if isinstance(value, datetime)]
    for key in instants:
        assert abs(document.pop(key).replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(seconds=10)
    return document, sorted(instants)


def _begun(run: str = RUN, **changed: object) -> Document:
    return {
        "_id": run,
        "command": "backfill",
        "version": "0.3.0",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "status": "running",
        "accounts": {"total": 50},
        **changed,
    }


def _ended(result: RunResult, **changed: object) -> Document:
    return _begun(
        result.run,
        accounts={"total": 50, "ok": 48, "pending": 0, "failed": 2, "skipped": 0},
        calls=result.calls,
        token_calls=result.token_calls,
        retries=result.retries,
        days=result.days,
        **{"failures": [], **changed},
    )


async def test_begin(database: Database) -> None:
    await _begin(database)
    assert await _entry(database) == (_begun(), ["began"])


async def test_end(database: Database) -> None:
    await _begin(database)
    result = RunResult(RUN, 1.5, OUTCOMES, 48, calls=104, token_calls=50, retries=4, days=96, failures=(FAILURE,))
    await runs.end(database, result)
    failure = {
        "account": "wx0123456789abcdef",
        "name": "acme-shoes",
        "dataset": None,
        "errmsg": "$invalid appid",
        "errcode": 40013,
        "rid": "rid-1",
        "hint": "correct appid",
        "windows": 2,
        "accounts": 1,
    }
    entry, instants = await _entry(database)
    assert entry == _ended(result, failures=[failure], status="partial", exit=3)
    assert instants == ["began", "ended"]


async def test_end_by_an_error(database: Database) -> None:
    await _begin(database)
    result = RunResult(RUN, 1.5, OUTCOMES, 48, error="MongoDB can't be reached")
    await runs.end(database, result)
    entry, _ = await _entry(database)
    assert entry == _ended(result, status="failed", exit=1, error="MongoDB can't be reached")


async def test_end_by_a_signal(database: Database) -> None:
    await _begin(database)
    result = RunResult(RUN, 1.5, OUTCOMES, 48, stopped_by=15)
    await runs.end(database, result)
    entry, _ = await _entry(database)
    assert entry == _ended(result, status="stopped", exit=143, stop_signal=15)


async def test_note_stop(database: Database) -> None:
    await _begin(database)
    await runs.note_stop(database, RUN, 2)
    assert await _entry(database) == (_begun(stop_signal=2), ["began"])


async def test_failures_beyond_the_bound(database: Database) -> None:
    await _begin(database)
    many = tuple(Failure(f"wx{number}", "acme", None, "no") for number in range(runs.MAX_FAILURES + 17))
    await runs.end(database, RunResult(RUN, 1.5, OUTCOMES, 48, failures=many))
    entry, _ = await _entry(database)
    assert [failure["account"] for failure in entry["failures"]] == [f"wx{n}" for n in range(runs.MAX_FAILURES)]
    assert entry["failures_left_out"] == 17


async def test_failures_at_the_bound(database: Database) -> None:
    await _begin(database)
    await runs.end(database, RunResult(RUN, 1.5, OUTCOMES, 48, failures=(FAILURE,) * runs.MAX_FAILURES))
    entry, _ = await _entry(database)
    assert len(entry["failures"]) == runs.MAX_FAILURES
    assert "failures_left_out" not in entry


async def test_dead_run_is_closed_as_crashed(database: Database) -> None:
    await _begin(database)
    await _begin(database, LATER)
    assert await _entry(database) == (_begun(status="crashed"), ["began", "ended"])
    assert await _entry(database, LATER) == (_begun(LATER), ["began"])


async def test_live_run_stays_open(database: Database) -> None:
    """Runs of other parts are at work at once; only those whose lease is gone are dead."""
    async with lease(database, RUN, "backfill", Part(Shard(1, 2))):
        await _begin(database)
        await _begin(database, "dead")
        async with lease(database, LATER, "backfill", Part(Shard(2, 2))):
            await _begin(database, LATER)
        assert await _entry(database) == (_begun(), ["began"])
        assert await _entry(database, "dead") == (_begun("dead", status="crashed"), ["began", "ended"])


async def test_run_that_begins_in_between(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes its lease while another looks for dead ones isn't one of them."""
    find_one = AsyncIOMotorCollection.find_one

    async with AsyncExitStack() as stack:

        async def late(self: Any, *arguments: Any) -> Any:
            found = await find_one(self, *arguments)
            monkeypatch.undo()
            await stack.enter_async_context(lease(database, LATER, "backfill", Part(Shard(2, 2))))
            await _begin(database, LATER)
            return found

        async with lease(database, RUN, "backfill", Part(Shard(1, 2))):
            monkeypatch.setattr(AsyncIOMotorCollection, "find_one", late)
            await _begin(database)
        assert await _entry(database, LATER) == (_begun(LATER), ["began"])


async def test_run_that_ends_in_between(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends while another looks for dead ones keeps its outcome."""
    find_one = AsyncIOMotorCollection.find_one
    result = RunResult(RUN, 1.5, OUTCOMES, 48)

    async def late(self: Any, *arguments: Any) -> Any:
        monkeypatch.undo()
        await runs.end(database, result)
        return await find_one(self, *arguments)

    await _begin(database)
    monkeypatch.setattr(AsyncIOMotorCollection, "find_one", late)
    await _begin(database, LATER)
    assert await _entry(database) == (_ended(result, status="partial", exit=3), ["began", "ended"])


async def test_dead_run_after_a_signal_is_stopped(database: Database) -> None:
    await _begin(database)
    await runs.note_stop(database, RUN, 15)
    await _begin(database, LATER)
    assert await _entry(database) == (_begun(status="stopped", stop_signal=15), ["began", "ended"])


async def test_run_that_pauses(database: Database) -> None:
    """It has no lease, and isn't dead: it goes on, and ends as any other."""
    await _begin(database)
    await runs.pause(database, RUN)
    await _begin(database, LATER)
    (record,) = [each for each in await runs.read_runs(database, 9) if each.run == RUN]
    assert (record.status, record.at_work) == ("running", True)
    await runs.resume(database, RUN)
    assert await _entry(database) == (_begun(), ["began"])
    await runs.pause(database, RUN)
    await runs.end(database, result := RunResult(RUN, 1.5, OUTCOMES, 48))
    assert await _entry(database) == (_ended(result, status="partial", exit=3), ["began", "ended"])


async def test_pause_that_was_too_long(database: Database) -> None:
    """It is taken for dead, as far as it doesn't come back."""
    await _begin(database)
    for go_on in (runs.pause, runs.resume):
        await database[runs.RUNS].update_one({"_id": RUN}, {"$set": {"pauses_until": datetime(2026, 1, 1, tzinfo=UTC)}})
        assert not (await runs.read_runs(database, 1))[0].at_work
        await _begin(database, LATER)
        assert (await database[runs.RUNS].find_one({"_id": RUN}) or {})["status"] == "crashed"
        await go_on(database, RUN)
        entry = await database[runs.RUNS].find_one({"_id": RUN}) or {}
        assert ("ended" in entry, entry["status"], "pauses_until" in entry) == (False, "running", go_on is runs.pause)
        await database[runs.RUNS].delete_one({"_id": LATER})


async def test_ended_runs_stay_as_they_are(database: Database) -> None:
    await _begin(database)
    await runs.end(database, RunResult(RUN, 1.5, OUTCOMES, 48))
    before = await database[runs.RUNS].find_one()
    await _begin(database, LATER)
    assert await database[runs.RUNS].find_one({"_id": RUN}) == before


async def test_no_entry_without_begin(database: Database) -> None:
    await runs.note_stop(database, RUN, 15)
    await runs.end(database, RunResult(RUN, 1.5, OUTCOMES, 48))
    assert await database[runs.RUNS].count_documents({}) == 0


async def test_entries_are_kept_for_400_days(database: Database) -> None:
    await runs.prepare_runs(database)
    indexes = await database[runs.RUNS].index_information()
    assert indexes["began"]["key"] == [("began", 1)]
    assert indexes["began"]["expireAfterSeconds"] == 400 * 24 * 60 * 60


def _ago(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


async def test_expired_entries_are_deleted(database: Database) -> None:
    """The run does it itself: a local mongod may never live until MongoDB does. Other tools' documents stay."""
    entries: list[Document] = [{"_id": "old", "began": _ago(401)}, {"_id": "new", "began": _ago(399)}, {"_id": 7}]
    await database[runs.RUNS].insert_many(entries)
    await runs.prepare_runs(database)
    assert await database[runs.RUNS].distinct("_id") == [7, "new"]


@pytest.mark.parametrize(
    ("expiry", "left"),
    [({"expireAfterSeconds": 864_000}, ["new"]), ({"expireAfterSeconds": 0}, []), ({}, ["new", "old"])],
)
async def test_other_expiry_is_left_alone(database: Database, expiry: dict[str, Any], left: list[str]) -> None:
    """An operator's own index decides which entries expire."""
    await database[runs.RUNS].create_index("began", name="mine", **expiry)
    await database[runs.RUNS].insert_many([{"_id": "old", "began": _ago(500)}, {"_id": "new", "began": _ago(9)}])
    await runs.prepare_runs(database)
    assert (await database[runs.RUNS].index_information()).keys() == {"_id_", "mine"}
    assert await database[runs.RUNS].distinct("_id") == left


@pytest.mark.parametrize(
    "act",
    [
        runs.prepare_runs,
        _begin,
        lambda database: runs.note_stop(database, RUN, 15),
        lambda database: runs.end(database, RunResult(RUN, 1.5, OUTCOMES, 48)),
    ],
    ids=["prepare_runs", "begin", "note_stop", "end"],
)
async def test_mongodb_out_of_reach(
    database: Database, act: Callable[[Database], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise AutoReconnect("connection closed")

    for call in ("index_information", "update_one", "update_many"):
        monkeypatch.setattr(AsyncIOMotorCollection, call, broken)
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        await act(database)


async def test_runs_are_read_newest_first(database: Database) -> None:
    async with lease(database, LATER, "run"):
        await _begin(database)
        await _begin(database, LATER)
        newest, older = await runs.read_runs(database, 2)
        (alone,) = await runs.read_runs(database, 1)
    assert newest == alone
    assert (newest.run, newest.status, newest.at_work, newest.ended) == (LATER, "running", True, None)
    assert (older.run, older.status, older.at_work) == (RUN, "crashed", False)
    assert newest.began is not None
    assert newest.began.tzinfo is UTC


async def test_run_is_read_as_it_ended(database: Database) -> None:
    result = RunResult(RUN, 1.0, OUTCOMES, 48, calls=4, token_calls=2, retries=1, days=14, failures=(FAILURE,))
    await _begin(database)
    await runs.end(database, result)
    entry = await runs.read_run(database, RUN)
    assert entry is not None
    assert (entry.command, entry.status, entry.exit, entry.error) == ("backfill", "partial", 3, None)
    assert (entry.calls, entry.token_calls, entry.retries, entry.days, entry.failures) == (4, 2, 1, 14, (FAILURE,))
    assert entry.accounts == {"total": 50} | OUTCOMES
    assert entry.seconds is not None
    assert await runs.read_runs(database, 1) == [replace(entry, failures=())]
    assert await runs.read_run(database, LATER) is None


@pytest.mark.parametrize("status", ["ok", "pending", "partial", "failed", "stopped", "crashed", "running"])
async def test_last_completed_run(database: Database, status: str) -> None:
    """One that failed as a whole doesn't count, nor a stopped or crashed one; the end decides, not the begin."""
    before, after = (datetime(2026, 11, day, tzinfo=UTC) for day in (23, 24))
    entries: list[Document] = [
        {"_id": "1", "status": status, "ended": after, "failures": [asdict(FAILURE)]},
        {"_id": "2", "status": "ok", "ended": before},
        {"_id": "3", "status": "ok", "ended": "damaged"},
        {"_id": "4", "status": "running"},
    ]
    await database[runs.RUNS].insert_many(entries)
    found = await runs.read_last_completed(database)
    completed = status in ("ok", "pending", "partial")
    expected = RunRecord("1", "", status, ended=after) if completed else RunRecord("2", "", "ok", ended=before)
    assert found == expected


async def test_no_completed_run(database: Database) -> None:
    """One without an instant of its end doesn't count."""
    assert await runs.read_last_completed(database) is None
    await database[runs.RUNS].insert_one({"_id": RUN, "status": "ok", "ended": "damaged"})
    assert await runs.read_last_completed(database) is None


async def test_damaged_entry(database: Database) -> None:
    """It neither hides the others nor stops `collector runs`: what has another type is absent."""
    texts: Document = dict.fromkeys(("began", "accounts", "calls", "failures", "pid", "failures_left_out"), "x")
    await database[runs.RUNS].insert_many(
        [
            {"_id": "1", **texts, "command": 7, "status": None, "days": 3},
            {"_id": "2", "status": "ok", "accounts": {"total": 5, "ok": "x"}, "failures": [7, {}, {"errmsg": "no"}]},
            {"_id": 3},
        ]
    )
    assert await runs.read_run(database, "1") == RunRecord("1", "", "", days=3)
    assert await runs.read_run(database, "2") == RunRecord(
        "2", "", "ok", accounts={"total": 5}, failures=(Failure(None, "", None, ""), Failure(None, "", None, "no"))
    )
    assert [record.run for record in await runs.read_runs(database, 9)] == ["2", "1", "3"]


async def test_instant_that_python_cannot_hold(database: Database) -> None:
    await database[runs.RUNS].insert_one({"_id": RUN, "status": "ok", "began": DatetimeMS(2**62)})
    assert await runs.read_runs(database, 1) == [RunRecord(RUN, "", "ok")]


@pytest.mark.parametrize("begins", [True, False], ids=["begins", "ends"])
async def test_run_while_the_ledger_is_read(database: Database, monkeypatch: pytest.MonkeyPatch, begins: bool) -> None:
    """A run that begins or ends then hasn't crashed."""
    reads = count()
    async with AsyncExitStack() as stack:

        async def begin() -> None:
            await stack.enter_async_context(lease(database, RUN, "run"))
            await _begin(database)

        async def late(database: Database) -> list[str]:
            is_first = next(reads) == 0
            if not is_first and not begins:
                await stack.aclose()
            found = await live_runs(database)
            if is_first and begins:
                await begin()
            return found

        if not begins:
            await begin()
        monkeypatch.setattr("collector.store.runs.live_runs", late)
        record = await runs.read_run(database, RUN)
    assert record is not None
    assert (record.status, record.at_work) == ("running", True)
