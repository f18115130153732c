"""The findings of `check`, `status` and `verify` about accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from collector.model.days import NO_DAYS, ONE_DAY, Days
from collector.model.ledger import LastRuns
from collector.model.results import ExitCode, Failure, Notice, Outcome, RunResult
from collector.model.state import Trouble, UnusableState
from collector.model.waits import Wait


class Verdict(StrEnum):
    """The result of one question: the newest published day's row, an answer without it, an error, or not asked."""

    OK = "ok"
    EMPTY = "empty"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """The verdict on one dataset, and the calls of it left today; None where WeChat doesn't say."""

    verdict: Verdict = Verdict.NOT_ASKED
    quota_left: int | None = None


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """The check of one account: its token, each dataset, the host that answered, and this host's refused IPs.

    `late` is True if the newest published day isn't there yet. Summary alone may lack it, since it has no row for a day
    on which nobody came or went. `never_had_a_row` is True if neither an answer nor the state has a row of any day.
    `egress` is the account's label, None if it has none. `account` is None for a file that can't be read, whose path is
    the `name`.
    """

    account: str | None
    name: str
    outcome: Outcome
    token: Verdict
    datasets: Mapping[str, DatasetCheck]
    late: bool = False
    host: str | None = None
    refused_ips: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()
    never_had_a_row: bool = False
    egress: str | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of all accounts; `result` counts them as a run's result does."""

    newest_published: date
    result: RunResult
    accounts: Sequence[AccountCheck] = field(default=())

    @property
    def has_labels(self) -> bool:
        """True if an account has an egress label."""
        return any(each.egress for each in self.accounts)

    @property
    def refused(self) -> list[AccountCheck]:
        """The accounts that refused this host's IP, by egress label, those without one last, and by name."""
        refused = (each for each in self.accounts if each.refused_ips)
        return sorted(refused, key=lambda each: (each.egress is None, each.egress, each.name))


class Standing(StrEnum):
    """The state of an account in one word, worst first, with silent accounts last.

    * `failing`: a dataset has failed since its last success.
    * `never_collected`: no call has succeeded yet.
    * `behind`: the newest published day is missing.
    * `ok`: the newest published day is stored; older days may be missing.
    * `silent`: WeChat's answers had no row in the last 14 days.
    """

    FAILING = "failing"
    NEVER_COLLECTED = "never_collected"
    BEHIND = "behind"
    OK = "ok"
    SILENT = "silent"


Newest = Mapping[str, date | None]
"""The newest covered day of each dataset, or None."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The status of one account, or of a file that can't be read, which has its path as `name` and no `account`.

    `missing_days` counts the wanted days that at least one dataset lacks, `unresolved_days` those among them that
    summary alone lacks and that are perhaps quiet: nobody can tell yet. `last_success` (UTC) is the latest of all
    datasets; `errors` has, by dataset, the errors since the last success, `waits` the reason why a dataset that lacks
    something isn't asked now.
    """

    account: str | None
    name: str
    tags: tuple[str, ...]
    standing: Standing
    newest: Newest
    missing_days: int
    born: date | None = None
    last_success: datetime | None = None
    errors: Mapping[str, Trouble] = field(default_factory=dict)
    waits: Mapping[str, Wait] = field(default_factory=dict)
    unresolved_days: int = 0

    @property
    def lacking_days(self) -> int:
        """The missing days without the unresolved ones."""
        return self.missing_days - self.unresolved_days

    @property
    def is_complete(self) -> bool:
        """True if nothing is wrong and nothing is lacking."""
        return self.standing is Standing.OK and not self.lacking_days

    @property
    def never_had_a_row(self) -> bool:
        """True for a silent account without a stored day: WeChat gives empty answers for some that aren't verified."""
        return self.standing is Standing.SILENT and not any(self.newest.values())

    @property
    def last_error(self) -> Trouble | None:
        """The latest error; of two at the same time the first dataset's."""
        return max(self.errors.values(), key=lambda error: error.at, default=None)


