"""The commands: the only place that configures logging, prints, and picks the exit code.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from collector.cli.config_commands import app as config_commands
from collector.cli.options import (
    Config,
    DryRun,
    Json,
    LogForm,
    Names,
    Quiet,
    Shown,
    Tags,
    Verbose,
    Wait,
    chosen,
    day,
    shown_as,
)
from collector.cli.terminal import LogFormat, complain, pretty, run_at_once, run_to_the_end, say

if TYPE_CHECKING:  # the rest of the collector is imported by the commands that need it
    from collector.commands.collect import Job
    from collector.completeness.plan import Target
    from collector.config import Selection, Settings
    from collector.model.findings import Checks
    from collector.model.results import RunResult
    from collector.runtime import Stop

app = typer.Typer(
    help="Collect the follower figures of many WeChat official accounts into MongoDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(config_commands, name="config")


@app.callback(invoke_without_command=True)
def _collector(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from collector import __version__

        say(f"collector {__version__}")
        raise typer.Exit


@app.command()
def run(
    wait: Wait = 0.0,
    dry_run: DryRun = False,
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Collect what is missing, and the last days again: the daily job."""
    from collector.commands.collect import Job

    shown = shown_as(as_json, verbose, quiet, log_format)
    settings, selection = chosen(config, account, tag)
    target = _target(settings)
    if dry_run:
        _print_plans(settings, selection, target, shown)
    else:
        _do(settings, Job(target, selection, "run", wait), shown)


@app.command()
def backfill(
    since: Annotated[date, typer.Option("--since", parser=day, metavar="DAY", help="The oldest day wanted.")],
    until: Annotated[
        date | None, typer.Option("--until", parser=day, metavar="DAY", help="The newest day wanted. Default: all.")
    ] = None,
    refetch: Annotated[bool, typer.Option("--refetch", help="Ask for days again that are stored.")] = False,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Go on where an account seems to have begun.")
    ] = False,
    wait: Wait = 0.0,
    dry_run: DryRun = False,
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Do the daily job, then fill the history, newest days first.

    Only what is missing is asked for, so it can be stopped and started at any moment.
    """
    from collector.commands.collect import Job

    shown = shown_as(as_json, verbose, quiet, log_format)
    settings, selection = chosen(config, account, tag)
    wanted = _history(since, until)
    target = _target(settings, **wanted, refetch=refetch, exhaustive=exhaustive)
    if dry_run:
        _print_plans(settings, selection, target, shown)
    else:
        _do(settings, Job(target, selection, "backfill", wait), shown)


@app.command()
def status(
    max_age: Annotated[
        int | None,
        typer.Option("--max-age", min=0, metavar="DAYS", help="Exit 3 where an account is more than DAYS behind."),
    ] = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Show the missing days and breaks of the figures too.")] = False,
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Show where each account stands, worst first."""
    from collector.commands.status import status as look
    from collector.commands.verify import gaps as find_gaps
    from collector.console import status as standing
    from collector.console import verify as findings

    shown = shown_as(as_json, verbose, quiet, log_format)
    settings, selection = chosen(config, account, tag)
    found = run_at_once(look(settings, selection, datetime.now(UTC)))
    lacking = run_at_once(find_gaps(settings, selection, _target(settings))) if gaps else []
    if shown.as_json:
        say(pretty(standing.as_json(found, max_age) | ({"gaps": findings.gaps_json(lacking)} if gaps else {})))
    elif not quiet:
        say("\n\n".join(filter(None, (standing.as_text(found, max_age, width=_width()), findings.gaps_text(lacking)))))
    elif max_age is not None and (text := standing.too_old_text(found, max_age)):
        say(text)
    raise typer.Exit(3 if max_age is not None and standing.too_old(found, max_age) else 0)


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Make the state what the documents say.")] = False,
    wait: Wait = 0.0,
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Compare what is known with what is stored.

    And check that the figures add up.
    """
    from collector.commands.verify import verify as compare
    from collector.console import verify as findings

    shown = shown_as(as_json, verbose, quiet, log_format)
    settings, selection = chosen(config, account, tag)
    target = _target(settings)
    verified = run_at_once(compare(settings, selection, target, repair=repair, wait_s=wait))
    if shown.as_json:
        say(pretty(findings.as_json(verified)))
    elif verified.exit or not quiet:
        say(findings.as_text(verified))
    raise typer.Exit(verified.exit)


@app.command()
def check(
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Try each account, and list the refused IPs.

    It asks for the token, each dataset, and what is left of the quota: two data calls an account, three at most.
    Nothing is stored.
    """
    from collector.console import check as checked

    shown = shown_as(as_json, verbose, quiet, log_format)
    settings, selection = chosen(config, account, tag)
    checks = run_at_once(_check(settings, selection, quiet=quiet))
    if shown.as_json:
        say(pretty(checked.as_json(checks)))
    elif not quiet:
        say(checked.as_text(checks, width=_width()))
    elif text := checked.failed_text(checks, width=_width()):
        say(text)
    raise typer.Exit(checks.result.exit)


