"""The commands about what is stored: `collector status`, `runs`, `verify` and `forget`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.logs import LogFormat
from collector.cli.options import (
    Common,
    Config,
    Json,
    LogForm,
    Output,
    Verbose,
    Wait,
    loaded,
    output_of,
    whole_number,
    with_common_options,
)
from collector.cli.printing import paint, width
from collector.cli.running import target_now
from collector.cli.terminal import complain, run_at_once, say, say_json

if TYPE_CHECKING:
    from collector.console.view import View
    from collector.model.findings import AccountGaps
    from collector.model.standings import Status

app = typer.Typer(rich_markup_mode=None)


@app.command()
@with_common_options
def status(
    common: Common,
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age",
            parser=whole_number(0),
            metavar="DAYS",
            help="Exit 3 where an account is more than DAYS behind.",
        ),
    ] = None,
    max_run_age: Annotated[
        int | None,
        typer.Option(
            "--max-run-age",
            parser=whole_number(1),
            metavar="HOURS",
            help="Exit 3 where no run was completed in the last HOURS.",
        ),
    ] = None,
    failing: Annotated[bool, typer.Option("--failing", help="List only accounts that are failing.")] = False,
    waiting: Annotated[bool, typer.Option("--waiting", help="List only accounts that wait.")] = False,
    missing: Annotated[bool, typer.Option("--missing", help="List only accounts that lack days.")] = False,
    gaps: Annotated[bool, typer.Option("--gaps", help="Also show missing days and breaks in the figures.")] = False,
) -> None:
    """Show the last run, and the state of each account, worst first.

    Of --failing, --waiting and --missing, several list the accounts that any of them would. Totals and exit codes are
    those of all accounts.
    """
    from collector.commands import status as command
    from collector.commands import verify as verify_command
    from collector.console.view import Trait, View

    settings, selection, output = common
    found = run_at_once(command.status(settings, selection, datetime.now(UTC)))
    found_gaps = run_at_once(verify_command.gaps(settings, selection, target_now(settings))) if gaps else None
    picked = {Trait.FAILING: failing, Trait.WAITING: waiting, Trait.MISSING: missing}
    view = View(frozenset(trait for trait, is_picked in picked.items() if is_picked), max_age, max_run_age)
    _print_status(found, found_gaps, view, output)
    # Exit 3 lets a monitor call this command without reading its output.
    raise typer.Exit(view.exit(found))


def _print_status(found: Status, gaps: Sequence[AccountGaps] | None, view: View, output: Output) -> None:
    from collector.console import status as console
    from collector.console.verify import gaps_json, gaps_text
    from collector.text import paragraphs

    names = {account.account for account in view.listed(found)}
    listed = [each for each in gaps or () if each.account in names]
    if output.as_json:
        say_json(console.as_json(found, view) | ({} if gaps is None else {"gaps": gaps_json(listed)}))
    elif not output.quiet:
        say(paragraphs(console.as_text(found, view, width=width(), paint=paint()), gaps_text(listed)))
    elif text := console.too_old_text(found, view):  # -q still prints why the exit is 3
        say(text)


@app.command()
def runs(
    run: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The run to show. Default: list the last ones.")
    ] = None,
    last: Annotated[
        int, typer.Option("--last", parser=whole_number(1), metavar="NUMBER", help="How many runs to list.")
    ] = 20,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """List the last runs, newest first, or show one."""
    from collector.commands import runs as command
    from collector.console import runs as console
    from collector.console.summary import Style

    output = output_of(as_json, verbose, False, log_format)
    settings = loaded(config)
    if run:
        record, database = run_at_once(command.one_run(settings, run))
        if as_json:
            say_json(console.run_json(record, database))
        else:
            say(console.run_text(record, database, Style(verbose=bool(output.verbose), width=width())))
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
        say(console.as_text(verified, width=width()))
    raise typer.Exit(verified.exit)


@app.command()
def forget(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its appid, or its name as it is stored.")],
    with_documents: Annotated[
        bool, typer.Option("--with-documents", help="Delete its documents of user_daily, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    wait: Wait = 0.0,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Delete the state of a client that left.

    Its entry must be out of the configuration, and no platform may discover it.
    """
    from collector.commands import forget as command
    from collector.console import forget as console
    from collector.errors import UsageError

    output_of(as_json, verbose, False, log_format)
    settings = loaded(config)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked without a terminal: add --yes to delete what is stored")
        departed = run_at_once(command.find(settings, account, with_documents=with_documents))
        if not typer.confirm(console.question(departed, with_documents=with_documents), err=True):
            complain("nothing was deleted")
            raise typer.Exit(1)
        account = departed.account  # as was agreed to; by now another one may have the name
    forgotten = run_at_once(command.forget(settings, account, with_documents=with_documents, wait_s=wait))
    if as_json:
        say_json(console.as_json(forgotten))
    else:
        say(console.as_text(forgotten))
