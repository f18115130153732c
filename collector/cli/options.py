"""The options that commands share, and what they come to: settings, selected accounts, the form of the result."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from collector.cli.terminal import LogFormat, configure_logging

if TYPE_CHECKING:
    from collector.config import Selection, Settings

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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be asked, and ask nothing.")]
Wait = Annotated[
    float,
    typer.Option("--wait", min=0, metavar="[SECONDS]", show_default=False, help="Wait for another run to end: 600 s."),
]


def day(text: str) -> date:
    """The day of a `--since` or `--until`. Raises `typer.BadParameter` for what is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day: write it as 2026-01-31") from None


class Shown(NamedTuple):
    """How a command shows its result."""

    as_json: bool
    verbose: int
    quiet: bool


def shown_as(as_json: bool, verbose: int, quiet: bool, log_format: LogFormat) -> Shown:
    """How the result is to be shown; logging is configured on the way."""
    configure_logging(verbose, log_format, quiet=quiet)
    return Shown(as_json, verbose, quiet)


def chosen(files: list[Path] | None, names: list[str] | None, tags: list[str] | None) -> tuple[Settings, Selection]:
    """The settings, and which accounts the command is for."""
    import structlog

    from collector import config

    settings = loaded(files)
    for warning in settings.warnings:
        structlog.get_logger().warning(warning)
    return settings, config.Selection(names or (), tags or ())


def loaded(files: list[Path] | None) -> Settings:
    """The settings of the files named, or found."""
    from collector import config

    return config.load(config.find(files or [], os.environ, Path.cwd()), os.environ, datetime.now(UTC))
