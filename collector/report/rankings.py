"""Rankings of accounts or tags over a period (排行)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from collector.report.lines import Line

MIN_FOLLOWERS = 1_000
"""The followers that an account needs at the beginning for the ranking by growth, so that small ones don't lead."""


class Ranking(StrEnum):
    """A ranking: 涨粉榜, 掉粉榜, 取关率榜, 增长率榜."""

    GAINS = "gains"
    LOSSES = "losses"
    UNFOLLOW_RATE = "unfollow_rate"
    GROWTH_RATE = "growth_rate"


def ranked(lines: Sequence[Line], ranking: Ranking, top: int | None = None) -> list[Line]:
    """Return the lines of a ranking, the first one first; those without its figure are left out.

    Gains and losses are by net growth: those that grew, and those that shrank. A line with missing days ranks by what
    is stored: show its `tally.missing` beside it.
    """
    raise NotImplementedError
