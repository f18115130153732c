"""Runs as the ledger has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from collector.model.results import Failure

COMPLETED = ("ok", "pending", "partial")
"""Statuses of runs that came to their end with an account that got through."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Record of one run in the ledger, which is `at_work` while it holds its lease, or pauses.

    `status` is that of its result, "stopped", "crashed" or "running", empty where it can't be read; `exit` and the
    counts are those of its result, absent until it has one. `accounts` counts by outcome, with the `total`. The
    instants are in UTC.
    """

    run: str
    command: str
    status: str
    version: str = ""
    host: str = ""
    pid: int | None = None
    began: datetime | None = None
    ended: datetime | None = None
    exit: int | None = None
    accounts: Mapping[str, int] | None = None
    calls: int | None = None
    token_calls: int | None = None
    retries: int | None = None
    days: int | None = None
    failures: tuple[Failure, ...] = ()
    failures_left_out: int = 0
    error: str | None = None
    at_work: bool = False

    @property
    def seconds(self) -> float | None:
        """Seconds from its begin to its end."""
        return (self.ended - self.began).total_seconds() if self.ended and self.began else None

    @property
    def total(self) -> int | None:
        """Number of accounts, None where it isn't known."""
        return self.accounts.get("total") if self.accounts else None

    @property
    def failed(self) -> int:
        """Number of accounts that have failed."""
        return self.accounts.get("failed", 0) if self.accounts else 0


@dataclass(frozen=True, slots=True)
class LastRuns:
    """The last run, and the one that was completed last, as the ledger had them at the instant `at` (UTC)."""

    at: datetime
    last: RunRecord | None = None
    completed: RunRecord | None = None
