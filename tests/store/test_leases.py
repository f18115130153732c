import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog.testing
import time_machine
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect

from collector.errors import DatabaseError
from collector.store.database import Database, Document
from collector.store.leases import LEASES, LeaseHeldError, Times, lease

RUN, OTHER = "20261124T023010Z-aaaaaa", "20261124T023011Z-bbbbbb"
QUICK = Times(renew_every_s=0.005, poll_s=0.005)
LOSING = Times(renew_every_s=0.005, poll_s=0.005, lost_after_s=0.1)
SOON_S = 10
"""Seconds after which a test that waits for something has failed."""

FAR = datetime(2100, 1, 1)  # noqa: DTZ001 - as MongoDB gives it, in UTC

Lost = asyncio.Queue[DatabaseError]
Taking = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def lost() -> Lost:
    return asyncio.Queue()


@pytest.fixture
def taking(database: Database, lost: Lost) -> Taking:
    """The lease of a run; `lost` gets what it says."""

    def take(run: str = RUN, **options: Any) -> AbstractAsyncContextManager[None]:
        return lease(database, run, "run", on_lost=lost.put_nowait, **options)

    return take


async def _held(database: Database) -> Document | None:
    return await database[LEASES].find_one()


async def _renewed(database: Database, expires: datetime) -> None:
    """Wait for a renewal after `expires` was read."""
    async with asyncio.timeout(SOON_S):
        while (await database[LEASES].find_one() or {})["expires"] <= expires:
            pass


async def _put(database: Database, run: str, *, expires: datetime) -> Document:
    """Let `run`, on another host, have the lease until `expires`; returns the document."""
    document = {"command": "backfill", "run": run, "host": "elsewhere", "pid": 4711, "expires": expires}
    document["since"] = datetime(2026, 11, 24, 2, 30, 10)  # noqa: DTZ001 - as MongoDB gives it
    await database[LEASES].replace_one({"_id": "run"}, document, upsert=True)
    return document | {"_id": "run"}


def _broken(monkeypatch: pytest.MonkeyPatch, call: str, *, times: int | None = None) -> None:
    """Let MongoDB be out of reach for the first `times` calls of that name, or for all."""
    whole = getattr(AsyncIOMotorCollection, call)
    made = 0

    async def broken(self: object, *args: object, **options: object) -> object:
        nonlocal made
        made += 1
        if times is None or made <= times:
            raise AutoReconnect("connection closed")
        return await whole(self, *args, **options)

    monkeypatch.setattr(AsyncIOMotorCollection, call, broken)


async def _silent(*_: object) -> None:
    """A call that MongoDB never answers."""
    await asyncio.Event().wait()


def _not_released(why: str) -> dict[str, object]:
    return {"event": "lease.not_released", "log_level": "info", "why": why, "free_after_seconds": 60}


async def test_the_document_says_who_is_at_work_and_goes_when_the_run_ends(database: Database, taking: Taking) -> None:
    async with taking():
        document = await _held(database) or {}
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
    assert await _held(database) is None


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


async def test_a_lease_that_ran_out_is_taken_over(database: Database, taking: Taking) -> None:
    await _put(database, OTHER, expires=datetime.now(UTC) - timedelta(seconds=1))
    async with taking():
        assert (await _held(database) or {})["run"] == RUN


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


async def test_who_waits_gets_the_lease_when_it_is_free(database: Database, taking: Taking) -> None:
    await _put(database, OTHER, expires=FAR)

    async def wait() -> str:
        async with taking(wait_s=SOON_S, times=QUICK):
            return str((await _held(database) or {})["run"])

    with structlog.testing.capture_logs() as logs:
        waiting = asyncio.create_task(wait())
        async with asyncio.timeout(SOON_S):
            while not logs:  # noqa: ASYNC110 - a log sets no event
                await asyncio.sleep(0)
        await database[LEASES].delete_one({})
        assert await waiting == RUN
    assert logs == [
        {
            "event": "lease.waiting",
            "log_level": "warning",
            "run": OTHER,
            "host": "elsewhere",
            "pid": 4711,
            "seconds": SOON_S,
        }
    ]


