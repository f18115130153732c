"""Accounts and tags over the period, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from collector.report.metrics import Metric, Tally, Total


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

    `account` is the appid, None for a tag, `accounts` how many there are. `tally` has the growth up to the day of
    `total`, which is the newest day with a total, for a tag the day that its accounts have in common. `compact` has the
    totals by day of `Frame.shown`, or why there is none.
    """

    name: str
    account: str | None
    accounts: int
    tags: tuple[str, ...]
    standing: Standing
    tally: Tally
    total: Total | None
    compact: Sequence[int]

    def value(self, metric: Metric) -> float | None:
        """Return a figure by its name."""
        if metric is Metric.CUMULATE_USER:
            return self.total.followers if self.total else None
        return self.tally.value(metric)

    @property
    def totals(self) -> list[int | None]:
        """The totals by day of `Frame.shown`; None where an account lacks the day, or there is none yet."""
        return [total if total >= 0 else None for total in self.compact]

    @property
    def index(self) -> list[float | None]:
        """The totals by day with that of the period's first day set to 100; empty where that is 0 or missing."""
        first = self.compact[0] if self.compact else 0
        return [None if total is None else 100 * total / first for total in self.totals] if first > 0 else []
