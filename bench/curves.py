"""How cost grows: with accounts, history, workers and latency; `python -m bench.curves` measures and draws it.

What comes of it is kept in build/curves.json; `--draw` draws that again, and measures nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench import plot, world
from bench.contest import COLLECTOR, FLOOR, contest
from bench.job import Job
from bench.measure import tell
from bench.scale import ALL_YEARS
from bench.site import Site, opened, server

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "build" / "curves.json"
PICTURE = ROOT / "docs" / "images" / "curves.svg"
ENOUGH_CALLS = 4_000
"""A point with fewer calls is measured again, so that the noise of a process's start doesn't show."""

MOST_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Point:
    """One place on a curve: `x` is the value of what grows, the rest is the work."""

    curve: str
    x: float
    accounts: int
    weeks: int
    workers: int = 64
    latency_s: float = 0.0


def points() -> Iterator[Point]:
    """All places, curve by curve."""
    for accounts in (100, 300, 1_000, 3_000, 10_000):
        yield Point("accounts", accounts, accounts, 4)
    for weeks in (1, 4, 13, 52, 156, ALL_YEARS):
        yield Point("weeks of history", min(weeks, 626), 100, weeks)
    for workers in (8, 32, 128, 512):
        yield Point("workers", workers, 512, 4, workers=workers)
    for latency_ms in (0, 30, 100, 300):
        yield Point("latency in ms", latency_ms, 256, 8, latency_s=latency_ms / 1000)


def measure(site: Site, point: Point) -> dict[str, Any]:
    """What the collector costs at a point, and what the floor does."""
    newest = world.newest_day()
    with server(point.latency_s) as listening:
        since = world.since(point.weeks, newest)
        job = Job(listening.url, site.uri, "", point.accounts, str(since), str(newest), point.workers)
        rounds = max(1, min(MOST_ROUNDS, ENOUGH_CALLS // job.calls))
        done = contest(site, listening, job, (FLOOR, COLLECTOR), rounds=rounds)
    full = done.full[COLLECTOR]
    found = {
        "curve": point.curve,
        "x": point.x,
        "calls": job.calls,
        "cpu_us": median(done.cpu_us(COLLECTOR)),
        "floor_cpu_us": median(done.cpu_us(FLOOR)),
        "peak_mib": median(run.cost.peak_mib for run in full),
        "calls_per_s": median(run.calls_per_s for run in full),
    }
    tell(f"{point.curve} {point.x:g}: {found['cpu_us']:.0f} µs a call, {found['peak_mib']:.0f} MiB")
    return found


def measure_all() -> list[dict[str, Any]]:
    """All points, over one mongod."""
    with opened() as site:
        return [measure(site, point) for point in points()]


def main(*, draw_only: bool) -> None:
    """Measure, keep, draw."""
    if not draw_only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_bytes(orjson.dumps(measure_all(), option=orjson.OPT_INDENT_2))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(plot.picture(orjson.loads(RESULTS.read_bytes())))
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.curves", description=__doc__)
    parser.add_argument("--draw", action="store_true", help="draw what was measured last")
    main(draw_only=parser.parse_args().draw)
