"""More work than the machine or MongoDB can take: the rest of it waits, and nothing fails or grows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support import MAX_CALLBACK_S, Configured, FakeClock, run, stored, truth

from collector.console.progress import Watch
from collector.model.days import ONE_DAY, Days, Window
from collector.model.state import AccountState, DatasetState, Update
from collector.run import connect
from collector.runtime import Stop
from collector.sandbox import Sandbox, World
from collector.store import writer as writer_module
from collector.store.database import Database
from collector.store.state_document import to_document
from collector.store.writer import Writer
from collector.wechat.api import MAX_IN_FLIGHT

NEWEST = date(2026, 11, 23)
MANY = int(os.environ.get("COLLECTOR_OVERLOAD_ACCOUNTS", "1000"))
"""Accounts of the run that has too few open files; 10,000 take a minute."""

LIMITED = """
import resource, sys
soft, hard = int(sys.argv.pop(1)), int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from collector.cli.app import main
from collector.store import writer
writer.MAX_QUEUED = 16
main()
"""
"""The command with limits of open files, soft and hard. Its queue is short, so that it hardly counts as memory."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Process:
    """A `collector` process: its output, and its peaks of open files and of memory."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.log = ""
        self.most_files = 0
        self.most_memory_kb = 0

    @classmethod
    async def run(cls, file: Path, database: str, mongod: str, sandbox: Sandbox, *, files: str, **more: Any) -> Process:
        """Run `collector run` over `sandbox` to its end, with these limits of open files, soft and hard."""
        text = sandbox.config_yaml(mongodb_uri=mongod, since=more.get("since"))
        text = text.replace("api:", f"  database: {database}\napi:", 1)
        text = text.replace("run:", f"run:\n  workers: {more.get('workers', 512)}", 1)
        if more.get("own_proxies"):
            # The sandbox stands in for them all: connections by another user aren't shared.
            proxies = (f"http://agency-{place}:p@127.0.0.1:{sandbox.port}" for place in count())
            text = re.sub("    appid:", lambda found: f"    proxy: {next(proxies)}\n{found[0]}", text)
        text = text.replace("defaults:", "defaults:\n  rate_limit: 1000/s", 1)
        _write(file, text)
        command = (sys.executable, "-c", LIMITED, *files.split(), "run", "--json", "-c", str(file))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
        seen = cls()
        ended = asyncio.create_task(process.communicate())
        while not ended.done():
            seen._look(process.pid)
            await asyncio.wait([ended], timeout=0.05)
        printed, log = await ended
        seen.result, seen.log = json.loads(printed), log.decode()
        return seen

    def _look(self, pid: int) -> None:
        try:
            self.most_files = max(self.most_files, len(list(Path(f"/proc/{pid}/fd").iterdir())))
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:  # it has ended
            return
        peak = [line.split()[1] for line in status if line.startswith("VmHWM")]
        self.most_memory_kb = max([self.most_memory_kb, *map(int, peak)])


@linux
async def test_many_workers_with_few_open_files(database: Database, mongod: str, tmp_path: Path) -> None:
    """They do everything with those, and the limit to raise is named."""
    async with Sandbox(World(size=MANY), record=False) as sandbox:
        seen = await Process.run(tmp_path / "accounts.yaml", database.name, mongod, sandbox, files="256 256")
    assert seen.result["failures"] == []
    assert (seen.result["accounts"]["failed"], seen.result["accounts"]["skipped"]) == (0, 0)
    assert seen.result["exit"] in (0, 75)  # some may lack their newest day for now
    assert 78 < seen.most_files < 256
    (limited,) = [line for line in seen.log.splitlines() if "connections.limited" in line]
    assert "open_files=256" in limited
    assert "remedy='raise ulimit -n, or LimitNOFILE= in the unit'" in limited
    assert await database["user_daily"].distinct("account") == sorted(
        account.appid for account in sandbox.world.accounts
    )


@linux
async def test_many_proxies_with_few_open_files(database: Database, mongod: str, tmp_path: Path) -> None:
    """Connections that are kept for 1,500 proxies, one for each account, leave enough open files."""
    async with Sandbox(World(size=1500), record=False) as sandbox:
        limits: dict[str, Any] = {"files": "1024 1024", "workers": 64, "own_proxies": True}
        seen = await Process.run(tmp_path / "accounts.yaml", database.name, mongod, sandbox, **limits)
    assert (seen.result["failures"], seen.result["retries"]) == ([], 0)
    assert seen.most_files < 1024


@linux
async def test_soft_limit_is_raised(database: Database, mongod: str, tmp_path: Path) -> None:
    async with Sandbox(World(size=100), record=False) as sandbox:
        limits: dict[str, Any] = {"files": "64 4096", "workers": 256}
        seen = await Process.run(tmp_path / "accounts.yaml", database.name, mongod, sandbox, **limits)
    assert (seen.result["failures"], seen.result["retries"]) == ([], 0)
    assert seen.most_files > 64
    assert "connections.limited" not in seen.log


@linux
async def test_limit_below_all_needs(database: Database, mongod: str, tmp_path: Path) -> None:
    async with Sandbox(World(size=100), record=False) as sandbox:
        seen = await Process.run(tmp_path / "accounts.yaml", database.name, mongod, sandbox, files="48 48")
    assert (seen.result["failures"], seen.result["accounts"]["failed"]) == ([], 0)
    assert "open_files=48" in seen.log


async def test_waiting_for_a_connection(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """160 calls of 0.3 s over 20 connections take 2.4 s, and none of them the 2 s that it may take."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (140, 140))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: None)
    assert connect.OTHER_FILES == 100
    world = World(size=80, sparse=False)
    async with Sandbox(world, clock=clock.now, latency_s=0.3) as sandbox:
        settings = configured(sandbox, workers=80)
        api = settings.api.model_copy(update={"timeout": 2.0})
        result = await run(replace(settings, api=api), clock)
        arrived = len(sandbox.calls)
    assert (result.failures, result.retries) == ((), 0)
    assert result.calls + result.token_calls == arrived == 3 * 80


