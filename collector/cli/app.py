"""The commands and their exit codes.

Each command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, NoReturn

import typer

from collector.cli.config_commands import app as config_commands
from collector.cli.logs import LogFormat
from collector.cli.options import (
    Common,
    Config,
    DryRun,
    Egress,
    IgnoreWaits,
    Json,
    LogForm,
    ShardOf,
    Verbose,
    Wait,
    day,
    loaded,
    output_of,
    with_common_options,
)
from collector.cli.places import Work, with_place
from collector.cli.printing import width
from collector.cli.running import days_of_backfill, run_or_plan, target_now, watched
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
@with_common_options
@with_place
def run(
    common: Common,
    spread: Work,
    egress: Egress = None,
    shard: ShardOf = None,
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
    job = Job(target_now(common.settings), common.selection, "run", wait, ignore_waits)
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
def status(
    common: Common,
    max_age: Annotated[
        int | None,
        typer.Option("--max-age", min=0, metavar="DAYS", help="Exit 3 where an account is more than DAYS behind."),
    ] = None,
    gaps: Annotated[bool, typer.Option("--gaps", help="Also show missing days and breaks in the figures.")] = False,
) -> None:
    """Show the state of each account, worst first."""
    from collector.commands import status as command
    from collector.commands import verify as verify_command
    from collector.console import status as console
    from collector.console.verify import gaps_json, gaps_text

    settings, selection, output = common
    found = run_at_once(command.status(settings, selection, datetime.now(UTC)))
    found_gaps = run_at_once(verify_command.gaps(settings, selection, target_now(settings))) if gaps else []
    if output.as_json:
        say_json(console.as_json(found, max_age) | ({"gaps": gaps_json(found_gaps)} if gaps else {}))
    elif not output.quiet:
        say("\n\n".join(filter(None, (console.as_text(found, max_age, width=width()), gaps_text(found_gaps)))))
    elif max_age is not None and (text := console.too_old_text(found, max_age)):
        say(text)
    # Exit 3 lets a monitor call this command without reading its output.
    raise typer.Exit(3 if max_age is not None and console.too_old(found, max_age) else 0)


@app.command()
def runs(
    run: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The run to show. Default: list the last ones.")
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, metavar="NUMBER", help="How many runs to list.")] = 20,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """List the last runs, newest first, or show one."""
    from collector.commands import runs as command
    from collector.console import runs as console

    output = output_of(as_json, verbose, False, log_format)
    settings = loaded(config)
    if run:
        record, database = run_at_once(command.one_run(settings, run))
        if as_json:
            say_json(console.run_json(record, database))
        else:
            say(console.run_text(record, database, verbose=bool(output.verbose)))
    else:
        records, database = run_at_once(command.last_runs(settings, last))
        if as_json:
            say_json(console.as_json(records, database))
        else:
            say(console.as_text(records, database, width=width()))


@app.command()
@with_common_options
def verify(
    common: Common,
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild the state from the documents.")] = False,
    wait: Wait = 0.0,
) -> None:
    """Compare the state with the stored documents.

    Also check that the figures add up.
    """
    from collector.commands import verify as command
    from collector.console import verify as console

    settings, selection, output = common
    verified = run_at_once(command.verify(settings, selection, target_now(settings), repair=repair, wait_s=wait))
    if output.as_json:
        say_json(console.as_json(verified))
    elif verified.exit or not output.quiet:  # -q still prints what was found
        say(console.as_text(verified))
    raise typer.Exit(verified.exit)


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


app.add_typer(trial_commands)  # without a name: they stand beside the others, after them


def main() -> NoReturn:
    """Run the command line."""
    open_std_streams()
    from collector.errors import CollectorError, ConfigError, LeaseHeldError, UsageError

    try:
        _call(_with_seconds(sys.argv[1:]))
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


def _with_seconds(arguments: list[str]) -> list[str]:
    """Add 600 after each `--wait` without seconds: typer knows no option with an optional value."""
    filled = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        filled.append(argument)
        if argument == "--wait" and not following.replace(".", "", 1).isdecimal():
            filled.append("600")
    return filled
