"""What `status` shows: where each account stands, worst first, as a table for people or one JSON object. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime

from collector.console.table import Cells, Table, in_one_line
from collector.model.days import BEIJING
from collector.model.findings import AccountStatus, Former, Standing, Status
from collector.text import counted

_RANK = {standing: rank for rank, standing in enumerate(Standing)}


def worst_first(accounts: Iterable[AccountStatus]) -> tuple[AccountStatus, ...]:
    """The accounts by their standing, those with the most missing days first, then by name."""
    return tuple(sorted(accounts, key=lambda account: (_RANK[account.standing], -account.missing_days, account.name)))


def too_old(status: Status, max_age_days: int) -> list[AccountStatus]:
    """The accounts of which a dataset's newest day is more than `max_age_days` behind the newest published one.

    A dataset without any day is infinitely old.
    """
    return [
        account
        for account in status.accounts
        if any(day is None or (status.newest_published - day).days > max_age_days for day in account.newest.values())
    ]


def as_json(status: Status, max_age_days: int | None = None) -> dict[str, object]:
    """The status as `--json` prints it; fields are added in later versions, never changed."""
    old = [] if max_age_days is None else too_old(status, max_age_days)
    return {
        "newest_published": status.newest_published,
        "accounts": [_account_json(account) for account in status.accounts],
        "totals": _totals(status),
        "silent": [account.name for account in status.silent],
        "no_longer_configured": [asdict(former) for former in status.no_longer_configured],
        "max_age": max_age_days,
        "too_old": [account.name for account in old],
    }


def as_table(status: Status, max_age_days: int | None = None, *, width: int | None = None) -> str:
    """The status as lines for people: one for each account, then the totals, and apart who is silent or gone.

    `width` is that of the terminal in cells; without one nothing is cut.
    """
    silent = [_cells(account) for account in status.silent]
    rows = [_cells(account) for account in status.accounts if account.standing is not Standing.SILENT]
    former = [_former_cells(former) for former in status.no_longer_configured]
    datasets = (name.removeprefix("user_") for name in status.accounts[0].newest)
    header = ("name", *datasets, "missing", "born", "last success", "last error")
    table = Table([header, *rows, *silent, *former], width)
    parts = [
        table.lines([header, *rows]),
        _totals_text(status),
        _apart("Silent, without any figure in the last 14 days; nothing failed. Are they in use?", table.lines(silent)),
        _apart("No longer configured; what is stored of them stays:", table.lines(former)),
        "" if max_age_days is None else too_old_text(status, max_age_days),
    ]
    return "\n\n".join(part for part in parts if part)


def too_old_text(status: Status, max_age_days: int) -> str:
    """Which accounts are too old, in one paragraph; empty when none is."""
    old = too_old(status, max_age_days)
    names = ", ".join(account.name for account in old)
    return f"Too old, more than {counted(max_age_days, 'day')} behind {status.newest_published}: {names}" if old else ""


def _account_json(account: AccountStatus) -> dict[str, object]:
    error = account.last_error
    return {
        "account": account.account,
        "name": account.name,
        "tags": account.tags,
        "standing": account.standing,
        "newest": account.newest,
        "missing_days": account.missing_days,
        "born": account.born,
        "last_success": account.last_success,
        "last_error": error and {"datasets": list(account.errors), **asdict(error)},
    }


def _totals(status: Status) -> dict[str, int]:
    counts = Counter(account.standing for account in status.accounts)
    return {
        "accounts": len(status.accounts),
        **{str(standing): counts[standing] for standing in Standing},
        "missing_days": sum(account.missing_days for account in status.accounts),
        "disabled": status.disabled,
    }


def _totals_text(status: Status) -> str:
    totals = _totals(status)
    counts = [f"{totals[standing]:,} {standing.replace('_', ' ')}" for standing in Standing if totals[standing]]
    lines = [
        f"{counted(totals['accounts'], 'account')}: {', '.join(counts)}",
        f"{counted(totals['missing_days'], 'day')} missing; the newest published day is {status.newest_published}",
    ]
    if status.disabled:
        lines.append(f"not shown: {counted(status.disabled, 'disabled account')}")
    return "\n".join(lines)


def _apart(title: str, lines: str) -> str:
    return f"{title}\n{lines}" if lines else ""


def _cells(account: AccountStatus) -> Cells:
    return (
        in_one_line(account.name),
        *map(_shown, account.newest.values()),
        f"{account.missing_days:>7,}",
        _shown(account.born),
        _shown(account.last_success),
        _error_text(account),
    )


def _former_cells(former: Former) -> Cells:
    newest = map(_shown, former.newest.values())
    return in_one_line(former.name), *newest, "", "", _shown(former.last_success), former.account


def _error_text(account: AccountStatus) -> str:
    """Since when, the remedy, and what was said; with the dataset where the others don't fail."""
    error = account.last_error
    if error is None:
        return ""
    where = "" if len(account.errors) == len(account.newest) else f"{', '.join(account.errors)}: "
    said = where + ("" if error.errcode is None else f"{error.errcode} ") + error.errmsg
    what = error.hint if error.errmsg in error.hint else f"{error.hint} ({said})" if error.hint else said
    return in_one_line(f"since {error.since.astimezone(BEIJING):%Y-%m-%d}: {what}")


def _shown(value: date | None) -> str:
    """A day, or an instant to the minute in Beijing's time."""
    if isinstance(value, datetime):
        return f"{value.astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return "-" if value is None else str(value)
