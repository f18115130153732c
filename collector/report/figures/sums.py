"""Sums over one window of days, of one account and of many."""

from __future__ import annotations

from enum import IntFlag
from operator import add
from typing import NamedTuple

from collector.model.days import Window
from collector.report.figures.account import Columns
from collector.report.figures.frame import Frame
from collector.report.figures.metrics import Missing, Ratio, Tally


class Lack(IntFlag):
    """Figures that an account lacks in a window; those computed from them aren't whole."""

    SUMMARY = 1
    END = 2
    OPENING = 4
    BOTH = 8
    CHANNELS = 16


class Sums(NamedTuple):
    """The sums of accounts over one window, which are added up field by field.

    `cumulate_user` is of its last day, on which `totals` accounts have one; `lost_of_rate` and `total_of_rate` are over
    the days with both. `growth` and `opening` are of the accounts that have both.
    """

    new_user: int = 0
    cancel_user: int = 0
    cumulate_user: int = 0
    lost_of_rate: int = 0
    total_of_rate: int = 0
    growth: int = 0
    opening: int = 0
    summary_days: int = 0
    totals: int = 0

    @property
    def has_figures(self) -> bool:
        """True if any of the days is stored."""
        return self.summary_days > 0 or self.totals > 0

    def tally(self, days: Window) -> Tally:
        """Return the figures of the window."""
        return Tally(
            days,
            self.new_user if self.summary_days else None,
            self.cancel_user if self.summary_days else None,
            self.cumulate_user if self.totals else None,
            Ratio(self.lost_of_rate, self.total_of_rate),
            Ratio(self.growth, self.opening),
        )


NO_SUMS = Sums()


def added(left: Sums, right: Sums) -> Sums:
    """Return the sums of both."""
    return Sums(*map(add, left, right))


class Part(NamedTuple):
    """The sums of one account over one window.

    `summary_days` and `cumulate_days` are how many are stored. `opening` is the total of the day before, 0 before the
    account was born, `end` that of the last day; None where they aren't stored. `lacks` is what isn't whole, and `sums`
    are the same figures, to be added up.
    `is_blank` is True for a silent account without any figure of the window: it counts as absent.
    """

    new_user: int
    cancel_user: int
    unfollow: Ratio
    opening: int | None
    end: int | None
    summary_days: int
    cumulate_days: int
    missing: Missing
    lacks: int
    is_blank: bool
    sums: Sums


def part_of(account: Columns, begin: int, end: int) -> Part:
    """Return the sums of an account over the days of the indexes from `begin` to before `end`."""
    new, lost, totals = account.new_user, account.cancel_user, account.cumulate_user
    has_summary, has_cumulate, has_both = account.has_summary, account.has_cumulate, account.has_both
    summary_days, cumulate_days = sum(has_summary[begin:end]), sum(has_cumulate[begin:end])
    both_days = sum(has_both[begin:end])
    is_blank = account.silent_from <= begin
    born = min(max(begin, account.born), end)
    # Sums of slices are much faster than a loop, and only accounts with holes need one.
    if both_days == summary_days == cumulate_days:
        unfollow = Ratio(sum(lost[begin:end]), sum(totals[begin:end]))
    else:
        both = [index for index in range(begin, end) if has_both[index]]
        unfollow = Ratio(sum(lost[index] for index in both), sum(totals[index] for index in both))
    # The frame has the day before each window.
    opening = totals[begin - 1] if has_cumulate[begin - 1] else 0 if begin - 1 < account.born else None
    last = totals[end - 1] if has_cumulate[end - 1] else None
    # Plain numbers: flags take several times as long to combine, and each account has many windows.
    lacks = (
        (Lack.SUMMARY.value if sum(has_summary[born:end]) < end - born else 0)
        | (Lack.END.value if last is None and end - 1 >= account.born else 0)
        | (Lack.OPENING.value if opening is None else 0)
        | (Lack.BOTH.value if sum(has_both[born:end]) < end - born else 0)
        | (Lack.CHANNELS.value if any(begin <= index < end for index in account.without_sources) else 0)
    )
    new_user, cancel_user = sum(new[begin:end]), sum(lost[begin:end])
    return Part(
        new_user,
        cancel_user,
        unfollow,
        opening,
        last,
        summary_days,
        cumulate_days,
        _missing(account, born, end, is_blank=is_blank),
        lacks,
        is_blank,
        _sums(new_user, cancel_user, unfollow, opening, last, summary_days),
    )


def parts_of(account: Columns, frame: Frame) -> dict[Window, Part]:
    """Return the sums of an account over all windows of the frame."""
    slices = ((window, frame.slice(window)) for window in frame.windows)
    return {window: part_of(account, days.start, days.stop) for window, days in slices}


def _missing(account: Columns, born: int, end: int, *, is_blank: bool) -> Missing:
    """Return the days that an account lacks from `born` to before `end`; a blank one isn't expected to have any."""
    expected, has_both = min(max(born, account.begin), end), account.has_both
    uncollected = expected - born - sum(has_both[born:expected])
    summary, cumulate, days = (
        0 if is_blank else end - expected - sum(has[expected:end])
        for has in (account.has_summary, account.has_cumulate, has_both)
    )
    return Missing(summary, cumulate, uncollected, days)


def _sums(
    new_user: int, cancel_user: int, unfollow: Ratio, opening: int | None, end: int | None, summary_days: int
) -> Sums:
    growth = (0, 0) if end is None or opening is None else (end - opening, opening)
    return Sums(new_user, cancel_user, end or 0, *unfollow, *growth, summary_days, 0 if end is None else 1)
