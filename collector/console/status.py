"""Text and JSON of `status`: where each account stands, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime

from collector.console.summary import waits_text, with_database
from collector.console.table import NEVER_HAD_A_ROW, Cells, Table, in_one_line, problem_text
from collector.model.days import BEIJING
from collector.model.findings import AccountStatus, Former, Standing, Status
from collector.model.results import notices_of
from collector.model.state import UnusableState
from collector.text import counted, paragraphs

_RANK = {standing: rank for rank, standing in enumerate(Standing)}


def worst_first(accounts: Iterable[AccountStatus]) -> tuple[AccountStatus, ...]:
    """Sort by standing, then by missing days, most first, then by name."""
    return tuple(sorted(accounts, key=lambda account: (_RANK[account.standing], -account.missing_days, account.name)))


def too_old(status: Status, max_age_days: int) -> list[AccountStatus]:
    """Return the accounts with a dataset more than `max_age_days` behind the newest published day.

    A dataset without any day counts as infinitely old.
    """
    return [
        account
        for account in status.accounts
        if any(day is None or (status.newest_published - day).days > max_age_days for day in account.newest.values())
    ]


def as_json(status: Status, max_age_days: int | None = None) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    return {
        "newest_published": status.newest_published,
        "database": status.database,
        "accounts": [_account_json(account) for account in status.accounts],
        "totals": _totals(status),
        "silent": [account.name for account in status.silent],
        "no_longer_configured": [asdict(former) for former in status.no_longer_configured],
        "unusable": [
            {"account": state.account, "reason": state.reason, "remedy": state.remedy} for state in status.unusable
        ],
        "max_age": max_age_days,
        "too_old": [] if max_age_days is None else [account.name for account in too_old(status, max_age_days)],
    }


def as_text(status: Status, max_age_days: int | None = None, *, width: int | None = None) -> str:
    """Return the status for people: a line for each account, the totals, then silent and former accounts.

    `width` is the terminal's in cells; without it nothing is cut.
    """
    silent = [_cells(account) for account in status.silent]
    rows = [_cells(account) for account in status.accounts if account.standing is not Standing.SILENT]
    former = [_former_cells(former) for former in status.no_longer_configured]
    datasets = (name.removeprefix("user_") for name in status.accounts[0].newest)
    header = ("name", *datasets, "missing", "born", "last success", "last error")
    # One table measures all rows, so that the columns of its three parts align.
    table = Table([header, *rows, *silent, *former], width)
    return paragraphs(
        table.lines([header, *rows]),
        _totals_text(status),
        waits_text(
            [
                notice
                for each in status.accounts
                for notice in notices_of(each.account or "", each.name, each.waits.values())
            ]
        ),
        _part("Silent, without any figure in the last 14 days; nothing failed. Are they in use?", table.lines(silent)),
        _part("No longer configured; what is stored of them stays:", table.lines(former)),
        _part("Documents of accounts that can't be used:", "\n".join(map(_unusable_text, status.unusable))),
        "" if max_age_days is None else too_old_text(status, max_age_days),
    )


def too_old_text(status: Status, max_age_days: int) -> str:
    """Return one paragraph with the accounts that are too old; empty without any."""
    old = too_old(status, max_age_days)
    names = ", ".join(account.name for account in old)
    return f"Too old, more than {counted(max_age_days, 'day')} behind {status.newest_published}: {names}" if old else ""


def _account_json(account: AccountStatus) -> dict[str, object]:
    fields = asdict(account)
    # One error stands for those of all datasets, since they mostly have the same cause.
    errors, error = fields.pop("errors"), account.last_error
    last_error = error and {"datasets": list(errors), **asdict(error)}
    fields |= {"last_error": last_error, "never_had_a_row": account.never_had_a_row}
    del fields["waits"]
    waits = [{"dataset": name, **wait._asdict()} for name, wait in account.waits.items()]
    return fields | ({"waits": waits} if waits else {})


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
    disabled = f"\nnot shown: {counted(status.disabled, 'disabled account')}" if status.disabled else ""
    text = (
        f"{counted(totals['accounts'], 'account')}: {', '.join(counts)}\n"
        f"{counted(totals['missing_days'], 'day')} missing; the newest published day is {status.newest_published}"
        f"{disabled}"
    )
    return with_database(text, status.database)


def _part(title: str, lines: str) -> str:
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


def _unusable_text(state: UnusableState) -> str:
    return in_one_line(f"{state.account}: {state.reason}; {state.remedy}")


def _error_text(account: AccountStatus) -> str:
    """Return since when it fails, the remedy and the message; with the dataset unless all of them fail.

    Without an error, a word on an account that never had a row.
    """
    error = account.last_error
    if error is None:
        return NEVER_HAD_A_ROW if account.never_had_a_row else ""
    where = "" if len(account.errors) == len(account.newest) else f"{', '.join(account.errors)}: "
    return f"since {error.since.astimezone(BEIJING):%Y-%m-%d}: {problem_text(error, where)}"


def _shown(value: date | None) -> str:
    """Format a day, or an instant to the minute in Beijing time."""
    # A datetime is a date too, so it comes first.
    if isinstance(value, datetime):
        return f"{value.astimezone(BEIJING):%Y-%m-%d %H:%M}"
    return "-" if value is None else str(value)
