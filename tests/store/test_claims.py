"""Claims of workers to batches, in a real MongoDB."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.store.claims import assign, claimed, end, end_all, expired, hold
from collector.store.database import Database
from collector.store.held import Held, Times
from collector.store.lease_document import LEASES
from collector.store.leases import lease

TIMES = Times()
QUICK = Times(free_after_s=0.4, renew_every_s=0.05, lost_after_s=0.3, poll_s=0.01)
AT_ONCE = Times(free_after_s=0)


async def test_batch_has_one_worker(database: Database) -> None:
    assert await assign(database, "run", 1, "a", TIMES) is not None
    assert await assign(database, "run", 1, "b", TIMES) is None
    assert await assign(database, "run", 2, "b", TIMES) is not None
    assert await assign(database, "other", 1, "c", TIMES) is not None
    assert await expired(database, "run") == set()


async def test_expired_claim_is_given_to_another(database: Database) -> None:
    """Under a greater epoch than that of any claim or lease before."""
    async with lease(database, "run", "backfill") as run:
        first = await assign(database, "run", 1, "a", AT_ONCE)
        assert await expired(database, "run") == {1}
        second = await assign(database, "run", 1, "b", TIMES)
        assert first is not None
        assert second is not None
        assert run.epoch < first < second
    async with lease(database, "next", "run") as later:
        assert second < later.epoch


async def test_claim_waits_for_its_worker(database: Database) -> None:
    """A worker that is busy with another run begins late; once it has begun, it must renew its claim itself."""
    epoch = await assign(database, "run", 1, "a", QUICK)
    assert epoch
    for _ in range(4):
        await asyncio.sleep(QUICK.free_after_s / 2)
        await hold(database, "run", [1], QUICK)
    assert await expired(database, "run") == set()
    async with claimed(database, "run", 1, epoch, Held(1), QUICK):
        pass
    await asyncio.sleep(QUICK.free_after_s / 2)
    await hold(database, "run", [1], QUICK)
    await asyncio.sleep(QUICK.free_after_s)
    await hold(database, "run", [1], QUICK)
    assert await expired(database, "run") == {1}


async def test_worker_renews_its_claim(database: Database) -> None:
    epoch = await assign(database, "run", 1, "a", QUICK)
    assert epoch
    async with claimed(database, "run", 1, epoch, Held(1), QUICK) as held:
        await asyncio.sleep(2 * QUICK.free_after_s)
        held.check()
        assert await expired(database, "run") == set()
        assert held.epoch == epoch


@pytest.mark.parametrize("is_reassigned", [True, False])
async def test_expired_claim_is_never_revived(database: Database, is_reassigned: bool) -> None:
    """A worker that got its order late, or was halted, begins nothing."""
    epoch = await assign(database, "run", 1, "a", AT_ONCE)
    if is_reassigned:
        await assign(database, "run", 1, "b", TIMES)
    assert epoch
    async with claimed(database, "run", 1, epoch, Held(1), TIMES) as held:
        with pytest.raises(DatabaseError, match="the batch is another worker's, or its run has ended"):
            held.check()


async def test_claim_is_begun_once(database: Database) -> None:
    """Dask repeats the order of a dead worker where another process has taken its address."""
    epoch = await assign(database, "run", 1, "a", TIMES)
    assert epoch
    async with claimed(database, "run", 1, epoch, Held(1), TIMES) as held:
        async with claimed(database, "run", 1, epoch, Held(1), TIMES) as second:
            assert second.is_lost
        held.check()


async def test_claim_ends_with_the_lease(database: Database) -> None:
    lease_of_run, epoch = Held(1, inf), await assign(database, "run", 1, "a", QUICK)
    assert epoch
    async with claimed(database, "run", 1, epoch, lease_of_run, QUICK) as held:
        lease_of_run.lose("it has ended")
        await asyncio.sleep(QUICK.lost_after_s + 0.1)
        assert held.is_lost


async def test_claim_that_is_taken_away(database: Database) -> None:
    epoch = await assign(database, "run", 1, "a", QUICK)
    assert epoch
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
    assert first
    await end(database, "run", 1, first)
    assert await assign(database, "run", 1, "d", TIMES) is None
    await end_all(database, "run")
    left = await database[LEASES].distinct("_id")
    assert left == ["other/1", "run"]
