"""The collector's own standing on the index of a site, from what `collector status` tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from collector.model.days import beijing_minute
from collector.model.ledger import RunRecord
from collector.model.standings import AccountStatus, Standing, Status

RUNNING, UNKNOWN = "running", "unknown"
# A newer version of the collector may have others, which have no text here.
_STATUSES = frozenset({"ok", "pending", "partial", "failed", "stopped", "crashed", RUNNING})


class Run(NamedTuple):
    """A run: how it ended, when (Beijing time), and how many accounts it had, None where that isn't known."""

    status: str
    at: str
    total: int | None
    failed: int


class Failing(NamedTuple):
    """A failing account; `account` is None where the site has no page of it."""

    account: str | None
    name: str
    since: str
    error: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Collecting:
    """Last run, the one before it that was completed where it wasn't, and how the accounts stand."""

    newest_published: date
    last: Run | None
    completed: Run | None
    standings: Mapping[Standing, int]
    failing: Sequence[Failing]


def collecting(status: Status, known: Collection[str]) -> Collecting:
    """Return where the collector stands; the site has pages of the `known` appids."""
    last, completed = (status.runs.last, status.runs.completed) if status.runs else (None, None)
    is_other = last and completed and completed.run != last.run
    counts = Counter(account.standing for account in status.accounts)
    return Collecting(
        status.newest_published,
        _run(last) if last else None,
        _run(completed) if completed and is_other else None,
        {standing: counts[standing] for standing in Standing if counts[standing]},
        [_failing(account, known) for account in status.accounts if account.standing is Standing.FAILING],
    )


def _run(record: RunRecord) -> Run:
    status = RUNNING if record.at_work else record.status
    at = record.ended or record.began
    return Run(
        status if status in _STATUSES else UNKNOWN, beijing_minute(at) if at else "", record.total, record.failed
    )


def _failing(account: AccountStatus, known: Collection[str]) -> Failing:
    appid = account.account if account.account in known else None
    error = account.last_error
    if error is None:
        return Failing(appid, account.name, "", "", "")
    code = "" if error.errcode is None else f"{error.errcode} "
    return Failing(appid, account.name, beijing_minute(error.since), f"{code}{error.errmsg}", error.hint)
