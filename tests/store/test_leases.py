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
"""Seconds after which a waiting test has failed."""

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
    """Take the lease of a run; `lost` receives the error when it is lost."""

    def take(run: str = RUN, **options: Any) -> AbstractAsyncContextManager[None]:
        return lease(database, run, "run", on_lost=lost.put_nowait, **options)

    return take


async def _held(database: Database) -> Document:
    return await database[LEASES].find_one() or {}


async def _next(events: asyncio.Queue[T]) -> T:
    return await asyncio.wait_for(events.get(), SOON_S)


async def _put(database: Database, run: str, *, expires: datetime) -> Document:
    """Give the lease to `run`, on another host, until `expires`; return the document."""
    document = {"command": "backfill", "run": run, "host": "elsewhere", "pid": 4711, "expires": expires}
    document["since"] = datetime(2026, 11, 24, 2, 30, 10)  # noqa: DTZ001 - as MongoDB gives it
    await database[LEASES].replace_one({"_id": "run"}, document, upsert=True)
    return document | {"_id": "run"}


def _calls(monkeypatch: pytest.MonkeyPatch, name: str, troubles: Iterable[Exception | None] = ()) -> Calls:
    """Return a queue that gets an item for each call of that name as it ends.

    The first calls raise one of `troubles` each, or hang where that is None.
    """
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


async def test_document_while_a_run_works(database: Database, taking: Taking) -> None:
    """It names the run at work, and is deleted when the run ends."""
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


async def test_held_by_another_run(database: Database, taking: Taking) -> None:
    document = await _put(database, OTHER, expires=FAR)
    with pytest.raises(LeaseHeldError) as refused:
        async with taking():
            pytest.fail("it isn't free")
    assert str(refused.value) == (
        f"another run is at work: backfill {OTHER} on elsewhere (pid 4711) since 2026-11-24 10:30:10 Beijing time. "
        "Wait for it, or start with --wait. If it was killed, its lease ends within 60 seconds"
    )
    assert await _held(database) == document


async def test_expired_lease_is_taken(database: Database, taking: Taking) -> None:
    await _put(database, OTHER, expires=datetime.now(UTC) - timedelta(seconds=1))
    async with taking():
        assert (await _held(database))["run"] == RUN


async def test_own_lease_is_taken_again(database: Database, taking: Taking) -> None:
    """A run whose answer was lost asks again: its lease counts from then on."""
    soon = datetime.now(UTC) + timedelta(seconds=5)
    await _put(database, RUN, expires=soon)
    async with taking():
        assert (await _held(database))["expires"].replace(tzinfo=UTC) > soon + timedelta(seconds=30)


async def test_host_clock_ahead_takes_nothing(taking: Taking) -> None:
    """The server's clock decides, so a host whose clock is ahead can't take a lease that is held."""
    async with taking(OTHER):
        with time_machine.travel(datetime.now(UTC) + timedelta(days=1)), pytest.raises(LeaseHeldError):
            async with taking():
                pytest.fail("it isn't free")


async def test_one_of_many_gets_it(taking: Taking) -> None:
    """Many runs try at the same instant."""
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


async def test_waiting_until_it_is_free(
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


async def test_waiting_in_vain(
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


async def test_renewed_every_15_s(
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
async def test_taken_away_is_reported_once(
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
        "this run lost the lease: the run was halted for too long, or somebody deleted the lease. Another run may be "
        "at work, so nothing more is written: run again"
    )
    assert lost.empty()
    assert await _held(database) == there, "the end of a run leaves the lease of another alone"


async def test_lost_after_45_s_out_of_reach(
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
        "this run lost the lease: it couldn't be renewed for 45 s (MongoDB can't be reached (connection closed): check "
        "mongodb.uri and that MongoDB runs there, or leave mongodb.uri out to use a local mongod). Another run may be "
        "at work, so nothing more is written: run again"
    )


async def test_short_outage_loses_nothing(
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


async def test_lost_after_45_s_without_answer(
    taking: Taking, lost: Lost, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the trouble at hand, not an outage that had ended by then."""
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


async def test_lost_by_a_halted_run(database: Database, taking: Taking, lost: Lost, advance: Advance) -> None:
    async with taking():
        await _held(database)
        await advance(46)
        await _next(lost)


async def test_cancelled_run_releases_it(database: Database, taking: Taking) -> None:
    """Others needn't wait until it expires."""
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


async def test_error_of_the_run_is_raised(database: Database, taking: Taking) -> None:
    with pytest.raises(ZeroDivisionError):
        async with taking():
            raise ZeroDivisionError
    assert await _held(database) == {}


async def test_failed_release_is_only_logged(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease expires by itself."""
    _calls(monkeypatch, "delete_one", [OUTAGE])
    with structlog.testing.capture_logs() as logs:
        async with taking():
            pass
    assert logs == [_not_released("AutoReconnect")]
    assert (await _held(database))["run"] == RUN


async def test_release_is_bounded_in_time(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MongoDB that doesn't answer doesn't hold up the end of a run."""
    _calls(monkeypatch, "delete_one", [None])
    with structlog.testing.capture_logs() as logs:
        async with taking(times=Times(release_s=0.01)):
            pass
    assert logs == [_not_released("TimeoutError")]


async def test_mongodb_out_of_reach(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    _calls(monkeypatch, "find_one_and_update", repeat(OUTAGE))
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        async with taking():
            pytest.fail("there is nothing to take")
