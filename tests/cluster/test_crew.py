"""Workers that can't be used, or serve no label that is asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from cluster.coordinator import backfill
from cluster.hosts import Cluster, Host, hosts_of
from structlog.testing import capture_logs
from support import stored, truth

from collector.cluster.engine import Remote
from collector.errors import UsageError
from collector.model.days import ONE_DAY, Window, newest_published
from collector.sandbox import World
from collector.store.database import Database

NEWEST = newest_published(datetime.now(UTC), time(8))
SINCE = NEWEST - 6 * ONE_DAY
WORLD = World(size=30, sparse=False)


@asynccontextmanager
async def _hosts(
    folder: Path, uri: str, database: Database, *names: str, **content: Any
) -> AsyncIterator[Mapping[str, Host]]:
    async with hosts_of(["coordinator", *names], WORLD, folder, uri, database, content) as hosts:
        yield hosts


async def test_misfits_are_named_and_not_used(
    tmp_path: Path, mongod: str, database: Database, cluster: Cluster
) -> None:
    names = ("good", "rate", "own", "faulty", "old")
    async with _hosts(tmp_path, mongod, database, *names) as hosts:
        await cluster.add("good", hosts["good"].config)
        await cluster.add("rate", hosts["rate"].changed(defaults={"rate_limit": "9/s"}))
        await cluster.add("own", hosts["own"].changed(mongodb=None))
        await cluster.add("faulty", hosts["faulty"].changed(accounts="none"))
        old = "import collector; collector.__version__ = '0.0.1'"
        await cluster.add("old", hosts["old"].config, DASK_DISTRIBUTED__WORKER__PRELOAD=json.dumps([old]))
        await cluster.ready(5)
        with capture_logs() as logs:
            result = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert (result.exit, result.error) == (0, None)
    assert await stored(database) == truth(WORLD, Window(SINCE, NEWEST))
    assert [name for name, host in hosts.items() if host.sandbox.calls] == ["good"]
    reasons = sorted(entry["why"] for entry in logs if entry["event"] == "worker.refused")
    assert [reason[:40] for reason in reasons] == [
        "it has version 0.0.1 of the collector, a",
        "its configuration differs in what is ask",
        "its configuration has faults: " + str(hosts["faulty"].config)[:10],
        "its configuration has no mongodb.uri",
    ]


async def test_no_worker_can_be_used(tmp_path: Path, mongod: str, database: Database, cluster: Cluster) -> None:
    async with _hosts(tmp_path, mongod, database, "own") as hosts:
        empty = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
        await cluster.add("own", hosts["own"].changed(mongodb=None))
        await cluster.ready(1)
        result = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert (empty.exit, empty.error) == (1, "the cluster has no worker that answers: start some, then run again")
    assert result.exit == 1
    assert str(result.error).startswith("its configuration has no mongodb.uri (1 worker: tcp://127.0.0.1:")


async def test_label_without_worker(tmp_path: Path, mongod: str, database: Database, cluster: Cluster) -> None:
    """Its accounts fail, those of the label that a worker has are stored."""
    accounts = [
        {"name": each.name, "appid": each.appid, "secret": each.secret, "egress": f"e{place % 2}"}
        for place, each in enumerate(WORLD.accounts)
    ]
    async with _hosts(tmp_path, mongod, database, "even", "plain", accounts=accounts) as hosts:
        await cluster.add("plain", hosts["plain"].config)
        await cluster.ready(1)
        none = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
        await cluster.add("even", hosts["even"].config, "e0")
        await cluster.ready(2)
        half = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert (none.exit, len(none.failures), none.calls) == (1, 30, 0)
    assert (half.exit, len(half.failures)) == (3, 15)
    assert {(each.errmsg, each.hint) for each in half.failures} == {
        ("no worker serves the egress label e1", "start a dask worker with --resources egress-e1=1")
    }
    without = [each.appid for each in WORLD.accounts[1::2]]
    assert await stored(database) == truth(WORLD, Window(SINCE, NEWEST), without=without)
    assert not hosts["plain"].sandbox.calls


@asynccontextmanager
async def _overheard(address: str) -> AsyncIterator[tuple[str, bytearray]]:
    """An address that leads to the scheduler's, and all that passes it."""
    heard = bytearray()
    host, port = address.removeprefix("tcp://").split(":")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65_536):
            heard.extend(chunk)
            writer.write(chunk)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(host, port)
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


async def test_no_secret_passes_the_scheduler(
    tmp_path: Path, mongod: str, database: Database, cluster: Cluster
) -> None:
    async with _hosts(tmp_path, mongod, database, "good") as hosts, _overheard(cluster.address) as (address, heard):
        await cluster.add("good", hosts["good"].config)
        await cluster.ready(1)
        result = await backfill(hosts["coordinator"].config, SINCE, Remote(address))
    assert result.exit == 0
    assert all(account.appid.encode() in heard for account in WORLD.accounts)
    assert not any(account.secret.encode() in heard for account in WORLD.accounts)
    assert mongod.encode() not in heard


async def test_tokens_of_platforms_need_tls(tmp_path: Path, mongod: str, database: Database, cluster: Cluster) -> None:
    component = {"name": "agency", "appid": "wx00000000000000c0", "access_token": {"command": ["echo", "token"]}}
    accounts = [{"name": "a", "appid": WORLD.accounts[0].appid, "token": {"component": "agency"}}]
    async with _hosts(tmp_path, mongod, database, "good", accounts=accounts, components=[component]) as hosts:
        await cluster.add("good", hosts["good"].config)
        await cluster.ready(1)
        with pytest.raises(UsageError, match="tokens of a third-party platform go over TLS alone"):
            await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert not hosts["good"].sandbox.calls


async def test_worker_without_a_way_to_wechat(
    tmp_path: Path, mongod: str, database: Database, cluster: Cluster
) -> None:
    """Others do its accounts."""
    async with _hosts(tmp_path, mongod, database, "good", "blind", run={"workers": 4}) as hosts:
        await cluster.add("blind", hosts["blind"].changed(api={"hosts": ["http://127.0.0.1:9"]}))
        await cluster.add("good", hosts["good"].config)
        await cluster.ready(2)
        with capture_logs() as logs:
            result = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert (result.exit, result.failures) == (0, ())
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["worker.refused"]
    assert await stored(database) == truth(WORLD, Window(SINCE, NEWEST))
