"""Text and JSON of `status`: the last run, then where each account stands, worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime

from collector.console.paint import Paint, Severity, plain
from collector.console.runs import last_run_text, last_runs_json, severity_of
from collector.console.summary import waits_text, with_database
from collector.console.table import NEVER_HAD_A_ROW, Cells, Table, in_one_line, problem_text
from collector.console.view import ALL, Trait, View
from collector.console.wrapping import wrapped
from collector.model.days import BEIJING, beijing_minute
from collector.model.results import Notice, notices_of
from collector.model.standings import AccountStatus, Former, Standing, Status
from collector.model.state import UnusableState
from collector.text import counted, paragraphs

_RANK = {standing: rank for rank, standing in enumerate(Standing)}

_SEVERITIES = {
    Standing.FAILING: Severity.BAD,
    Standing.NEVER_COLLECTED: Severity.WARNING,
    Standing.BEHIND: Severity.WARNING,
    Standing.OK: Severity.PLAIN,
    Standing.SILENT: Severity.MINOR,
}


def worst_first(accounts: Iterable[AccountStatus]) -> tuple[AccountStatus, ...]:
    """Sort by standing, then by missing days, most first, then by name."""
    return tuple(sorted(accounts, key=lambda account: (_RANK[account.standing], -account.missing_days, account.name)))


def as_json(status: Status, view: View = ALL) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    listed = view.listed(status)
    former, unusable = _others(status, view)
    return {
        "newest_published": status.newest_published,
        "database": status.database,
        **(last_runs_json(status.runs) if status.runs else {}),
        "accounts": [account_json(account) for account in listed],
        "totals": _totals(status),
        "silent": [account.name for account in listed if account.standing is Standing.SILENT],
        "no_longer_configured": [asdict(each) for each in former],
        "unusable": [{"account": state.account, "reason": state.reason, "remedy": state.remedy} for state in unusable],
        "max_age": view.max_age_days,
        "too_old": [account.name for account in view.too_old(status)],
        "max_run_age": view.max_run_age_h,
        "run_too_old": view.is_run_too_old(status),
    }


def as_text(status: Status, view: View = ALL, *, width: int | None = None, paint: Paint = plain) -> str:
    """Return the status for people: the last run, a line for each account, the totals, silent and former accounts.

    `width` is the terminal's in cells; without it nothing is cut.
    """
    listed = view.listed(status)
    former, unusable = _others(status, view)
    datasets = (name.removeprefix("user_") for name in status.accounts[0].newest)
    problem = "last error" if any(account.errors for account in listed) else ""
    header = ("name", *datasets, "missing", "born", "success (Beijing)", problem)
    # One table measures all rows, so that the columns of its three parts align.
    former_rows = [*map(_former_cells, former)]
    table = Table([header, *map(_cells, listed), *former_rows], width)
    rows = [(each.standing, paint(table.lines([_cells(each)]), _SEVERITIES[each.standing])) for each in listed]
    silent = [row for standing, row in rows if standing is Standing.SILENT]
    others = [row for standing, row in rows if standing is not Standing.SILENT]
    return paragraphs(
        paint(last_run_text(status.runs), severity_of(status.runs.last)) if status.runs else "",
        "\n".join([table.lines([header]), *others]) if others else "",
        _totals_text(status, view, paint),
        wrapped(waits_text([each for account in listed for each in account_notices(account)]), width),
        _part("Silent, without any figure in the last 14 days; nothing failed. Are they in use?", "\n".join(silent)),
        _part("No longer configured; what is stored stays until `collector forget ACCOUNT`:", table.lines(former_rows)),
        _part("Documents of accounts that can't be used:", "\n".join(map(_unusable_text, unusable))),
        too_old_text(status, view, paint),
    )


def too_old_text(status: Status, view: View, paint: Paint = plain) -> str:
    """Return what is too old, accounts and the last completed run; empty without any."""
    names = ", ".join(account.name for account in view.too_old(status))
    days, hours = counted(view.max_age_days or 0, "day"), counted(view.max_run_age_h or 0, "hour")
    accounts = f"Too old, more than {days} behind {status.newest_published}: {names}" if names else ""
    run = f"No run was completed in the last {hours}." if view.is_run_too_old(status) else ""
    return "\n".join(paint(text, Severity.BAD) for text in (accounts, run) if text)


def _others(status: Status, view: View) -> tuple[tuple[Former, ...], tuple[UnusableState, ...]]:
    """Return the former accounts and the unusable states to list: none where the list is narrowed."""
    return ((), ()) if view.traits else (status.no_longer_configured, status.unusable)


def account_notices(account: AccountStatus) -> tuple[Notice, ...]:
    """Return the waits of an account."""
    return notices_of(account.account or "", account.name, account.waits.values())


def account_json(account: AccountStatus) -> dict[str, object]:
    """Return the fields of an account that `--json` prints."""
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


def _totals_text(status: Status, view: View, paint: Paint) -> str:
    disabled = f"not shown: {counted(status.disabled, 'disabled account')}" if status.disabled else ""
    lines = [_shown_text(status, view), _standings(status, paint), _missing_text(status), disabled]
    return with_database("\n".join(filter(None, lines)), status.database)


def _shown_text(status: Status, view: View) -> str:
    """Return how many accounts a narrowed list has."""
    if not view.traits:
        return ""
    traits = ", ".join(trait for trait in Trait if trait in view.traits)
    shown, total = len(view.listed(status)), counted(len(status.accounts), "account")
    return f"listed: {shown:,} of {total} ({traits})"


def _standings(status: Status, paint: Paint) -> str:
    totals, total = _totals(status), counted(len(status.accounts), "account")
    if not status.are_complete:
        counts = [f"{totals[standing]:,} {standing.replace('_', ' ')}" for standing in Standing if totals[standing]]
        return f"{total}: {', '.join(counts)}"
    silent = f", apart from {counted(len(status.silent), 'silent one')}" if status.silent else ""
    who = f"{total} is" if len(status.accounts) == 1 else f"All {total} are"
    return paint(f"{who} complete to {status.newest_published}{silent}.", Severity.GOOD)


def _missing_text(status: Status) -> str:
    """Return the number of missing days; those that are perhaps quiet apart, since they take care of themselves."""
    missing = counted(sum(account.lacking_days for account in status.accounts), "day")
    quiet = sum(account.unresolved_days for account in status.accounts)
    lines = [] if status.are_complete else [f"{missing} missing; the newest published day is {status.newest_published}"]
    if quiet:
        lines.append(f"{counted(quiet, 'day')} perhaps quiet (no row of summary yet): settled within two days")
    return "\n".join(lines)


def _part(title: str, lines: str) -> str:
    return f"{title}\n{lines}" if lines else ""


def _cells(account: AccountStatus) -> Cells:
    return (
        in_one_line(account.name),
        *map(_shown, account.newest.values()),
        f"{account.lacking_days:>7,}",
        _shown(account.born),
        _shown(account.last_success),
        error_text(account),
    )


def _former_cells(former: Former) -> Cells:
    newest = map(_shown, former.newest.values())
    return in_one_line(former.name), *newest, "", "", _shown(former.last_success), former.account


def _unusable_text(state: UnusableState) -> str:
    return in_one_line(f"{state.account}: {state.reason}; {state.remedy}")


def error_text(account: AccountStatus) -> str:
    """Return since when it fails, the remedy and the message; with the dataset unless all of them fail.

    Without an error, a word on an account that never had a row.
    """
    error = account.last_error
    if error is None:
        return NEVER_HAD_A_ROW if account.never_had_a_row else ""
    where = "" if len(account.errors) == len(account.newest) else f"{', '.join(account.errors)}: "
    # No state is stored of a file that can't be read, so nobody knows since when that is so.
    since = f"since {error.since.astimezone(BEIJING):%Y-%m-%d}: " if account.account else ""
    return f"{since}{problem_text(error, where)}"


def _shown(value: date | None) -> str:
    """Format a day, or an instant to the minute in Beijing time."""
    # A datetime is a date too, so it comes first.
    if isinstance(value, datetime):
        return beijing_minute(value)
    return "-" if value is None else str(value)
