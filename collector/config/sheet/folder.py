"""The files of accounts in a folder: which accounts they have, and which of them import writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.config import yamlfile
from collector.config.access import LET_READ, user
from collector.config.sheet.columns import KEYS
from collector.config.yamlfile import quoted, single_fault
from collector.errors import ConfigError, Fault

_QUOTED = frozenset({"name", "appid", "secret", "proxy", "egress"})
"""Keys whose texts may have any form."""

_FALSE = ("false", "False", "FALSE")


@dataclass(frozen=True, slots=True)
class Entry:
    """An account in a file of the folder, at `where`; `values` are its keys, without blank ones.

    `is_ruled` is True in a file `APPID.yaml`, the name that import gives. `is_own` is True where such a file has
    exactly the form that import writes, so that nothing written by hand is lost with it.
    """

    path: Path
    where: str
    values: Mapping[str, Any] = field(repr=False)
    is_ruled: bool
    is_own: bool

    @property
    def name(self) -> str:
        """The account's name, or its appid where it has none."""
        return str(self.values.get("name", self.appid))

    @property
    def appid(self) -> str:
        """The account's appid."""
        return str(self.values["appid"])

    @property
    def is_enabled(self) -> bool:
        """True unless the entry says `enabled: false`."""
        return self.values.get("enabled") not in _FALSE

    @property
    def secret_file(self) -> Path | None:
        """The file of the secret, where the entry names one."""
        match self.values.get("secret"):
            case {"file": str(path)}:
                return Path(os.path.abspath(self.path.parent / path))  # noqa: PTH100 (`..` is resolved)
        return None

    @property
    def own_files(self) -> tuple[Path, ...]:
        """The file of the entry and that of its secret, where import wrote them."""
        if not self.is_own:
            return ()
        return (self.path, self.secret_file) if self.secret_file else (self.path,)


def path_of(folder: Path, appid: str) -> Path:
    """Return the path of an account's file."""
    return folder / f"{appid}.yaml"


def read(folder: Path) -> tuple[list[Entry], list[Fault]]:
    """Return the accounts in all files of a folder, which may be missing, and the faults of files that can't be read.

    Raises:
        ConfigError: the folder can't be read.
    """
    entries: list[Entry] = []
    faults: list[Fault] = []
    for path in _files(folder):
        try:
            # Without an environment: a variable is written by hand, so its file isn't import's own.
            document = yamlfile.read(path, {})
        except ConfigError as error:
            faults += error.faults
            continue
        for location, item in document.mappings("accounts"):
            values = {key: value for key, value in item.items() if value}
            appid = values.get("appid")
            if isinstance(appid, str):
                is_ruled = path == path_of(folder, appid)
                is_own = is_ruled and _is_written_so(path, values)
                entries.append(Entry(path, document.where(location), values, is_ruled, is_own))
    return entries, faults


def content(values: Mapping[str, Any]) -> str:
    """Return the file of an account with these values."""
    lines = [f"{key}: {_written(key, values[key])}" for key in KEYS if key in values]
    return "accounts:\n  - " + "\n    ".join(lines) + "\n"


def _files(folder: Path) -> list[Path]:
    try:
        # Hidden files are those of an editor: `include: accounts.d/*.yaml` leaves them out too.
        return sorted(path for path in folder.iterdir() if path.suffix == ".yaml" and not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except PermissionError:
        raise single_fault(folder, f"the folder can't be read by user {user()}", LET_READ) from None
    except OSError as error:
        raise single_fault(folder, f"could not read the folder: {error.strerror}", "Name a folder.") from None


def _is_written_so(path: Path, values: Mapping[str, Any]) -> bool:
    # Keys of which a sheet knows nothing aren't in the content.
    return content(values).encode() == path.read_bytes()


def _written(key: str, value: Any) -> str:
    match value:
        case {"file": str(path)}:
            return f"{{file: {quoted(path)}}}"
        case [*tags]:
            return f"[{', '.join(quoted(tag) for tag in tags)}]"
        case _:
            return quoted(value) if key in _QUOTED else str(value)
