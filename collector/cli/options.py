"""The options that commands share, and their values: settings, selected accounts, the form of the result."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, NamedTuple

import typer

from collector.cli.logs import LogFormat, configure_logging
from collector.model.shards import Shard
from collector.text import alternatives

if TYPE_CHECKING:
    from collector.config import Selection, Settings


def choice(option: str, choices: type[StrEnum], help: str) -> Any:  # noqa: A002 - as typer calls it
    """Return an option that is one of some words.

    Typer's own way prints pydantic's words.
    """

    def parsed(text: str) -> StrEnum:
        try:
            return choices(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is none of the choices: write {alternatives(choices)}") from None

    return typer.Option(option, parser=parsed, metavar=f"<{'|'.join(choices)}>", help=help)


Config = Annotated[
    list[Path] | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        readable=False,  # our own faults say more than typer's check
        help="A configuration file; may be repeated, the later wins. Default: $COLLECTOR_CONFIG, ./accounts.yaml, "
        "$XDG_CONFIG_HOME/collector/accounts.yaml or /etc/collector/accounts.yaml.",
    ),
]
Names = Annotated[
    list[str] | None, typer.Option("--account", metavar="NAME", help="Only this account, by name or appid; repeatable.")
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only accounts with this tag; repeatable, any of them.")
]
Verbose = Annotated[
    int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Log more; -vv logs every retry.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print only failures.")]
LogForm = Annotated[LogFormat, choice("--log-format", LogFormat, "Form of the log on stderr.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the planned calls without making any.")]
IgnoreWaits = Annotated[
    bool,
    typer.Option(
        "--ignore-waits",
        help="Ignore the waits that WeChat ordered in earlier runs; needs --account. Use it once the quota was raised "
        "or the IP allowed.",
    ),
]


def whole_number(least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Return the parser of an option that is a whole number from `least` up, to `most` at the most.

    Typer's own `min` and `max` print pydantic's words.
    """
    span = f"from {least} to {most:,}" if most is not None else f"from {least} up"

    def parsed(text: str | int) -> int:
        number = int(text) if re.fullmatch("[0-9]{1,9}", str(text), re.ASCII) else -1
        if number < least or (most is not None and number > most):
            raise typer.BadParameter(f"{str(text)!r} is not a whole number {span}")
        return number

    return parsed


MAX_WAIT_S = 604_800
"""A week: longer is a slip of the keyboard."""


def seconds(text: str | float) -> float:
    """Parse the SECONDS of a `--wait`. Raises `typer.BadParameter` where `text` is no number that makes sense."""
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{0,15})?", str(text), re.ASCII) or float(text) > MAX_WAIT_S:
        raise typer.BadParameter(f"{str(text)!r} is not a number of seconds from 0 to {MAX_WAIT_S:,}: write it as 600")
    return float(text)


Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        parser=seconds,
        metavar="[SECONDS]",
        show_default=False,
        help="Wait for another run to end; without SECONDS, up to 600.",
    ),
]

FOLLOWS_UNTIL = "12:00"


def time_of_day(text: str) -> time:
    """Parse the UNTIL of a `--follow`. Raises `typer.BadParameter` where `text` is no time of the day."""
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - a time of any day
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time: write it as {FOLLOWS_UNTIL}, in Beijing time") from None


Follow = Annotated[
    time | None,
    typer.Option(
        "--follow",
        parser=time_of_day,
        metavar="[UNTIL]",
        show_default=False,
        help="Ask again for the accounts whose newest day isn't there yet, until all have it or it is UNTIL, Beijing "
        f"time; without UNTIL, {FOLLOWS_UNTIL}. History comes last.",
    ),
]

MAX_SHARDS = 1_000_000
"""More shards than a platform has accounts are a slip of the keyboard."""

_INDEX = "JOB_COMPLETION_INDEX"


