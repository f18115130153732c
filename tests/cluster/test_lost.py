"""Runs over a cluster whose parts lose one another, or whose clocks are wrong."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from cluster.coordinator import QUICK, TIMES, backfill
from cluster.hosts import Cluster, Host, hosts_of
from structlog.testing import capture_logs
from support import stored, truth

from collector import config
from collector.cluster import engine as engine_module
from collector.cluster.engine import Remote, _member
from collector.cluster.spread import Spread
from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.errors import LeaseHeldError
from collector.model.days import ONE_DAY, Window, newest_published
from collector.model.results import RunResult
from collector.runtime import Clock, Stop
from collector.sandbox import World
from collector.store import leases
from collector.store.database import Database
from collector.store.lease_document import LEASES
from collector.store.leases import lease

NEWEST = newest_published(datetime.now(UTC), time(8))
LONG_AGO = NEWEST - 999 * ONE_DAY
WORLD = World(size=40, sparse=False)


class MovedClock(Clock):
    """A host's clock that is `ahead` of the right time."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self.ahead = ahead
        self._passed_s = 0.0

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self._passed_s

    def pass_by(self, span: timedelta) -> None:
        """Let so much time pass at once."""
        self.ahead += span
        self._passed_s += span.total_seconds()


@asynccontextmanager
async def _hosts(
    cluster: Cluster, uri: str, database: Database, *names: str, rate: str = "20/s", check_clock: bool = True
) -> AsyncIterator[dict[str, Host]]:
    """The coordinator's host, and hosts with a worker each."""
    content = {"run": {"workers": 4}, "defaults": {"rate_limit": rate}}
    async with hosts_of(["coordinator", *names], WORLD, cluster.folder, uri, database, content) as hosts:
        for host in hosts.values() if not check_clock else ():
            host.changed(api={"hosts": [host.sandbox.url], "check_clock": False})
        for name in names:
            await cluster.add(name, hosts[name].config)
        await cluster.ready(len(names))
        yield hosts


async def _asked(host: Host, count: int) -> None:
    """Wait until a host's WeChat was asked so many times."""
    async with asyncio.timeout(30):
        while len(host.sandbox.calls) < count:  # noqa: ASYNC110 - a server sets no event
            await asyncio.sleep(0.01)


async def _run(host: Host, place: Remote, clock: Clock, **target: Any) -> RunResult:
    settings = config.load([host.config], {}, datetime.now(UTC))
    job = Job(replace(target_of(settings, clock), **target))
    return await collect(settings, job, clock=clock, stop=Stop(), work=Spread(place, times=TIMES))


# The coordinator and its workers


