"""The findings of `status`: where each account stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from collector.model.ledger import LastRuns
from collector.model.state import Trouble, UnusableState
from collector.model.waits import Wait


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
