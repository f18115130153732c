"""The commands for the configuration itself: `collector config …`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.options import Config, Json, loaded
from collector.cli.printing import width
from collector.cli.terminal import complain, pretty, remark, say, say_json
from collector.text import counted

if TYPE_CHECKING:
    from collector.model.changes import Changes

app = typer.Typer(help="Write, check and show the configuration.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def generate(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="File to write. Default: print the sample.")
    ] = None,
) -> None:
    """Write a commented sample to begin with.

    FILE gets mode 0600. An existing file is never overwritten.
    """
    from collector import config

    if file is None:
        say(config.sample().rstrip())
    else:
        config.generate(file)
        say(f"wrote {file}: fill in your accounts, then run `collector config validate -c {file}`")


@app.command()
def validate(files: Config = None) -> None:
    """List all faults with file, line and remedy.

    Exit 78 where there are any.
    """
    settings = loaded(files)
    for warning in settings.warnings:
        remark(warning)  # on stderr, but no log: this command has no options for logging
    settings.check()
    enabled = sum(account.enabled for account in settings.accounts)
    disabled = len(settings.accounts) - enabled
    counts = [counted(enabled, "account")]
    if disabled:
        counts.append(f"{disabled:,} disabled")
    if settings.components:
        counts.append(counted(len(settings.components), "platform"))
    say(f"the configuration is valid: {', '.join(counts)}")


@app.command()
def show(files: Config = None, as_json: Json = False) -> None:
    """Show the settings in effect, with secrets masked.

    Accounts with a fault are left out, and the faults are listed on stderr: exit 78.
    """
    from collector import config

    settings = loaded(files)
    if as_json:
        say_json(config.shown(settings))
    else:
        say(config.show_yaml(settings).rstrip())
    settings.check()


@app.command()
def schema() -> None:
    """Print the JSON Schema, for editors."""
    from collector import config

    say(pretty(config.json_schema()))  # people read the file that it is written to


@app.command("import")  # a keyword, so the function needs another name
def import_(
    file: Annotated[Path, typer.Argument(metavar="SHEET", help="The sheet: .csv or .xlsx.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIRECTORY", help="Folder of the files.")] = Path(
        "accounts.d"
    ),
    update: Annotated[
        bool, typer.Option("--update", help="Show what is new, changed and gone, and write it after a yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --update: write without asking.")] = False,
    secrets_dir: Annotated[
        Path | None,
        typer.Option("--secrets-dir", metavar="DIRECTORY", help="Write each secret to a file of its own there."),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Let this group read the files, such as a service's.")
    ] = None,
) -> None:
    """Write a file for each account of a sheet.

    The sheet's first line names the columns: name and appid, and optionally secret, tags, since, rate_limit,
    daily_calls, proxy, egress and enabled (yes or no); 名称, AppSecret and 标签 are understood too. A column that
    isn't there, and an empty secret, leave what the files have; any other empty cell sets nothing.

    New accounts are written, each to DIRECTORY/APPID.yaml with mode 0600 (with --group 0640). What exists is changed
    with --update alone. Then the sheet is the master: an account that it no longer lists gets `enabled: false`, and one
    that comes back is enabled again. If over a tenth is gone, that needs --yes. Without a terminal, --update without
    --yes only shows the changes. Files that were written or changed by hand are never touched.

    A row with a fault is left out, and blocks no other. Exit 3 if rows were left out, or changes weren't written; 78
    if the sheet can't be read.
    """
    from collector import config
    from collector.console import changes as console
    from collector.errors import UsageError
    from collector.model.days import beijing_day
    from collector.secrets.files import group_id

    if yes and not update:
        raise UsageError("--yes goes with --update: without it, nothing that exists is changed")
    gid = None if group is None else group_id(group)
    changes = config.sheet.compared(file, into, secrets_dir, beijing_day(datetime.now(UTC)), update=update)
    if update and (text := console.as_text(changes, width=width())):
        say(text + "\n")
    if changes.faults:
        complain(f"left out: {changes.left_out:,}", *changes.faults)
    is_wanted = not changes.all or not update or yes or _is_agreed(changes)
    if is_wanted:
        config.sheet.write(changes, gid)
        say(console.written(changes, into))
    if group is not None:
        _complain_of_closed(filter(None, (into, secrets_dir)), group)
    if changes.faults or changes.undecided or not is_wanted:
        raise typer.Exit(3)


def _is_agreed(changes: Changes) -> bool:
    """Ask whether to write the changes; where they aren't to be written, say why."""
    if changes.are_many_gone:
        gone = f"{len(changes.gone):,} of {changes.total:,} accounts would be disabled, more than a tenth"
        why = f": {gone}. If that is meant, add --yes"
    elif not sys.stdin.isatty():
        why = ": without a terminal, --update needs --yes"
    elif typer.confirm("Write these changes?", err=True):
        return True
    else:
        why = ""
    complain(f"nothing was written{why}")
    return False


def _complain_of_closed(folders: Iterable[Path], group: str) -> None:
    """Print how to let the group into the folders that are closed to it."""
    from collector.secrets.files import group_id, opening_line

    gid = group_id(group)
    for folder in folders:
        # Where nothing was written, the folder may not be there yet.
        if folder.exists() and (line := opening_line(folder, gid)):
            complain(f"the group {group} can't read {folder}: run {line}")
