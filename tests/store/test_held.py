"""A lease as it is seen by who works under it: its owner, or another process of the same run that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from support import Advance

from collector.errors import DatabaseError
from collector.runtime import boot_s
from collector.store.database import Database
from collector.store.held import TIMES, Held
from collector.store.lease_document import LEASES
from collector.store.leases import following, lease

RUN = "20261124T023010Z-aaaaaa"
SOON_S = 10

Suspend = Callable[[float], None]


@pytest.fixture
def suspend(monkeypatch: pytest.MonkeyPatch) -> Suspend:
    """Suspend the host for some seconds, which the loop's clock doesn't count."""
    ahead_s = 0.0

    def forward(seconds: float) -> None:
        nonlocal ahead_s
        ahead_s += seconds

    for place in ("held", "leases"):
        monkeypatch.setattr(f"collector.store.{place}.boot_s", lambda: boot_s() + ahead_s)
    return forward


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Held]:
    """The lease of a run that isn't renewed, as that of a process that has died."""
    async with lease(database, RUN, "run") as held:
        for task in asyncio.all_tasks():
            if task.get_name() == "lease":
                task.cancel()
        yield held


async def _lost(held: Held) -> str:
    async with asyncio.timeout(SOON_S):
        while not held.is_lost:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0)
    return _error(held)


def _error(held: Held) -> str:
    with pytest.raises(DatabaseError) as error:
        held.check()
    return str(error.value)


async def _seconds_pass(database: Database, seconds: float) -> None:
    """Let the leases be so much older for the server."""
    earlier = {"$subtract": ["$$each.expires", round(seconds * 1000)]}
    aged = {"$map": {"input": "$leases", "as": "each", "in": {"$mergeObjects": ["$$each", {"expires": earlier}]}}}
    await database[LEASES].update_one({}, [{"$set": {"leases": aged}}])


def test_held_while_certain() -> None:
    held = Held(7, boot_s() + 60)
    held.check()
    assert (held.epoch, held.is_lost) == (7, False)
    assert 59 < held.left_s <= 60


def test_lost_stays_lost() -> None:
    """Each caller gets an error of its own, with the first reason."""
    held = Held(7, boot_s())
    first = _error(held)
    held.extend(boot_s() + 60)
    held.lose("it was deleted")
    assert _error(held) == first
    assert first == (
        "this run lost the lease: it couldn't be renewed in time (MongoDB doesn't answer, or the run was halted). "
        "Another run may be at work, so nothing more is written: run again"
    )


@pytest.mark.parametrize(("seconds", "is_lost"), [(40, False), (46, True)])
async def test_suspended_host(
    database: Database, suspend: Suspend, advance: Advance, seconds: float, is_lost: bool
) -> None:
    """It finds out before anything else, though the loop's clock stood still; and asks for no renewal then."""
    async with lease(database, RUN, "run") as held:
        before = await database[LEASES].find_one()
        suspend(seconds)
        assert held.is_lost is is_lost
        await advance(15)
        if is_lost:
            _error(held)
        async with asyncio.timeout(SOON_S):
            while not is_lost and before == await database[LEASES].find_one():
                pass
        assert held.is_lost is is_lost
        assert (before == await database[LEASES].find_one()) is is_lost


def _late(call: Callable[..., Awaitable[Any]], suspend: Suspend) -> Callable[..., Awaitable[Any]]:
    """The same call, whose answer comes after the host was suspended."""

    async def late(*arguments: Any, **options: Any) -> Any:
        answer = await call(*arguments, **options)
        suspend(46)
        return answer

    return late


