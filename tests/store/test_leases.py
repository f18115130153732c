import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, TypeVar

import pytest
import structlog.testing
import time_machine
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from support import Advance

from collector.errors import DatabaseError, LeaseHeldError
from collector.store.database import Database, Document
from collector.store.leases import LEASES, Times, lease

RUN, OTHER = "20261124T023010Z-aaaaaa", "20261124T023011Z-bbbbbb"
SOON_S = 10
"""Seconds after which a test that waits for something has failed."""

OUTAGE = AutoReconnect("connection closed")
FAR = datetime(2100, 1, 1)  # noqa: DTZ001 - as MongoDB gives it, in UTC
LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001 - likewise

Lost = asyncio.Queue[DatabaseError]
Taking = Callable[..., AbstractAsyncContextManager[None]]
Calls = asyncio.Queue[None]
T = TypeVar("T")


@pytest.fixture
def lost() -> Lost:
    return asyncio.Queue()


@pytest.fixture
def taking(database: Database, lost: Lost) -> Taking:
    """The lease of a run; `lost` gets what it says."""

    def take(run: str = RUN, **options: Any) -> AbstractAsyncContextManager[None]:
        return lease(database, run, "run", on_lost=lost.put_nowait, **options)

    return take


async def _held(database: Database) -> Document:
    return await database[LEASES].find_one() or {}


async def _next(events: asyncio.Queue[T]) -> T:
    return await asyncio.wait_for(events.get(), SOON_S)


async def _put(
    database: Database, run: str, *, expires: datetime, host: str = "elsewhere", pid: object = 4711
) -> Document:
    """Let `run`, on another host, have the lease until `expires`; returns the document."""
    document = {"command": "backfill", "run": run, "host": host, "pid": pid, "expires": expires}
    document["since"] = datetime(2026, 11, 24, 2, 30, 10)  # noqa: DTZ001 - as MongoDB gives it
    await database[LEASES].replace_one({"_id": "run"}, document, upsert=True)
    return document | {"_id": "run"}


def _calls(monkeypatch: pytest.MonkeyPatch, name: str, troubles: Iterable[Exception | None] = ()) -> Calls:
    """Tells of each call of that name as it ends. The first ones fail of `troubles`, or where it is None hang."""
    whole = getattr(AsyncIOMotorCollection, name)
    ended: Calls = asyncio.Queue()
    left = iter(troubles)

    async def call(self: object, *args: object, **options: object) -> object:
        for trouble in left:
            ended.put_nowait(None)
            if trouble:
                raise trouble
            await asyncio.Event().wait()
        try:
            return await whole(self, *args, **options)
        finally:
            ended.put_nowait(None)

    monkeypatch.setattr(AsyncIOMotorCollection, name, call)
    return ended


def _not_released(why: str) -> dict[str, object]:
    return {"event": "lease.not_released", "log_level": "info", "why": why, "free_after_seconds": 60}


