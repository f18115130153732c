"""Text and JSON of a run's result: for people grouped by what they have to do, for programs one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from collector.model.days import BEIJING
from collector.model.results import Failure, Notice, Outcome, RunResult, grouped_by_remedy, grouped_by_wait
from collector.text import counted, paragraphs

MAX_NAMES = 5
"""The names shown of a group; `-v` shows all."""


def as_json(result: RunResult) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    return {
        "run": result.run,
        "status": result.status,
        "exit": result.exit,
        "seconds": round(result.seconds, 3),
        "loop_lag_s": round(result.loop_lag_s, 3),
        "accounts": {"total": result.total} | {str(outcome): count for outcome, count in result.outcomes.items()},
        "calls": result.calls,
        "token_calls": result.token_calls,
        "retries": result.retries,
        "days": result.days,
        "windows_left": result.windows_left,
        "silent": list(result.silent),
        "failures": [asdict(failure) for failure in result.failures],
        "notices": [asdict(notice) for notice in result.notices],
        "error": result.error,
        "database": result.database,
    }


def as_text(result: RunResult, *, verbose: bool = False) -> str:
    """Return the result for people: totals, failures by remedy, waits, and what to do next.

    `verbose` adds WeChat's errcode, message and rid for each failed account.
    """
    return paragraphs(
        _totals(result),
        failed_text(result, verbose=verbose),
        waits_text(result.notices),
        _silent(result),
        _next_step(result),
    )


def with_database(text: str, database: str) -> str:
    """Return the totals of a result with a line that names its database, where that has a name."""
    return f"{text}\nDatabase: {database}" if database else text


def failed_text(result: RunResult, *, verbose: bool = False) -> str:
    """Return the failures of a run; empty without any."""
    return failures_text(result.failures, result.outcomes[Outcome.FAILED], verbose=verbose)


def failures_text(failures: Sequence[Failure], count: int, *, verbose: bool = False) -> str:
    """Return failures by remedy, the largest group first, of so many accounts; empty without any."""
    groups = grouped_by_remedy(failures)
    # A platform can fail before any account of it is known.
    lines = [f"Failed: {count:,}" if count else "Failed:"]
    for together in groups:
        head, names = _group(together[0].remedy, together)
        lines += [head, *(f"    {_detail(failure)}" for failure in together)] if verbose else [head, names]
    return "\n".join(lines) if groups else ""


def _totals(result: RunResult) -> str:
    counts = [f"{count:,} {outcome}" for outcome, count in result.outcomes.items() if count]
    totals = (
        f"{counted(result.total, 'account')}: {', '.join(counts) or 'none'}\n"
        f"{counted(result.days, 'day')} stored in {result.seconds:.1f} s ({counted(result.calls, 'data call')}, "
        f"{counted(result.token_calls, 'token call')}, {counted(result.retries, 'retry')})"
    )
    return with_database(totals, result.database)


def waits_text(notices: Sequence[Notice]) -> str:
    """Return the accounts that wait, by who ordered it, by kind and by end; empty without any."""
    parts = {False: ["Waiting, as WeChat ordered:"], True: ["Waiting, as the configuration limits it:"]}
    for together in grouped_by_wait(notices):
        parts[together[0].kind.is_own_limit] += _group(notice_text(together[0]), together)
    return paragraphs(*("\n".join(lines) for lines in parts.values() if len(lines) > 1))


def notice_text(notice: Notice) -> str:
    """Return the reason of a wait and its end."""
    until = f", until {notice.until.astimezone(BEIJING):%Y-%m-%d %H:%M} Beijing time" if notice.until else ""
    return notice.kind.words + until


def _silent(result: RunResult) -> str:
    who = f"{counted(len(result.silent), 'account')} without any figure in the last 14 days"
    text = f"Silent: {who}. Nothing failed; are they in use?\n    {_names(result.silent)}"
    return text if result.silent else ""


def _next_step(result: RunResult) -> str:
    if result.stopped_by is not None:
        kept = "" if result.error else "; what had come is stored"
        return f"Stopped by a signal{kept}. Run again to go on."
    if result.outcomes[Outcome.PENDING] and result.error is None:
        late = counted(result.outcomes[Outcome.PENDING], "account")
        return f"Pending: {late} without the newest day; run again later."
    if result.windows_left:
        left = f"{counted(result.windows_left, 'window')} {'is' if result.windows_left == 1 else 'are'} left"
        which = "a `collector run` after the wait" if result.notices else "the next `collector run`"
        return f"History: {left}; {which} goes on with {'it' if result.windows_left == 1 else 'them'}."
    return ""


def _group(remedy: str, items: Sequence[Failure | Notice]) -> list[str]:
    # Two failed datasets are one account. A platform's failure stands for all its accounts, or for none if it failed
    # before any was found.
    by_name = {item.name: item for item in items}
    count = sum(item.accounts if isinstance(item, Failure) else 1 for item in by_name.values())
    who = counted(count, "account") if count else "The platform"
    return [f"  {who}: {remedy}", f"    {_names(list(by_name))}"]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _detail(failure: Failure) -> str:
    dataset = f" {failure.dataset}" if failure.dataset else ""
    code = f"errcode {failure.errcode}: " if failure.errcode is not None else ""
    rid = f" (rid {failure.rid})" if failure.rid else ""
    who = f"{failure.name} ({failure.account})" if failure.account else failure.name
    return f"{who}{dataset}: {code}{failure.errmsg}{rid}"
