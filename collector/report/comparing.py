"""Comparisons of two windows of days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from collector.model.days import Window
from collector.report.frame import Against, Frame, Pair
from collector.report.metrics import Metric, Tally
from collector.report.sums import Lack, Part, Sums


class Reason(StrEnum):
    """Reason why a comparison is left out.

    * `not_over`: days of this period aren't published yet.
    * `no_period`: the calendar has no such period a year before (week 53).
    * `incomplete`, `base_incomplete`: this window, or the one it is compared with, lacks figures of some account.
    * `base_not_stored`: the window that it is compared with has no figures at all.
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

    Where it is left out, `change` is None and `reason` says why; `accounts` is how many accounts are incomplete in one
    of the two windows. `base_days` is None where the calendar has no such window.
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
"""What must be whole in both windows for a comparison."""


class Lacking(NamedTuple):
    """How many accounts lack something in this window, in its base, and in any of the two."""

    this: int = 0
    base: int = 0
    accounts: int = 0


NOTHING_LACKING = Lacking()


class Pairs:
    """The windows that are compared, while accounts are added."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._sums = {window: Sums(window) for window in frame.windows}
        self._tallies: dict[Window, Tally] = {}
        # How many accounts lack what, by the flags of the two windows.
        self._lacks: dict[Against, dict[tuple[int, int], int]] = {against: {} for against in Against}

    def add(self, parts: Mapping[Window, Part]) -> None:
        """Add one account by its part of each window."""
        self._tallies.clear()
        for window, part in parts.items():
            self._sums[window].add(part)
        for against, (this, base) in self._frame.pairs.items():
            if base is None:
                continue
            of_this, of_base = parts[this], parts[base]
            lacks = (of_this.lacks, of_base.lacks)
            # An account that is silent in both has no part in the comparison.
            if lacks != (0, 0) and not (of_this.is_blank and of_base.is_blank):
                counts = self._lacks[against]
                counts[lacks] = counts.get(lacks, 0) + 1

    def tally(self, window: Window) -> Tally:
        """Return the sums over one of the windows."""
        if window not in self._tallies:
            self._tallies[window] = self._sums[window].tally()
        return self._tallies[window]

    def lacking(self, against: Against, need: Lack) -> Lacking:
        """Return how many accounts lack what is needed."""
        counts = self._lacks[against].items()
        if not counts:
            return NOTHING_LACKING
        return Lacking(
            sum(count for (this, _), count in counts if this & need),
            sum(count for (_, base), count in counts if base & need),
            sum(count for (this, base), count in counts if (this | base) & need),
        )

    def compare(self, against: Against, metric: Metric) -> Comparison:
        """Return a comparison of a figure."""
        this, base = self._frame.pairs[against]
        value, base_value = self.tally(this).value(metric), self.tally(base).value(metric) if base else None
        reason = self.reason(against, NEEDS[metric])
        accounts = self.lacking(against, NEEDS[metric]).accounts
        return compared(self._frame.pairs[against], value, base_value, reason, accounts)

    def reason(self, against: Against, need: Lack) -> Reason | None:
        """Return why two windows can't be compared, whatever their figures are."""
        base, lacking = self._frame.pairs[against].base, self.lacking(against, need)
        if against in {Against.PERIOD, Against.YEAR} and not self._frame.is_over:
            return Reason.NOT_OVER
        if base is None:
            return Reason.NO_PERIOD
        if lacking.this:
            return Reason.INCOMPLETE
        is_stored = self._sums[base].has_figures
        if lacking.base:
            return Reason.BASE_INCOMPLETE if is_stored else Reason.BASE_NOT_STORED
        return None if is_stored else Reason.BASE_UNBORN


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
