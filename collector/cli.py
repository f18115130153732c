"""The commands: the only place that configures logging, prints, and picks the exit code.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:  # the rest of the collector is imported by the commands that need it
    from collector.config import Settings
    from collector.model import Account, RunResult
    from collector.plan import Plan, Target
    from collector.wechat.waits import Stop

T = TypeVar("T")

app = typer.Typer(
    help="Collect the follower figures of many WeChat official accounts into MongoDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class LogFormat(StrEnum):
    """The forms of the log on stderr."""

    TEXT = "text"
    JSON = "json"


Config = Annotated[
    list[Path] | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
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

        print(f"collector {__version__}")
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
    _configure_logging(verbose, quiet, log_format)
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
    _configure_logging(verbose, quiet, log_format)
    settings, accounts = _chosen(config or [], account or [], tag or [])
    wanted = _history(since.date(), until.date() if until else None)
    history = wanted | {"refetch": refetch, "exhaustive": exhaustive}
    _do(settings, accounts, history, dry_run=dry_run, as_json=as_json, verbose=verbose, quiet=quiet)


@app.command()
def demo(verbose: Verbose = 0, quiet: Quiet = False, log_format: LogForm = LogFormat.TEXT) -> None:
    """Try it all: a run over a pretend WeChat, into a local mongod."""
    from collector.demo import demo as demonstrate

    _configure_logging(verbose, quiet, log_format)
    shown = _run(lambda stop: demonstrate(stop, _collect))
    _print_result(shown.result, False, verbose, quiet)
    if shown.document:
        print(f"\nOne of the documents, as it is in MongoDB:\n\n{_pretty(shown.document)}")
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
    from collector.sandbox import Sandbox, World

    async def serve() -> None:
        async with Sandbox(World(seed=seed, size=accounts), port=port, latency_s=latency, record=False) as server:
            print(server.config_yaml(), flush=True)
            print(f"A pretend WeChat listens on {server.url} until Ctrl-C.", file=sys.stderr)
            await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(serve())


def main() -> NoReturn:
    """Run the command line: `collector`, and `python -m collector`."""
    from collector.errors import CollectorError, ConfigError, UsageError

    try:
        app()
    except ConfigError as error:
        _complain(f"{len(error.faults)} faults in the configuration:" if len(error.faults) > 1 else "", *error.faults)
        sys.exit(78)
    except UsageError as error:
        _complain(error)
        sys.exit(2)
    except CollectorError as error:
        _complain(error)
        sys.exit(1)
    sys.exit(0)


def _complain(*lines: object) -> None:
    print(
        *(f"collector: {line}" if n == 0 else line for n, line in enumerate(filter(str, lines))),
        sep="\n",
        file=sys.stderr,
    )


def _chosen(files: list[Path], names: list[str], tags: list[str]) -> tuple[Settings, tuple[Account, ...]]:
    """The settings, and the accounts that the command is for."""
    import structlog

    from collector import config

    settings = config.load(config.find(files, os.environ, Path.cwd()), os.environ, datetime.now(UTC))
    for warning in settings.warnings:
        structlog.get_logger().warning("config.warning", what=warning)
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
        _print_plans(_run(lambda _: plans(settings, accounts, target, Clock())), as_json)
        return
    result = _run(partial(_collect, settings, accounts, target))
    _print_result(result, as_json, verbose, quiet)
    raise typer.Exit(result.exit)


async def _collect(settings: Settings, accounts: tuple[Account, ...], target: Target, stop: Stop) -> RunResult:
    """A run, with progress on stderr where that is a terminal."""
    from rich.console import Console

    from collector.collect import collect
    from collector.report.progress import progress
    from collector.wechat.waits import Clock

    with progress(Console(stderr=True)) as watch:
        return await collect(settings, accounts, target, clock=Clock(), stop=stop, watch=watch)


def _run(main: Callable[[Stop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, on uvloop where it is installed; the first signal stops it, the second ends it."""
    from collector.wechat.waits import Stop

    async def stoppable() -> T:
        stop = Stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _on_signal, stop, number)
        return await main(stop)

    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(stoppable())


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _on_signal(stop: Stop, number: signal.Signals) -> None:
    if stop.is_set:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    _complain("stopping: calls in flight are finished and stored; a second signal ends at once")
    stop.set(number)


def _print_plans(plans: list[tuple[Account, Plan]], as_json: bool) -> None:
    from collector.report import planned

    rows = [
        planned.Planned(account, [(ask.window, ask.datasets) for ask in (*plan.daily, *plan.history)])
        for account, plan in plans
    ]
    print(_pretty(planned.as_json(rows)) if as_json else planned.as_table(rows))


def _print_result(result: RunResult, as_json: bool, verbose: int, quiet: bool) -> None:
    from collector.report import summary

    if as_json:
        print(_pretty(summary.as_json(result)))
    elif not quiet:
        print(summary.summary(result, verbose=bool(verbose)))
    elif text := summary.failed(result):
        print(text)
    if result.error:
        _complain(result.error)


def _pretty(value: object) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()


def _configure_logging(verbose: int, quiet: bool, log_format: LogFormat) -> None:
    """Log to stderr: warnings, with -v more, with -q errors alone."""
    import logging

    import stamina.instrumentation
    import structlog

    stamina.instrumentation.set_on_retry_hooks([])  # the client logs its own retries, without their arguments
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    colors = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    plain = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([structlog.processors.format_exc_info] if log_format is LogFormat.JSON else []),
            structlog.processors.JSONRenderer() if log_format is LogFormat.JSON else plain,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then: a progress bar takes it over
        cache_logger_on_first_use=False,
    )