@app.command()
def demo(verbose: Verbose = 0, quiet: Quiet = False, log_format: LogForm = LogFormat.TEXT) -> None:
    """Try it all: a run over a pretend WeChat, into a local mongod."""
    from collector.commands.demo import demo as demonstrate

    shown = shown_as(False, verbose, quiet, log_format)
    done = run_to_the_end(lambda stop: demonstrate(stop, partial(_collect, quiet=quiet)))
    _print_result(done.result, shown)
    if done.document and done.result.stopped_by is None:
        say(f"\nOne of the documents, as it is in MongoDB:\n\n{pretty(done.document)}")
    raise typer.Exit(done.exit)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = 8799,
    accounts: Annotated[int, typer.Option("--accounts", min=1, max=10_000, help="How many accounts it has.")] = 50,
    seed: Annotated[int, typer.Option("--seed", help="Another seed makes another world.")] = 0,
    latency: Annotated[float, typer.Option("--latency", min=0, help="Seconds that each answer takes.")] = 0.0,
) -> None:
    """Serve a pretend WeChat to develop against.

    Its configuration goes to stdout; it serves on this machine alone, until Ctrl-C.
    """
    from collector.errors import UsageError
    from collector.sandbox import Sandbox, World

    async def serve() -> None:
        async with Sandbox(World(seed=seed, size=accounts), port=port, latency_s=latency, record=False) as server:
            say(server.config_yaml())
            complain(f"a pretend WeChat listens on {server.url} until Ctrl-C")
            await asyncio.Event().wait()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise UsageError(f"port {port} can't be had ({error.strerror}): name another with --port") from None


def main() -> NoReturn:
    """Run the command line: `collector`, and `python -m collector`."""
    from collector.errors import CollectorError, ConfigError, LeaseHeldError, UsageError

    try:
        app(_with_seconds(sys.argv[1:]))
    except ConfigError as error:
        many = [f"{len(error.faults)} faults in the configuration:"] if len(error.faults) > 1 else []
        complain(*many, *error.faults)
        sys.exit(78)
    except CollectorError as error:
        complain(error)
        sys.exit({UsageError: 2, LeaseHeldError: 11}.get(type(error), 1))
    sys.exit(0)


def _with_seconds(arguments: list[str]) -> list[str]:
    """`--wait` may stand without its seconds; typer wants them there."""
    filled = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        filled.append(argument)
        if argument == "--wait" and not following.replace(".", "", 1).isdecimal():
            filled.append("600")
    return filled


def _history(since: date, until: date | None) -> dict[str, Any]:
    """The days that a backfill is for, as `Target` has them."""
    import structlog

    from collector.errors import UsageError
    from collector.model.days import FIRST_DAY, beijing_day

    if since > beijing_day(datetime.now(UTC)):
        raise UsageError(f"--since {since} lies in the future: name a day that has passed")
    if until and until < since:
        raise UsageError(f"--since {since} lies after --until {until}: swap them")
    if since < FIRST_DAY:
        structlog.get_logger().warning(f"--since {since} is moved to {FIRST_DAY}, the oldest day that WeChat keeps")
    return {"since": max(since, FIRST_DAY), "until": until}


def _target(settings: Settings, **history: Any) -> Target:
    from dataclasses import replace

    from collector.commands.collect import target_of
    from collector.runtime import Clock

    return replace(target_of(settings, Clock()), **history)


def _do(settings: Settings, job: Job, shown: Shown) -> NoReturn:
    """The run itself; the exit code is its result's. Quiet, it says nothing of another run either: nothing failed."""
    from collector.errors import LeaseHeldError
    from collector.model.results import ExitCode

    try:
        result = run_to_the_end(partial(_collect, settings, job, quiet=shown.quiet))
    except LeaseHeldError:
        if shown.quiet:
            raise typer.Exit(ExitCode.LEASE) from None
        raise
    _print_result(result, shown)
    raise typer.Exit(result.exit)


async def _collect(settings: Settings, job: Job, stop: Stop, *, quiet: bool = False) -> RunResult:
    """A run, with progress on stderr where that is a terminal."""
    from rich.console import Console

    from collector.commands.collect import collect
    from collector.console.progress import progress
    from collector.runtime import Clock

    with progress(Console(stderr=True, quiet=quiet)) as watch:
        return await collect(settings, job, clock=Clock(), stop=stop, watch=watch)


async def _check(settings: Settings, selection: Selection, *, quiet: bool) -> Checks:
    """A check, with progress on stderr where that is a terminal."""
    from rich.console import Console

    from collector.commands.check import check
    from collector.console.progress import progress
    from collector.runtime import Clock

    with progress(Console(stderr=True, quiet=quiet)) as watch:
        return await check(settings, selection, clock=Clock(), watch=watch)


def _width() -> int | None:
    """The terminal's, which heeds COLUMNS; None where there is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _print_plans(settings: Settings, selection: Selection, target: Target, shown: Shown) -> None:
    from collector.commands.collect import plans
    from collector.console import plan as planned
    from collector.runtime import Clock

    rows = [
        planned.Planned(
            account,
            [(ask.window, ask.datasets) for ask in (*plan.daily, *plan.history)],
            plan.notices(account),
            plan.windows_held,
        )
        for account, plan in run_at_once(plans(settings, selection, target, Clock()))
    ]
    say(pretty(planned.as_json(rows)) if shown.as_json else planned.as_text(rows))


def _print_result(result: RunResult, shown: Shown) -> None:
    from collector.console import summary

    if shown.as_json:
        say(pretty(summary.as_json(result)))
    elif result.error and not result.got_through:
        pass  # what ended the run is all that there is to say
    elif not shown.quiet:
        say(summary.as_text(result, verbose=bool(shown.verbose)))
    elif text := summary.failed_text(result):
        say(text)
    if result.error:
        complain(result.error)
