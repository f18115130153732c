"""The options that say where a run is done: in this process, in several of this host, or on a Dask cluster.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate
from urllib.parse import urlsplit

import typer

from collector.cli.options import Common

if TYPE_CHECKING:
    from collector.cluster.engine import Place, Remote
    from collector.config import Settings

Work = Callable[[Any], Coroutine[Any, Any, None]] | None
"""Work of a run: a `Spread`, or None where this process does all of it."""

MAX_PROCESSES = 256


def processes(text: str) -> int:
    """Parse the N of a `--processes`. Raises `typer.BadParameter` where `text` is none."""
    if text == "auto":
        return _cores()
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PROCESSES:
        raise typer.BadParameter(f"{text!r} is neither a number from 1 to {MAX_PROCESSES} nor auto")
    return int(text)


_Processes = Annotated[
    int | None,
    typer.Option(
        "--processes",
        parser=processes,
        metavar="N",
        help="Spread the run over N processes of this host; auto for one per core. Default: run.processes.",
    ),
]
_Dask = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="Spread the run over a Dask cluster, such as tls://HOST:8786."),
]


def _file(option: str, what: str) -> Any:
    return typer.Option(option, exists=True, dir_okay=False, metavar="FILE", help=f"With --dask tls://: {what}.")


_Authority = Annotated[Path | None, _file("--dask-ca", "the certificate of the cluster's authority")]
_Certificate = Annotated[Path | None, _file("--dask-cert", "the certificate of this client")]
_Key = Annotated[Path | None, _file("--dask-key", "the key of this client")]


def with_place(command: Callable[Concatenate[Common, Work, ...], None]) -> Callable[..., None]:
    """Add the options that say where a run is done; `command` gets how it is spread after its first argument."""

    def with_options(
        common: Common,
        processes: _Processes = None,
        dask: _Dask = None,
        dask_ca: _Authority = None,
        dask_cert: _Certificate = None,
        dask_key: _Key = None,
        **own: Any,
    ) -> None:
        command(common, _spread(common, processes, dask, (dask_ca, dask_cert, dask_key)), **own)

    _, _, *own = inspect.signature(command, eval_str=True).parameters.values()
    first, *ours, _ = inspect.signature(with_options, eval_str=True).parameters.values()
    vars(with_options)["__signature__"] = inspect.Signature([first, *own, *ours])
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def _spread(common: Common, processes: int | None, dask: str | None, files: tuple[Path | None, ...]) -> Work:
    """Return how the run is spread; None where this process does all of it."""
    from collector.errors import UsageError

    if dask is None and any(files):
        raise UsageError("--dask-ca, --dask-cert and --dask-key need --dask: name the cluster's address")
    if dask is not None and processes is not None:
        raise UsageError("--dask and --processes exclude each other: choose one")
    if dask is None:
        configured = common.settings.run.processes
        count = processes or (_cores() if configured == "auto" else configured)
        if count == 1:
            return None
    from collector.shell import install_line

    try:
        from collector.cluster.engine import Local
        from collector.cluster.spread import Spread
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("collector"):
            raise
        raise UsageError(f"runs over several processes need the extra `cluster`: {install_line('cluster')}") from None
    place: Place = Local(count) if dask is None else _remote(dask, files, common.settings)
    return Spread(place, common.output.configure_log)


def _remote(address: str, files: tuple[Path | None, ...], settings: Settings) -> Remote:
    from collector.cluster.engine import Remote
    from collector.errors import ConfigError, Fault, UsageError

    if (scheme := _scheme(address)) is None:
        raise UsageError(f"--dask {address} is no address of a Dask scheduler: write it as tls://HOST:8786")
    if scheme == "tls" and not all(files):
        raise UsageError("--dask tls:// needs --dask-ca, --dask-cert and --dask-key")
    if scheme == "tcp" and any(files):
        raise UsageError("--dask-ca, --dask-cert and --dask-key are for tls://, not for tcp://")
    if scheme == "tcp" and not _is_loopback(address):
        raise UsageError(f"--dask {address} has no encryption: use tls:// for any host but this one")
    if settings.mongodb.uri is None:
        message = "--dask needs a MongoDB that all hosts share, else each would fill one of its own"
        raise ConfigError((Fault(str(settings.files[0]), message, "Set mongodb.uri in the configuration."),))
    return Remote(address, *files)


def _scheme(address: str) -> str | None:
    """Return the scheme of a scheduler's address, None where it isn't of the right form."""
    try:
        parts = urlsplit(address)
        is_whole = parts.hostname and parts.port and not (parts.path or parts.query or parts.username)
    except ValueError:
        return None
    return parts.scheme if is_whole and parts.scheme in {"tls", "tcp"} else None


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