@dataclass(frozen=True, slots=True)
class Former:
    """An account with stored days that is no longer configured."""

    account: str
    name: str
    newest: Newest
    last_success: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the selected accounts, at least one, in the order in which they are shown, and the last runs.

    `newest_published` is the day that each account should have. `unusable` are the states that can't be used, of
    accounts that aren't known otherwise; they and former accounts are left out where accounts were selected. `disabled`
    counts accounts that the configuration disables; they aren't shown. `database` names where the states are.
    """

    newest_published: date
    accounts: tuple[AccountStatus, ...]
    no_longer_configured: tuple[Former, ...] = ()
    unusable: tuple[UnusableState, ...] = ()
    disabled: int = 0
    database: str = field(default="", compare=False)
    runs: LastRuns | None = field(default=None, compare=False)

    @property
    def are_complete(self) -> bool:
        """True if all accounts are complete, apart from silent ones, and there are others."""
        others = [account for account in self.accounts if account.standing is not Standing.SILENT]
        return bool(others) and all(account.is_complete for account in others)

    @property
    def silent(self) -> list[AccountStatus]:
        """The silent accounts."""
        return [account for account in self.accounts if account.standing is Standing.SILENT]


@dataclass(frozen=True, slots=True)
class Break:
    """A day whose total (`found`) differs from the total of the day before plus the day's net (`expected`)."""

    day: date
    expected: int
    found: int

    @property
    def before(self) -> date:
        """The day before, whose total was the basis."""
        return self.day - ONE_DAY

    @property
    def difference(self) -> int:
        """The followers found beyond those expected."""
        return self.found - self.expected


@dataclass(frozen=True, slots=True)
class Difference:
    """The days in which the state of a dataset and its documents differ.

    `lost` days are covered in the state and not stored; `unknown` days are stored and not covered.
    """

    lost: Days = NO_DAYS
    unknown: Days = NO_DAYS


@dataclass(frozen=True, slots=True)
class AccountFindings:
    """The findings about one account.

    `differences` has the datasets that differ. `foreign` counts its documents that aren't in the collector's form.
    `damaged` is True if its state could not be read completely, `newer` if a newer version of the collector wrote it:
    a repair leaves that one alone. `heals` is True if the next run asks for all that differs, as after one that was
    killed.
    """

    account: str
    name: str
    differences: Mapping[str, Difference] = field(default_factory=dict)
    damaged: bool = False
    breaks: tuple[Break, ...] = ()
    foreign: int = 0
    newer: bool = False
    heals: bool = field(default=False, compare=False)

    @property
    def differs(self) -> bool:
        """True if there is something to repair."""
        return self.damaged or bool(self.differences)

    @property
    def lost_days(self) -> int:
        """The days that at least one dataset has lost."""
        return len(Days.union(difference.lost for difference in self.differences.values()))

    @property
    def unknown_days(self) -> int:
        """The days stored for at least one dataset and unknown to the state."""
        return len(Days.union(difference.unknown for difference in self.differences.values()))


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of `verify` over `checked` accounts, with `findings` for those that have any.

    `foreign` counts the documents of `user_daily` that aren't in the collector's form, of any account. `at_work` is
    True if a run was at work at the same time. `database` names what was verified.
    """

    checked: int
    findings: Sequence[AccountFindings]
    foreign: int = 0
    repaired: bool = False
    at_work: bool = False
    database: str = field(default="", compare=False)

    @property
    def differing(self) -> list[AccountFindings]:
        """The accounts with something to repair."""
        return [found for found in self.findings if found.differs]

    @property
    def newer(self) -> list[AccountFindings]:
        """The accounts whose state a newer version of the collector wrote."""
        return [found for found in self.findings if found.newer]

    @property
    def exit(self) -> ExitCode:
        """3 while something is left to repair, or a state is of a newer version; else 0."""
        # Breaks and foreign documents don't count: `--repair` can't change them.
        return ExitCode.PARTIAL if (self.differing and not self.repaired) or self.newer else ExitCode.OK


@dataclass(frozen=True, slots=True)
class AccountGaps:
    """The gaps in the stored days of one account, by dataset.

    `missing` days are wanted and not stored. `void` days lie between stored ones, and WeChat has nothing for them.
    `lost_days` counts the missing days that are covered by mistake, so no run asks for them. `unresolved` are those
    that summary alone lacks, and that are perhaps quiet.
    """

    account: str
    name: str
    missing: Mapping[str, Days] = field(default_factory=dict)
    void: Mapping[str, Days] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    lost_days: int = 0
    unresolved: Days = NO_DAYS

    @property
    def lacking(self) -> Mapping[str, Days]:
        """The missing days without the unresolved ones."""
        return {name: days - self.unresolved for name, days in self.missing.items()}

    @property
    def perhaps_quiet(self) -> Mapping[str, Days]:
        """The unresolved days, of the dataset that lacks them."""
        return {name: days & self.unresolved for name, days in self.missing.items()}
