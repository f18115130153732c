"""Runs over a Dask cluster of several hosts, in trouble."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from chaos.processes import kill, start
from cluster.coordinator import QUICK, backfill
from cluster.hosts import Host, cluster_of, hosts_of
from support import FAST, run, stored, truth

from collector import config
from collector.commands.verify import verify
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.model.days import ONE_DAY, Window, newest_published
from collector.runtime import Clock
from collector.sandbox import World
from collector.store.database import Database


def _newest() -> date:
    return newest_published(datetime.now(UTC), time(8))


def _content(world: World, rate: int, **run: Any) -> dict[str, Any]:
    """A configuration whose accounts have the label `odd` or `even` in turn."""
    accounts = [
        {"name": each.name, "appid": each.appid, "secret": each.secret, "egress": _label(world, each.appid)}
        for each in world.accounts
    ]
    return {"run": run, "defaults": {"rate_limit": f"{rate}/s"}, "accounts": accounts}


def _label(world: World, appid: str) -> str:
    places = {each.appid: place for place, each in enumerate(world.accounts)}
    return "odd" if places[appid] % 2 else "even"


def _settings_of(host: Host) -> Settings:
    return config.load([host.config], {}, datetime.now(UTC))


def _most_in_a_second(hosts: Iterable[Host]) -> int:
    """The most data calls of one account in any second, as all servers together saw them."""
    arrived: dict[str | None, list[float]] = defaultdict(list)
    for call in (call for host in hosts for call in host.sandbox.calls if call.path.startswith("/datacube")):
        arrived[call.appid].append(call.arrived_s)
    every = map(sorted, arrived.values())
    return max(bisect_left(times, first + 1) - place for times in every for place, first in enumerate(times))


async def test_workers_die_and_halt(tmp_path: Path, mongod: str, database: Database) -> None:
    """One of three workers is killed, one is paused: all is stored, within rates, by workers with the label alone."""
    world, rate, since = World(size=2_000, sparse=False), 10, _newest() - 13 * ONE_DAY
    content = _content(world, rate, workers=64)
    names = {"both": ("odd", "even"), "odd": ("odd",), "even": ("even",)}
    async with (
        hosts_of(["coordinator", *names], world, tmp_path, mongod, database, content) as hosts,
        cluster_of(tmp_path) as cluster,
    ):
        await asyncio.gather(*(cluster.add(name, hosts[name].config, *labels) for name, labels in names.items()))
        await cluster.ready(3)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(backfill(hosts["coordinator"].config, since, cluster.place))
            await _calls(hosts["odd"], 200)
            cluster.workers["odd"].send_signal(signal.SIGKILL)
            await _calls(hosts["even"], 200)
            cluster.workers["even"].send_signal(signal.SIGSTOP)
            await asyncio.sleep(QUICK.free_after_s + 2)
            cluster.workers["even"].send_signal(signal.SIGCONT)
        result = running.result()
        assert (result.exit, result.failures, result.error) == (0, (), None), result
        assert await stored(database) == truth(world, Window(since, _newest()))
        assert hosts["coordinator"].sandbox.calls == []
        for name, labels in names.items():
            assert {_label(world, call.appid) for call in hosts[name].sandbox.calls if call.appid} <= set(labels)
        assert _most_in_a_second(hosts.values()) <= rate + 1  # jitter at the edge of a second
    ended = await verify(_settings_of(hosts["coordinator"]), Selection(), Target(_newest(), 7), repair=False)
    assert not ended.findings


async def _calls(host: Host, count: int) -> None:
    """Wait until a host's WeChat was asked so many times."""
    async with asyncio.timeout(30):
        while len(host.sandbox.calls) < count:  # noqa: ASYNC110 - a server sets no event
            await asyncio.sleep(0.01)


async def test_coordinator_dies(tmp_path: Path, mongod: str, database: Database) -> None:
    """No call and no write once its lease is free for others; the next run ends in the truth."""
    world, since = World(size=60, sparse=False), _newest() - 27 * ONE_DAY
    content = _content(world, 2, workers=4)  # a batch takes longer than the lease
    names = {"odd": ("odd",), "even": ("even",)}
    async with (
        hosts_of(["coordinator", *names], world, tmp_path, mongod, database, content) as hosts,
        cluster_of(tmp_path) as cluster,
    ):
        for name, labels in names.items():
            await cluster.add(name, hosts[name].config, *labels)
        await cluster.ready(2)
        place, host = cluster.place, hosts["coordinator"]
        files = map(str, (place.ca, place.cert, place.key))
        command = [sys.executable, "-m", "cluster.coordinator", str(host.config), str(since), place.address, *files]
        coordinator = await start(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(["tests", "."])})
        for name in names:
            await _calls(hosts[name], 120)
        await kill(coordinator)
        await asyncio.sleep(QUICK.free_after_s)
        before = await stored(database), [len(each.sandbox.calls) for each in hosts.values()]
        await asyncio.sleep(2)
        assert (await stored(database), [len(each.sandbox.calls) for each in hosts.values()]) == before
        assert 0 < len(before[0]) < len(truth(world, Window(since, _newest())))
        settings = _settings_of(host)
        quick = replace(settings, accounts=tuple(replace(each, rate_limit=FAST) for each in settings.accounts))
        result = await run(quick, Clock(), since=since)
        assert (result.exit, result.failures, result.error) == (0, (), None)
        assert await stored(database) == truth(world, Window(since, _newest()))
