"""Text and JSON of `check`: what each account gets from WeChat, failures first, and one table of refused IPs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from collector.console.summary import notice_text, with_database
from collector.console.table import NEVER_HAD_A_ROW, Cells, Table, in_one_line, problem_text
from collector.console.wrapping import wrapped
from collector.model.checks import AccountCheck, Checks, Verdict
from collector.model.results import Failure, Outcome
from collector.text import counted, paragraphs


def broken_first(accounts: Sequence[AccountCheck]) -> tuple[AccountCheck, ...]:
    """Sort by name within failed accounts, waiting ones, those without the newest day, and the others."""
    return tuple(sorted(accounts, key=lambda each: (_rank(each), each.name)))


def as_json(checks: Checks) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    result = checks.result
    return {
        "newest_published": checks.newest_published,
        "exit": result.exit,
        "database": result.database,
        "totals": _totals(checks),
        "calls": result.calls,
        "token_calls": result.token_calls,
        "accounts": [_account_json(each, checks) for each in checks.accounts],
        "failures": [_failure_json(failure) for failure in result.failures],
        "refused_ips": [
            {"account": each.account, "name": each.name, "ips": list(each.refused_ips)}
            | ({"egress": each.egress} if checks.has_labels else {})
            for each in checks.refused
        ],
    }


def as_text(checks: Checks, *, width: int | None = None) -> str:
    """Return the report for people: failed platforms, accounts, totals, and the refused IPs to send to clients.

    `width` is the terminal's in cells; without it nothing is cut.
    """
    return paragraphs(
        wrapped(_other_failures(checks), width),
        _accounts(checks.accounts, checks, width),
        wrapped(_totals_text(checks), width),
        refused_text(checks, width=width),
    )


def failed_text(checks: Checks, *, width: int | None = None) -> str:
    """Return the failures alone: platforms, the failed accounts' rows and the refused IPs; empty without any."""
    failed = [each for each in checks.accounts if each.outcome is Outcome.FAILED]
    others = wrapped(_other_failures(checks), width)
    return paragraphs(others, _accounts(failed, checks, width), refused_text(checks, width=width))


def refused_text(checks: Checks, *, width: int | None = None) -> str:
    """Return the refused IPs, account by account, a table for each egress label; empty without any."""
    refused = checks.refused
    if not refused:
        return ""
    title = (
        f"Refused IPs of {counted(len(refused), 'account')}. Each client must allow the IPs beside its name in the "
        "account's console; it takes effect in 5 to 10 minutes."
    )
    if not checks.has_labels:
        return _refused_table(title, refused, width)
    groups = [[*group] for _, group in groupby(refused, lambda each: each.egress)]
    if len(groups) > 1:
        title += "\nThese are IPs of this host: check each egress label where it leads out, with --egress LABEL."
    tables = (_refused_table(_group_title(group), group, width) for group in groups)
    return paragraphs(wrapped(title, width), *tables)


def _group_title(group: Sequence[AccountCheck]) -> str:
    label = group[0].egress
    return f"{f'Egress {label}' if label else 'Without an egress label'}: {counted(len(group), 'account')}."


def _refused_table(title: str, refused: Sequence[AccountCheck], width: int | None) -> str:
    # One check sees one or two addresses of a NAT for each account. A client that allows those alone is refused again.
    ips = sorted({ip for each in refused for ip in each.refused_ips})
    if len(ips) > 1:
        title += f"\nSeen in all: {', '.join(ips)}. If they are those of one NAT, each client should allow them all."
    # No width: this table is copied into mails, so nothing in it may be cut.
    header = ("name", "appid", "refused IP")
    rows = [header, *((in_one_line(each.name), each.account or "-", ", ".join(each.refused_ips)) for each in refused)]
    return f"{wrapped(title, width)}\n\n{Table(rows, None).lines(rows)}"


def _account_json(each: AccountCheck, checks: Checks) -> dict[str, object]:
    fields = asdict(each) | {"failures": tuple(map(_failure_json, each.failures))}
    if not checks.has_labels:
        del fields["egress"]
    return fields


def _failure_json(failure: Failure) -> dict[str, object]:
    fields = asdict(failure)
    del fields["since"], fields["new"]  # which a check doesn't know
    return fields


def _accounts(accounts: Sequence[AccountCheck], checks: Checks, width: int | None) -> str:
    # A failed platform has its line above. Repeated for its accounts it would hide the other problems.
    accounts = [each for each in accounts if all(failure.account == each.account for failure in each.failures)]
    if not accounts:
        return ""
    datasets = [name.removeprefix("user_") for name in accounts[0].datasets]
    labels, hosts = checks.has_labels, len({each.host for each in checks.accounts if each.host}) > 1
    asked = [cell for name in datasets for cell in (name, "calls left")]
    header = ("name", *(["egress"] if labels else []), "token", *asked, *(["host"] if hosts else []), "problem")
    rows = [header, *(_cells(each, labels=labels, hosts=hosts) for each in accounts)]
    return Table(rows, width).lines(rows)


def _cells(each: AccountCheck, *, labels: bool, hosts: bool) -> Cells:
    # A column that has the same in all rows says nothing.
    cells = [in_one_line(each.name), *([each.egress or "-"] if labels else []), _word(each.token)]
    for dataset in each.datasets.values():
        cells += [_word(dataset.verdict), "-" if dataset.quota_left is None else f"{dataset.quota_left:,}"]
    return *cells, *([(each.host or "-").removeprefix("https://")] if hosts else []), _problem(each)


def _problem(each: AccountCheck) -> str:
    """Return the first failure with its remedy, else the first wait, else what its answers lack."""
    if each.failures:
        return problem_text(each.failures[0])
    if each.notices:
        return in_one_line(notice_text(each.notices[0]))
    if each.never_had_a_row:
        return NEVER_HAD_A_ROW
    return "the newest published day isn't there yet" if each.late else ""


def _other_failures(checks: Checks) -> str:
    """Return a line for each failed platform and for each authorised account that could not be looked up."""
    accounts = {each.account for each in checks.accounts}
    behind = Counter(failure.account for each in checks.accounts for failure in each.failures)
    failures = [failure for failure in checks.result.failures if failure.account not in accounts]
    return "\n".join(f"{_subject(failure, behind[failure.account])}: {problem_text(failure)}" for failure in failures)


def _subject(failure: Failure, accounts: int) -> str:
    # A platform's failure stands for the accounts known to be its own. One that stands for a single account is of an
    # account that the platform listed, and that isn't in the table since nothing more is known of it.
    if failure.accounts and not accounts:
        return f"Could not look up {failure.name}"
    behind = f", and {counted(accounts, 'account')} with it" if accounts else ""
    return f"The platform {in_one_line(failure.name)} failed{behind}"


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
    by_rank = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    text = (
        f"{counted(total, 'account')}: {by_rank or 'none'}; the newest published day is {checks.newest_published}\n"
        f"{counted(checks.result.calls, 'data call')} made; nothing was stored"
    )
    return with_database(text, checks.result.database)
