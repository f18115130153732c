"""WeChat's quotas, and counters for them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The quotas of the sandbox, in calls, and the lifetimes of its tokens, in seconds.

    `daily` limits an account's calls of one dataset in a Beijing day, `minute` its calls of both in a minute,
    `token_calls_daily` its classic token calls in a Beijing day. A classic token lives for `classic_grace_s` after the
    next one was issued. With a `token_life_s` of 300 or less each call gives a new token.
    """

    daily: int = 1_000_000
    minute: int = 100_000
    token_calls_daily: int = 2_000
    token_life_s: int = 7_200
    classic_grace_s: int = 300


class Meter:
    """Counts by key and period; a new period starts at 0."""

    def __init__(self) -> None:
        # One period a key, the latest: memory grows with the accounts, not with time.
        self._counts: dict[Hashable, tuple[int, int]] = {}

    def used(self, key: Hashable, period: int) -> int:
        """Return the count of `period`."""
        counted, used = self._counts.get(key, (period, 0))
        return used if counted == period else 0

    def take(self, key: Hashable, period: int, limit: int) -> bool:
        """Count one more and return True, or return False if `limit` is reached."""
        used = self.used(key, period)
        if used >= limit:
            return False
        self._counts[key] = (period, used + 1)
        return True
