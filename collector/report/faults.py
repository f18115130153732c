"""What is missing or strange in the period (异常与缺失), account by account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from collector.model.days import NO_DAYS, Days
from collector.model.findings import Break


@dataclass(frozen=True, slots=True)
class Gap:
    """The days of the period that an account lacks, by dataset.

    `summary` and `cumulate` are pending (待补): asked for again. `void` will stay without figures of some dataset,
    since WeChat has none. `collected_since` is the first day wanted, where that lies within the period and days before
    it aren't stored.
    """

    account: str
    name: str
    summary: Days = NO_DAYS
    cumulate: Days = NO_DAYS
    void: Days = NO_DAYS
    collected_since: date | None = None


class AccountBreak(NamedTuple):
    """A day of the period on which an account's figures don't add up."""

    account: str
    name: str
    found: Break


class Silent(NamedTuple):
    """A silent account, and its newest stored day as far as the report looks back."""

    account: str
    name: str
    newest: date | None


class UnknownChannel(NamedTuple):
    """A code without a name in the table of channels, the new followers of the period by it, and how many accounts."""

    code: int
    new_user: int
    accounts: int