@asynccontextmanager
async def _link(address: str) -> AsyncIterator[tuple[Remote, asyncio.Event]]:
    """A way to the scheduler, and the event that cuts it."""
    host, port = address.removeprefix("tcp://").split(":")
    cut = asyncio.Event()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            writer.write(chunk)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, port)
            ways = [copy(reader, far_writer), copy(far_reader, writer), cut.wait()]
            tasks = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            far_writer.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    closing = asyncio.create_task(_close(server, cut))
    yield Remote(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"), cut
    cut.set()
    await closing


async def _close(server: asyncio.Server, cut: asyncio.Event) -> None:
    await cut.wait()
    server.close()


async def test_coordinator_is_cut_off(
    mongod: str, database: Database, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease isn't free before its workers have ended."""
    monkeypatch.setattr(engine_module, "CONNECT_S", 5.0)
    monkeypatch.setattr(engine_module, "OUTAGE_S", 1.0)
    monkeypatch.setattr(leases, "TIMES", QUICK)
    async with _hosts(cluster, mongod, database, "a", rate="5/s") as hosts, _link(cluster.address) as (place, cut):
        running = asyncio.create_task(backfill(hosts["coordinator"].config, LONG_AGO, place))
        await _asked(hosts["a"], 60)
        cut.set()
        result = await running
        assert result.exit == 1
        assert str(result.error).startswith("the Dask scheduler is out of reach")
        with pytest.raises(LeaseHeldError):
            async with lease(database, "next", "run"):
                pytest.fail("two runs are at work")
        async with lease(database, "next", "run", wait_s=10, times=QUICK):
            asked = len(hosts["a"].sandbox.calls)
            await asyncio.sleep(1)
            assert len(hosts["a"].sandbox.calls) == asked


async def test_worker_that_gets_no_more_batches_is_stopped(mongod: str, database: Database, cluster: Cluster) -> None:
    """Dask has paused it, since its host is short of memory."""
    stop = Stop()
    async with _hosts(cluster, mongod, database, "a") as hosts:
        running = asyncio.create_task(backfill(hosts["coordinator"].config, LONG_AGO, cluster.place, stop))
        await _asked(hosts["a"], 200)
        await cluster.pause_all()
        await asyncio.sleep(5 * TIMES.look_every_s)
        stop.set(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert (await running).exit == 128 + signal.SIGTERM


async def test_paused_worker_gets_no_batch(mongod: str, database: Database, cluster: Cluster) -> None:
    """Others do its accounts. Without any other there is no worker."""
    async with _hosts(cluster, mongod, database, "a") as hosts:
        await cluster.pause_all()
        alone = await backfill(hosts["coordinator"].config, NEWEST - 6 * ONE_DAY, cluster.place)
        assert (alone.exit, alone.error) == (1, "the cluster has no worker that answers: start some, then run again")
        await cluster.add("b", hosts["a"].config)
        await cluster.ready(2)
        async with asyncio.timeout(30):
            result = await backfill(hosts["coordinator"].config, NEWEST - 6 * ONE_DAY, cluster.place)
    assert (result.exit, result.failures) == (0, ())


@pytest.mark.parametrize(
    ("resources", "labels"),
    [
        ({}, {None}),
        ({"GPU": 1.0}, {None}),
        ({"egress-hk": 1.0, "egress-sh": 0.5}, {"hk", "sh"}),
        ({"egress-hk": 0.4}, ()),
    ],
)
def test_labels_of_a_worker(resources: dict[str, float], labels: Iterable[str | None]) -> None:
    """A label needs as much of the resource as a batch takes: Dask would never begin it."""
    assert _member("tls://w", {"resources": resources, "nthreads": 4, "status": "running"}).labels == frozenset(labels)


async def test_lost_claims(mongod: str, database: Database, cluster: Cluster) -> None:
    """Somebody deletes them: the batches are done again, and none is waited for in vain."""
    async with _hosts(cluster, mongod, database, "a", "b") as hosts:
        since = NEWEST - 34 * ONE_DAY
        running = asyncio.create_task(backfill(hosts["coordinator"].config, since, cluster.place))
        await asyncio.gather(*(_asked(hosts[name], 60) for name in "ab"))
        cluster.workers["a"].kill()
        await database[LEASES].delete_many({"_id": {"$regex": "/"}})
        async with asyncio.timeout(60):
            result = await running
        assert (result.exit, result.failures) == (0, ())
    assert await stored(database) == truth(WORLD, Window(since, NEWEST))


_KILLING = """
import os
from collector.run import account
if not hasattr(account, "before"):
    account.before = account.AccountRun.collect
async def collect(self):
    if self.account.appid == "{appid}":
        os._exit(1)
    return await account.before(self)
account.AccountRun.collect = collect
"""
"""Code by which a worker dies of an account."""


async def test_account_that_kills_its_workers(mongod: str, database: Database, cluster: Cluster) -> None:
    """The accounts of its batch fail; those of batches that were beside it don't."""
    killing = json.dumps([_KILLING.format(appid=WORLD.accounts[7].appid)])
    async with _hosts(cluster, mongod, database) as hosts:
        for name in "ab":
            await cluster.add(
                name, hosts["coordinator"].config, options=["--nanny"], DASK_DISTRIBUTED__WORKER__PRELOAD=killing
            )
        await cluster.ready(2)
        result = await backfill(hosts["coordinator"].config, NEWEST - 6 * ONE_DAY, cluster.place)
    assert (result.exit, len(result.failures)) == (3, 10)
    assert {each.errmsg for each in result.failures} == {"3 workers died of the batch that the account is in"}
    assert WORLD.accounts[7].appid in {each.account for each in result.failures}


# Clocks


@pytest.mark.parametrize("days", [3, -3])
async def test_clocks_of_hosts_differ(mongod: str, database: Database, cluster: Cluster, days: int) -> None:
    """One of them must be wrong: nothing is asked for days that aren't there."""
    async with _hosts(cluster, mongod, database, "a") as hosts:
        with capture_logs():
            result = await _run(hosts["coordinator"], cluster.place, MovedClock(timedelta(days=days)))
        assert result.exit == 1
        assert str(result.error).startswith("its clock says 20")
        assert not hosts["a"].sandbox.calls


async def test_clock_of_the_coordinator_leaps(mongod: str, database: Database, cluster: Cluster) -> None:
    clock, since = MovedClock(), NEWEST - 34 * ONE_DAY
    async with _hosts(cluster, mongod, database, "a") as hosts:
        running = asyncio.create_task(_run(hosts["coordinator"], cluster.place, clock, since=since))
        await _asked(hosts["a"], 200)
        clock.ahead = timedelta(days=3)
        result = await running
        assert (result.exit, result.failures) == (0, ())
    assert await stored(database) == truth(WORLD, Window(since, NEWEST))


async def test_history_is_fetched_again_once(mongod: str, database: Database, cluster: Cluster) -> None:
    """Also that of accounts whose history is whole when a newer day is published."""
    clock, since = MovedClock(), NEWEST - 69 * ONE_DAY
    async with _hosts(cluster, mongod, database, "a", check_clock=False) as hosts:
        sandbox = hosts["a"].sandbox
        sandbox.clock = clock.now
        running = asyncio.create_task(_run(hosts["coordinator"], cluster.place, clock, since=since, refetch=True))
        await _asked(hosts["a"], 600)
        clock.pass_by(timedelta(days=1))
        result = await running
    assert result.exit == 0
    calls = [call for call in sandbox.calls if call.end_date]
    old = Counter((call.appid, call.path) for call in calls if call.end_date < str(NEWEST - 9 * ONE_DAY))
    assert {call.appid for call in calls if call.end_date > str(NEWEST)} == {each.appid for each in WORLD.accounts}
    assert set(old.values()) <= {8, 9}
