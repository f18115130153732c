"""The findings of `show`: the last days of one account, where it stands, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from collector.model.daily import Daily, Mark
from collector.model.findings import AccountGaps
from collector.model.standings import AccountStatus


class ShownDay(NamedTuple):
    """The figures of a day, and how whole it is."""

    figures: Daily
    mark: Mark


@dataclass(frozen=True, slots=True)
class Shown:
    """An account, its last days up to the newest published one, oldest first, and the gaps of its whole history.

    `gaps` is None for an entry that has no appid, of which nothing is known.
    """

    status: AccountStatus
    newest_published: date
    days: Sequence[ShownDay]
    gaps: AccountGaps | None
    is_enabled: bool = True
    database: str = field(default="", compare=False)
