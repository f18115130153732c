"""The commands for the configuration itself: `collector config …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from collector.cli.options import Config, Json, loaded
from collector.cli.terminal import pretty, remark, say, say_json
from collector.text import counted

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
    sheet: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A sheet with name, appid, secret and tags.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIRECTORY", help="Their folder.")] = Path("accounts.d"),
) -> None:
    """Turn a CSV sheet into a file for each account.

    The files get mode 0600. The sheet's first line names the columns: name and appid, and optionally secret and
    tags. Nothing is written unless all lines are valid, and no existing file is overwritten.
    """
    from collector import config

    written = config.imported(sheet, into)
    say(f"{counted(len(written), 'file')} written into {into}; name them with `include: {into}/*.yaml`")
