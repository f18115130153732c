"""The coordinator, when workers die or join and when a newer day is published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from cluster.coordinator import backfill
from cluster.hosts import Cluster, Host, hosts_of
from structlog.testing import capture_logs
from support import stored, truth

from collector.cluster.coordinator import Times
from collector.model.days import ONE_DAY, Window, newest_published
from collector.runtime import Clock
from collector.sandbox import World
from collector.store.database import Database
from collector.store.held import LeaseTimes

NEWEST = newest_published(datetime.now(UTC), time(8))
SINCE = NEWEST - 6 * ONE_DAY
WORLD = World(size=5, sparse=False)
LEASE = LeaseTimes(free_after_s=2, renew_every_s=0.3, lost_after_s=1.5, poll_s=0.1)
TIMES = Times(look_every_s=0.1, without_worker_s=3, lease=LEASE)
DIES = "import os; from collector.cluster import worker; worker.work = lambda order: os._exit(1)"


@pytest.fixture
async def host(tmp_path: Path, mongod: str, database: Database) -> AsyncIterator[Host]:
    async with hosts_of(["host"], WORLD, tmp_path, mongod, database, {}) as hosts:
        yield hosts["host"]


async def _add_worker_that_dies(cluster: Cluster, host: Host, name: str = "dies") -> None:
    await cluster.add(name, host.config, DASK_DISTRIBUTED__WORKER__PRELOAD=json.dumps([DIES]))


async def test_worker_that_joins(database: Database, cluster: Cluster, host: Host) -> None:
    """It does what one that died has left."""
    await _add_worker_that_dies(cluster, host)
    await cluster.ready(1)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(backfill(host.config, SINCE, cluster.place, times=TIMES))
        async with asyncio.timeout(30):
            await cluster.workers["dies"].wait()
        await cluster.add("good", host.config)
    assert (running.result().exit, running.result().error) == (0, None)
    assert await stored(database) == truth(WORLD, Window(SINCE, NEWEST))


async def test_no_worker_is_left(cluster: Cluster, host: Host) -> None:
    """The accounts fail after a while, and all of their history is left."""
    await _add_worker_that_dies(cluster, host)
    await cluster.ready(1)
    result = await backfill(host.config, SINCE - 14 * ONE_DAY, cluster.place, times=TIMES)
    assert (result.exit, len(result.failures), result.windows_left) == (1, 5, 5 * 2)
    assert {(each.errmsg, each.hint) for each in result.failures} == {
        ("no worker serves accounts without an egress label", "start a dask worker without --resources")
    }


async def test_batch_of_which_workers_die(cluster: Cluster, host: Host) -> None:
    """It costs three of them, and not all."""
    names = [f"dies-{number}" for number in range(4)]
    for name in names:
        await _add_worker_that_dies(cluster, host, name)
    await cluster.ready(4)
    result = await backfill(host.config, SINCE, cluster.place, times=TIMES)
    assert {each.errmsg for each in result.failures} == {"3 workers died of the batch that the account is in"}
    assert sum(cluster.workers[name].returncode is None for name in names) == 1


class NextDay(Clock):
    """A clock that is a day further once `has_come`."""

    has_come = False

    def monotonic(self) -> float:
        return super().monotonic() + 86_400 * self.has_come


async def test_newer_day(cluster: Cluster, host: Host) -> None:
    """It is noticed while history is being filled. In truth WeChat hasn't published it, so the accounts are late."""
    content = json.loads(host.config.read_text())
    host.config.write_text(json.dumps(content | {"defaults": {"rate_limit": "5/s"}}))
    await cluster.add("good", host.config)
    await cluster.ready(1)
    clock, since = NextDay(), NEWEST - 69 * ONE_DAY
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(backfill(host.config, since, cluster.place, times=TIMES, clock=clock))
            async with asyncio.timeout(30):
                while len(host.sandbox.calls) < 30:  # noqa: ASYNC110 - a server sets no event
                    await asyncio.sleep(0.01)
            clock.has_come = True
    assert [entry["newest"] for entry in logs if entry["event"] == "day.published"] == [str(NEWEST + ONE_DAY)]
    assert running.result().error is None
