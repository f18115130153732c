"""Results of reports and sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from collector.model.days import Window


class Changed(NamedTuple):
    """Number of files of a site that were written, since their content is new, kept as they were, and removed."""

    written: int = 0
    kept: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Reported:
    """The result of a report: its period, the `days` of it that are published, and the accounts.

    `data_until` is the newest complete day, None where no account has a total. `standings` counts the accounts by how
    complete they are. `database` names where the figures are; `changed` counts the files of a site. `unread` counts the
    entries of the configuration whose appid can't be read, where they may be for accounts that were chosen.
    """

    period: str
    days: Window
    data_until: date | None
    accounts: int
    standings: Mapping[str, int]
    database: str = field(default="", compare=False)
    changed: Changed | None = None
    unread: int = 0
