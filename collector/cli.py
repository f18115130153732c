"""The commands: the only place that configures logging, prints, and picks the exit code.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from collector.terminal import LogFormat, complain, configure_logging, pretty, run_to_the_end, say

if TYPE_CHECKING:  # the rest of the collector is imported by the commands that need it
    from collector.config import Settings
    from collector.model import Account, RunResult
    from collector.plan import Plan, Target
    from collector.wechat.waits import Stop

app = typer.Typer(
    help="Collect the follower figures of many WeChat official accounts into MongoDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


Config = Annotated[
    list[Path] | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        readable=False,  # the configuration's own faults say more than typer's check
        help="A configuration file; may be repeated, the later wins. Default: $COLLECTOR_CONFIG, ./accounts.yaml, "
        "$XDG_CONFIG_HOME/collector/accounts.yaml or /etc/collector/accounts.yaml.",
    ),
]
Names = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account, by name or appid; repeatable.")
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only accounts of this tag; repeatable, any of them.")
]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Say more; twice for every retry.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print failures alone.")]
LogForm = Annotated[LogFormat, typer.Option("--log-format", help="The form of the log on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


@app.callback(invoke_without_command=True)
def _collector(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from collector import __version__

        say(f"collector {__version__}")
        raise typer.Exit


DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be asked, and ask nothing.")]


@app.command()
def run(
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Collect what is missing, and the last days again: the daily job."""
    configure_logging(verbose, log_format, quiet=quiet)
    settings, accounts = _chosen(config or [], account or [], tag or [])
    _do(settings, accounts, {}, dry_run=dry_run, as_json=as_json, verbose=verbose, quiet=quiet)


@app.command()
def backfill(
    since: Annotated[datetime, typer.Option("--since", formats=["%Y-%m-%d"], help="The oldest day wanted.")],
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The newest day wanted. Default: all.")
    ] = None,
    refetch: Annotated[bool, typer.Option("--refetch", help="Ask for days again that are stored.")] = False,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Go on where an account seems to have begun.")
    ] = False,
    config: Config = None,
    account: Names = None,
    tag: Tags = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Do the daily job, then fill the history, newest days first.

    Only what is missing is asked for, so it can be stopped and started at any moment.
    """
    configure_logging(verbose, log_format, quiet=quiet)
    settings, accounts = _chosen(config or [], account or [], tag or [])
    wanted = _history(since.date(), until.date() if until else None)
    history = wanted | {"refetch": refetch, "exhaustive": exhaustive}
    _do(settings, accounts, history, dry_run=dry_run, as_json=as_json, verbose=verbose, quiet=quiet)


@app.command()
def demo(verbose: Verbose = 0, quiet: Quiet = False, log_format: LogForm = LogFormat.TEXT) -> None:
    """Try it all: a run over a pretend WeChat, into a local mongod."""
    from collector.demo import demo as demonstrate

    configure_logging(verbose, log_format, quiet=quiet)
    shown = run_to_the_end(lambda stop: demonstrate(stop, _collect))
    _print_result(shown.result, False, verbose, quiet)
    if shown.document and shown.result.stopped_by is None:
        say(f"\nOne of the documents, as it is in MongoDB:\n\n{pretty(shown.document)}")
    raise typer.Exit(shown.exit)


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
    from collector.errors import CollectorError, ConfigError, UsageError

    try:
        app()
    except ConfigError as error:
        many = [f"{len(error.faults)} faults in the configuration:"] if len(error.faults) > 1 else []
        complain(*many, *error.faults)
        sys.exit(78)
    except UsageError as error:
        complain(error)
        sys.exit(2)
    except CollectorError as error:
        complain(error)
        sys.exit(1)
    sys.exit(0)


def _chosen(files: list[Path], names: list[str], tags: list[str]) -> tuple[Settings, tuple[Account, ...]]:
    """The settings, and the accounts that the command is for."""
    import structlog

    from collector import config

    settings = config.load(config.find(files, os.environ, Path.cwd()), os.environ, datetime.now(UTC))
    for warning in settings.warnings:
        structlog.get_logger().warning(warning)
    return settings, config.select(settings.accounts, names, tags)


def _history(since: date, until: date | None) -> dict[str, Any]:
    """The days that a backfill is for, as `Target` has them."""
    import structlog

    from collector.days import FIRST_DAY, beijing_day
    from collector.errors import UsageError

    if since > beijing_day(datetime.now(UTC)):
        raise UsageError(f"--since {since} lies in the future: name a day that has passed")
    if until and until < since:
        raise UsageError(f"--since {since} lies after --until {until}: swap them")
    if since < FIRST_DAY:
        what = f"--since {since} is moved to {FIRST_DAY}, the oldest day that WeChat keeps"
        structlog.get_logger().warning("backfill.since_moved", what=what)
    return {"since": max(since, FIRST_DAY), "until": until}


def _do(  # the last part of run and backfill
    settings: Settings,
    accounts: tuple[Account, ...],
    history: dict[str, Any],
    *,
    dry_run: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
) -> None:
    from dataclasses import replace

    from collector.collect import plans, target_of
    from collector.wechat.waits import Clock

    target = replace(target_of(settings, Clock()), **history)
    if dry_run:
        _print_plans(run_to_the_end(lambda _: plans(settings, accounts, target, Clock())), as_json)
        return
    result = run_to_the_end(partial(_collect, settings, accounts, target, quiet=quiet))
    _print_result(result, as_json, verbose, quiet)
    raise typer.Exit(result.exit)


async def _collect(
    settings: Settings, accounts: tuple[Account, ...], target: Target, stop: Stop, *, quiet: bool = False
) -> RunResult:
    """A run, with progress on stderr where that is a terminal."""
    from rich.console import Console

    from collector.collect import collect
    from collector.report.progress import progress
    from collector.wechat.waits import Clock

    with progress(Console(stderr=True, quiet=quiet)) as watch:
        return await collect(settings, accounts, target, clock=Clock(), stop=stop, watch=watch)


def _print_plans(plans: list[tuple[Account, Plan]], as_json: bool) -> None:
    from collector.report import planned

    rows = [
        planned.Planned(account, [(ask.window, ask.datasets) for ask in (*plan.daily, *plan.history)])
        for account, plan in plans
    ]
    say(pretty(planned.as_json(rows)) if as_json else planned.as_table(rows))


def _print_result(result: RunResult, as_json: bool, verbose: int, quiet: bool) -> None:
    from collector.report import summary

    if as_json:
        say(pretty(summary.as_json(result)))
    elif result.error and not result.got_through:
        pass  # what ended the run is all that there is to say
    elif not quiet:
        say(summary.summary(result, verbose=bool(verbose)))
    elif text := summary.failed(result):
        say(text)
    if result.error:
        complain(result.error)