async def test_who_waits_in_vain_is_told_as_one_who_does_not_wait(database: Database, taking: Taking) -> None:
    await _put(database, OTHER, expires=FAR)
    began = asyncio.get_running_loop().time()
    with pytest.raises(LeaseHeldError):
        async with taking(wait_s=0.05):
            pytest.fail("it isn't free")
    assert 0.05 <= asyncio.get_running_loop().time() - began < Times().poll_s


async def test_the_lease_is_renewed_as_long_as_the_run_works(database: Database, taking: Taking, lost: Lost) -> None:
    async with taking(times=QUICK):
        before = await _held(database) or {}
        await _renewed(database, before["expires"])
        await _renewed(database, (await _held(database) or {})["expires"])
        after = await _held(database) or {}
    assert after | {"expires": before["expires"]} == before
    assert lost.empty()


async def test_a_run_whose_lease_is_in_other_hands_is_told_once(database: Database, taking: Taking, lost: Lost) -> None:
    async with taking(times=QUICK):
        await _put(database, OTHER, expires=FAR)
        error = await asyncio.wait_for(lost.get(), SOON_S)
        await asyncio.sleep(5 * QUICK.renew_every_s)
    assert str(error) == (
        "the lease of this run isn't its own any more: it was halted for too long, or somebody deleted it. Another "
        "run may be at work, so nothing more is written: run again"
    )
    assert lost.empty()
    assert (await _held(database) or {})["run"] == OTHER, "the end of a run leaves the lease of another alone"


async def test_a_lease_that_was_deleted_is_lost(database: Database, taking: Taking, lost: Lost) -> None:
    async with taking(times=QUICK):
        await database[LEASES].delete_one({})
        await asyncio.wait_for(lost.get(), SOON_S)
    assert await _held(database) is None


async def test_the_lease_is_lost_while_mongodb_is_out_of_reach(
    taking: Taking, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.get_running_loop().time()
    async with taking(times=LOSING):
        _broken(monkeypatch, "update_one")
        error = await asyncio.wait_for(lost.get(), SOON_S)
        assert asyncio.get_running_loop().time() - began >= LOSING.lost_after_s
    assert str(error) == (
        "the lease of this run couldn't be renewed for 0.1 s (MongoDB can't be reached (connection closed): check "
        "mongodb.uri and that MongoDB runs there, or leave mongodb.uri out to use a local mongod). Another run may be "
        "at work, so nothing more is written: run again"
    )


async def test_the_lease_is_lost_while_mongodb_does_not_answer(
    taking: Taking, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking(times=LOSING):
        monkeypatch.setattr(AsyncIOMotorCollection, "update_one", _silent)
        error = await asyncio.wait_for(lost.get(), SOON_S)
    assert "couldn't be renewed for 0.1 s (MongoDB doesn't answer)" in str(error)


async def test_a_short_outage_loses_no_lease(
    database: Database, taking: Taking, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking(times=QUICK):
        _broken(monkeypatch, "update_one", times=3)
        await _renewed(database, (await _held(database) or {})["expires"])
    assert lost.empty()


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
    assert await _held(database) is None


async def test_an_error_of_the_run_comes_out_as_it_is(database: Database, taking: Taking) -> None:
    with pytest.raises(ZeroDivisionError):
        async with taking():
            raise ZeroDivisionError
    assert await _held(database) is None


async def test_a_lease_that_cannot_be_let_go_of_is_no_trouble(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    _broken(monkeypatch, "delete_one")
    with structlog.testing.capture_logs() as logs:
        async with taking():
            pass
    assert logs == [_not_released("AutoReconnect")]
    assert (await _held(database) or {})["run"] == RUN


async def test_a_mongodb_that_does_not_answer_holds_no_end_up(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AsyncIOMotorCollection, "delete_one", _silent)
    with structlog.testing.capture_logs() as logs:
        async with taking(times=Times(release_s=0.01)):
            pass
    assert logs == [_not_released("TimeoutError")]


async def test_mongodb_out_of_reach_is_told_in_plain_words(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    _broken(monkeypatch, "find_one_and_update")
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        async with taking():
            pytest.fail("there is nothing to take")
