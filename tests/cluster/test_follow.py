"""`run --follow` over a cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from cluster.coordinator import TIMES
from cluster.hosts import Cluster, hosts_of
from support import RecordingWatch, stored, truth

from collector import config
from collector.cluster.spread import Spread
from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.completeness import rounds
from collector.model.days import ONE_DAY, Window, newest_published
from collector.runtime import Clock, Stop
from collector.sandbox import World
from collector.store.database import Database

SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"


@dataclass(frozen=True)
class LateWorld(World):
    """World whose newest day is published once `there` holds something."""

    there: list[bool] = field(default_factory=list, compare=False)

    def publication(self, appid: str, day: date) -> time:
        return time(0) if self.there else time(23, 59, 59)


class PausingWatch(RecordingWatch):
    """Watch that lets the newest day be published in the first pause."""

    def __init__(self, world: LateWorld) -> None:
        super().__init__()
        self.world = world

    def pause(self, text: str) -> None:
        self.world.there.append(True)


async def test_rounds(
    tmp_path: Path, mongod: str, database: Database, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers are asked for the pending accounts alone, and for history last."""
    monkeypatch.setattr(rounds, "ROUND_S", 0.2)
    world, newest = LateWorld(size=6, sparse=False), newest_published(datetime.now(UTC), time(0))
    since = newest - 27 * ONE_DAY
    content = {"run": {"published_at": "00:00"}, "defaults": {"since": str(since)}}
    async with hosts_of(["host"], world, tmp_path, mongod, database, content) as hosts:
        host = hosts["host"]
        await cluster.add("good", host.config)
        await cluster.ready(1)
        settings = config.load([host.config], {}, datetime.now(UTC))
        job = Job(target_of(settings, Clock()), follow_until=datetime.now(UTC) + timedelta(hours=1))
        work, watch = Spread(cluster.place, times=TIMES), PausingWatch(world)
        result = await collect(settings, job, clock=Clock(), stop=Stop(), watch=watch, work=work)
    assert (result.exit, result.error, result.windows_left) == (0, None, 0)
    assert await stored(database) == truth(world, Window(since, newest))
    # Of the newest week: both calls in the first round, the total and then the rest in the second.
    calls = Counter(call.path for call in host.sandbox.calls if call.end_date == str(newest))
    assert calls == {CUMULATE: 12, SUMMARY: 12}
