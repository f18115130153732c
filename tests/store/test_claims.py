"""Claims of workers to batches, in a real MongoDB."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.runtime import boot_s
from collector.store.claims import KEPT_S, assign, claimed, end, end_all, hold, valid
from collector.store.database import Database
from collector.store.held import Held, LeaseTimes
from collector.store.lease_document import LEASES
from collector.store.leases import lease

TIMES = LeaseTimes()
QUICK = LeaseTimes(free_after_s=0.4, renew_every_s=0.05, lost_after_s=0.3, poll_s=0.01)
AT_ONCE = LeaseTimes(free_after_s=0)


async def test_batch_has_one_worker(database: Database) -> None:
    """Another one is given it once the claim has expired: also where it seemed to have expired already."""
    first = await assign(database, "run", 1, "a", TIMES)
    assigning = asyncio.create_task(assign(database, "run", 1, "b", QUICK))
    assert await assign(database, "run", 2, "b", TIMES)
    assert await assign(database, "other", 1, "c", TIMES)
    assert await valid(database, "run") == {1, 2}
    assert not (await asyncio.wait([assigning], timeout=5 * QUICK.poll_s))[0]
    await database[LEASES].update_one({"_id": "run/1"}, [{"$set": {"expires": "$$NOW"}}])
    assert await assigning > first


async def test_claim_whose_answer_never_came(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same claim, and not somebody else's to wait for."""
    find_one_and_update = AsyncIOMotorCollection.find_one_and_update

    async def unanswered(self: Any, *arguments: Any, **options: Any) -> Any:
        found = await find_one_and_update(self, *arguments, **options)
        if arguments[0] == {"_id": "run/1"}:
            monkeypatch.undo()
            raise AutoReconnect("connection closed")
        return found

    monkeypatch.setattr(AsyncIOMotorCollection, "find_one_and_update", unanswered)
    with capture_logs():
        async with asyncio.timeout(TIMES.poll_s):
            epoch = await assign(database, "run", 1, "a", TIMES)
    async with claimed(database, "run", 1, epoch, Held(1), TIMES) as held:
        held.check()


async def test_expired_claim_is_given_to_another(database: Database) -> None:
    """Under a greater epoch than that of any claim or lease before."""
    async with lease(database, "run", "backfill") as run:
        first = await assign(database, "run", 1, "a", AT_ONCE)
        assert await valid(database, "run") == set()
        second = await assign(database, "run", 1, "b", TIMES)
        assert run.epoch < first < second
    async with lease(database, "next", "run") as later:
        assert second < later.epoch


async def test_claim_waits_for_its_worker(database: Database) -> None:
    """A worker that is busy with another run begins late; once it has begun, it must renew its claim itself."""
    epoch = await assign(database, "run", 1, "a", QUICK)
    for _ in range(4):
        await asyncio.sleep(QUICK.free_after_s / 2)
        await hold(database, "run", [1], QUICK)
    assert await valid(database, "run") == {1}
    async with claimed(database, "run", 1, epoch, Held(1), QUICK):
        pass
    begun = await database[LEASES].find_one({"_id": "run/1"})
    await hold(database, "run", [1], TIMES)
    assert await database[LEASES].find_one({"_id": "run/1"}) == begun
    await asyncio.sleep(QUICK.free_after_s)
    await hold(database, "run", [1], QUICK)
    assert await valid(database, "run") == set()


async def test_expired_claim_is_not_held(database: Database) -> None:
    """Its batch may be another worker's by now."""
    await assign(database, "run", 1, "a", AT_ONCE)
    await hold(database, "run", [1], TIMES)
    assert await valid(database, "run") == set()


async def test_worker_renews_its_claim(database: Database) -> None:
    epoch = await assign(database, "run", 1, "a", QUICK)
    async with claimed(database, "run", 1, epoch, Held(1), QUICK) as held:
        await asyncio.sleep(2 * QUICK.free_after_s)
        held.check()
        assert await valid(database, "run") == {1}
        assert held.epoch == epoch


async def test_task_that_is_repeated(database: Database) -> None:
    """It begins nothing: the process that began it may have asked a moment ago, or be at work."""
    epoch = await assign(database, "run", 1, "a", TIMES)
    async with (
        claimed(database, "run", 1, epoch, Held(1), TIMES) as first,
        claimed(database, "run", 1, epoch, Held(1), TIMES) as second,
    ):
        assert (first.is_lost, second.is_lost) == (False, True)
    async with claimed(database, "run", 1, epoch, Held(1), TIMES) as third:
        assert third.is_lost


@pytest.mark.parametrize("is_reassigned", [True, False])
async def test_expired_claim_is_never_revived(database: Database, is_reassigned: bool) -> None:
    """A worker that got its order late, or was halted, begins nothing."""
    epoch = await assign(database, "run", 1, "a", AT_ONCE)
    if is_reassigned:
        await assign(database, "run", 1, "b", TIMES)
    async with claimed(database, "run", 1, epoch, Held(1), TIMES) as held:
        with pytest.raises(DatabaseError, match="the batch was given to another worker, or its run has ended"):
            held.check()


async def test_claim_ends_with_the_lease(database: Database) -> None:
    lease_of_run, epoch = Held(1, inf), await assign(database, "run", 1, "a", QUICK)
    async with claimed(database, "run", 1, epoch, lease_of_run, QUICK) as held:
        lease_of_run.lose("it has ended")
        await asyncio.sleep(QUICK.lost_after_s + 0.1)
        with pytest.raises(DatabaseError, match="or its run has ended"):
            held.check()


async def test_claim_is_never_certain_for_longer_than_the_lease(database: Database) -> None:
    lease_of_run, epoch = Held(1, boot_s() + 7), await assign(database, "run", 1, "a", TIMES)
    assert epoch
    async with claimed(database, "run", 1, epoch, lease_of_run, TIMES) as held:
        assert held.left_s <= 7


async def test_claim_that_is_taken_away(database: Database) -> None:
    epoch = await assign(database, "run", 1, "a", QUICK)
    with capture_logs():
        async with claimed(database, "run", 1, epoch, Held(1), QUICK) as held:
            await end(database, "run", 1, epoch)
            await asyncio.sleep(3 * QUICK.renew_every_s)
            assert held.is_lost


async def test_end(database: Database) -> None:
    """A worker's late end doesn't touch the claim of the next one; a run's end leaves other runs alone."""
    first = await assign(database, "run", 1, "a", AT_ONCE)
    await assign(database, "run", 1, "b", TIMES)
    await assign(database, "other", 1, "c", TIMES)
    await end(database, "run", 1, first)
    assert await valid(database, "run") == {1}
    await end_all(database, "run")
    left = await database[LEASES].distinct("_id")
    assert left == ["other/1", "run"]


async def test_claims_of_a_killed_run_are_deleted_after_a_day(database: Database) -> None:
    for run, kept_s in (("old", -KEPT_S - 1), ("young", -KEPT_S + 60)):
        await assign(database, run, 1, "a", LeaseTimes(free_after_s=kept_s))
    await end_all(database, "run")
    assert await database[LEASES].distinct("_id") == ["run", "young/1"]
