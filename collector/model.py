"""The values that pass between the stages, none of which changes.

Most are frozen dataclasses. Those that a run makes for each of millions of calls are tuples, or have `Final` fields,
to which mypy holds everybody: freezing takes most of the time that it takes to make one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import SecretStr

from collector.days import NO_DAYS, Days

Secret = SecretStr
"""A text that can't print: its repr, str and JSON are asterisks; `get_secret_value()` gives it away."""


@dataclass(frozen=True, slots=True)
class FromFile:
    """A secret that a file holds, which nobody else may read."""

    path: Path


@dataclass(frozen=True, slots=True)
class FromCredential:
    """A secret that systemd hands over, by the name of a file in `$CREDENTIALS_DIRECTORY`."""

    name: str


@dataclass(frozen=True, slots=True)
class FromCommand:
    """What a command prints: `argv` is a list of arguments that no shell reads.

    Without `json` the output is the value itself; with it, a dotted path leads to the value in the JSON that the
    command prints, and `expires_json` to a token's lifetime in seconds. In a token's command `{appid}` stands for
    the account's appid.
    """

    argv: tuple[str, ...] = field(repr=False)
    json: str | None = None
    expires_json: str | None = None


Origin = Secret | FromFile | FromCredential | FromCommand
"""Where a secret lives: in the configuration itself, or where it points to. `Secrets` reads it."""


@dataclass(frozen=True, slots=True)
class FromUrl:
    """What a server answers to GET; the rest is as with `FromCommand`. The address may hold a secret itself."""

    url: Secret
    headers: tuple[tuple[str, Origin], ...] = ()
    json: str | None = None
    expires_json: str | None = None


@dataclass(frozen=True, slots=True)
class FromComponent:
    """A token that the third-party platform of that name gets, because the account has authorised it."""

    name: str


class TokenKind(StrEnum):
    """How an account's access_token is had with its secret: by WeChat's stable call, or its classic one."""

    STABLE = "stable"
    CLASSIC = "classic"


TokenOrigin = TokenKind | FromComponent | FromUrl | FromCommand
"""Where an account's access_token comes from."""


@dataclass(frozen=True, slots=True)
class Component:
    """One third-party platform of the agency.

    Its token comes from `access_token`, or is asked for with `secret` and `verify_ticket`. With `discover` all
    official accounts that authorised it are collected, but for the appids of `exclude`.
    """

    name: str
    appid: str
    access_token: FromUrl | FromCommand | None = None
    secret: Origin | None = None
    verify_ticket: Origin | FromUrl | None = None
    discover: bool = False
    exclude: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` data calls of one account in any `period_s` seconds."""

    calls: int
    period_s: int

    @property
    def spacing_s(self) -> float:
        """Seconds from one call to the next when they are paced evenly."""
        return self.period_s / self.calls

    def __str__(self) -> str:
        return f"{self.calls}/{'s' if self.period_s == 1 else 'min'}"


@dataclass(frozen=True, slots=True)
class Account:
    """One official account, with everything that the defaults gave it filled in.

    `daily_calls` is how many data calls of each dataset it may have in a Beijing day, all runs together. `proxy` and
    `hosts` are its own way to WeChat, where it has one. `authorizer_refresh_token` stands in where the list of a
    third-party platform doesn't give one.
    """

    name: str
    appid: str
    secret: Origin | None
    rate_limit: Rate
    token: TokenOrigin = TokenKind.STABLE
    authorizer_refresh_token: Origin | None = None
    proxy: Origin | None = None
    hosts: tuple[str, ...] = ()
    since: date | None = None
    daily_calls: int | None = None
    tags: tuple[str, ...] = ()
    enabled: bool = True

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last error of a dataset, its remedy, and since when it has failed without a success in between (UTC)."""

    errmsg: str
    errcode: int | None
    rid: str | None
    hint: str
    since: datetime
    at: datetime


@dataclass(slots=True)
class DatasetState:
    """What is known of one dataset of an account.

    * `covered`: days whose figures are stored. `void`: days that WeChat has nothing for, found out for good.
    * `empty`: days of age 6 or more that were answered without a row, by the Beijing day of that answer; a second
      such answer on another Beijing day makes them void.
    * `refreshed_to`: the newest published day when the last days were last fetched again, whole; `looked`: the days
      that have had their last look since then, while others of them still wait for it.
    * `not_before`: the instant (UTC) before which WeChat is not to be asked.
    * `calls`: data calls made on the Beijing day `calls_on`, all runs together.
    """

    covered: Final[Days] = NO_DAYS
    void: Final[Days] = NO_DAYS
    empty: Final[Mapping[date, Days]] = field(default_factory=dict)
    refreshed_to: Final[date | None] = None
    looked: Final[Days] = NO_DAYS
    not_before: Final[datetime | None] = None
    calls_on: Final[date | None] = None
    calls: Final[int] = 0
    last_success: Final[datetime | None] = None
    last_error: Final[Trouble | None] = None

    @property
    def settled(self) -> Days:
        """The days that need not be asked for again."""
        return self.covered | self.void


@dataclass(frozen=True, slots=True)
class Authorizer:
    """What an account is that a third-party platform, `component`, found among those that authorised it."""

    component: str
    nick_name: str
    mini_program: bool = False


@dataclass(slots=True)
class AccountState:
    """What is known of one account, as the collection `accounts` holds it.

    `name` is the one that its stored documents bear. `born` is the day on which its history begins, if that was
    found. `history_since` is the day to which a backfill was asked to reach. `authorizer` is what a platform that
    discovers its accounts found out about this one.
    """

    account: Final[str]
    name: Final[str]
    tags: Final[tuple[str, ...]] = ()
    born: Final[date | None] = None
    history_since: Final[date | None] = None
    datasets: Final[Mapping[str, DatasetState]] = field(default_factory=dict)
    authorizer: Final[Authorizer | None] = None

    def dataset(self, name: str) -> DatasetState:
        """What is known of a dataset; nothing of one that was never asked."""
        return self.datasets.get(name, _UNKNOWN)

    def knowing(self, datasets: Mapping[str, DatasetState]) -> AccountState:
        """The state with `datasets` in the place of what was known of them."""
        known = {**self.datasets, **datasets}
        return AccountState(self.account, self.name, self.tags, self.born, self.history_since, known, self.authorizer)


_UNKNOWN = DatasetState()

Fields = Mapping[str, object]
"""The fields that one dataset gives one day, named as they are stored."""


NOTHING: Mapping[str, Fields] = MappingProxyType({})


class Day(NamedTuple):
    """What came for one account and day, ready to be stored: the fields of each dataset that had it.

    `fields` maps a dataset's name to its fields, `fetched_at` is when the answers came (UTC). The fields of
    `inferred` give way to whatever is stored already. A tuple, since a run makes millions of them.
    """

    account: str
    name: str
    ref_date: date
    fields: Mapping[str, Fields]
    fetched_at: datetime
    inferred: Mapping[str, Fields] = NOTHING


class Update(NamedTuple):
    """What the writer takes: days of one account, and the state that they justify once they are acknowledged."""

    days: Sequence[Day]
    state: AccountState


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
    """A wait that WeChat ordered, until `until` (UTC): no failure, the days stay pending."""

    account: str
    name: str
    kind: str
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
