"""Collectors run by a moving clock, as processes that can be killed, and none of them outlives the host."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from chaos import processes
from chaos.host import TESTS, Collector, Host, MovedClock, host
from chaos.launcher import HURRY, HurriedLoop, moved_now

from collector import __version__

INSTANT = datetime(2031, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock(tmp_path: Path) -> MovedClock:
    return MovedClock(tmp_path / "clock")


@pytest.fixture
async def machine(clock: MovedClock) -> AsyncIterator[Host]:
    async with host(clock) as machine:
        yield machine


async def _start(machine: Host, folder: Path, *arguments: str, hurried: bool = False) -> Collector:
    return await machine.start(arguments, folder / "out", folder / "log", hurried=hurried)


async def _serving(machine: Host, folder: Path) -> tuple[Collector, str]:
    """Start a process that stays: a sandbox, with its address."""
    (folder / "out").touch()
    collector = await _start(machine, folder, "sandbox", "--port", "0", "--accounts", "1")
    while not (address := re.search(r"http://127[\d.:]+", (folder / "out").read_text())):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return collector, address[0]


async def _now(url: str) -> datetime:
    """Return the clock of a sandbox, by the rid of a refusal."""
    async with aiohttp.ClientSession() as session, session.post(f"{url}/cgi-bin/stable_token") as response:
        rid = re.search(r"rid: ([0-9a-f]{8})", await response.text())
    assert rid
    return datetime.fromtimestamp(int(rid[1], 16), UTC)


@pytest.mark.parametrize("hurried", [False, True])
async def test_exit_code_and_output(machine: Host, tmp_path: Path, hurried: bool) -> None:
    collector = await _start(machine, tmp_path, "--version", hurried=hurried)
    assert (await collector.exit(), (tmp_path / "out").read_text()) == (0, f"collector {__version__}\n")
    collector = await _start(machine, tmp_path, "run", "-c", str(tmp_path / "none.yaml"), hurried=hurried)
    assert (await collector.exit(), (tmp_path / "out").read_text()) == (78, "")
    assert "none.yaml" in (tmp_path / "log").read_text()


async def test_clock_follows_in_mid_run(machine: Host, clock: MovedClock, tmp_path: Path) -> None:
    """A collector's clock is the moved one, and follows it while it runs."""
    clock.set(INSTANT)
    collector, url = await _serving(machine, tmp_path)
    assert timedelta(0) <= await _now(url) - INSTANT < timedelta(seconds=60)
    clock.jump(timedelta(days=3))
    collector.signal(signal.SIGUSR1)
    assert timedelta(0) <= await _now(url) - INSTANT - timedelta(days=3) < timedelta(seconds=60)
    clock.skew(timedelta(hours=-2))
    collector.signal(signal.SIGUSR1)
    assert timedelta(0) <= await _now(url) - INSTANT - timedelta(days=2, hours=22) < timedelta(seconds=60)
    collector.signal(signal.SIGKILL)
    assert await collector.exit() == -signal.SIGKILL
    assert collector.signal(signal.SIGKILL) is False


def test_host_clock_skew(clock: MovedClock) -> None:
    clock.set(INSTANT)
    clock.skew(timedelta(seconds=90))
    assert abs(moved_now(clock.file) - clock.now() - timedelta(seconds=90)) < timedelta(seconds=1)
    clock.set(INSTANT)
    assert abs(moved_now(clock.file) - clock.now()) < timedelta(seconds=1)


def test_hurried_loop_waits_a_tenth() -> None:
    began = time.monotonic()
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(asyncio.sleep(0.5))
    assert 0.5 / HURRY <= time.monotonic() - began < 0.5


async def test_no_process_outlives_its_host(clock: MovedClock, tmp_path: Path) -> None:
    async with host(clock) as machine:
        collector, _ = await _serving(machine, tmp_path)
    assert await collector.ended == -signal.SIGKILL
    await _until_gone(collector.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="a rule of Linux's kernel")
async def test_process_ends_with_killed_parent() -> None:
    code = (
        "import asyncio; from chaos import processes\n"
        "async def main():\n"
        "    process = await processes.start(('sleep', '600'))\n"
        "    print(process.pid, flush=True)\n"
        "    await process.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await processes.start(
        (sys.executable, "-c", code), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(TESTS)}
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    os.kill(child, 0)
    await processes.kill(parent)
    await _until_gone(child)


async def _until_gone(pid: int) -> None:
    async with asyncio.timeout(10):
        with suppress(FileNotFoundError, ProcessLookupError):
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":  # noqa: ASYNC110, ASYNC240
                await asyncio.sleep(0.005)
