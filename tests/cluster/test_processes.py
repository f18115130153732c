"""`--processes`: runs over worker processes of this host."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
from chaos.processes import start
from command import collector, configure, ended_of
from distributed import Client, Security
from support import stored, truth

from collector.cluster.engine import Local, opened
from collector.model.days import ONE_DAY, Window, newest_published
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.lease_document import LEASES

STOPPING = "collector: stopping: calls in flight are finished and stored; a second signal ends at once"

FAST = "defaults: {rate_limit: 200/s}\n"


def _newest() -> date:
    return newest_published(datetime.now(UTC), time(8))


def _processes() -> set[int]:
    """All processes that this one has started, and theirs."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


async def test_backfill(tmp_path: Path, mongod: str, database: Database) -> None:
    """It ends as in one process: documents, summary, ledger, and nothing left behind."""
    world, since = World(size=60), _newest() - 34 * ONE_DAY
    broken = world.accounts[7]
    before = _processes()
    async with Sandbox(world, faults=Faults(broken={broken.appid: 40125})) as sandbox:
        configure(tmp_path, sandbox, mongod, database, extra=FAST)
        ended = await collector("backfill", "--since", str(since), "--processes", "2", "--json", cwd=tmp_path)
        arrived = [call for call in sandbox.calls if call.path.startswith("/datacube")]
    assert (ended.code, ended.err) == (3, "")
    assert ["run.begun" in ended.course[0], "run.ended" in ended.course[-1], len(ended.course)] == [True, True, 2]
    result = ended.json
    assert result["accounts"] == {"total": 60, "ok": 59, "pending": 0, "failed": 1, "skipped": 0}
    assert [(failure["account"], failure["windows"]) for failure in result["failures"]] == [(broken.appid, 1)]
    assert result["calls"] == len(arrived)
    assert await stored(database) == truth(world, Window(since, _newest()), without=[broken.appid])
    ledger = await database["runs"].find().to_list(None)
    assert [(entry["status"], entry["exit"], entry["accounts"]["total"]) for entry in ledger] == [("partial", 3, 60)]
    assert await database[LEASES].count_documents({"_id": {"$ne": "run"}}) == 0
    assert _processes() <= before
    # History begins when the newest days of all accounts are asked for, or at work.
    assert [call.end_date == str(_newest()) for call in arrived].index(False) >= 59


