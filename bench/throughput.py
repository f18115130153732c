"""How fast the collector is where the network is slow, and how near it comes to an account's rate.

Two measurements, each against the sandbox and a real mongod on this machine:

* latency-bound: 500 accounts of 26 weeks, 100 ms an answer, 16 workers, 1000/s: 16 workers with 4 calls of
  100 ms in flight could make 640 data calls a second. The sandbox is a process of its own.
* rate-bound: 100 accounts at 5/s, as the server sees them.

Speed differs between machines, so nothing here is asserted.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from collector import config
from collector.collect import Job, collect, target_of
from collector.config import Settings
from collector.days import beijing_day
from collector.model import Rate, RunResult, Secret
from collector.sandbox import Sandbox, World
from collector.store.local import local_mongod
from collector.wechat.waits import Clock, Stop

IN_FLIGHT = 4


@contextlib.asynccontextmanager
async def sandbox_process(accounts: int, latency_s: float) -> AsyncIterator[str]:
    """Serve a sandbox in a process of its own; gives its configuration."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "collector", "sandbox", "--port", "0"),
        *("--accounts", str(accounts), "--latency", str(latency_s)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stderr is not None
    lines = [await server.stdout.readline()]
    while lines[-1].strip():
        lines.append(await server.stdout.readline())
    await server.stderr.readline()
    try:
        yield b"".join(lines).decode()
    finally:
        server.send_signal(signal.SIGINT)
        await server.wait()


def settings_of(text: str, folder: Path, uri: str, *, rate: Rate, weeks: int, workers: int) -> Settings:
    """The settings of a sandbox's configuration, with what the measurement asks for."""
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(text)
    settings = config.load([file], {}, datetime.now(UTC))
    since = beijing_day(datetime.now(UTC)) - timedelta(days=7 * weeks)
    changed: dict[str, Any] = {"rate_limit": rate, "since": since}
    return replace(
        settings,
        mongodb=settings.mongodb.model_copy(update={"uri": Secret(uri), "database": f"bench_{weeks}_{workers}"}),
        run=settings.run.model_copy(update={"workers": workers}),
        accounts=tuple(replace(account, **changed) for account in settings.accounts),
    )


async def _run(settings: Settings) -> RunResult:
    result = await collect(settings, Job(target_of(settings, Clock())), clock=Clock(), stop=Stop())
    if result.failures or result.error:
        sys.exit(f"the run failed: {result.error or result.failures[0]}")
    return result


async def latency_bound(folder: Path, uri: str) -> str:
    """Data calls a second of 16 workers where an answer takes 100 ms."""
    workers, latency_s = 16, 0.1
    async with sandbox_process(500, latency_s) as text:
        result = await _run(settings_of(text, folder, uri, rate=Rate(1000, 1), weeks=26, workers=workers))
    most = workers * IN_FLIGHT / latency_s
    rate = result.calls / result.seconds
    return (
        f"latency-bound  {rate:5.0f} of {most:.0f} data calls a second  {rate / most:6.1%}   ({result.seconds:.1f} s)"
    )


async def rate_bound(folder: Path, uri: str) -> str:
    """How much of 5/s each of 100 accounts gets, and the most calls of one in any second, as the server sees them."""
    rate = Rate(5, 1)
    async with Sandbox(World(size=100)) as sandbox:
        await _run(settings_of(sandbox.config_yaml(), folder, uri, rate=rate, weeks=20, workers=100))
        arrivals: dict[str | None, list[float]] = defaultdict(list)
        for call in sandbox.calls:
            if call.path.startswith("/datacube/"):
                arrivals[call.appid].append(call.arrived_s)
    rates = [(len(times) - 1) / (times[-1] - times[0]) for times in map(sorted, arrivals.values())]
    most = max(sum(first <= other < first + 1 for other in times) for times in arrivals.values() for first in times)
    slowest = min(rates)
    share = slowest * rate.spacing_s
    return (
        f"rate-bound     {slowest:5.2f} of {rate}, the slowest account  {share:6.1%}   (at most {most} in any second)"
    )


async def main() -> None:
    """Measure both, and print a line for each."""
    with tempfile.TemporaryDirectory(prefix="collector-bench-") as name:
        folder = Path(name)
        async with local_mongod(folder / "mongod") as uri:
            for measure in (rate_bound, latency_bound):
                print(await measure(folder, uri), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
