"""How accounts come out of a run, and the result of the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from collector.errors import WaitKind
from collector.model.accounts import Account


class Outcome(StrEnum):
    """How an account came out of a run."""

    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a dataset of an account failed, or, with `dataset` None, the whole account.

    `windows` is how many windows weren't answered because of it. What failed a third-party platform bears the
    platform's appid and name, and stands once for all its `accounts`.
    """

    account: str
    name: str
    dataset: str | None
    errmsg: str
    errcode: int | None = None
    rid: str | None = None
    hint: str = ""
    windows: int = 0
    accounts: int = 1


@dataclass(frozen=True, slots=True)
class Notice:
    """A wait until `until` (UTC), which is None where nobody knows its end: no failure, the days stay pending."""

    account: str
    name: str
    kind: WaitKind
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountResult:
    """How one account came out, why, and what the run must know to judge the whole.

    `ended` are the datasets that are not to be asked any more in this run. `answered` says whether WeChat gave data
    for it, `unreachable` whether it failed for want of a connection, `silent` that it has had no row for some time,
    `windows_left` how many windows wait for a later run.
    """

    account: Account
    outcome: Outcome
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()
    ended: frozenset[str | None] = frozenset()
    answered: bool = False
    unreachable: bool = False
    silent: bool = False
    windows_left: int = 0


class ExitCode(IntEnum):
    """What the command's exit code tells whoever started it."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    LEASE = 11
    PENDING = 75
    CONFIG = 78
    SIGINT = 130
    SIGTERM = 143


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did: the counts, everything that failed, and how it ended.

    `calls` are requests sent to the datasets, retries included; `days` are upserts acknowledged.
    `got_through` is how many accounts had an answer of one dataset at least. `silent` are the names of accounts
    without any row for some time, `windows_left` the windows of history that wait for a later run. `error` is
    what ended the run before its time, `stopped_by` the number of the signal that did.
    """

    run: str
    seconds: float
    outcomes: Mapping[Outcome, int]
    got_through: int
    calls: int = 0
    token_calls: int = 0
    retries: int = 0
    days: int = 0
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()
    silent: tuple[str, ...] = ()
    windows_left: int = 0
    error: str | None = None
    stopped_by: int | None = None

    @property
    def total(self) -> int:
        """All accounts that the run was for."""
        return sum(self.outcomes.values())

    @property
    def exit(self) -> int:
        """The exit code: a signal comes first, then what failed, then what is pending."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        failed = bool(self.outcomes[Outcome.FAILED] or self.failures)
        if self.error is not None or (failed and not self.got_through):
            return ExitCode.FAILED
        if failed:
            return ExitCode.PARTIAL
        return ExitCode.PENDING if self.outcomes[Outcome.PENDING] else ExitCode.OK

    @property
    def status(self) -> str:
        """The exit code as a word."""
        words = {ExitCode.OK: "ok", ExitCode.FAILED: "failed", ExitCode.PARTIAL: "partial", ExitCode.PENDING: "pending"}
        return words.get(ExitCode(self.exit), "stopped")
