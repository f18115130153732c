"""Decide when accounts whose newest day isn't there yet are asked again, and which of them.

WeChat publishes a day for many accounts at once. So a round asks a few of the pending accounts, and all of them only
when one of those has its day.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from math import inf
from typing import NamedTuple

PROBES = 8
"""Pending accounts that a round asks to find out whether the day is there."""

ROUND_S = 600.0

JITTER = 0.1
"""Share by which the time between two rounds varies, so that many collectors don't all ask at once."""

MIN_BETWEEN_ALL_S = 1_200.0
"""The least time between two rounds that ask all pending accounts."""

MAX_BETWEEN_ALL_S = 3_600.0
"""The longest time between two rounds that ask all pending accounts."""

WAVE_SHARE = 0.2
"""Share of the accounts asked that have their day after a wave. Fewer: days are published one by one."""


class Pending(NamedTuple):
    """Oldest stored day of a pending account, and the number of its followers."""

    oldest: date
    followers: int


class Rounds:
    """The rounds until `until_s`, in seconds of the monotonic clock; `random` returns numbers from 0 to 1."""

    def __init__(self, until_s: float, random: Callable[[], float]) -> None:
        self._until_s = until_s
        self._random = random
        self._asked_all_s = -inf
        self._is_day_there = False

    def is_over(self, now_s: float) -> bool:
        """Return True from `until_s` on."""
        return now_s >= self._until_s

    def must_ask_all(self, now_s: float) -> bool:
        """Return True where all pending accounts are asked now, and not a few of them first."""
        return now_s >= self._all_due_s

    def note_probes(self, *, came: int) -> None:
        """Note how many of the accounts that were asked first have their day."""
        self._is_day_there |= bool(came)

    def note_all(self, now_s: float, *, asked: int, came: int) -> None:
        """Note how many of all pending accounts have their day."""
        self._asked_all_s = now_s
        # One by one, days are published all the time: probes would find that out too late.
        self._is_day_there = 0 < came < asked * WAVE_SHARE

    def next_s(self, now_s: float) -> float:
        """Return when the next round begins, after one that was done or skipped."""
        round_s = ROUND_S * (1 - JITTER + 2 * JITTER * self._random())
        times_s = (now_s + round_s, self._all_due_s, self._until_s)
        return min(at_s for at_s in times_s if at_s > now_s)

    @property
    def _all_due_s(self) -> float:
        return self._asked_all_s + (MIN_BETWEEN_ALL_S if self._is_day_there else MAX_BETWEEN_ALL_S)

    def probes(self, pending: Mapping[str, Pending]) -> frozenset[str]:
        """Return the appids of a few accounts, spread over ages and sizes, others in each round."""
        by_age = sorted(pending, key=lambda appid: (pending[appid].oldest, appid))
        by_size = sorted(pending, key=lambda appid: (pending[appid].followers, appid))
        return frozenset([*self._spread(by_age, PROBES // 2), *self._spread(by_size, PROBES - PROBES // 2)])

    def _spread(self, appids: Sequence[str], count: int) -> Collection[str]:
        """Return `count` of `appids` at even distances, or all of them."""
        total, count = len(appids), min(count, len(appids))
        begin = int(self._random() * total)
        return [appids[(begin + number * total // count) % total] for number in range(count)]
