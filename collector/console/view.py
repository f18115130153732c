"""View of a status: which accounts `status` lists, and what is too old for whoever looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from collector.model.results import ExitCode
from collector.model.standings import AccountStatus, Standing, Status


class Trait(StrEnum):
    """Trait by which accounts are picked out of the list."""

    FAILING = "failing"
    WAITING = "waiting"
    MISSING = "missing"

    def is_of(self, account: AccountStatus) -> bool:
        """Return True if the account has the trait; days that are perhaps quiet aren't missing."""
        match self:
            case Trait.FAILING:
                return account.standing is Standing.FAILING
            case Trait.WAITING:
                return bool(account.waits)
            case Trait.MISSING:
                return account.lacking_days > 0


@dataclass(frozen=True, slots=True)
class View:
    """The accounts to list, all or those with any of `traits`, and what is too old.

    An account is too old when it is more than `max_age_days` behind, the last completed run when it ended more than
    `max_run_age_h` hours ago.
    """

    traits: frozenset[Trait] = frozenset()
    max_age_days: int | None = None
    max_run_age_h: int | None = None

    def listed(self, status: Status) -> tuple[AccountStatus, ...]:
        """Return the accounts to list."""
        if not self.traits:
            return status.accounts
        return tuple(account for account in status.accounts if any(trait.is_of(account) for trait in self.traits))

    def too_old(self, status: Status) -> list[AccountStatus]:
        """Return the accounts with a dataset more than `max_age_days` behind the newest published day, listed or not.

        A dataset without any day counts as infinitely old.
        """
        if (days := self.max_age_days) is None:
            return []
        return [
            account
            for account in status.accounts
            if any(day is None or (status.newest_published - day).days > days for day in account.newest.values())
        ]

    def is_run_too_old(self, status: Status) -> bool:
        """Return True if the last completed run ended more than `max_run_age_h` hours ago, or there is none."""
        if self.max_run_age_h is None or not status.runs:
            return False
        ended = status.runs.completed.ended if status.runs.completed else None
        return not ended or status.runs.at - ended > timedelta(hours=self.max_run_age_h)

    def exit(self, status: Status) -> ExitCode:
        """Return 3 where anything is too old, else 0."""
        return ExitCode.PARTIAL if self.too_old(status) or self.is_run_too_old(status) else ExitCode.OK


ALL = View()