async def test_waits_that_are_ignored(tmp_path: Path, mongod: str, database: Database) -> None:
    world = World(size=2)
    named = world.accounts[0].appid
    async with Sandbox(world) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        arguments = ("--account", named, "--ignore-waits", "--processes", "2")
        ended = await collector("run", *arguments, "--json", cwd=tmp_path)
    assert (ended.code, ended.json["accounts"]["ok"]) == (0, 1), ended.err
    assert {account for account, _ in await stored(database)} == {named}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_stop(tmp_path: Path, mongod: str, database: Database, number: signal.Signals) -> None:
    """Ctrl-C reaches all processes of a terminal, SIGTERM the coordinator alone: both drain, and lose nothing."""
    world, since = World(size=40, sparse=False), _newest() - 363 * ONE_DAY
    async with Sandbox(world) as sandbox:
        configure(tmp_path, sandbox, mongod, database, extra="defaults: {rate_limit: 20/s}\n")
        arguments = ("backfill", "--since", str(since), "--processes", "2")
        command = [sys.executable, "-m", "collector", *arguments, "--json"]
        running = await start(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        async with asyncio.timeout(30):
            while len(sandbox.calls) < 500:  # noqa: ASYNC110 - a server sets no event
                await asyncio.sleep(0.01)
        if number == signal.SIGINT:
            os.killpg(running.pid, number)
        else:
            running.send_signal(number)
        ended = await ended_of(running)
        asked = len(sandbox.calls)
        planned = await collector("backfill", "--since", str(since), "--dry-run", "--json", cwd=tmp_path)
    left = [account["history"]["windows"] for account in planned.json["accounts"]]
    assert (len(left), ended.json["windows_left"]) == (40, sum(left))
    assert ended.code == 128 + number
    assert ended.err.splitlines() == [STOPPING]
    assert ended.json["status"] == "stopped"
    assert asked == ended.json["calls"] + ended.json["token_calls"]
    found, whole = await stored(database), truth(world, Window(since, _newest()))
    assert len(found) > 200
    # A window may have been answered by one dataset alone.
    assert all(field in whole[key].items() for key, document in found.items() for field in document.items())
    assert (await collector("verify", cwd=tmp_path)).code == 0


async def test_stop_while_workers_start(tmp_path: Path, mongod: str, database: Database) -> None:
    """Ctrl-C reaches workers that are still starting, too: they print nothing, and the run ends as always."""
    async with Sandbox(World(size=4)) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        command = [sys.executable, "-m", "collector", "run", "--processes", "2", "--json"]
        # A worker that ends while it begins to measure its coverage would print a traceback of that.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        running = await start(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        async with asyncio.timeout(30):
            while _workers_of(running.pid) < 2:  # noqa: ASYNC110 - a process that starts sets no event
                await asyncio.sleep(0.01)
        os.killpg(running.pid, signal.SIGINT)
        ended = await ended_of(running)
        assert sandbox.calls == []
    # A run that has ended 0.05 s after the signal says nothing.
    assert ended.err in ("", f"{STOPPING}\n")
    assert (ended.code, ended.json["accounts"]["skipped"]) == (130, 4)


def _workers_of(pid: int) -> int:
    commands = [process.cmdline() for process in psutil.Process(pid).children()]
    return sum("spawn_main" in " ".join(command) for command in commands)


async def test_accounts_of_a_platform(tmp_path: Path, mongod: str, database: Database) -> None:
    """The coordinator reads the platform's list and token once; no secret of it is stored or logged."""
    world = World(size=30)
    async with Sandbox(world) as sandbox:
        platform = {
            "name": "agency",
            "appid": world.component.appid,
            "secret": world.component.secret,
            "verify_ticket": world.component.verify_ticket,
            "discover": True,
        }
        content = {
            "mongodb": {"uri": mongod, "database": database.name},
            "api": {"hosts": [sandbox.url]},
            "components": [platform],
        }
        file = tmp_path / "accounts.yaml"
        file.touch(mode=0o600)
        file.write_text(json.dumps(content))
        ended = await collector("run", "--processes", "2", "-vv", "--json", cwd=tmp_path)
        asked = [call.path for call in sandbox.calls]
        secrets = [sandbox.refresh_token(account.appid) for account in world.accounts]
    assert (ended.code, ended.json["accounts"]["ok"]) == (0, 30), ended.err
    assert asked.count("/cgi-bin/component/api_component_token") == 1
    assert asked.count("/cgi-bin/component/api_get_authorizer_list") == 1
    assert asked.count("/cgi-bin/component/api_authorizer_token") == 30
    found = await stored(database)
    assert {account for account, _ in found} == {account.appid for account in world.accounts}
    assert not any(secret in ended.err + ended.out for secret in [*secrets, world.component.secret])


async def test_strangers_are_turned_away() -> None:
    """Nothing listens but on loopback, a client without the key gets no answer, and HTTP has nothing to say."""
    async with opened(Local(1)) as engine:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        sockets = [each for process in processes for each in process.net_connections()]
        listening = [each.laddr for each in sockets if each.status == psutil.CONN_LISTEN]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        address = next(iter(await engine.members()))
        scheduler = engine.address
        for stranger, security in (
            (scheduler, Security.temporary()),
            (scheduler.replace("tls://", "tcp://"), None),
            (address, Security.temporary()),
        ):
            with pytest.raises(OSError, match=r"Timed out|TLS certificate|closed"):
                await Client(stranger, security=security, asynchronous=True, timeout=1, set_as_default=False)
        pages = [await asyncio.to_thread(_page, address.port) for address in listening]
        assert set(pages) <= {404, None}


def _page(port: int) -> int | None:
    """The HTTP status of a port's pages; None where it speaks something else."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None
