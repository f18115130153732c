"""What `check`, `status` and `verify` find out about accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from collector.model.days import NO_DAYS, ONE_DAY, Days
from collector.model.results import ExitCode, Failure, Notice, Outcome, RunResult
from collector.model.state import Trouble


class Verdict(StrEnum):
    """What came of asking: a figure of the newest published day, an answer without one, an error; or not asked."""

    OK = "ok"
    EMPTY = "empty"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """What one dataset gave, and how many of its calls WeChat allows for the rest of the day, if it says so."""

    verdict: Verdict = Verdict.NOT_ASKED
    quota_left: int | None = None


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """What one account gets: its token, each dataset, the host that answered, the IPs of ours that were refused.

    `late` says that the newest published day isn't there yet; summary may lack it although it is, since it leaves out
    days on which nobody came or went.
    """

    account: str
    name: str
    outcome: Outcome
    token: Verdict
    datasets: Mapping[str, DatasetCheck]
    late: bool = False
    host: str | None = None
    refused_ips: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found out about all accounts; `result` counts them as a run's result does."""

    newest_published: date
    result: RunResult
    accounts: Sequence[AccountCheck] = field(default=())

    @property
    def refused(self) -> list[AccountCheck]:
        """The accounts that refused an IP of ours, by name."""
        return sorted((each for each in self.accounts if each.refused_ips), key=lambda each: each.name)


class Standing(StrEnum):
    """How an account stands, worst first, but silent ones last.

    * `failing`: a dataset has failed since its last success.
    * `never_collected`: WeChat has answered nothing for it yet.
    * `behind`: the newest published day isn't there.
    * `ok`: it is; older days may be missing.
    * `silent`: WeChat answers, and has had no figure for it in the last 14 days.
    """

    FAILING = "failing"
    NEVER_COLLECTED = "never_collected"
    BEHIND = "behind"
    OK = "ok"
    SILENT = "silent"


Newest = Mapping[str, date | None]
"""The newest covered day of each dataset, None where it has none."""


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """Where one account stands.

    `missing_days` counts the days wanted that one dataset at least lacks. `last_success` (UTC) is the last of any
    dataset; `errors` holds, by dataset, the errors that no success has followed.
    """

    account: str
    name: str
    tags: tuple[str, ...]
    standing: Standing
    newest: Newest
    missing_days: int
    born: date | None = None
    last_success: datetime | None = None
    errors: Mapping[str, Trouble] = field(default_factory=dict)

    @property
    def last_error(self) -> Trouble | None:
        """The latest of the errors; of two at once, the first dataset's."""
        return max(self.errors.values(), key=lambda error: error.at, default=None)


@dataclass(frozen=True, slots=True)
class Former:
    """An account that is stored, and isn't configured any more."""

    account: str
    name: str
    newest: Newest
    last_success: datetime | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """Where the accounts of the command stand: one at least, in the order in which they are shown.

    `newest_published` is the day that all of them should have. `disabled` counts the accounts that the configuration
    disables, which aren't shown.
    """

    newest_published: date
    accounts: tuple[AccountStatus, ...]
    no_longer_configured: tuple[Former, ...] = ()
    disabled: int = 0

    @property
    def silent(self) -> list[AccountStatus]:
        """The silent accounts."""
        return [account for account in self.accounts if account.standing is Standing.SILENT]


@dataclass(frozen=True, slots=True)
class Break:
    """A day whose total, `found`, isn't what the day before and the day's net come to, `expected`."""

    day: date
    expected: int
    found: int

    @property
    def before(self) -> date:
        """The day whose total was expected to go on."""
        return self.day - ONE_DAY

    @property
    def difference(self) -> int:
        """How many followers more were found than expected."""
        return self.found - self.expected


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the state of a dataset and the documents differ.

    `lost` days count as covered, and nothing is stored of them; `unknown` ones are stored, and don't count as covered.
    """

    lost: Days = NO_DAYS
    unknown: Days = NO_DAYS


@dataclass(frozen=True, slots=True)
class AccountFindings:
    """What was found of one account.

    `differences` has the datasets that differ, `foreign` is how many of its documents aren't of the collector's form.
    `damaged` says that its state was of another version, or couldn't be read as a whole.
    """

    account: str
    name: str
    differences: Mapping[str, Difference] = field(default_factory=dict)
    damaged: bool = False
    breaks: tuple[Break, ...] = ()
    foreign: int = 0

    @property
    def differs(self) -> bool:
        """Whether there is something to repair."""
        return self.damaged or bool(self.differences)

    @property
    def lost_days(self) -> int:
        """Days that one dataset at least has lost."""
        return _days_of(difference.lost for difference in self.differences.values())

    @property
    def unknown_days(self) -> int:
        """Days of which one dataset at least is stored unknown to the state."""
        return _days_of(difference.unknown for difference in self.differences.values())


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found in the `checked` accounts: `findings` of those that have any.

    `foreign` counts the documents of `user_daily` that aren't of the collector's form, of whatever account. `at_work`
    says that a run was at work meanwhile.
    """

    checked: int
    findings: Sequence[AccountFindings]
    foreign: int = 0
    repaired: bool = False
    at_work: bool = False

    @property
    def differing(self) -> list[AccountFindings]:
        """The accounts with something to repair."""
        return [found for found in self.findings if found.differs]

    @property
    def exit(self) -> ExitCode:
        """Breaks and foreign documents change nothing: no repair of ours could mend them."""
        return ExitCode.PARTIAL if self.differing and not self.repaired else ExitCode.OK


@dataclass(frozen=True, slots=True)
class AccountGaps:
    """What the stored days of one account lack, by dataset.

    `missing` days are wanted and not stored; `void` ones lie between stored days, and WeChat has nothing for them.
    `lost_days` of the missing ones count as covered by mistake, so no run asks for them.
    """

    account: str
    name: str
    missing: Mapping[str, Days] = field(default_factory=dict)
    void: Mapping[str, Days] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    lost_days: int = 0


def _days_of(sets: Iterable[Days]) -> int:
    return len(Days.joined(window for days in sets for window in days.ranges))
