"""The result of a run: its outcome for each account, its failures and waits, and its exit code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import TypeVar

from collector.kinds import WaitKind
from collector.model.accounts import Account
from collector.model.waits import Wait

_T = TypeVar("_T")


class Outcome(StrEnum):
    """The outcome of a run for one account."""

    OK = "ok"
    PENDING = "pending"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that failed a dataset of an account or, with `dataset` None, the whole account.

    `windows` counts the windows to ask for again because of it. A platform's failure has the platform's appid and
    name, and stands once for all its `accounts`. That of a file that can't be read has its path as `name`, and no
    `account`. It has failed `since` then (UTC), without a success in between; None where that isn't known. `new` is
    True where it began to fail in this run.
    """

    account: str | None
    name: str
    dataset: str | None
    errmsg: str
    errcode: int | None = None
    rid: str | None = None
    hint: str = ""
    windows: int = 0
    accounts: int = 1
    since: datetime | None = None
    new: bool = False

    @property
    def remedy(self) -> str:
        """The hint; the message where there is no hint."""
        return self.hint or self.errmsg


@dataclass(frozen=True, slots=True)
class Notice:
    """A wait of an account until `until` (UTC), None where nobody knows its end: no failure, the days stay pending."""

    account: str
    name: str
    kind: WaitKind
    until: datetime | None = None


def notices_of(account: str, name: str, waits: Iterable[Wait]) -> tuple[Notice, ...]:
    """Return the notices of an account's waits, which have an end: each kind once, until no dataset waits any more."""
    ends: dict[WaitKind, datetime] = {}
    for wait in waits:
        if wait.until:
            ends[wait.kind] = max(wait.until, ends.get(wait.kind, wait.until))
    return tuple(Notice(account, name, kind, until) for kind, until in ends.items())


@dataclass(frozen=True, slots=True)
class AccountResult:
    """The outcome of one account, its reasons, and what the run's own result needs of it.

    `ended` are the datasets that this run doesn't ask any more. `answered` is True if WeChat gave data for the account,
    `unreachable` if it failed because no connection could be made, `silent` if it is a silent account.
    """

    account: Account
    outcome: Outcome
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()
    ended: frozenset[str | None] = frozenset()
    answered: bool = False
    unreachable: bool = False
    silent: bool = False


class ExitCode(IntEnum):
    """The exit codes of all commands."""

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
    """The result of a run: its counts, its failures, and how it ended.

    `calls` counts requests sent to the datasets, with retries; `days` counts acknowledged upserts. `got_through` counts
    accounts with an answer of at least one dataset. `pending` and `silent` have the names of these accounts.
    `windows_left` counts the windows of history that the accounts still lack, whatever the reason. `loop_lag_s` is the
    longest time in seconds for which the event loop was held. `error` is the message of the error that ended the run
    early, `stopped_by` the number of the signal that did. `database` names where all this is stored.
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
    pending: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    windows_left: int = 0
    loop_lag_s: float = 0.0
    error: str | None = None
    stopped_by: int | None = None
    database: str = field(default="", compare=False)

    @property
    def total(self) -> int:
        """The number of accounts in the run."""
        return sum(self.outcomes.values())

    @property
    def exit(self) -> int:
        """The exit code: a signal comes first, then failures, then pending accounts."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        # A platform can fail without an account, so the failures count too.
        failed = bool(self.outcomes[Outcome.FAILED] or self.failures)
        if self.error is not None or (failed and not self.got_through):
            return ExitCode.FAILED
        if failed:
            return ExitCode.PARTIAL
        return ExitCode.PENDING if self.outcomes[Outcome.PENDING] else ExitCode.OK

    @property
    def status(self) -> str:
        """The exit code as a word."""
        return "stopped" if self.stopped_by is not None else ExitCode(self.exit).name.lower()


def grouped_by_remedy(failures: Iterable[Failure]) -> list[list[Failure]]:
    """Group failures with the same remedy, the largest group first."""
    return _grouped(failures, lambda failure: failure.remedy)


def grouped_by_wait(notices: Iterable[Notice]) -> list[list[Notice]]:
    """Group waits of the same kind and end, the largest group first."""
    return _grouped(notices, lambda notice: (notice.kind, notice.until))


def _grouped(items: Iterable[_T], key: Callable[[_T], Hashable]) -> list[list[_T]]:
    groups: dict[Hashable, list[_T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    # Sorting is stable: groups of one size stay in the order of their first items.
    return sorted(groups.values(), key=len, reverse=True)
