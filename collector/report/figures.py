"""Figures of one account or of a group over a period, as pages, workbooks, pictures and sites show them.

`Fold` (in `fold.py`) computes them; here are the values alone. None is absent, never 0. A sum over days that aren't all
stored is the sum of those that are, and says beside it how many are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from collector.model.days import NO_DAYS, Days, Window
from collector.model.findings import Break
from collector.report.account import Mark
from collector.report.frame import MEAN_DAYS, Against, Frame


class Metric(StrEnum):
    """A key figure; the first six are the cards of a page, in this order."""

    CUMULATE_USER = "cumulate_user"
    NEW_USER = "new_user"
    CANCEL_USER = "cancel_user"
    NET_USER = "net_user"
    UNFOLLOW_RATE = "unfollow_rate"
    GROWTH_RATE = "growth_rate"
    LOST_TO_NEW = "lost_to_new"


CARDS = (
    Metric.CUMULATE_USER,
    Metric.NEW_USER,
    Metric.CANCEL_USER,
    Metric.NET_USER,
    Metric.UNFOLLOW_RATE,
    Metric.GROWTH_RATE,
)


class Ratio(NamedTuple):
    """A rate as the two sums that make it; its `value` is None where the lower one is 0."""

    part: int = 0
    whole: int = 0

    @property
    def value(self) -> float | None:
        """The rate: 0.01 is 1 %."""
        return self.part / self.whole if self.whole else None


NO_RATIO = Ratio()


class Missing(NamedTuple):
    """Days of accounts that aren't stored, by dataset; ten accounts that lack a day are ten.

    `summary` and `cumulate` count days that are expected. `uncollected` counts days before an account's first day that
    is wanted, on which it may have existed: they aren't missing, yet a sum over them isn't whole.
    """

    summary: int = 0
    cumulate: int = 0
    uncollected: int = 0

    def __bool__(self) -> bool:
        return any(self)

    def of(self, metric: Metric) -> int:
        """Return how many days a sum lacks that should be there, those of both datasets for rates by day."""
        match metric:
            case Metric.NEW_USER | Metric.CANCEL_USER | Metric.NET_USER | Metric.LOST_TO_NEW:
                return self.summary
            case Metric.UNFOLLOW_RATE:
                return max(self.summary, self.cumulate)
            case Metric.CUMULATE_USER | Metric.GROWTH_RATE:
                return 0  # they take single days; `Total` names who lacks that


NONE_MISSING = Missing()


class Total(NamedTuple):
    """The total followers (累积关注) on one `day` that the accounts have in common, the last complete one.

    That is the day among the last seven of the period with totals of most accounts, the newest of several; where none
    has any, among all days of the period. `lacking` are the names of the accounts that have no total on it, though
    it isn't before their birth: they aren't among the `followers`.
    """

    day: date
    followers: int
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over the days of a window, of one account or of many.

    * `new_user`, `cancel_user`: None where no day of it is stored.
    * `cumulate_user`: the total of its last day, of the accounts that have it; None where none has.
    * `unfollow`: Σ cancel_user ÷ Σ cumulate_user, over the days of accounts that have both (日取关率).
    * `growth`: (期末 − 期初) ÷ 期初, over the accounts that have both; 期初 is the total of the day before the window,
      0 for an account that wasn't born by then.
    * `missing`: what the sums lack.
    """

    days: Window
    new_user: int | None = None
    cancel_user: int | None = None
    cumulate_user: int | None = None
    unfollow: Ratio = NO_RATIO
    growth: Ratio = NO_RATIO
    missing: Missing = NONE_MISSING

    @property
    def net_user(self) -> int | None:
        """The new followers without the lost ones (净增关注)."""
        return None if self.new_user is None or self.cancel_user is None else self.new_user - self.cancel_user

    @property
    def lost_to_new(self) -> Ratio:
        """The lost followers for each new one (取关/新增比)."""
        return Ratio(self.cancel_user or 0, self.new_user or 0)

    def value(self, metric: Metric) -> float | None:
        """Return a figure by its name: a whole number, or a rate (0.01 is 1 %)."""
        match metric:
            case Metric.UNFOLLOW_RATE:
                return self.unfollow.value
            case Metric.GROWTH_RATE:
                return self.growth.value
            case Metric.LOST_TO_NEW:
                return self.lost_to_new.value
            case Metric.CUMULATE_USER | Metric.NEW_USER | Metric.CANCEL_USER | Metric.NET_USER:
                number: int | None = getattr(self, metric)
                return number


