"""The commands and their exit codes.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from functools import partial
from typing import Annotated, NoReturn

import typer

from collector.cli.config_commands import app as config_commands
from collector.cli.options import (
    FOLLOWS_UNTIL,
    Common,
    DryRun,
    Egress,
    Follow,
    IgnoreWaits,
    ShardOf,
    Wait,
    day,
    with_common_options,
)
from collector.cli.places import Work, with_place
from collector.cli.printing import width
from collector.cli.report_commands import app as report_commands
from collector.cli.running import days_of_backfill, run_or_plan, target_now, today_at, watched
from collector.cli.stored_commands import app as stored_commands
from collector.cli.terminal import (
    DISK_FULL,
    complain,
    give_up_stdout,
    open_std_streams,
    run_at_once,
    say,
    say_json,
)
from collector.cli.trial_commands import app as trial_commands

app = typer.Typer(
    help="Collect the follower figures of many WeChat official accounts into MongoDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _collector(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from collector import __version__

        say(f"collector {__version__}")
        raise typer.Exit


@app.command()
@with_common_options
@with_place
def run(
    common: Common,
    spread: Work,
    egress: Egress = None,
    shard: ShardOf = None,
    follow: Follow = None,
    wait: Wait = 0.0,
    dry_run: DryRun = False,
    ignore_waits: IgnoreWaits = False,
) -> None:
    """Collect missing days, and the last days again: the daily job."""
    from collector.commands.work import Job
    from collector.errors import UsageError

    if ignore_waits and not common.selection.names:
        raise UsageError("--ignore-waits needs --account: name each account whose wait is over")
    common = common.within(egress, shard)
    until = today_at(follow) if follow else None
    job = Job(target_now(common.settings), common.selection, "run", wait, ignore_waits, until)
    run_or_plan(common, job, spread, dry_run=dry_run)


@app.command()
@with_common_options
@with_place
def backfill(
    common: Common,
    spread: Work,
    since: Annotated[date, typer.Option("--since", parser=day, metavar="DAY", help="Oldest day wanted.")],
    until: Annotated[
        date | None, typer.Option("--until", parser=day, metavar="DAY", help="Newest day wanted. Default: all.")
    ] = None,
    refetch: Annotated[bool, typer.Option("--refetch", help="Fetch stored days again.")] = False,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Continue before the day on which an account seems to begin.")
    ] = False,
    egress: Egress = None,
    shard: ShardOf = None,
    wait: Wait = 0.0,
    dry_run: DryRun = False,
) -> None:
    """Do the daily job, then fill the history, newest days first.

    Only missing days are asked for, so it can be stopped and restarted at any time.
    """
    from collector.commands.work import Job

    common = common.within(egress, shard)
    target = target_now(common.settings, **days_of_backfill(since, until), refetch=refetch, exhaustive=exhaustive)
    run_or_plan(common, Job(target, common.selection, "backfill", wait), spread, dry_run=dry_run)


@app.command()
@with_common_options
def check(common: Common, egress: Egress = None) -> None:
    """Try each account, and list the refused IPs.

    It asks for the token, each dataset and the remaining quota: two or three data calls an account. Nothing is
    stored.
    """
    from collector.commands import check as command
    from collector.console import check as console

    settings, selection, output = common.within(egress)
    checks = run_at_once(watched(partial(command.check, settings, selection), quiet=output.quiet))
    if output.as_json:
        say_json(console.as_json(checks))
    elif not output.quiet:
        say(console.as_text(checks, width=width()))
    elif text := console.failed_text(checks, width=width()):
        say(text)
    raise typer.Exit(checks.result.exit)


# Those without a name stand beside the others, after them.
app.add_typer(stored_commands)
app.add_typer(report_commands)
app.add_typer(config_commands, name="config")
app.add_typer(trial_commands)


def main() -> NoReturn:
    """Run the command line."""
    open_std_streams()
    from collector.errors import CollectorError, ConfigError, LeaseHeldError, UsageError

    try:
        _call(_with_values(sys.argv[1:]))
    except ConfigError as error:
        # A single fault needs no heading; a list without one would not say what it is about.
        many = [f"{len(error.faults)} faults in the configuration:"] if len(error.faults) > 1 else []
        complain(*many, *error.faults)
        sys.exit(78)
    except CollectorError as error:
        complain(error)
        sys.exit({UsageError: 2, LeaseHeldError: 11}.get(type(error), 1))
    sys.exit(0)


def _call(arguments: list[str]) -> None:
    try:
        app(arguments)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        give_up_stdout(error)  # typer prints the help itself


_DEFAULTS = {"--wait": "600", "--follow": FOLLOWS_UNTIL}


def _with_values(arguments: list[str]) -> list[str]:
    """Fill in the values that may be left out: typer knows no option with an optional value."""
    filled = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        filled.append(argument)
        # `-5` is a wrong value, to be refused as such, and `-q` another option.
        if argument in _DEFAULTS and not re.fullmatch("[^-].*|-[0-9.]+", following):
            filled.append(_DEFAULTS[argument])
    return filled
