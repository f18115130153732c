"""Figures of one account or of a group over a period, as pages, workbooks, pictures and sites show them.

`Fold` (in `fold.py`) computes them; here are the values alone. None is absent, never 0. A sum over days that aren't all
stored is the sum of those that are, and says beside it how many are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from collector.model.daily import Mark
from collector.report.figures.channels import Channel
from collector.report.figures.comparing import Comparison
from collector.report.figures.faults import AccountBreak, Gap, Silent, UnknownChannel
from collector.report.figures.frame import Against, Frame
from collector.report.figures.lines import Coverage, Line
from collector.report.figures.metrics import Metric, Tally, Total
from collector.report.figures.series import Series


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure of the period with its comparisons.

    `missing` is how many days of accounts its sum lacks, `uncollected` how many were before accounts were collected.
    `lacking` is how many accounts are left out of 累积关注 or 增长率, since they have no total of its day, or of
    the day before the period.
    """

    metric: Metric
    value: float | None
    missing: int
    uncollected: int
    lacking: int
    comparisons: Mapping[Against, Comparison]


class Row(NamedTuple):
    """A day of an account: a row of the details (明细). None is absent."""

    ref_date: date
    account: str
    name: str
    mark: Mark
    new_user: int | None
    cancel_user: int | None
    cumulate_user: int | None

    @property
    def net_user(self) -> int | None:
        """The new followers without the lost ones."""
        return None if self.new_user is None or self.cancel_user is None else self.new_user - self.cancel_user

    @property
    def daily(self) -> tuple[int | None, ...]:
        """The figures in the order of `DAILY`."""
        return self.new_user, self.cancel_user, self.net_user, self.cumulate_user


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a report on one account or on a group.

    * `coverage`: how many accounts are of each coverage.
    * `total`: 累积关注; its day is the newest complete one (数据截至). None where no account has any total.
    * `period`: sums over the period, with its growth up to the day of `total`.
    * `cards`: the key figures in the order of `CARDS`, with their comparisons.
    * `series`: all days of the frame; cut it with `series.of(frame.spans[30])` or `series.of(frame.shown)`.
    * `channels`: most new followers first. `days_without_channels` counts days of accounts whose channels aren't
      stored though their sums are.
    * `lines`: the accounts, by name; `tags`: the same by tag, by name.
    * `gaps`, `breaks`, `silent`, `unknown_channels`: 异常与缺失 of the period, by account.
    * `details`: the period by account and day, newest day first; None where they were too many. `series` has the sums.
    """

    frame: Frame
    coverage: Mapping[Coverage, int]
    total: Total | None
    period: Tally
    cards: Sequence[Card]
    series: Series
    channels: Sequence[Channel]
    days_without_channels: int
    lines: Sequence[Line]
    tags: Sequence[Line]
    gaps: Sequence[Gap]
    breaks: Sequence[AccountBreak]
    silent: Sequence[Silent]
    unknown_channels: Sequence[UnknownChannel]
    details: Sequence[Row] | None

    @property
    def is_group(self) -> bool:
        """True for several accounts, which are compared with each other."""
        return len(self.lines) > 1

    @property
    def has_figures(self) -> bool:
        """True if any figure of the period is stored."""
        return self.total is not None or self.period.new_user is not None
