"""A contestant's job: the same for all, as JSON in the last argument."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

import orjson

from bench.world import Account, Window, accounts, rows, windows

COLLECTION = "user_daily"
STATES = "accounts"
MAX_BATCH = 1_000
"""Documents of one bulk write, as in the collector."""


@dataclass(frozen=True, slots=True)
class Job:
    """Collect both datasets of the first `size` accounts, from `since` to `newest`, into `database` at `uri`."""

    url: str
    uri: str
    database: str
    size: int
    since: str
    newest: str
    workers: int

    @classmethod
    def from_arguments(cls, arguments: Sequence[str] = sys.argv) -> Job:
        """Return the job in the last argument."""
        return cls(**orjson.loads(arguments[-1]))

    def as_argument(self) -> str:
        """Return the job as an argument."""
        return orjson.dumps(asdict(self)).decode()

    @property
    def accounts(self) -> list[Account]:
        """Return the accounts to ask."""
        return list(accounts(self.size))

    @property
    def windows(self) -> list[Window]:
        """Return the windows to ask for, newest first."""
        return windows(date.fromisoformat(self.since), date.fromisoformat(self.newest))

    @property
    def calls(self) -> int:
        """Return the number of data calls."""
        return 2 * self.size * len(self.windows)

    @property
    def days(self) -> int:
        """Return the number of documents."""
        return self.size * sum(len(rows("", window)) for window in self.windows)
