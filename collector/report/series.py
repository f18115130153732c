"""Figures by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from collector.model.days import Window
from collector.report.account import Mark
from collector.report.frame import MEAN_DAYS
from collector.report.metrics import Metric


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
        """Return the mean of each day and the six before it, of those that are there and whole (7日均线).

        None where none of them is. The first days have fewer before them: take the mean of the series of all days,
        and cut it with `slice`.
        """
        values = self.whole(metric)
        means: list[float | None] = []
        for index in range(len(values)):
            there = [each for each in values[max(0, index - MEAN_DAYS + 1) : index + 1] if each is not None]
            means.append(sum(there) / len(there) if there else None)
        return means

    def slice(self, days: Window) -> slice:
        """Return the part of each list that `days` are, which lie within these days."""
        begin = (days.begin - self.days.begin).days
        return slice(begin, begin + len(days))

    def of(self, days: Window) -> Series:
        """Return the series of some of these days."""
        part = self.slice(days)
        return Series(days, *(getattr(self, name)[part] for name in [each.name for each in fields(self)][1:]))
