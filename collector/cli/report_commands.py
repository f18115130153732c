"""The commands for people who look at figures: `collector export`, `report` and `show`."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.cli.logs import LogFormat
from collector.cli.options import (
    Common,
    Config,
    Json,
    LogForm,
    Verbose,
    choice,
    day,
    loaded,
    output_of,
    with_common_options,
)
from collector.cli.printing import blocks, paint, width
from collector.cli.running import target_now
from collector.cli.terminal import remark, run_at_once, say, say_bytes, say_json
from collector.model.exported import Format, Per
from collector.model.language import Language

if TYPE_CHECKING:
    from collector.model.days import Window
    from collector.report.figures.periods import Choice

app = typer.Typer(rich_markup_mode=None)

STDOUT = "-"

SITE_PERIOD = "30"
"""A site is looked at each morning, so its days go up to the newest one."""


@app.command()
@with_common_options
def export(
    common: Common,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .csv, .xlsx or .parquet file, or - for stdout.")],
    since: Annotated[
        date | None, typer.Option("--since", parser=day, metavar="DAY", help="Oldest day. Default: all that is stored.")
    ] = None,
    until: Annotated[
        date | None,
        typer.Option("--until", parser=day, metavar="DAY", help="Newest day. Default: the newest published one."),
    ] = None,
    per: Annotated[Per, choice("--per", Per, "A row for each account and day, or each channel of it.")] = Per.DAY,
    form: Annotated[Format | None, choice("--format", Format, "Form of stdout.")] = None,
    no_bom: Annotated[
        bool, typer.Option("--no-bom", help="CSV without the mark of UTF-8 that Excel needs for Chinese.")
    ] = False,
) -> None:
    """Write stored figures to a file for spreadsheets and BI tools.

    Days and figures that aren't stored are left out or empty, never 0. Disabled accounts are included.
    """
    from collector.commands import export as command
    from collector.console import export as console
    from collector.errors import UsageError
    from collector.model.results import ExitCode

    settings, selection, output = common
    order = command.Order(_days(since, until, target_now(settings).newest), _format(file, form), per, not no_bom)
    if file == STDOUT:
        if output.as_json:
            raise UsageError("stdout is for the rows: name a file to get the result of --json")
        exported = say_bytes(lambda stdout: run_at_once(command.export(settings, selection, order, stdout)))
        if exported is None:
            return
        if notes := console.notes_text(exported):
            remark(notes)
    else:
        exported = run_at_once(command.export(settings, selection, order, Path(file)))
        if output.as_json:
            say_json(console.as_json(exported, _shown(file), order.form, order.per))
        elif not output.quiet:
            say(console.as_text(exported, file))
    if exported.unread:
        raise typer.Exit(ExitCode.PARTIAL)


@app.command()
@with_common_options
def report(
    common: Common,
    out: Annotated[str, typer.Argument(metavar="OUT", help="A .html, .xlsx or .png file, or a folder for a site.")],
    period: Annotated[
        str | None,
        typer.Option(
            "--period",
            metavar="PERIOD",
            help="week or month, the newest that is over; 2026-10, 2026-W47, or a number of days. "
            "Default: month; of a site 30 days.",
        ),
    ] = None,
    lang: Annotated[
        Language | None,
        choice("--lang", Language, "Language. Default: $COLLECTOR_LANG, the configuration's, the locale's, or zh."),
    ] = None,
    font_dir: Annotated[
        Path | None,
        typer.Option("--font-dir", metavar="FOLDER", help="A folder with a font that has Chinese, for a picture."),
    ] = None,
) -> None:
    """Write a report on accounts, or a site of all.

    It has their figures over a period as cards, charts and tables, and says what is missing. A folder, or a name
    without a suffix, becomes a static site of all accounts, with a page for each account and tag.
    """
    from collector.commands import report as command
    from collector.commands.site import site
    from collector.console import report as console
    from collector.model.language import language_of
    from collector.model.results import ExitCode
    from collector.report.terms import Terms
    from collector.report.writers import writer_of

    settings, selection, output = common
    terms = Terms(language_of(lang, os.environ, settings.language))
    is_site = _is_folder(out)
    chosen = _period(period or (SITE_PERIOD if is_site else "month"))
    order = command.Order(selection, chosen, target_now(settings), terms, datetime.now(UTC))
    path = Path(out)
    reported = run_at_once(
        site(settings, order, path) if is_site else command.report(settings, order, path, writer_of(out, font_dir))
    )
    if output.as_json:
        say_json(console.as_json(reported, _shown(out)))
    elif not output.quiet:
        say(console.as_text(reported, out))
    if reported.unread:
        raise typer.Exit(ExitCode.PARTIAL)


@app.command()
def show(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name or appid.")],
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = 0,
    log_format: LogForm = LogFormat.TEXT,
) -> None:
    """Show the last 30 days of an account, and what is missing."""
    from collector.commands import show as command
    from collector.console import show as console

    output_of(as_json, verbose, False, log_format)
    shown = run_at_once(command.show(loaded(config), account, datetime.now(UTC)))
    if as_json:
        say_json(console.as_json(shown))
    else:
        say(console.as_text(shown, width=width(), letters=blocks(), paint=paint()))


def _is_folder(out: str) -> bool:
    """Return True for a folder of a site: one that is there, or a name that ends with a slash or has no suffix."""
    path = Path(out)
    is_plain = not path.suffix and not path.name.startswith((".", "-"))
    return is_plain or out.endswith(("/", os.sep)) or path.is_dir()


def _period(text: str) -> Choice:
    from collector.errors import UsageError
    from collector.report.figures.periods import parse

    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"--period: {error}") from None


def _days(since: date | None, until: date | None, newest: date) -> Window:
    from collector.errors import UsageError
    from collector.model.days import FIRST_DAY, Window

    begin, end = since or FIRST_DAY, until or newest
    if since and until and since > until:
        raise UsageError(f"there is no day from {begin} to {end}: name a --since that isn't after --until")
    if begin > newest or end < FIRST_DAY:
        raise UsageError(f"nothing can be stored from {begin} to {end}: WeChat has the days {FIRST_DAY} to {newest}")
    return Window(max(begin, FIRST_DAY), min(end, newest))


def _format(file: str, form: Format | None) -> Format:
    """Return the form of stdout, or the one that the suffix of a file says."""
    from collector.errors import UsageError
    from collector.text import alternatives

    if file == STDOUT:
        if not form:
            raise UsageError(f"stdout has no suffix: add --format {alternatives(Format)}")
        return form
    if form:
        raise UsageError("--format is for stdout alone: the suffix of a file says its form")
    try:
        return Format(Path(file).suffix.lower().removeprefix("."))
    except ValueError:
        known = alternatives([f".{known}" for known in Format])
        raise UsageError(f"{file} has none of the suffixes of an export: name a file that ends with {known}") from None


def _shown(file: str) -> str:
    """Return the name of a file with escapes for bytes that aren't UTF-8, which JSON can't hold."""
    return file.encode(errors="backslashreplace").decode()
