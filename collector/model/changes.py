"""Changes of the files of accounts by which a folder becomes what a sheet says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from collector.errors import Fault


class KeyChange(NamedTuple):
    """The values of a key before and after, None where it isn't set; a secret is masked in both."""

    key: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A file to be written for an account that stands at `where` in the sheet.

    `secret` is the file of its secret, with the secret where that is to be written too.
    """

    where: str
    name: str
    appid: str
    path: Path
    content: str = field(repr=False)
    keys: tuple[KeyChange, ...] = ()
    secret: tuple[Path, str | None] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that a sheet asks for in a folder.

    `gone` are accounts that the sheet no longer lists, to be disabled, of `total` enabled ones that it ruled so far.
    `undecided` may be gone: a row without a readable appid may be theirs. `faults` are of rows and files that are left
    out. `kept` are files that stay as they are.
    """

    new: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()
    undecided: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    kept: tuple[Path, ...] = ()
    total: int = 0

    @property
    def all(self) -> tuple[Change, ...]:
        """All files to be written."""
        return self.new + self.changed + self.gone

    @property
    def left_out(self) -> int:
        """The number of rows and files that are left out."""
        return len({fault.where for fault in self.faults})

    @property
    def are_many_gone(self) -> bool:
        """True where over a tenth of the accounts is gone: the sheet is perhaps cut off, or another one."""
        return len(self.gone) * 10 > self.total
