"""The findings of `check` about accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from collector.model.results import Failure, Notice, Outcome, RunResult


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
