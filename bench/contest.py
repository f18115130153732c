"""Contestants, and a contest between them: interleaved, repeated, each run in a process of its own, and checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import orjson

from bench.job import Job
from bench.measure import BenchError, Cost, measured, python, tell
from bench.site import UNPACED, USUAL, Run, Server, Site

Command = Callable[[Site, Job, Run], list[str]]


def _floor(_site: Site, job: Job, _run: Run) -> list[str]:
    return python("bench.floor", job.as_argument())


def _wechatpy(_site: Site, job: Job, _run: Run) -> list[str]:
    return python("bench.wechatpy_threads", job.as_argument())


def _collector(site: Site, job: Job, run: Run) -> list[str]:
    command = ["backfill", "--since", job.since] if len(job.windows) > 1 else ["run"]
    return python("collector", *command, "--json", "--config", site.configuration(job, run))


MAX_SHARE_OF_CORE = 0.9
"""With a larger share of a core the server itself may slow the contestants down."""


def _two_processes(site: Site, job: Job, run: Run) -> list[str]:
    return [*_collector(site, job, run), "--processes", "2"]


FLOOR, WECHATPY, COLLECTOR, COLLECTOR_64 = "floor", "wechatpy", "collector", "collector, 64 workers"
TWO_PROCESSES = "collector, 2 processes"
CONTESTANTS: Mapping[str, Command] = {
    FLOOR: _floor,
    WECHATPY: _wechatpy,
    COLLECTOR: _collector,
    COLLECTOR_64: _collector,
    TWO_PROCESSES: _two_processes,
}
TURNS: Mapping[str, int] = {TWO_PROCESSES: 2}
"""Times that a contestant fetches the token of an account with history: another process may fill that."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one contestant: its cost, what the server saw, the collector's own result, and mongod's CPU."""

    cost: Cost
    seen: Mapping[str, Any]
    said: Mapping[str, Any]
    mongod_cpu_s: float

    @property
    def calls_per_s(self) -> float:
        """Return the data calls a second, from the first to the last as the server saw them."""
        seconds = self.seen["last_s"] - self.seen["first_s"]
        return float(self.seen["calls"] / seconds) if seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of the run."""
        cost = {name: value for name, value in asdict(self.cost).items() if name not in ("stdout", "exit", "began_s")}
        seen = {name: value for name, value in self.seen.items() if name not in ("first_s", "last_s")}
        return cost | {"server": seen, "calls_per_s": self.calls_per_s}


def run(site: Site, server: Server, contestant: str, job: Job, how: Run = USUAL) -> Measured:
    """Run one contestant on the job, whose database exists. Raises `BenchError` unless the job is done in full."""
    command = CONTESTANTS[contestant](site, job, how)
    server.taken()
    before_s = site.mongod_cpu_s()
    cost = measured(command, server.authority)
    seen = server.taken()
    said = orjson.loads(cost.stdout) if cost.stdout else {}
    asked = (seen["calls"], seen["token_calls"])
    wanted = (job.calls, job.size * (TURNS.get(contestant, 1) if len(job.windows) > 1 else 1))
    if asked != wanted:
        raise BenchError(f"{contestant} made {asked} calls for data and tokens instead of {wanted}")
    if said and (said["status"], said["calls"], said["days"]) != ("ok", job.calls, job.days):
        raise BenchError(f"the collector says {said}")
    site.check(job)
    done = Measured(cost, seen, said, site.mongod_cpu_s() - before_s)
    tell(f"{contestant}: {job.calls} calls, {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s of CPU, {cost.peak_mib:.0f} MiB")
    if (share := seen["cpu_s"] / cost.wall_s) > MAX_SHARE_OF_CORE:
        tell(f"the server used {share:.0%} of a core: it is what was measured")
    return done


@dataclass(frozen=True, slots=True)
class Contest:
    """The runs of each contestant, and as many of a single account and window, whose CPU is that of the start."""

    full: Mapping[str, Sequence[Measured]]
    least: Mapping[str, Sequence[Measured]]

    def cpu_us(self, contestant: str) -> list[float]:
        """Return the microseconds of client CPU of a data call, by round, without the CPU of the start."""
        start_s = median(each.cost.cpu_s for each in self.least[contestant])
        calls = self.least[contestant][0].seen["calls"]
        return [(each.cost.cpu_s - start_s) / (each.seen["calls"] - calls) * 1e6 for each in self.full[contestant]]

    def cpu_ratios(self, contestant: str, other: str) -> list[float]:
        """Return the CPU of one contestant in multiples of another's, by round."""
        return [ours / theirs for ours, theirs in zip(self.cpu_us(contestant), self.cpu_us(other), strict=True)]

    def pace_ratios(self, contestant: str, other: str) -> list[float]:
        """Return the calls a second of one contestant in multiples of another's, by round."""
        pairs = zip(self.full[contestant], self.full[other], strict=True)
        return [ours.calls_per_s / theirs.calls_per_s for ours, theirs in pairs]

    def as_json(self) -> dict[str, list[dict[str, Any]]]:
        """Return what is kept of the contest, by contestant and round."""
        return {
            name: [
                {"cpu_us": cpu_us, "start_cpu_s": least.cost.cpu_s, "full": full.as_json()}
                for cpu_us, full, least in zip(self.cpu_us(name), runs, self.least[name], strict=True)
            ]
            for name, runs in self.full.items()
        }


def contest(
    site: Site,
    server: Server,
    job: Job,
    contestants: Mapping[str, int],
    *,
    rounds: int,
    seed: str | None = None,
) -> Contest:
    """Run the contestants, with so many workers each, in turns, so that the machine's drift is the same for all.

    No account of the collector's waits for its pace, since the others keep none. Each run has a database of its own;
    those of the whole job begin as `seed`.
    """
    full: dict[str, list[Measured]] = defaultdict(list)
    least: dict[str, list[Measured]] = defaultdict(list)
    for _ in range(rounds):
        for name, workers in contestants.items():
            whole = replace(job, workers=workers)
            least[name].append(alone(site, server, name, _least(whole), how=UNPACED))
            full[name].append(alone(site, server, name, whole, how=UNPACED, seed=seed))
    return Contest(full, least)


def alone(
    site: Site, server: Server, contestant: str, job: Job, *, how: Run = USUAL, seed: str | None = None
) -> Measured:
    """Run once into a database of its own, which starts as a copy of `seed`."""
    with site.database(seed) as name:
        return run(site, server, contestant, replace(job, database=name), how)


def _least(job: Job) -> Job:
    """Return the job of the first account and its newest window."""
    return replace(job, size=1, since=job.windows[0].begin)
