"""Targets, plans, and runs with their progress, for `run`, `backfill`, `check` and `demo`.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from collector.cli.options import Common
from collector.cli.places import Work
from collector.cli.printing import print_plans, print_result
from collector.cli.terminal import run_at_once, run_to_the_end, say

if TYPE_CHECKING:
    from collector.commands.work import Job
    from collector.completeness.plan import Target
    from collector.config import Settings
    from collector.model.results import RunResult
    from collector.runtime import Stop

T = TypeVar("T")


def days_of_backfill(since: date, until: date | None) -> dict[str, Any]:
    """Return the days of a backfill as keywords for `Target`."""
    import structlog

    from collector.errors import UsageError
    from collector.model.days import FIRST_DAY, beijing_day

    if since > beijing_day(datetime.now(UTC)):
        raise UsageError(f"--since {since} lies in the future: name a day that has passed")
    if until and until < since:
        raise UsageError(f"--since {since} lies after --until {until}: swap them")
    if since < FIRST_DAY:  # "everything" is a sensible wish, so it is no usage error
        structlog.get_logger().warning(f"--since {since} is moved to {FIRST_DAY}, the oldest day that WeChat keeps")
    return {"since": max(since, FIRST_DAY), "until": until}


def target_now(settings: Settings, **history: Any) -> Target:
    """Return the target as of now; `history` are the days of a backfill."""
    from collector.commands.plans import target_of
    from collector.runtime import Clock

    return replace(target_of(settings, Clock()), **history)


def today_at(at: time) -> datetime:
    """Return the instant at which it is `at` in Beijing today."""
    from collector.model.days import BEIJING

    return datetime.combine(datetime.now(BEIJING), at, BEIJING)


def run_or_plan(common: Common, job: Job, spread: Work, *, dry_run: bool) -> None:
    """Do a job, perhaps spread over other processes, and print its result; or print its plan alone."""
    from collector.commands.plans import plans
    from collector.errors import LeaseHeldError
    from collector.model.results import ExitCode
    from collector.runtime import Clock

    settings, selection, output = common
    if dry_run:
        print_plans(run_at_once(plans(settings, selection, job.target, Clock(), ignore_waits=job.ignore_waits)), output)
        return
    try:
        result = run_to_the_end(partial(collecting, settings, job, quiet=output.quiet, work=spread))
    except LeaseHeldError:
        if output.quiet:  # nothing failed, so there is nothing to print
            raise typer.Exit(ExitCode.LEASE) from None
        raise
    if selection.shard and not (result.total or result.exit or output.as_json or output.quiet):
        say(f"No account is in shard {selection.shard}: nothing to do.")
    else:
        print_result(result, output)
    raise typer.Exit(result.exit)


async def collecting(settings: Settings, job: Job, stop: Stop, *, quiet: bool = False, work: Work = None) -> RunResult:
    """Do a job, with its progress on stderr."""
    from collector.commands.collect import collect

    return await watched(partial(collect, settings, job, stop=stop, work=work), quiet=quiet, is_run=True)


async def watched(command: Callable[..., Awaitable[T]], *, quiet: bool, is_run: bool = False) -> T:
    """Run the command, with progress on stderr where that is a terminal; that of a run is logged elsewhere."""
    from rich.console import Console

    from collector.console.progress import progress
    from collector.runtime import Clock

    clock = Clock()
    async with progress(Console(stderr=True, quiet=quiet), clock, is_run=is_run) as watch:
        return await command(clock=clock, watch=watch)
