"""Sums over one window of days, of one account and of many."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from collector.model.days import Window
from collector.report.account import Columns
from collector.report.frame import Frame
from collector.report.metrics import Missing, Ratio, Tally


class Lack(IntFlag):
    """What an account lacks in a window, so that figures of the window aren't whole."""

    SUMMARY = 1
    END = 2
    OPENING = 4
    BOTH = 8


class Part(NamedTuple):
    """The sums of one account over one window.

    `summary_days` and `cumulate_days` are how many are stored. `opening` is the total of the day before, 0 before the
    account was born, `end` that of the last day; None where they aren't stored. `lacks` is what isn't whole.
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


def part_of(account: Columns, begin: int, end: int) -> Part:
    """Return the sums of an account over the days of the indexes from `begin` to before `end`."""
    new, lost, totals = account.new_user, account.cancel_user, account.cumulate_user
    has_summary, has_cumulate, has_both = account.has_summary, account.has_cumulate, account.has_both
    summary_days, cumulate_days = sum(has_summary[begin:end]), sum(has_cumulate[begin:end])
    both_days = sum(has_both[begin:end])
    is_blank = account.silent_from <= begin
    born, expected = min(max(begin, account.born), end), min(max(begin, account.begin), end)
    missing_summary, missing_cumulate, missing_any = (
        0 if is_blank else end - expected - sum(has[expected:end]) for has in (has_summary, has_cumulate, has_both)
    )
    uncollected = expected - born - sum(has_both[born:expected])
    if both_days == summary_days == cumulate_days:
        unfollow = Ratio(sum(lost[begin:end]), sum(totals[begin:end]))
    else:
        both = [index for index in range(begin, end) if has_both[index]]
        unfollow = Ratio(sum(lost[index] for index in both), sum(totals[index] for index in both))
    opening = totals[begin - 1] if has_cumulate[begin - 1] else 0 if begin - 1 < account.born else None
    last = totals[end - 1] if has_cumulate[end - 1] else None
    lacks = (
        (Lack.SUMMARY.value if sum(has_summary[born:end]) < end - born else 0)
        | (Lack.END.value if last is None and end - 1 >= account.born else 0)
        | (Lack.OPENING.value if opening is None else 0)
        | (Lack.BOTH.value if sum(has_both[born:end]) < end - born else 0)
    )
    return Part(
        sum(new[begin:end]),
        sum(lost[begin:end]),
        unfollow,
        opening,
        last,
        summary_days,
        cumulate_days,
        Missing(missing_summary, missing_cumulate, uncollected, missing_any),
        lacks,
        is_blank,
    )


def parts_of(account: Columns, frame: Frame) -> dict[Window, Part]:
    """Return the sums of an account over all windows of the frame."""
    slices = ((window, frame.slice(window)) for window in frame.windows)
    return {window: part_of(account, days.start, days.stop) for window, days in slices}


class Sums:
    """The sums over one window while accounts are added."""

    __slots__ = ("_cumulate_user", "_growth", "_has", "_missing", "_new_lost", "_unfollow", "days")

    def __init__(self, days: Window) -> None:
        self.days = days
        self._new_lost = [0, 0]
        self._unfollow = [0, 0]
        self._growth = [0, 0]
        self._missing = [0, 0, 0, 0]
        self._cumulate_user = 0
        self._has = [False, False]

    def add(self, part: Part) -> None:
        """Add the part of one account."""
        for sums, numbers in (
            (self._new_lost, (part.new_user, part.cancel_user)),
            (self._unfollow, part.unfollow),
            (self._missing, part.missing),
        ):
            for index, number in enumerate(numbers):
                sums[index] += number
        if part.summary_days:
            self._has[0] = True
        if part.end is not None:
            self._cumulate_user += part.end
            self._has[1] = True
        if part.end is not None and part.opening is not None:
            self._growth[0] += part.end - part.opening
            self._growth[1] += part.opening

    @property
    def has_figures(self) -> bool:
        """True if any of the days is stored."""
        return any(self._has)

    def tally(self) -> Tally:
        """Return the sums so far."""
        new_user, cancel_user = self._new_lost if self._has[0] else (None, None)
        return Tally(
            self.days,
            new_user,
            cancel_user,
            self._cumulate_user if self._has[1] else None,
            Ratio(*self._unfollow),
            Ratio(*self._growth),
            missing=Missing(*self._missing),
        )
