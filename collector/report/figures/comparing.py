"""Comparisons of two windows of days.

A group is compared like for like: over the accounts that lack nothing in both windows, so that none counts on one side
alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from collector.model.days import Window
from collector.report.figures.frame import Against, Frame, Pair
from collector.report.figures.metrics import Metric, Tally
from collector.report.figures.sums import NO_SUMS, Lack, Part, Sums, added


class Reason(StrEnum):
    """Reason why a comparison is left out.

    * `not_over`: days of this period aren't published yet.
    * `no_period`: the calendar has no such period a year before (week 53).
    * `incomplete`: no account is whole in this window.
    * `base_incomplete`, `base_not_stored`: those that are lack figures of the window that it is compared with, or that
      has none at all.
    * `base_unborn`: no account existed by then.
    * `base_zero`, `base_negative`: no percentage of it makes sense.
    * `undefined`: a rate of one of the windows has 0 below the line.
    """

    NOT_OVER = "not_over"
    NO_PERIOD = "no_period"
    INCOMPLETE = "incomplete"
    BASE_NOT_STORED = "base_not_stored"
    BASE_INCOMPLETE = "base_incomplete"
    BASE_UNBORN = "base_unborn"
    BASE_ZERO = "base_zero"
    BASE_NEGATIVE = "base_negative"
    UNDEFINED = "undefined"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure against that of a window before: `change` is (this − base) ÷ base, 0.01 is 1 %.

    `this` and `base` are of the accounts that are whole in both windows; `accounts` is how many others there are. Where
    it is left out, `change` is None and `reason` says why. `base_days` is None where the calendar has no such window.
    """

    days: Window
    base_days: Window | None
    this: float | None = None
    base: float | None = None
    change: float | None = None
    reason: Reason | None = None
    accounts: int = 0


NEEDS: Mapping[Metric, Lack] = {
    Metric.CUMULATE_USER: Lack.END,
    Metric.NEW_USER: Lack.SUMMARY,
    Metric.CANCEL_USER: Lack.SUMMARY,
    Metric.NET_USER: Lack.SUMMARY,
    Metric.UNFOLLOW_RATE: Lack.BOTH,
    Metric.GROWTH_RATE: Lack.END | Lack.OPENING,
    Metric.LOST_TO_NEW: Lack.SUMMARY,
}
"""Figures that must be whole in both windows for the comparison of a metric."""


class _Alike:
    """Accounts that lack the same in two windows: how many there are, and their sums over each."""

    __slots__ = ("base", "count", "this")

    def __init__(self) -> None:
        self.count = 0
        self.this = self.base = NO_SUMS

    def add(self, this: Sums, base: Sums) -> None:
        self.count += 1
        self.this, self.base = added(self.this, this), added(self.base, base)


class Whole(NamedTuple):
    """The accounts that are whole in two windows: their figures of each.

    `reason` says why they can't be compared, whatever their figures are; `left_out` is how many accounts aren't whole.
    """

    this: Tally
    base: Tally | None
    reason: Reason | None
    left_out: int


class Pairs:
    """The windows that are compared, while accounts are added."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        # By what they lack in each of the two windows.
        self._alike: dict[Against, dict[tuple[int, int], _Alike]] = {against: {} for against in Against}
        self._whole: dict[tuple[Against, Lack], Whole] = {}

    def add(self, parts: Mapping[Window, Part]) -> None:
        """Add one account by its part of each window."""
        self._whole.clear()
        for against, (this, base) in self._frame.pairs.items():
            if base is None:
                continue
            of_this, of_base = parts[this], parts[base]
            # An account that is silent in both has no part in the comparison.
            if of_this.is_blank and of_base.is_blank:
                continue
            lacks, alike = (of_this.lacks, of_base.lacks), self._alike[against]
            if lacks not in alike:
                alike[lacks] = _Alike()
            alike[lacks].add(of_this.sums, of_base.sums)

    def compare(self, against: Against, metric: Metric) -> Comparison:
        """Return a comparison of a figure."""
        days, whole = self._frame.pairs[against], self.whole(against, NEEDS[metric])
        this, base = whole.this.value(metric), whole.base.value(metric) if whole.base else None
        return compared(days, this, base, whole.reason, whole.left_out)

    def whole(self, against: Against, need: Lack) -> Whole:
        """Return the accounts that lack nothing of what is needed in both windows."""
        key = against, need
        if key not in self._whole:
            self._whole[key] = self._whole_of(against, need)
        return self._whole[key]

    def _whole_of(self, against: Against, need: Lack) -> Whole:
        this, base = self._frame.pairs[against]
        of_this, of_base, left_out = NO_SUMS, NO_SUMS, 0
        for (lacks, base_lacks), alike in self._alike[against].items():
            if (lacks | base_lacks) & need:
                left_out += alike.count
            else:
                of_this, of_base = added(of_this, alike.this), added(of_base, alike.base)
        reason = None if of_base.has_figures else self._reason(against, need)
        # Some days would be compared with all of another period.
        if against in {Against.PERIOD, Against.YEAR} and not self._frame.is_over:
            reason = Reason.NOT_OVER
        return Whole(of_this.tally(this), of_base.tally(base) if base else None, reason, left_out)

    def _reason(self, against: Against, need: Lack) -> Reason:
        """Return why no account that existed in the base is whole in both windows."""
        if self._frame.pairs[against].base is None:
            return Reason.NO_PERIOD
        alike = self._alike[against]
        # Of each kind of account that was left out, the figures that it lacks in this window.
        lacking = [this & need for this, base in alike if (this | base) & need]
        if alike and not lacking:
            return Reason.BASE_UNBORN
        if lacking and all(lacking):
            return Reason.INCOMPLETE
        is_stored = any(each.base.has_figures for each in alike.values())
        return Reason.BASE_INCOMPLETE if is_stored else Reason.BASE_NOT_STORED


def compared(windows: Pair, this: float | None, base: float | None, reason: Reason | None, accounts: int) -> Comparison:
    """Return the comparison of two windows: its change, or the reason why it is left out, given or of the figures."""
    change = None
    if reason is None:
        if this is None or base is None:
            reason = Reason.UNDEFINED
        elif base <= 0:
            reason = Reason.BASE_NEGATIVE if base < 0 else Reason.BASE_ZERO
        else:
            change = (this - base) / base
    return Comparison(windows.this, windows.base, this, base, change, reason, accounts)
