"""Missing days and anomalies of the period (异常与缺失), account by account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from collector.model.days import NO_DAYS, ONE_DAY, Days, Window
from collector.model.findings import Break
from collector.report.figures.account import Columns
from collector.report.figures.frame import Frame


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


def gap_of(account: Columns, frame: Frame) -> Gap | None:
    """Return the days of the period that an account lacks, or None where it lacks none.

    A silent account isn't expected to have days after its last one.
    """
    days, facts = frame.slice(frame.shown), account.facts
    begin, end = max(days.start, account.begin), min(days.stop, max(account.begin, account.silent_from))
    born = max(days.start, account.born)
    before = account.has_both[born : min(account.begin, days.stop)]
    since = facts.begin if sum(before) < len(before) else None
    # Most accounts lack nothing, and are spared the sets of days.
    if since is None and sum(account.has_both[begin:end]) >= end - begin:
        return None
    summary = _absent(account.has_summary, begin, end, frame.days)
    cumulate = _absent(account.has_cumulate, begin, end, frame.days)
    void = (summary | cumulate) & facts.void
    return Gap(facts.account, facts.name, summary - void, cumulate - void, void, since)


def account_breaks(account: Columns, indexes: Sequence[int], frame: Frame) -> list[AccountBreak]:
    """Return the breaks of the period, of which these are the indexes of all days."""
    days, facts = frame.slice(frame.shown), account.facts
    return [
        AccountBreak(facts.account, facts.name, _break(account, index, frame.days))
        for index in indexes
        if days.start <= index < days.stop
    ]


def silent_of(account: Columns, frame: Frame) -> Silent | None:
    """Return the account if it fell silent before the period was over."""
    if account.silent_from == len(frame.days):
        return None
    newest = frame.days.begin + ONE_DAY * account.last if account.last >= 0 else None
    return Silent(account.facts.account, account.facts.name, newest)


def _break(account: Columns, index: int, days: Window) -> Break:
    net_user = account.new_user[index] - account.cancel_user[index]
    expected = account.cumulate_user[index - 1] + net_user
    return Break(days.begin + ONE_DAY * index, expected, account.cumulate_user[index])


def _absent(has: Sequence[int], begin: int, end: int, days: Window) -> Days:
    if begin >= end:
        return NO_DAYS
    return Days.of(days.begin + ONE_DAY * index for index in range(begin, end) if not has[index])