def day(text: str) -> date:
    """Parse the day of a `--since` or `--until`. Raises `typer.BadParameter` where `text` is none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day: write it as 2026-01-31") from None


def shard(text: str) -> Shard:
    """Parse the K/N or index/N of a `--shard`. Raises `typer.BadParameter` where `text` is neither."""
    parts = re.fullmatch("(index|[0-9]{1,9})/([0-9]{1,9})", text)
    if not parts:
        raise typer.BadParameter(f"{text!r} is not a shard: write it as 1/4, the first of four")
    count = int(parts[2])
    if not 1 <= count <= MAX_SHARDS:
        raise typer.BadParameter(f"{text!r} divides into {count:,} shards: use from 1 to {MAX_SHARDS:,}")
    number = _completion_index() + 1 if parts[1] == "index" else int(parts[1])
    if not 1 <= number <= count:
        which = f"${_INDEX} is {number - 1}: set `completions` of the Job to {count:,}, or write index/{number:,}"
        out_of_range = f"there is no shard {number:,} of {count:,}: they are counted from 1"
        raise typer.BadParameter(which if parts[1] == "index" else out_of_range)
    return Shard(number, count)


def _completion_index() -> int:
    index = os.environ.get(_INDEX, "")
    if re.fullmatch("[0-9]{1,9}", index):
        return int(index)
    found = f"is {index!r}, not a number" if index else "isn't set"
    raise typer.BadParameter(f"index/N is for an Indexed Job of Kubernetes, but ${_INDEX} {found}: write K/N elsewhere")


Egress = Annotated[
    list[str] | None,
    typer.Option(
        "--egress",
        metavar="LABEL",
        help="Only accounts with this egress label, or without any for -; repeatable, any of them.",
    ),
]
ShardOf = Annotated[
    Shard | None,
    typer.Option(
        "--shard",
        parser=shard,
        metavar="K/N",
        help="Only the accounts of shard K of N, by the hash of the appid; index/N takes K from $JOB_COMPLETION_INDEX.",
    ),
]


class Output(NamedTuple):
    """The form in which a command prints its result, and its log."""

    as_json: bool
    verbose: int
    quiet: bool
    log_format: LogFormat = LogFormat.TEXT

    def configure_log(self) -> None:
        """Configure the log of this process, which may be another one than the command's."""
        configure_logging(self.verbose, self.log_format, quiet=self.quiet)


class Common(NamedTuple):
    """The values of the options that all commands about accounts share."""

    settings: Settings
    selection: Selection
    output: Output

    def within(self, egress: list[str] | None, shard: Shard | None = None) -> Common:
        """Return the same for the accounts of these egress labels, and of `shard`.

        Raises `UsageError` where a label isn't in the configuration.
        """
        from collector.config import labels_of

        labels = labels_of(egress or (), self.settings.egress_labels, self.settings.entries)
        return self._replace(selection=replace(self.selection, egress=labels, shard=shard))


def with_common_options(command: Callable[Concatenate[Common, ...], None]) -> Callable[..., None]:
    """Add the options that all commands about accounts share; `command` gets their values as its first argument."""

    def with_options(
        config: Config = None,
        account: Names = None,
        tag: Tags = None,
        as_json: Json = False,
        verbose: Verbose = 0,
        quiet: Quiet = False,
        log_format: LogForm = LogFormat.TEXT,
        **own: Any,
    ) -> None:
        import structlog

        from collector.config import Selection

        output = output_of(as_json, verbose, quiet, log_format)
        settings = loaded(config)
        for warning in settings.warnings:
            structlog.get_logger().warning(warning)
        command(Common(settings, Selection(account or (), tag or ()), output), **own)

    # Typer reads the signature: the command's own options come first in its help.
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    *shared, _ = inspect.signature(with_options, eval_str=True).parameters.values()
    vars(with_options)["__signature__"] = inspect.Signature([*own, *shared])
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def output_of(as_json: bool, verbose: int, quiet: bool, log_format: LogFormat) -> Output:
    """Configure logging, and return the form of the result."""
    output = Output(as_json, verbose, quiet, log_format)
    output.configure_log()
    return output


def loaded(files: list[Path] | None) -> Settings:
    """Load the settings from the files named, or found."""
    from collector import config

    return config.load(config.find(files or [], os.environ, Path.cwd()), os.environ, datetime.now(UTC))
