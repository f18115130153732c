"""`make chaos`: run storms one after the other, then schedules, until one leaves something wrong; then the trials."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from chaos.host import Host, MovedClock, host
from chaos.plan import Plan, draw
from chaos.replicas import ReplicaSet, replica_set
from chaos.report import line, table, trial_line
from chaos.schedules import schedules
from chaos.storm import Outcome, storm
from chaos.trials import trials

from collector.cli.terminal import say

MAX_PRINTED = 20


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[ReplicaSet, Host, Path]]:
    """Open a replica set, a host of collectors and a folder."""
    with tempfile.TemporaryDirectory(prefix="collector-storms-") as name:
        folder = Path(name)
        async with replica_set() as replicas, host(MovedClock(folder / "clock")) as machine:
            yield replicas, machine, folder


async def storms(plans: Iterable[Plan], keep: Path | None = None) -> AsyncGenerator[Outcome, None]:
    """Run the storms one after the other over one replica set.

    The output of a storm's collectors is copied to `keep` if anything is wrong after it.
    """
    async with opened() as (replicas, machine, folder):
        for plan in plans:
            site = folder / str(plan.seed)
            site.mkdir()
            try:
                outcome = await storm(plan, replicas, machine, site)
            except Exception as error:
                error.add_note(f"in the storm of the seed {plan.seed}")
                raise
            if keep and outcome.wrong:
                shutil.copytree(site, keep / site.name, dirs_exist_ok=True)
            shutil.rmtree(site)
            yield outcome


async def main(first_seed: int, number: int, schedule_number: int, keep: Path | None) -> int:
    """Run the storms, then the schedules and the trials; return 1 where something is wrong."""
    _end_at_signals()
    plans = map(draw, range(first_seed, first_seed + number))
    seeds = range(first_seed, first_seed + schedule_number)
    return (
        await _series(storms(plans, keep), "storm", "STORMS=1 SCHEDULES=0")
        or await _series(schedules(seeds, keep), "schedule", "STORMS=0 SCHEDULES=1")
        or await _trials(keep)
    )


async def _series(outcomes: AsyncGenerator[Outcome, None], kind: str, again: str) -> int:
    """Print a line for each outcome and the table of all; return 1 at the first that has something wrong."""
    seen: list[Outcome] = []
    async with aclosing(outcomes) as running:
        async for outcome in running:
            seen.append(outcome)
            say(line(outcome, kind))
            if outcome.wrong:
                break
    if not seen:
        return 0
    say(f"\n{table(seen, kind)}\n")
    if not (wrong := seen[-1].wrong):
        return 0
    say("\n".join([*wrong[:MAX_PRINTED], f"\nAgain: make chaos {again} SEED={seen[-1].seed}"]))
    return 1


async def _trials(keep: Path | None) -> int:
    """Print a line for each trial, and what is wrong after it; return 1 if anything is."""
    failed = 0
    async with opened() as (replicas, machine, folder):
        async for trial, seconds, wrong in trials(replicas, machine, folder):
            say("\n".join([trial_line(trial, seconds, wrong), *wrong[:MAX_PRINTED]]))
            failed += bool(wrong)
        if keep and failed:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
    if failed:
        say("\nAgain: make chaos STORMS=0")
    return int(failed > 0)


def _end_at_signals() -> None:
    """Clean up at SIGTERM and SIGHUP as asyncio does at Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--storms", type=int, default=200)
    parser.add_argument("--schedules", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for the logs of what leaves something wrong")
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    try:
        sys.exit(asyncio.run(main(given.seed, given.storms, given.schedules, given.keep)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit("chaos: stopped")
