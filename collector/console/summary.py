"""The closing summary of a run: for people, grouped by what they have to do; for machines, one JSON object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict
from typing import TypeVar

from collector.model.days import BEIJING
from collector.model.results import Failure, Notice, Outcome, RunResult
from collector.text import counted

T = TypeVar("T", Failure, Notice)

MOST_NAMES = 5
"""Names shown of a group; `-v` shows all."""


def as_json(result: RunResult) -> dict[str, object]:
    """The result as `--json` prints it; fields are added in later versions, never changed."""
    return {
        "run": result.run,
        "status": result.status,
        "exit": result.exit,
        "seconds": round(result.seconds, 3),
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
    }


def summary(result: RunResult, *, verbose: bool = False) -> str:
    """The result for people: totals, then what failed and what waits, each group under its remedy.

    `verbose` adds, for each failed account, WeChat's errcode, message and rid.
    """
    parts = [
        _totals(result),
        failed(result, verbose=verbose),
        waiting(result.notices),
        _silent(result),
        _next_step(result),
    ]
    return "\n\n".join(part for part in parts if part)


def failed(result: RunResult, *, verbose: bool = False) -> str:
    """What failed, the largest group first; empty when nothing did."""
    groups = _groups(result.failures, lambda failure: failure.hint or failure.errmsg)
    count = result.outcomes[Outcome.FAILED]
    lines = [f"Failed: {count:,}" if count else "Failed:"]
    for remedy, failures in groups:
        head, names = _group(str(remedy), failures)
        lines += [head, *(f"    {_detail(failure)}" for failure in failures)] if verbose else [head, names]
    return "\n".join(lines) if groups else ""


def _totals(result: RunResult) -> str:
    counts = [f"{count:,} {outcome}" for outcome, count in result.outcomes.items() if count]
    return (
        f"{counted(result.total, 'account')}: {', '.join(counts) or 'none'}\n"
        f"{counted(result.days, 'day')} stored in {result.seconds:.1f} s ({counted(result.calls, 'data call')}, "
        f"{counted(result.token_calls, 'token call')}, {counted(result.retries, 'retry')})"
    )


def waiting(notices: Sequence[Notice]) -> str:
    """Who waits, for what and until when, apart by who ordered it; empty when nobody does."""
    own = [notice for notice in notices if notice.kind.is_own_limit]
    ordered = [notice for notice in notices if not notice.kind.is_own_limit]
    sections = _waits("Waiting, as WeChat ordered:", ordered), _waits("Waiting, as the configuration limits it:", own)
    return "\n\n".join(filter(None, sections))


def _waits(title: str, notices: Sequence[Notice]) -> str:
    lines = [title]
    for _, together in _groups(notices, lambda notice: (notice.kind, notice.until)):
        lines += _group(notice_text(together[0]), together)
    return "\n".join(lines) if notices else ""


def notice_text(notice: Notice) -> str:
    """What an account waits for, and until when."""
    until = f", until {notice.until.astimezone(BEIJING):%Y-%m-%d %H:%M} Beijing time" if notice.until else ""
    return notice.kind.words + until


def _silent(result: RunResult) -> str:
    if not result.silent:
        return ""
    who = f"{counted(len(result.silent), 'account')} without any figure in the last 14 days"
    return f"Silent: {who}. Nothing failed; are they in use?\n    {_names(result.silent)}"


def _next_step(result: RunResult) -> str:
    if result.stopped_by is not None:
        kept = "" if result.error else "; what had come is stored"
        return f"Stopped by a signal{kept}. Run again to go on."
    if result.outcomes[Outcome.PENDING] and result.error is None:
        what = f"{counted(result.outcomes[Outcome.PENDING], 'account')} without the newest day"
        return f"Pending: {what}; run again later."
    if result.windows_left:
        left = f"{counted(result.windows_left, 'window')} {'is' if result.windows_left == 1 else 'are'} left"
        which = "a `collector run` after the wait" if result.notices else "the next `collector run`"
        return f"History: {left}; {which} goes on with {'it' if result.windows_left == 1 else 'them'}."
    return ""


def _groups(items: Iterable[T], key: Callable[[T], Hashable]) -> list[tuple[Hashable, list[T]]]:
    groups: dict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _group(remedy: str, items: Sequence[Failure | Notice]) -> list[str]:
    names = list(dict.fromkeys(item.name for item in items))
    # A platform's failure stands for all its accounts, and for none when it kept the collector from finding any.
    count = sum(
        item.accounts if isinstance(item, Failure) else 1 for item in {item.name: item for item in items}.values()
    )
    who = counted(count, "account") if count else "The platform"
    return [f"  {who}: {remedy}", f"    {_names(names)}"]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _detail(failure: Failure) -> str:
    dataset = f" {failure.dataset}" if failure.dataset else ""
    code = f"errcode {failure.errcode}: " if failure.errcode is not None else ""
    rid = f" (rid {failure.rid})" if failure.rid else ""
    return f"{failure.name} ({failure.account}){dataset}: {code}{failure.errmsg}{rid}"