async def test_answer_that_comes_after_a_halt(
    database: Database, suspend: Suspend, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease counts from the question, not from the answer."""
    async with lease(database, RUN, "run") as held:
        monkeypatch.setattr(AsyncIOMotorCollection, "update_one", _late(AsyncIOMotorCollection.update_one, suspend))
        await advance(15)
        await _lost(held)


# Following


async def test_following(database: Database, advance: Advance) -> None:
    """A worker of the run looks at the lease from time to time, changes nothing, and has its epoch."""
    async with lease(database, RUN, "run") as held, following(database, RUN, held.epoch) as followed:
        assert followed.epoch == held.epoch
        for _ in range(8):
            before = followed.until_s
            await advance(15)
            async with asyncio.timeout(SOON_S):
                while followed.until_s == before:  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0)
        followed.check()
    assert await database[LEASES].count_documents({"leases": []}) == 1


@pytest.mark.parametrize(("run", "later"), [("another", 0), (RUN, 1)])
async def test_following_another_lease(database: Database, run: str, later: int) -> None:
    async with lease(database, RUN, "run") as held:
        with pytest.raises(DatabaseError, match=r"^this run lost the lease: its run has ended, or was halted"):
            async with following(database, run, held.epoch + later):
                pytest.fail("there is no such lease")


async def test_new_primary_whose_clock_is_behind(database: Database) -> None:
    """Its clock may be set right at any time, and then the lease is free."""
    async with lease(database, RUN, "run") as held:
        await _seconds_pass(database, -600)
        async with following(database, RUN, held.epoch) as followed:
            assert followed.left_s <= TIMES.lost_after_s


async def test_worker_ends_with_its_run(database: Database, advance: Advance) -> None:
    """The run's end is noticed within 15 s."""
    async with AsyncExitStack() as stack:
        held = await stack.enter_async_context(lease(database, RUN, "run"))
        async with following(database, RUN, held.epoch) as followed:
            await stack.aclose()
            await advance(15)
            assert "its run has ended, or was halted for too long" in await _lost(followed)


async def test_worker_ends_before_a_dead_runs_lease_is_free(
    database: Database, owner: Held, suspend: Suspend, advance: Advance
) -> None:
    """It has as long as the run would have had: 45 s from its last renewal."""
    async with following(database, RUN, owner.epoch) as followed:
        assert abs(followed.until_s - owner.until_s) < 1
        for _ in range(2):
            suspend(15)
            await _seconds_pass(database, 15)
            before = followed.until_s
            await advance(15)
            async with asyncio.timeout(SOON_S):
                while followed.until_s == before:  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0)
            assert abs(followed.until_s - owner.until_s) < 1
        suspend(15)
        _error(followed)


async def test_first_answer_that_comes_after_a_halt(
    database: Database, suspend: Suspend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease counts from the question, not from the answer."""
    async with lease(database, RUN, "run") as held:
        monkeypatch.setattr(AsyncIOMotorCollection, "find_one", _late(AsyncIOMotorCollection.find_one, suspend))
        with pytest.raises(DatabaseError, match=r"^this run lost the lease"):
            async with following(database, RUN, held.epoch):
                pytest.fail("it may be another's by now")


async def test_worker_that_begins_late(database: Database, owner: Held) -> None:
    """The lease is still there, but not for long enough."""
    await _seconds_pass(database, 46)
    with pytest.raises(DatabaseError, match=r"^this run lost the lease: it couldn't be renewed in time"):
        async with following(database, RUN, owner.epoch):
            pytest.fail("the run is dead")


@pytest.mark.parametrize("outage", ["error", "silence"])
async def test_worker_without_mongodb(
    database: Database, advance: Advance, monkeypatch: pytest.MonkeyPatch, outage: str
) -> None:
    """It ends when it can't know any more, for 45 s at most."""
    asked: asyncio.Queue[None] = asyncio.Queue()

    def failing() -> Callable[..., Awaitable[None]]:
        async def find_one(*_: object) -> None:
            asked.put_nowait(None)
            if outage == "silence":
                await asyncio.Event().wait()
            raise AutoReconnect("connection closed")

        return find_one

    async with lease(database, RUN, "run") as held, following(database, RUN, held.epoch) as followed:
        monkeypatch.setattr(AsyncIOMotorCollection, "find_one", failing())
        for seconds in (15, 25):
            await advance(seconds)
            if outage == "error" or seconds == 15:
                await asyncio.wait_for(asked.get(), SOON_S)
        assert not followed.is_lost
        await advance(5)
        said = await _lost(followed)
    assert ("connection closed" if outage == "error" else "MongoDB doesn't answer") in said
