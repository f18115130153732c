"""One account in a report: the facts that its state gives, and its stored days as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from collector.completeness.datasets import CUMULATE, DATASETS
from collector.completeness.evidence import is_silent
from collector.completeness.plan import Target, begins
from collector.model.daily import Daily, Mark, Source
from collector.model.days import NO_DAYS, Days
from collector.model.state import AccountState
from collector.report.figures.frame import Frame


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts about an account beside its figures.

    `begin` is the first day on which figures are expected, `born` the day on which the account began, where that is
    known. `void` are the days of which WeChat has no figures of some dataset. A `failing` account has failed since its
    last success; a `silent` one had no row in 14 days, and none after the day `newest`.
    """

    account: str
    name: str
    tags: tuple[str, ...]
    begin: date
    born: date | None = None
    void: Days = NO_DAYS
    failing: bool = False
    silent: bool = False
    newest: date | None = None

    def as_failing(self) -> Facts:
        """Return the facts of an account that can't be collected now."""
        return replace(self, failing=True)


def facts_of(
    account: str, name: str, tags: tuple[str, ...], since: date | None, state: AccountState, target: Target
) -> Facts:
    """Return the facts about an account by its entry in the configuration (`since`) and its stored `state`.

    `target` is that of a plain run.
    """
    return Facts(
        account,
        name,
        tags,
        begins(since, state, target),
        state.born,
        Days.union(state.dataset(dataset).void for dataset in DATASETS),
        any(state.dataset(dataset).last_error for dataset in DATASETS),
        is_silent(state.dataset(CUMULATE)),
        state.dataset(CUMULATE).covered.newest,
    )


class Columns(NamedTuple):
    """The days of one account as columns over `Frame.days`; the figures of an absent day are 0.

    `has_summary`, `has_cumulate`, `has_both` and `is_proven` are 1 on the days that are stored, or whose zeros were
    proven. `sources` are the channels of the stored days by their index, those that aren't empty; `without_sources`
    the days whose channels aren't stored though their sums are. `born` and `begin` are the indexes of the first day of
    the account and of the first one expected, from 0 to the number of days; `last` is that of the newest one with a
    row, which for a report on a former period may be a later one than those here, -1 without any.
    """

    facts: Facts
    new_user: Sequence[int]
    cancel_user: Sequence[int]
    cumulate_user: Sequence[int]
    has_summary: Sequence[int]
    has_cumulate: Sequence[int]
    has_both: Sequence[int]
    is_proven: Sequence[int]
    sources: Sequence[tuple[int, tuple[Source, ...]]]
    without_sources: Sequence[int]
    born: int
    begin: int
    last: int

    @property
    def silent_from(self) -> int:
        """The index from which on a silent account isn't expected to have figures."""
        count = len(self.new_user)
        return min(self.last + 1, count) if self.facts.silent else count


def columns_of(facts: Facts, days: Iterable[Daily], frame: Frame) -> Columns:
    """Return the stored `days` of an account, oldest first, as columns; days outside of the frame's are left out."""
    count, first = len(frame.days), frame.days.begin.toordinal()
    new_user, cancel_user, cumulate_user = [0] * count, [0] * count, [0] * count
    has_summary, has_cumulate, has_both, is_proven = [0] * count, [0] * count, [0] * count, [0] * count
    sources, without_sources, last = [], [], -1
    for ref_date, new, lost, total, channels, *_ in days:
        index = ref_date.toordinal() - first
        if not 0 <= index < count:
            continue
        if total is not None:
            cumulate_user[index], has_cumulate[index], last = total, 1, index
        if new is not None and lost is not None:
            new_user[index], cancel_user[index], has_summary[index], last = new, lost, 1, index
            has_both[index] = has_cumulate[index]
            if channels:
                sources.append((index, channels))
            elif channels is None:
                without_sources.append(index)
            else:
                is_proven[index] = 1
    if facts.newest:
        last = max(last, facts.newest.toordinal() - first)
    born = min(max((facts.born.toordinal() if facts.born else 0) - first, 0), count)
    return Columns(
        facts,
        new_user,
        cancel_user,
        cumulate_user,
        has_summary,
        has_cumulate,
        has_both,
        is_proven,
        sources,
        without_sources,
        born,
        min(max(facts.begin.toordinal() - first, born), count),
        last,
    )


def breaks_of(account: Columns) -> list[int]:
    """Return the indexes of the days whose total isn't that of the day before plus their net growth."""
    _, new, lost, totals, _, has, has_both, *_ = account
    return [
        index
        for index in range(1, len(totals))
        if has_both[index] and has[index - 1] and totals[index] != totals[index - 1] + new[index] - lost[index]
    ]


def mark_of(account: Columns, index: int, day: date) -> Mark:
    """Return how whole a day of an account is."""
    if account.has_both[index]:
        return Mark.PROVEN if account.is_proven[index] else Mark.STORED
    if account.has_summary[index] or account.has_cumulate[index]:
        return Mark.PARTIAL
    if index < account.born:
        return Mark.UNBORN
    if index < account.begin:
        return Mark.UNCOLLECTED
    return Mark.VOID if day in account.facts.void else Mark.MISSING
