"""Rankings of accounts or tags over a period (排行)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from collector.report.figures.lines import Line
from collector.report.figures.metrics import Ratio

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
    belongs, value = _RANKS[ranking]
    fitting = [line for line in lines if belongs(line)]
    return sorted(fitting, key=lambda line: (-value(line), line.name, line.account or ""))[:top]


def _net(line: Line) -> int:
    return line.tally.net_user or 0


def _rate(ratio: Ratio) -> float:
    return ratio.value or 0.0


_RANKS: Mapping[Ranking, tuple[Callable[[Line], bool], Callable[[Line], float]]] = {
    Ranking.GAINS: (lambda line: _net(line) > 0, _net),
    Ranking.LOSSES: (lambda line: _net(line) < 0, lambda line: -_net(line)),
    Ranking.UNFOLLOW_RATE: (lambda line: line.tally.unfollow.whole > 0, lambda line: _rate(line.tally.unfollow)),
    Ranking.GROWTH_RATE: (
        lambda line: line.tally.growth.whole >= MIN_FOLLOWERS,
        lambda line: _rate(line.tally.growth),
    ),
}
"""Which lines a ranking has, and by what they rank, the highest first."""
