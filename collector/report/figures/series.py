"""Figures by day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from operator import add

from collector.model.daily import Mark
from collector.model.days import Days, Window
from collector.report.figures.account import Columns
from collector.report.figures.frame import MEAN_DAYS
from collector.report.figures.metrics import Metric


@dataclass(frozen=True, slots=True)
class Series:
    """Figures by day; each list has one entry for each of `days`, oldest first.

    * `new_user`, `cancel_user`, `cumulate_user`: sums over the accounts that have the day; None where none has it.
    * `lacking_summary`, `lacking_cumulate`: how many accounts lack the day. Where it isn't 0, a sum is too low: don't
      draw it as if it were whole (`whole` leaves it out).
    * `marks`: how whole a day is; zeros that were proven are told from those that came.
    * `breaks`: how many accounts' figures don't add up on the day.
    """

    days: Window
    new_user: Sequence[int | None]
    cancel_user: Sequence[int | None]
    cumulate_user: Sequence[int | None]
    lacking_summary: Sequence[int]
    lacking_cumulate: Sequence[int]
    marks: Sequence[Mark]
    breaks: Sequence[int]

    @property
    def net_user(self) -> list[int | None]:
        """The new followers without the lost ones."""
        pairs = zip(self.new_user, self.cancel_user, strict=True)
        return [None if new is None or lost is None else new - lost for new, lost in pairs]

    def values(self, metric: Metric) -> Sequence[int | None]:
        """Return `new_user`, `cancel_user`, `net_user` or `cumulate_user`."""
        values: Sequence[int | None] = getattr(self, metric)
        return values

    def whole(self, metric: Metric) -> list[int | None]:
        """Return the values of the days that no account lacks, None for the others."""
        lacking = self.lacking_cumulate if metric is Metric.CUMULATE_USER else self.lacking_summary
        return [None if lack else value for value, lack in zip(self.values(metric), lacking, strict=True)]

    def mean(self, metric: Metric) -> list[float | None]:
        """Return the mean of each day and the six before it, of those that are there (7日均线).

        None where none of them is. The first days have fewer before them: take the mean of the series of all days,
        and cut it with `slice`.
        """
        values = self.values(metric)
        sums, counts = _of_week(value or 0 for value in values), _of_week(value is not None for value in values)
        return [total / count if count else None for total, count in zip(sums, counts, strict=True)]

    def whole_mean(self, metric: Metric) -> list[float | None]:
        """Return the means that no account lacks a day of, None for the others."""
        pairs = zip(self.values(metric), self.whole(metric), strict=True)
        partial = _of_week(whole is None and value is not None for value, whole in pairs)
        return [None if days else mean for mean, days in zip(self.mean(metric), partial, strict=True)]

    def slice(self, days: Window) -> slice:
        """Return the part of each list that `days` are, which lie within these days."""
        begin = (days.begin - self.days.begin).days
        return slice(begin, begin + len(days))

    def of(self, days: Window) -> Series:
        """Return the series of some of these days."""
        part = self.slice(days)
        return Series(days, *(getattr(self, name)[part] for name in [each.name for each in fields(self)][1:]))


class SeriesSums:
    """Figures by day while accounts are added."""

    def __init__(self, days: Window) -> None:
        self._days = days
        # One list for all of them, since sums make new lists.
        zeros = [0] * len(days)
        self._new_user = self._cancel_user = self._cumulate_user = zeros
        self._has_summary = self._has_cumulate = self._proven = zeros
        self._lacking_summary = self._lacking_cumulate = zeros
        self._void = self._uncollected = self._breaks = zeros

    def add(self, account: Columns, breaks: Sequence[int]) -> None:
        """Add one account, whose figures break on the days of these indexes."""
        self._new_user = _sums(self._new_user, account.new_user)
        self._cancel_user = _sums(self._cancel_user, account.cancel_user)
        self._cumulate_user = _sums(self._cumulate_user, account.cumulate_user)
        self._has_summary = _sums(self._has_summary, account.has_summary)
        self._has_cumulate = _sums(self._has_cumulate, account.has_cumulate)
        self._proven = _sums(self._proven, account.is_proven)
        begin, end = account.begin, max(account.begin, account.silent_from)
        # Most accounts lack nothing, which is quick to see.
        if sum(account.has_both[begin:end]) < end - begin:
            self._lacking_summary = _with_lacking(self._lacking_summary, account.has_summary, begin, end)
            self._lacking_cumulate = _with_lacking(self._lacking_cumulate, account.has_cumulate, begin, end)
        if account.begin > account.born:
            self._uncollected = _with_lacking(self._uncollected, account.has_both, account.born, account.begin)
        if void := account.facts.void & Days.between(self._days.begin, self._days.end):
            first = self._days.begin.toordinal()
            self._void = _counted(self._void, [day.toordinal() - first for day in void])
        if breaks:
            self._breaks = _counted(self._breaks, breaks)

    def series(self) -> Series:
        """Return the figures by day so far."""
        return Series(
            self._days,
            _stored(self._new_user, self._has_summary),
            _stored(self._cancel_user, self._has_summary),
            _stored(self._cumulate_user, self._has_cumulate),
            self._lacking_summary,
            self._lacking_cumulate,
            [self._mark(index) for index in range(len(self._days))],
            self._breaks,
        )

    def _mark(self, index: int) -> Mark:
        lacking = max(self._lacking_summary[index], self._lacking_cumulate[index])
        if has := max(self._has_summary[index], self._has_cumulate[index]):
            # The second half is of days on which no figures are expected, such as those before the first one wanted.
            is_partial = lacking or self._has_summary[index] != self._has_cumulate[index]
            if is_partial:
                return Mark.PARTIAL
            # What one account sent makes the sum of all one that was sent.
            return Mark.PROVEN if self._proven[index] == has else Mark.STORED
        # A void day counts as lacking too; those beyond may still come.
        if lacking > self._void[index]:
            return Mark.MISSING
        if self._void[index]:
            return Mark.VOID
        return Mark.UNCOLLECTED if self._uncollected[index] else Mark.UNBORN


def _of_week(numbers: Iterable[int]) -> list[int]:
    """Return the sum of each number and the six before it."""
    sums = [0, *accumulate(numbers)]
    return [end - begin for end, begin in zip(sums[1:], [0] * (MEAN_DAYS - 1) + sums, strict=False)]


def _sums(left: Sequence[int], right: Sequence[int]) -> list[int]:
    return list(map(add, left, right))


def _with_lacking(counts: Sequence[int], has: Sequence[int], begin: int, end: int) -> list[int]:
    """Return the counts with one more on each day from `begin` to before `end` that isn't stored."""
    return [
        *counts[:begin],
        *[n + 1 - h for n, h in zip(counts[begin:end], has[begin:end], strict=True)],
        *counts[end:],
    ]


def _counted(counts: Sequence[int], indexes: Iterable[int]) -> list[int]:
    more = [*counts]
    for index in indexes:
        more[index] += 1
    return more


def _stored(values: Sequence[int], has: Sequence[int]) -> list[int | None]:
    return [value if count else None for value, count in zip(values, has, strict=True)]
