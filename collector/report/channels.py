"""Figures by channel (来源)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.report.comparing import Comparison
from collector.report.metrics import Ratio


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