async def test_connections_to_mongodb_are_few(database: Database) -> None:
    """Its pool fills on hosts with many processors, since motor runs five threads for each."""
    assert database.client.delegate.options.pool_options.max_pool_size <= connect.OTHER_FILES // 2


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


@contextmanager
def _halted(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _standing_still(counted: Callable[[], int]) -> int:
    """Return the count once it hasn't changed for a while."""
    before = -1
    while before != counted():
        before = counted()
        await asyncio.sleep(0.3)
    return before


async def test_calls_stop_while_mongodb_is_halted(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue of 16 windows, 8 accounts with 4 calls in flight each: these are finished, and no more are made."""
    max_queued, workers = 16, 8
    monkeypatch.setattr(writer_module, "MAX_QUEUED", max_queued)
    put, most_seen = Writer.put, 0

    async def seen(self: Writer, update: Update) -> None:
        nonlocal most_seen
        await put(self, update)
        most_seen = max(most_seen, self._queue.qsize())

    monkeypatch.setattr(Writer, "put", seen)
    pid = (await database.client.admin.command("serverStatus"))["pid"]
    world, since = World(size=workers, sparse=False), NEWEST - (7 * 60 - 1) * ONE_DAY
    async with Sandbox(world, clock=clock.now, latency_s=0.002) as sandbox:
        running = asyncio.create_task(run(configured(sandbox, since=since, workers=workers), clock))
        while len(sandbox.calls) < 200:  # noqa: ASYNC110 - the sandbox sets no event
            await asyncio.sleep(0.001)
        with _halted(pid):
            then = len(sandbox.calls)
            halted = await _standing_still(lambda: len(sandbox.calls))
            assert not running.done()
        result = await running
    assert halted - then <= 2 * (max_queued + workers * MAX_IN_FLIGHT)
    assert most_seen == max_queued
    assert (result.error, result.exit, result.failures, result.retries) == (None, 0, (), 0)
    assert result.calls == 2 * 60 * workers
    found, expected = await stored(database), truth(world, Window(since, NEWEST))
    assert {key: found[key] for key in expected} == expected


async def test_loop_is_never_held(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop, callbacks_s: list[float]
) -> None:
    """10,000 accounts that lack twelve years: no callback uses more than 100 ms of the CPU of the loop's thread."""
    world = World(size=10_000)
    covered = Days.between(NEWEST - 6 * ONE_DAY, NEWEST)
    known = dict.fromkeys(("user_summary", "user_cumulate"), DatasetState(covered, refreshed_to=NEWEST))
    states = (AccountState(account.appid, account.name, datasets=known) for account in world.accounts)
    await database["accounts"].insert_many(map(to_document, states))

    class StopInHistory(Watch):
        windows = 0

        def window(self) -> None:
            self.windows += 1
            if self.windows == 20:
                stop.set(signal.SIGTERM)

    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=date(2014, 12, 1))
        await asyncio.sleep(0)  # what the preparation used doesn't count
        callbacks_s.clear()
        result = await run(settings, clock, stop, StopInHistory())
    assert (result.exit, result.total, result.failures) == (143, 10_000, ())
    assert max(callbacks_s) < MAX_CALLBACK_S


@linux
async def test_memory_is_independent_of_history(database: Database, mongod: str, tmp_path: Path) -> None:
    """Seven years need hardly more than one; kept in memory, their days alone would take 4 MB."""
    memory = []
    async with Sandbox(World(size=1), record=False) as sandbox:
        for since in ("2026-01-01", "2020-01-01"):
            file = tmp_path / f"{since}.yaml"
            options: dict[str, Any] = {"since": since, "workers": 2, "files": "1024 4096"}
            seen = await Process.run(file, f"{database.name}_{since[:4]}", mongod, sandbox, **options)
            assert seen.result["failures"] == []
            memory.append(seen.most_memory_kb)
            await database.client.drop_database(f"{database.name}_{since[:4]}")
    assert memory[1] - memory[0] < 2048, memory