async def test_the_document_says_who_is_at_work_and_goes_when_the_run_ends(database: Database, taking: Taking) -> None:
    async with taking():
        document = await _held(database)
        since, expires = document.pop("since"), document.pop("expires")
        assert document == {
            "_id": "run",
            "run": RUN,
            "command": "run",
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        assert expires - since == timedelta(seconds=60)
        assert abs(since.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(seconds=SOON_S)
    assert await _held(database) == {}


async def test_a_second_run_is_told_who_is_at_work_and_since_when(database: Database, taking: Taking) -> None:
    document = await _put(database, OTHER, expires=FAR)
    with pytest.raises(LeaseHeldError) as refused:
        async with taking():
            pytest.fail("it isn't free")
    held = refused.value
    assert str(held) == (
        f"another run is at work: backfill {OTHER} on elsewhere (pid 4711) since 2026-11-24 10:30:10 Beijing time. "
        "Wait for it, or start with --wait"
    )
    assert (held.run, held.host, held.pid) == (OTHER, "elsewhere", 4711)
    assert held.since == datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
    assert await _held(database) == document


@pytest.mark.parametrize("pid", [os.getpid(), 2**40, "4711"])
async def test_a_holder_whose_process_isnt_known_to_be_gone_is_said_to_be_at_work(
    database: Database, taking: Taking, pid: object
) -> None:
    await _put(database, OTHER, expires=FAR, host=socket.gethostname(), pid=pid)
    with pytest.raises(LeaseHeldError, match=r"Beijing time\. Wait"):
        async with taking():
            pytest.fail("it isn't free")


async def test_a_holder_whose_process_is_gone_is_told_with_the_end_of_its_lease(
    database: Database, taking: Taking
) -> None:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    await _put(database, OTHER, expires=FAR, host=socket.gethostname(), pid=process.pid)
    with pytest.raises(LeaseHeldError) as refused:
        async with taking():
            pytest.fail("it isn't free")
    assert "Beijing time (no such process is here: if it was cut off, it is free at 08:00:00). Wait" in str(
        refused.value
    )


async def test_a_lease_that_ran_out_is_taken_over(database: Database, taking: Taking) -> None:
    await _put(database, OTHER, expires=datetime.now(UTC) - timedelta(seconds=1))
    async with taking():
        assert (await _held(database))["run"] == RUN


async def test_a_host_whose_clock_is_ahead_takes_no_lease_that_is_held(taking: Taking) -> None:
    async with taking(OTHER):
        with time_machine.travel(datetime.now(UTC) + timedelta(days=1)), pytest.raises(LeaseHeldError):
            async with taking():
                pytest.fail("it isn't free")


async def test_of_many_runs_at_the_same_instant_one_gets_the_lease(taking: Taking) -> None:
    many = 30
    all_tried = asyncio.Event()
    tried: list[bool] = []

    async def attempt(number: int) -> None:
        try:
            async with taking(f"run-{number}"):
                tried.append(True)
                await all_tried.wait()
        except LeaseHeldError:
            tried.append(False)
        if len(tried) == many:
            all_tried.set()

    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*map(attempt, range(many)))
    assert sorted(tried) == [False] * (many - 1) + [True]


async def test_who_waits_gets_the_lease_when_it_is_free(
    database: Database, taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _put(database, OTHER, expires=FAR)
    tries = _calls(monkeypatch, "find_one_and_update")

    async def wait() -> str:
        async with taking(wait_s=600):
            return str((await _held(database))["run"])

    with structlog.testing.capture_logs() as logs:
        waiting = asyncio.create_task(wait())
        for _ in range(3):
            await _next(tries)
            await advance(2)
        await database[LEASES].delete_one({})
        await advance(2)
        assert await asyncio.wait_for(waiting, SOON_S) == RUN
    told = {"run": OTHER, "host": "elsewhere", "pid": 4711, "seconds": 600}
    assert logs == [{"event": "lease.waiting", "log_level": "warning", **told}]


async def test_who_waits_in_vain_is_told_when_the_time_is_over(
    database: Database, taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _put(database, OTHER, expires=FAR)
    tries = _calls(monkeypatch, "find_one_and_update")

    async def wait() -> None:
        async with taking(wait_s=600, times=Times(poll_s=400)):
            pytest.fail("it isn't free")

    waiting = asyncio.create_task(wait())
    for seconds in (400, 200):
        await _next(tries)
        assert not waiting.done()
        await advance(seconds)
    with pytest.raises(LeaseHeldError):
        await asyncio.wait_for(waiting, SOON_S)


async def test_the_lease_is_renewed_every_15_s(
    database: Database, taking: Taking, lost: Lost, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking():
        before = await _held(database)
        await database[LEASES].update_one({}, {"$set": {"expires": LONG_AGO}})
        renewals = _calls(monkeypatch, "update_one")
        for _ in range(8):
            await advance(15)
            await _next(renewals)
        after = await _held(database)
    assert timedelta(0) <= after["expires"] - before["expires"] < timedelta(seconds=SOON_S)
    assert after | {"expires": before["expires"]} == before
    assert lost.empty()


@pytest.mark.parametrize("by", ["another run", "somebody who deleted it"])
async def test_a_run_whose_lease_was_taken_away_is_told_once(
    database: Database, taking: Taking, lost: Lost, advance: Advance, by: str
) -> None:
    async with taking():
        if by == "another run":
            await _put(database, OTHER, expires=FAR)
        else:
            await database[LEASES].delete_one({})
        there = await _held(database)
        await advance(15)
        error = await _next(lost)
        await advance(60)
        await _held(database)
    assert str(error) == (
        "the lease of this run isn't its own any more: it was halted for too long, or somebody deleted it. Another "
        "run may be at work, so nothing more is written: run again"
    )
    assert lost.empty()
    assert await _held(database) == there, "the end of a run leaves the lease of another alone"


async def test_the_lease_is_lost_when_mongodb_is_out_of_reach_for_45_s(
    taking: Taking, lost: Lost, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking():
        renewals = _calls(monkeypatch, "update_one", repeat(OUTAGE))
        for seconds in (15, 5, 20):
            await advance(seconds)
            await _next(renewals)
        assert lost.empty()
        await advance(5)
        error = await _next(lost)
    assert str(error) == (
        "the lease of this run couldn't be renewed for 45 s (MongoDB can't be reached (connection closed): check "
        "mongodb.uri and that MongoDB runs there, or leave mongodb.uri out to use a local mongod). Another run may be "
        "at work, so nothing more is written: run again"
    )


async def test_a_short_outage_loses_no_lease(
    database: Database, taking: Taking, lost: Lost, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking():
        await database[LEASES].update_one({}, {"$set": {"expires": LONG_AGO}})
        renewals = _calls(monkeypatch, "update_one", [OUTAGE] * 14)
        for seconds in (15, *repeat(2, 14)):
            await advance(seconds)
            await _next(renewals)
        assert (await _held(database))["expires"] > LONG_AGO
    assert lost.empty()


async def test_the_lease_is_lost_when_mongodb_does_not_answer_for_45_s(
    taking: Taking, lost: Lost, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an outage that had ended by then nothing is said."""
    async with taking():
        renewals = _calls(monkeypatch, "update_one", [OUTAGE])
        for seconds in (15, 2):
            await advance(seconds)
            await _next(renewals)
        renewals = _calls(monkeypatch, "update_one", [None])
        await advance(15)
        await _next(renewals)
        await advance(25)
        assert lost.empty()
        await advance(5)
        error = await _next(lost)
    assert "couldn't be renewed for 45 s (MongoDB doesn't answer)" in str(error)


async def test_a_run_that_was_halted_for_longer_has_lost_its_lease(
    database: Database, taking: Taking, lost: Lost, advance: Advance
) -> None:
    async with taking():
        await _held(database)
        await advance(46)
        await _next(lost)


async def test_a_cancelled_run_lets_go_of_the_lease(database: Database, taking: Taking) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with taking():
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.wait_for(inside.wait(), SOON_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _held(database) == {}


async def test_an_error_of_the_run_comes_out_as_it_is(database: Database, taking: Taking) -> None:
    with pytest.raises(ZeroDivisionError):
        async with taking():
            raise ZeroDivisionError
    assert await _held(database) == {}


async def test_a_lease_that_cannot_be_let_go_of_is_no_trouble(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    _calls(monkeypatch, "delete_one", [OUTAGE])
    with structlog.testing.capture_logs() as logs:
        async with taking():
            pass
    assert logs == [_not_released("AutoReconnect")]
    assert (await _held(database))["run"] == RUN


async def test_a_mongodb_that_does_not_answer_holds_no_end_up(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    _calls(monkeypatch, "delete_one", [None])
    with structlog.testing.capture_logs() as logs:
        async with taking(times=Times(release_s=0.01)):
            pass
    assert logs == [_not_released("TimeoutError")]


async def test_mongodb_out_of_reach_is_told_in_plain_words(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    _calls(monkeypatch, "find_one_and_update", [OUTAGE])
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        async with taking():
            pytest.fail("there is nothing to take")
