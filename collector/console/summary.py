"""Text and JSON of a run's result: for people grouped by what they have to do, for programs one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from collector.console.wrapping import fitting, wrapped
from collector.model.days import beijing_day, beijing_time
from collector.model.results import Failure, Notice, Outcome, RunResult, grouped_by_remedy, grouped_by_wait
from collector.text import counted, paragraphs

MAX_NAMES = 5
"""Names shown of a group; `-v` shows all."""

NARROW = 80
"""Cells of a line where the width isn't known, as in a mail."""

QUIET_LINES = 3
"""Lines that the names of a group may take with `-q`."""


@dataclass(frozen=True, slots=True)
class Style:
    """Form of a summary, for a terminal of `width` cells; None elsewhere.

    `verbose` shows all names, and WeChat's errcode, message and rid for each failed account. `quiet` shows failures
    alone, as many names as fit into `QUIET_LINES`, and the command that lists all of them.
    """

    verbose: bool = False
    quiet: bool = False
    width: int | None = None

    def names(self, names: Sequence[str], indent: str = "    ", *, all_of_them: str = "") -> str:
        """Return a line of names, as many as may be shown; `all_of_them` is the command that lists all."""
        shown = MAX_NAMES
        if self.verbose:
            shown = len(names)
        elif self.quiet:
            tail = len(f" and {len(names):,} more ({all_of_them})")
            # A name that doesn't fit leaves some of its line empty, so a line counts for three quarters.
            shown = fitting(names, QUIET_LINES * (self.width or NARROW) * 3 // 4 - tail)
        more = len(names) - shown
        cut = f" and {more:,} more" if more > 0 else ""
        command = f" ({all_of_them})" if cut and self.quiet and all_of_them else ""
        return f"{indent}{', '.join(names[:shown])}{cut}{command}"


PLAIN = Style()


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
        "pending": list(result.pending),
        "silent": list(result.silent),
        "failures": [asdict(failure) for failure in result.failures],
        "notices": [asdict(notice) for notice in result.notices],
        "error": result.error,
        "database": result.database,
    }


def as_text(result: RunResult, style: Style = PLAIN) -> str:
    """Return the result for people: totals, failures by remedy, waits, and what to do next."""
    text = paragraphs(
        _totals(result),
        failures_text(result.failures, result.outcomes[Outcome.FAILED], style),
        waits_text(result.notices, style),
        _silent(result, style),
        _next_step(result, style),
    )
    return wrapped(text, style.width)


def with_database(text: str, database: str) -> str:
    """Return the totals of a result with a line that names its database, where that has a name."""
    return "\n".join(filter(None, (text, database_line(database))))


def database_line(database: str) -> str:
    """Return the line that names the database of a result; empty where it has no name."""
    return f"Database: {database}" if database else ""


def failed_text(result: RunResult, style: Style = PLAIN) -> str:
    """Return the failures of a run; empty without any."""
    return wrapped(failures_text(result.failures, result.outcomes[Outcome.FAILED], style), style.width)


def failures_text(failures: Sequence[Failure], count: int, style: Style = PLAIN) -> str:
    """Return failures by remedy, the largest group first, of so many accounts; empty without any.

    Within a group those that are new in this run come first, then the latest.
    """
    # A platform can fail before any account of it is known.
    lines = [f"Failed: {count:,}{_new_among(failures)}" if count else "Failed:"]
    for together in grouped_by_remedy(failures):
        lines.append(_head(together[0].remedy, together))
        for label, those in _by_begin(together):
            if style.verbose:
                lines += [f"    {_detail(failure, label)}" for failure in those]
            else:
                names = [*dict.fromkeys(failure.name for failure in those)]
                lines.append(style.names(names, f"    {label}: " if label else "    ", all_of_them=_FAILING))
    return "\n".join(lines) if failures else ""


_FAILING = "collector status --failing"


def _new_among(failures: Sequence[Failure]) -> str:
    """Return how many of the failed accounts are new, where some are and some aren't."""
    # Of a file that can't be read it isn't known.
    accounts = {failure.name: failure.accounts for failure in failures if failure.new or failure.since}
    old = {failure.name for failure in failures if not failure.new and failure.since}
    new = sum(count for name, count in accounts.items() if name not in old)
    return f", {new:,} of them new" if new and old else ""


def _by_begin(failures: Sequence[Failure]) -> Iterable[tuple[str, list[Failure]]]:
    """Group failures by since when they are there: the new ones, then by day, the latest first, then the others."""
    groups: dict[tuple[bool, str], list[Failure]] = {}
    for failure in failures:
        day = str(beijing_day(failure.since)) if failure.since else ""
        groups.setdefault((failure.new, day), []).append(failure)
    for new, day in sorted(groups, reverse=True):
        yield "new" if new else f"since {day} (Beijing)" if day else "", groups[new, day]


