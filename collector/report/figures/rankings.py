"""Rankings of accounts or tags over a period (排行)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from collector.report.figures.lines import Line
from collector.report.figures.metrics import Metric

MIN_FOLLOWERS = 1_000
"""The followers that an account needs at the beginning for the ranking by growth, so that small ones don't lead."""


class Ranking(StrEnum):
    """A ranking: 涨粉榜, 掉粉榜, 取关率榜, 增长率榜."""

    GAINS = "gains"
    LOSSES = "losses"
    UNFOLLOW_RATE = "unfollow_rate"
    GROWTH_RATE = "growth_rate"


class Rule(NamedTuple):
    """The `metric` that a ranking goes by, which lines it has, and whether the lowest value of them is the first."""

    metric: Metric
    has: Callable[[Line], bool]
    lowest_first: bool = False


RULES: Mapping[Ranking, Rule] = {
    Ranking.GAINS: Rule(Metric.NET_USER, lambda line: (line.tally.net_user or 0) > 0),
    Ranking.LOSSES: Rule(Metric.NET_USER, lambda line: (line.tally.net_user or 0) < 0, lowest_first=True),
    Ranking.UNFOLLOW_RATE: Rule(Metric.UNFOLLOW_RATE, lambda line: line.tally.unfollow.whole > 0),
    Ranking.GROWTH_RATE: Rule(Metric.GROWTH_RATE, lambda line: line.tally.growth.whole >= MIN_FOLLOWERS),
}


def ranked(lines: Sequence[Line], ranking: Ranking, top: int | None = None) -> list[Line]:
    """Return the lines of a ranking, the first one first; those without its figure are left out.

    A line with missing days ranks by what is stored: show its `tally.missing` beside it.
    """
    metric, has, lowest_first = RULES[ranking]
    sign = 1 if lowest_first else -1
    fitting = [line for line in lines if has(line)]
    return sorted(fitting, key=lambda line: (sign * (line.value(metric) or 0), line.name, line.account or ""))[:top]
