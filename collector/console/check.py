"""What `check` shows: what each account gets from WeChat, the broken first, then all refused IPs in one table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from collector.console.summary import notice_text
from collector.console.table import Cells, Table, in_one_line
from collector.model.findings import AccountCheck, Checks, Verdict
from collector.model.results import Failure, Outcome
from collector.text import counted

_REFUSED: Cells = ("name", "appid", "refused IP")


def broken_first(accounts: Sequence[AccountCheck]) -> tuple[AccountCheck, ...]:
    """The accounts that failed, those that wait, those whose newest day isn't there yet, and the others; by name."""
    return tuple(sorted(accounts, key=lambda each: (_rank(each), each.name)))


def as_json(checks: Checks) -> dict[str, object]:
    """What was found out as `--json` prints it; fields are added in later versions, never changed."""
    result = checks.result
    return {
        "newest_published": checks.newest_published,
        "exit": result.exit,
        "totals": _totals(checks),
        "calls": result.calls,
        "token_calls": result.token_calls,
        "accounts": [asdict(each) for each in checks.accounts],
        "failures": [asdict(failure) for failure in result.failures],
        "refused_ips": [
            {"account": each.account, "name": each.name, "ips": list(each.refused_ips)} for each in checks.refused
        ],
    }


def as_text(checks: Checks, *, width: int | None = None) -> str:
    """What was found out for people: platforms that failed, accounts, totals, and the refused IPs to send to clients.

    `width` is that of the terminal in cells; without one nothing is cut.
    """
    parts = [_others(checks), _accounts(checks.accounts, width), _totals_text(checks), refused_text(checks)]
    return "\n\n".join(part for part in parts if part)


def failed_text(checks: Checks, *, width: int | None = None) -> str:
    """What failed, alone: its lines of the table, platforms and the refused IPs; empty when nothing did."""
    failed = [each for each in checks.accounts if each.outcome is Outcome.FAILED]
    parts = [_others(checks), _accounts(failed, width), refused_text(checks)]
    return "\n\n".join(part for part in parts if part)


def refused_text(checks: Checks) -> str:
    """The table of refused IPs, account by account; empty when there is none."""
    refused = checks.refused
    if not refused:
        return ""
    title = (
        f"Refused IPs of {counted(len(refused), 'account')}. Each client must allow the IPs beside its name in the "
        "account's console;\nWeChat takes 5 to 10 minutes to heed it."
    )
    ips = sorted({ip for each in refused for ip in each.refused_ips})
    if len(ips) > 1:
        title += f"\nSeen in all: {', '.join(ips)}. If they are those of one NAT, each client should allow them all."
    rows = [_REFUSED, *((in_one_line(each.name), each.account, ", ".join(each.refused_ips)) for each in refused)]
    return f"{title}\n\n{Table(rows, None).lines(rows)}"


def _accounts(accounts: Sequence[AccountCheck], width: int | None) -> str:
    accounts = [each for each in accounts if not _is_behind_platform(each)]
    if not accounts:
        return ""
    datasets = [name.removeprefix("user_") for name in accounts[0].datasets]
    header = ("name", "token", *(cell for name in datasets for cell in (name, "calls left")), "host", "problem")
    rows = [header, *map(_cells, accounts)]
    return Table(rows, width).lines(rows)


def _cells(each: AccountCheck) -> Cells:
    datasets = [
        cell
        for dataset in each.datasets.values()
        for cell in (_word(dataset.verdict), "-" if dataset.quota_left is None else f"{dataset.quota_left:,}")
    ]
    host = (each.host or "-").removeprefix("https://")
    return in_one_line(each.name), _word(each.token), *datasets, host, in_one_line(_problem(each))


def _problem(each: AccountCheck) -> str:
    """The first failure with its remedy, else what the account waits for."""
    for failure in each.failures:
        return _told(failure)
    if each.notices:
        return notice_text(each.notices[0])
    return "the newest published day isn't there yet" if each.late else ""


def _is_behind_platform(each: AccountCheck) -> bool:
    """Whether a platform failed it, which is told once for all its accounts."""
    return any(failure.account != each.account for failure in each.failures)


def _told(failure: Failure) -> str:
    """The remedy, and what WeChat said."""
    code = "" if failure.errcode is None else f"{failure.errcode} "
    said = f"{code}{failure.errmsg}"
    return failure.hint if failure.errmsg in failure.hint else f"{failure.hint} ({said})" if failure.hint else said


def _others(checks: Checks) -> str:
    """What failed beside the accounts of the table: platforms, once for all, and accounts that couldn't be known."""
    accounts = {each.account for each in checks.accounts}
    behind = Counter(failure.account for each in checks.accounts for failure in each.failures)
    failures = [failure for failure in checks.result.failures if failure.account not in accounts]
    return "\n".join(
        f"{_whose(failure, behind[failure.account])}: {in_one_line(_told(failure))}" for failure in failures
    )


def _whose(failure: Failure, accounts: int) -> str:
    if accounts:
        return f"The platform {in_one_line(failure.name)} failed, and {counted(accounts, 'account')} with it"
    if failure.accounts:
        return f"What {failure.name} is couldn't be asked"
    return f"The platform {in_one_line(failure.name)} failed"


def _word(verdict: Verdict) -> str:
    return "-" if verdict is Verdict.NOT_ASKED else str(verdict)


def _rank(each: AccountCheck) -> int:
    if each.outcome is Outcome.FAILED:
        return 0
    return 1 if each.notices else 2 if each.late else 3


def _totals(checks: Checks) -> dict[str, int]:
    ranks = [_rank(each) for each in checks.accounts]
    names = ("failed", "waiting", "late", "ok")
    return {"accounts": len(ranks)} | {name: ranks.count(rank) for rank, name in enumerate(names)}


def _totals_text(checks: Checks) -> str:
    counts = _totals(checks)
    total = counts.pop("accounts")
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    calls = counted(checks.result.calls, "data call")
    lines = [
        f"{counted(total, 'account')}: {told or 'none'}; the newest published day is {checks.newest_published}",
        f"{calls} made; nothing was stored",
    ]
    return "\n".join(lines)
