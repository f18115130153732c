"""How many calls WeChat lets through, and the counts that it keeps."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The sandbox's quotas, in calls, and the lives of its tokens, in seconds.

    `daily` counts one account's calls of one dataset in a Beijing day, `minute` its calls of both in a minute.
    `token_calls_daily` counts one account's classic calls. A classic token lives `classic_grace_s` longer after
    the next one came. A token that lives 300 s or less is renewed by every call.
    """

    daily: int = 1_000_000
    minute: int = 100_000
    token_calls_daily: int = 2_000
    token_life_s: int = 7_200
    classic_grace_s: int = 300


class Meter:
    """Counts takings by key within a period; a new period begins at nought. It holds one count for each key."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, tuple[int, int]] = {}

    def used(self, key: Hashable, period: int) -> int:
        """How many were taken in `period`."""
        counted, used = self._counts.get(key, (period, 0))
        return used if counted == period else 0

    def take(self, key: Hashable, period: int, limit: int) -> bool:
        """Take one more, unless `limit` are taken already; the answer says which."""
        used = self.used(key, period)
        if used >= limit:
            return False
        self._counts[key] = (period, used + 1)
        return True
