"""Growth of cost with accounts, history, workers and latency; `python -m bench.curves` measures and draws it.

Each point is kept in build/curves.json as soon as it is measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
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
"""A point with fewer calls is measured again, to hide the noise of a process's start."""

MAX_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve: `x` is the value that grows, the rest is the work."""

    curve: str
    x: float
    accounts: int
    weeks: int
    workers: int = 64
    latency_s: float = 0.0


def points() -> Iterator[Point]:
    """Return all points, curve by curve."""
    for accounts in (100, 300, 1_000, 3_000, 10_000):
        yield Point("accounts", accounts, accounts, 4)
    for weeks in (1, 4, 13, 52, 156, ALL_YEARS):
        yield Point("history in weeks", min(weeks, 626), 100, weeks)
    for workers in (8, 32, 128, 512):
        yield Point("workers", workers, 512, 4, workers=workers)
    for latency_ms in (0, 30, 100, 300):
        yield Point("latency in ms", latency_ms, 256, 8, latency_s=latency_ms / 1000)


def measure(site: Site, point: Point) -> dict[str, Any]:
    """Measure the collector and the floor at a point."""
    newest = world.newest_day()
    with server(point.latency_s) as listening:
        since = world.since(point.weeks, newest)
        job = Job(listening.url, site.uri, "", point.accounts, str(since), str(newest), point.workers)
        rounds = max(1, min(MAX_ROUNDS, ENOUGH_CALLS // job.calls))
        done = contest(site, listening, job, dict.fromkeys((FLOOR, COLLECTOR), job.workers), rounds=rounds)
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


def keep(found: dict[str, Any]) -> None:
    """Replace what is kept of the same point by what was measured."""
    kept = orjson.loads(RESULTS.read_bytes()) if RESULTS.exists() else []
    others = [each for each in kept if (each["curve"], each["x"]) != (found["curve"], found["x"])]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(orjson.dumps([*others, found], option=orjson.OPT_INDENT_2))


def draw() -> None:
    """Draw the kept points."""
    places = [(point.curve, point.x) for point in points()]
    kept = {(each["curve"], each["x"]): each for each in orjson.loads(RESULTS.read_bytes())}
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(plot.picture([kept[place] for place in places if place in kept]))
    print(PICTURE.relative_to(ROOT))


def main(curves: Sequence[str]) -> None:
    """Measure these curves, keep the points, and draw all that are kept."""
    with opened() as site:
        for point in points():
            if point.curve.split()[0] in curves:
                keep(measure(site, point))
    draw()


if __name__ == "__main__":
    names = list(dict.fromkeys(point.curve.split()[0] for point in points()))
    parser = argparse.ArgumentParser(prog="bench.curves", description=__doc__)
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=f"of {', '.join(names)}; else all")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw what is kept")
    arguments = parser.parse_args()
    if arguments.draw:
        draw()
    else:
        main(arguments.curves or names)
