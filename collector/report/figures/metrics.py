"""Key figures over a window of days: sums, rates, and the days that they lack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from collector.model.days import Window


class Metric(StrEnum):
    """A key figure."""

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
"""The figures of the cards, and of tables of accounts or tags, in their order."""

DAILY = (Metric.NEW_USER, Metric.CANCEL_USER, Metric.NET_USER, Metric.CUMULATE_USER)
"""The figures of a day, in the order of the details."""

RATES = frozenset({Metric.UNFOLLOW_RATE, Metric.GROWTH_RATE, Metric.LOST_TO_NEW})
"""The figures that are rates; the others are whole numbers."""

LESS_IS_BETTER = frozenset({Metric.CANCEL_USER, Metric.UNFOLLOW_RATE, Metric.LOST_TO_NEW})
"""The figures whose fall is good news."""


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

    `summary` and `cumulate` count days that are expected, `days` those that lack any of the two. `uncollected` counts
    days before an account's first day that is wanted, on which it may have existed: they aren't missing, yet a sum over
    them isn't whole.
    """

    summary: int = 0
    cumulate: int = 0
    uncollected: int = 0
    days: int = 0

    def __bool__(self) -> bool:
        return any(self)

    def of(self, metric: Metric) -> int:
        """Return how many days a sum lacks that should be there, that of any dataset for rates by day."""
        match metric:
            case Metric.NEW_USER | Metric.CANCEL_USER | Metric.NET_USER | Metric.LOST_TO_NEW:
                return self.summary
            case Metric.UNFOLLOW_RATE:
                return self.days
            case Metric.CUMULATE_USER | Metric.GROWTH_RATE:
                return 0  # they take single days; `Total` names who lacks that


NONE_MISSING = Missing()


class Total(NamedTuple):
    """The total followers (累积关注) on one `day` that the accounts have in common, the last complete one.

    That is the newest among the last seven days of the period with totals of at least 99 % as many accounts as any of
    them has; where none has any, among all days of the period. `lacking` are the names of the accounts that have no
    total on it, though it isn't before their birth: they aren't among the `followers`.
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
      0 for an account that wasn't born by then. `growth_lacks` is how many accounts lack one of the two.
    * `missing`: what the sums lack.
    """

    days: Window
    new_user: int | None = None
    cancel_user: int | None = None
    cumulate_user: int | None = None
    unfollow: Ratio = NO_RATIO
    growth: Ratio = NO_RATIO
    growth_lacks: int = 0
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