def _totals(result: RunResult) -> str:
    counts = [f"{count:,} {outcome}" for outcome, count in result.outcomes.items() if count]
    totals = (
        f"{counted(result.total, 'account')}: {', '.join(counts) or 'none'}\n"
        f"{counted(result.days, 'day')} stored in {result.seconds:.1f} s ({counted(result.calls, 'data call')}, "
        f"{counted(result.token_calls, 'token call')}, {counted(result.retries, 'retry')})"
    )
    return with_database(totals, result.database)


def waits_text(notices: Sequence[Notice], style: Style = PLAIN) -> str:
    """Return the accounts that wait, by who ordered it, by kind and by end; empty without any."""
    parts = {False: ["Waiting, as WeChat ordered:"], True: ["Waiting, as the configuration limits it:"]}
    for together in grouped_by_wait(notices):
        names = [*dict.fromkeys(notice.name for notice in together)]
        parts[together[0].kind.is_own_limit] += [_head(notice_text(together[0]), together), style.names(names)]
    return paragraphs(*("\n".join(lines) for lines in parts.values() if len(lines) > 1))


def notice_text(notice: Notice) -> str:
    """Return the reason of a wait and its end."""
    return notice.kind.words + (f", until {beijing_time(notice.until)}" if notice.until else "")


def _silent(result: RunResult, style: Style) -> str:
    who = f"{counted(len(result.silent), 'account')} without any figure in the last 14 days"
    text = f"Silent: {who}. Nothing failed; are they in use?\n{style.names(result.silent)}"
    return text if result.silent else ""


def _next_step(result: RunResult, style: Style) -> str:
    if result.stopped_by is not None:
        kept = "" if result.error else "; what had come is stored"
        left = f" History: {_left(result)}." if result.windows_left else ""
        return f"Stopped by a signal{kept}.{left} Run again to go on."
    return paragraphs(_pending(result, style), _history(result), _more_names(result, style))


def _pending(result: RunResult, style: Style) -> str:
    """Return who lacks the newest day: accounts for which it isn't there yet, and those that may not ask for it."""
    count = result.outcomes[Outcome.PENDING]
    if not count or result.error is not None:
        return ""
    ends = {notice.name: notice.until for notice in result.notices}
    waiting = [name for name in result.pending if name in ends]
    others = [name for name in result.pending if name not in ends]
    lines = []
    if count > len(waiting):
        lines.append(f"Pending: {counted(count - len(waiting), 'account')} without the newest day; run again later.")
        lines += [style.names(others)] if others else []
    if waiting:
        when, who = _after(ends[name] for name in waiting), counted(len(waiting), "account")
        lines += [f"Pending: {who} that must wait for the newest day; run again {when}.", style.names(waiting)]
    return "\n".join(lines)


def _history(result: RunResult) -> str:
    """Return how much history is left, and what it takes to go on with it."""
    if not result.windows_left:
        return ""
    if result.error is not None:
        then = "once the trouble is over, run again to go on"
    elif result.notices:
        them = "it" if result.windows_left == 1 else "them"
        then = f"a `collector run` {_after(notice.until for notice in result.notices)} goes on with {them}"
    elif result.failures:
        then = "once the failures are mended, run again to go on"
    else:
        then = f"the next `collector run` goes on with {'it' if result.windows_left == 1 else 'them'}"
    return f"History: {_left(result)}; {then}."


def _left(result: RunResult) -> str:
    return f"{counted(result.windows_left, 'window')} {'is' if result.windows_left == 1 else 'are'} left"


def _after(ends: Iterable[datetime | None]) -> str:
    """Return from when on the first of some waits is over, as far as that is known."""
    known = [end for end in ends if end]
    return f"after {beijing_time(min(known))}" if known else "after the wait"


def _more_names(result: RunResult, style: Style) -> str:
    groups = [*map(len, grouped_by_remedy(result.failures)), *map(len, grouped_by_wait(result.notices))]
    is_cut = not style.verbose and max(*groups, len(result.silent), len(result.pending)) > MAX_NAMES
    return "All names: `collector status`, with --failing, --waiting or --missing." if is_cut else ""


def _head(remedy: str, items: Sequence[Failure | Notice]) -> str:
    # Two failed datasets are one account. A platform's failure stands for all its accounts, or for none if it failed
    # before any was found.
    by_name = {item.name: item for item in items}
    count = sum(item.accounts if isinstance(item, Failure) else 1 for item in by_name.values())
    who = counted(count, "account") if count else "The platform"
    return f"  {who}: {remedy}"


def _detail(failure: Failure, label: str) -> str:
    dataset = f" {failure.dataset}" if failure.dataset else ""
    code = f"errcode {failure.errcode}: " if failure.errcode is not None else ""
    rid = f" (rid {failure.rid})" if failure.rid else ""
    who = f"{failure.name} ({failure.account})" if failure.account else failure.name
    return f"{who}{dataset}{f', {label}' if label else ''}: {code}{failure.errmsg}{rid}"
