"""Host of a storm's collectors, which run one at a time, and the clock that the storm moves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from chaos import processes
from chaos.launcher import OFFSET

TESTS = Path(__file__).parent.parent
MAX_S = 90.0
"""Seconds in which a collector must end by itself; in a hurry it counts them as ten times as many."""


class HungError(Exception):
    """A collector didn't end by itself; its log has the stack."""


class MovedClock:
    """WeChat's clock, which the storm moves; the host's, in `file`, may be off by some seconds."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._offset = timedelta(0)
        self._skew = timedelta(0)
        self._write()

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        return datetime.now(UTC) + self._offset

    def set(self, instant: datetime) -> None:
        """Set both clocks to `instant`."""
        self._offset, self._skew = instant - datetime.now(UTC), timedelta(0)
        self._write()

    def jump(self, by: timedelta) -> None:
        """Move both clocks."""
        self._offset += by
        self._write()

    def skew(self, by: timedelta) -> None:
        """Let the host's clock be `by` ahead of WeChat's, or behind it."""
        self._skew = by
        self._write()

    def _write(self) -> None:
        part = self.file.with_suffix(".part")
        part.write_bytes(OFFSET.pack((self._offset + self._skew).total_seconds()))
        part.replace(self.file)


class Collector:
    """Process of a collector, which can be signalled; `ended` gives its exit code."""

    def __init__(self, pid: int, ended: asyncio.Task[int], output: Path, log: Path) -> None:
        self.pid = pid
        self.ended = ended
        self.output = output
        self._log = log

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; returns whether the process was still there."""
        if self.ended.done():
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False

    async def exit(self) -> int:
        """Wait for the exit code. Raises `HungError` when that takes too long."""
        try:
            return await asyncio.wait_for(asyncio.shield(self.ended), MAX_S)
        except TimeoutError:
            self.signal(signal.SIGUSR2)
            await asyncio.sleep(1)
            self.signal(signal.SIGKILL)
            await self.ended
            raise HungError(f"a collector didn't end within {MAX_S:g} s: see {self._log}") from None


class Host:
    """Host that starts collectors through `launcher.py`."""

    def __init__(self, launcher: asyncio.subprocess.Process, clock: MovedClock) -> None:
        self.clock = clock
        self._launcher = launcher

    async def start(self, arguments: Sequence[str], output: Path, log: Path, *, hurried: bool) -> Collector:
        """Start a collector, in a hurry or not, once the previous one has ended."""
        assert self._launcher.stdin is not None
        request = {"arguments": arguments, "output": str(output), "log": str(log), "hurried": hurried}
        self._launcher.stdin.write(orjson.dumps(request) + b"\n")
        pid = await self._answer()
        return Collector(pid, asyncio.create_task(self._answer()), output, log)

    async def _answer(self) -> int:
        assert self._launcher.stdout is not None
        line = await self._launcher.stdout.readline()
        return int(line) if line else -signal.SIGKILL  # the launcher's end is that of what it started


@asynccontextmanager
async def host(clock: MovedClock, *, cwd: Path | None = None, through: Sequence[str] = ()) -> AsyncIterator[Host]:
    """Open a host whose clock is `clock`; its processes are killed at the end.

    They run in `cwd`, started by the command `through`, such as one that makes them another user's.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    pipe = asyncio.subprocess.PIPE
    launcher = await processes.start(
        (*through, sys.executable, "-m", "chaos.launcher", str(clock.file)),
        cwd=cwd,
        stdin=pipe,
        stdout=pipe,
        env={**kept, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert launcher.stdout is not None
        await launcher.stdout.readline()  # it is ready
        yield Host(launcher, clock)
    finally:
        await processes.kill(launcher)
