"""A coordinator with short times; to be killed, `python -m cluster.coordinator CONFIG SINCE ADDRESS FILES`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from collector import config
from collector.cluster.coordinator import Times
from collector.cluster.engine import Remote
from collector.cluster.spread import Spread
from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.model.results import RunResult
from collector.runtime import Clock, Stop
from collector.store import leases
from collector.store.held import LeaseTimes

QUICK = LeaseTimes(free_after_s=4, renew_every_s=0.5, lost_after_s=3, poll_s=0.1)
TIMES = Times(look_every_s=0.2, without_worker_s=10, lease=QUICK)


async def backfill(
    file: Path,
    since: date,
    place: Remote,
    stop: Stop | None = None,
    *,
    times: Times = TIMES,
    clock: Clock | None = None,
) -> RunResult:
    """Backfill all accounts of a configuration over a cluster."""
    settings = config.load([file], {}, datetime.now(UTC))
    job = Job(replace(target_of(settings, clock or Clock()), since=since), command="backfill")
    return await collect(settings, job, clock=clock or Clock(), stop=stop or Stop(), work=Spread(place, times=times))


if __name__ == "__main__":
    vars(leases)["TIMES"] = QUICK
    file, since, address, *files = sys.argv[1:]
    asyncio.run(backfill(Path(file), date.fromisoformat(since), Remote(address, *map(Path, files))))
