"""`make bench`: measure the scenarios, print the ratios beside their targets, and keep everything as JSON."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from bench import figures, world
from bench.measure import BenchError, tell
from bench.scale import FULL, SHORT, Scale
from bench.scenarios import SCENARIOS, Bench, Outcome
from bench.site import opened

HERE = Path(__file__).parent
RESULTS = HERE.parent / "build" / "bench.json"
RECORDED = HERE / "recorded.json"
GUARDED = ("history", "tls", "daily", "latency", "rate", "years")
"""The scenarios with figures that mean the same on every machine, as seconds and bytes mostly don't."""


def measure(names: Sequence[str], scale: Scale) -> Iterator[tuple[str, Outcome]]:
    """Run the scenarios one after the other, over one mongod."""
    with opened() as site:
        bench = Bench(site, scale, world.newest_day())
        for name in names:
            tell(f"{name}: {SCENARIOS[name].__doc__}")
            yield name, SCENARIOS[name](bench)


def keep(name: str, outcome: Outcome) -> None:
    """Replace what is kept of the same scenario by the outcome."""
    kept = orjson.loads(RESULTS.read_bytes()) if RESULTS.exists() else {"scenarios": {}}
    kept["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    kept["scenarios"][name] = asdict(outcome)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def tables() -> list[list[tuple[str, ...]]]:
    """Print the kept ratios, and the measurements behind them."""
    scenarios = orjson.loads(RESULTS.read_bytes())["scenarios"]
    measured = {name: values for each in scenarios.values() for name, values in each["figures"].items()}
    contests = {name: each["runs"] for name, each in scenarios.items() if name in ("history", "tls", "daily")}
    return [figures.rows(measured), *([figures.cost_rows(contests)] if contests else [])]


def guard(*, record: bool) -> int:
    """Measure the short form; return 1 when a figure is far worse than the recorded one."""
    measured = {name: values for _, outcome in measure(GUARDED, SHORT) for name, values in outcome.figures.items()}
    print(figures.aligned(figures.rows(measured)))
    if record:
        RECORDED.write_bytes(orjson.dumps(figures.guarded(measured), option=orjson.OPT_INDENT_2) + b"\n")
        return 0
    worse = figures.regressions(measured, orjson.loads(RECORDED.read_bytes()))
    holds = "\nThe guard holds: none of these misses its target and is twice as bad as in bench/recorded.json."
    print(*(worse or [holds]), sep="\n")
    return 1 if worse else 0


def main(arguments: argparse.Namespace) -> int:
    """Run the bench by its arguments."""
    if arguments.guard or arguments.record:
        return guard(record=arguments.record)
    if arguments.table:
        print(*map(figures.markdown, tables()), sep="\n\n")
        return 0
    for name, outcome in measure(arguments.scenarios or list(SCENARIOS), FULL):
        keep(name, outcome)
    print(*map(figures.aligned, tables()), sep="\n\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}; all if none is named"
    )
    parser.add_argument("--guard", action="store_true", help="the short form: fail on a gross regression alone")
    parser.add_argument("--record", action="store_true", help="the short form: record its figures for the guard")
    parser.add_argument("--table", action="store_true", help="print the tables of the last results for a page")
    arguments = parser.parse_args()
    if unknown := set(arguments.scenarios) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main(_arguments()))
    except BenchError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