class Reason(StrEnum):
    """Reason why a comparison is left out.

    * `not_over`: days of this period aren't published yet.
    * `no_period`: the calendar has no such period a year before (week 53).
    * `incomplete`, `base_incomplete`: this window, or the one it is compared with, lacks figures of some account.
    * `base_not_stored`: the window that it is compared with has no figures at all.
    * `base_zero`, `base_negative`: no percentage of it makes sense.
    * `undefined`: a rate of this window has 0 below the line.
    """

    NOT_OVER = "not_over"
    NO_PERIOD = "no_period"
    INCOMPLETE = "incomplete"
    BASE_NOT_STORED = "base_not_stored"
    BASE_INCOMPLETE = "base_incomplete"
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


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure of the period with its comparisons. `missing` is how many days of accounts its sum lacks."""

    metric: Metric
    value: float | None
    missing: int
    comparisons: Mapping[Against, Comparison]


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


@dataclass(frozen=True, slots=True)
class Channel:
    """Figures of one channel over the period. `by_day` has its new followers on the days of the series.

    `share` is its part of the new followers of all channels (渠道占比), `change` compares its new followers with the
    period before (环比). An unknown code has no entry in `CHANNELS`: show its number.
    """

    code: int
    new_user: int
    cancel_user: int
    share: Ratio
    change: Comparison
    by_day: Sequence[int | None]

    @property
    def net_user(self) -> int:
        """The new followers without the lost ones."""
        return self.new_user - self.cancel_user

    @property
    def lost_to_new(self) -> Ratio:
        """The lost followers for each new one (取关/新增比)."""
        return Ratio(self.cancel_user, self.new_user)


class Standing(StrEnum):
    """Standing of an account in the period, for the head of a page.

    * `complete` (完整): no expected day of the period is missing.
    * `pending` (待补): some are.
    * `failed` (失败): some are, and the account has failed since its last success.
    * `silent`: WeChat has no figures of it, for 14 days or more up to now.
    """

    COMPLETE = "complete"
    PENDING = "pending"
    FAILED = "failed"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Line:
    """One account, or all of one tag, over the period: a row of rankings and of the table of all accounts.

    `account` is the appid, None for a tag, `accounts` how many there are. `totals` are the totals by day of
    `Frame.shown`: None where an account lacks the day. `total` is that of the newest day with one; for a tag, that of
    the day that all accounts have in common.
    """

    name: str
    account: str | None
    accounts: int
    tags: tuple[str, ...]
    standing: Standing
    tally: Tally
    total: Total | None
    totals: Sequence[int | None]

    def value(self, metric: Metric) -> float | None:
        """Return a figure by its name."""
        if metric is Metric.CUMULATE_USER:
            return self.total.followers if self.total else None
        return self.tally.value(metric)

    @property
    def index(self) -> list[float | None]:
        """The totals by day with that of the period's first day set to 100; empty where that is 0 or missing."""
        first = self.totals[0] if self.totals else None
        return [None if total is None else 100 * total / first for total in self.totals] if first else []


@dataclass(frozen=True, slots=True)
class Gap:
    """The days of the period that an account lacks, by dataset.

    `summary` and `cumulate` are pending (待补): asked for again. `void` will stay without figures of some dataset,
    since WeChat has none. `collected_since` is the first day wanted, where that lies within the period and days before it
    aren't stored.
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


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a report on one account or on a group.

    * `standings`: how many accounts are of each standing.
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
    standings: Mapping[Standing, int]
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
    def has_figures(self) -> bool:
        """True if any figure of the period is stored."""
        return self.total is not None or self.period.new_user is not None
