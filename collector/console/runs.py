"""Text and JSON of the ledger: the last runs, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from collector.console.paint import Severity
from collector.console.summary import PLAIN, Style, database_line, failures_text
from collector.console.table import Cells, Table, in_one_line
from collector.console.wrapping import wrapped
from collector.model.days import BEIJING, beijing_minute, beijing_time
from collector.model.ledger import COMPLETED, LastRuns, RunRecord
from collector.model.results import Failure
from collector.text import counted, paragraphs

_HEADER: Cells = ("command", "run", "began (Beijing)", "took", "accounts", "result")

_SEVERITIES = {"ok": Severity.GOOD, **dict.fromkeys(("pending", "partial", "stopped"), Severity.WARNING)}


def as_json(records: Sequence[RunRecord], database: str) -> dict[str, object]:
    """Return the object that `runs --json` prints; later versions add fields and change none."""
    return {"runs": [_run_json(record) for record in records], "database": database}


def run_json(record: RunRecord, database: str) -> dict[str, object]:
    """Return the object that `runs ID --json` prints."""
    return _run_json(record) | {"database": database}


def last_runs_json(runs: LastRuns) -> dict[str, object]:
    """Return what `status --json` says about runs."""
    return {
        "last_run": runs.last and _run_json(runs.last),
        "last_completed_run": runs.completed and _run_json(runs.completed),
    }


def _run_json(record: RunRecord) -> dict[str, object]:
    return asdict(record) | {"seconds": record.seconds}


def as_text(records: Sequence[RunRecord], database: str = "", *, width: int | None = None) -> str:
    """Return a line for each run. `width` is the terminal's in cells; without it nothing is cut."""
    rows = [_HEADER, *map(_cells, records)]
    table = Table(rows, width).lines(rows) if records else "No run has been made yet."
    return paragraphs(table, database_line(database))


def run_text(record: RunRecord, database: str = "", style: Style = PLAIN) -> str:
    """Return all that the ledger has of a run."""
    where = f"{record.command}, version {record.version}, on {record.host} (pid {record.pid})"
    began = f"Began {record.began.astimezone(BEIJING):%Y-%m-%d %H:%M:%S} Beijing time" if record.began else "Began"
    code = "" if record.exit is None else f", exit {record.exit}"
    took = "" if record.seconds is None else f", took {_took(record)}"
    more = record.failures_left_out
    left_out = f"{counted(more, 'more failure')} {'is' if more == 1 else 'are'}n't kept." if more else ""
    text = paragraphs(
        f"{in_one_line(f'{record.run}: {where}')}\n{began}{took}: {_result(record)}{code}.",
        _counts(record),
        failures_text([*map(_in_one_line, record.failures)], record.failed, style),
        left_out,
        in_one_line(record.error or ""),
        database_line(database),
    )
    return wrapped(text, style.width)


def last_run_text(runs: LastRuns) -> str:
    """Return when and how the last run ended; where it wasn't completed, also that of the last one that was."""
    if not (last := runs.last):
        return "Last run: none yet"
    lines = [f"Last run: {_ending(last, runs.at)}", *([f"    {in_one_line(last.error)}"] if last.error else [])]
    if last.status not in COMPLETED:
        before = _ending(runs.completed, runs.at) if runs.completed else "none yet"
        lines.append(f"Last completed run: {before}")
    return "\n".join(lines)


def severity_of(record: RunRecord | None) -> Severity:
    """Return how much it matters to people how a run ended."""
    if record is None:
        return Severity.WARNING
    if record.at_work:
        return Severity.PLAIN
    return _SEVERITIES.get(record.status, Severity.BAD)


def ago(seconds: float) -> str:
    """Return how long ago something was: `4 minutes ago`."""
    # Up to two days in hours: the daily job is 24 of them apart.
    for least_s, unit_s, unit in ((172_800, 86_400, "day"), (3_600, 3_600, "hour"), (60, 60, "minute")):
        if seconds >= least_s:
            return f"{counted(int(seconds // unit_s), unit)} ago"
    return "just now"


def _ending(record: RunRecord, at: datetime) -> str:
    """Return when and how a run ended; of one that hasn't ended, or has crashed, when it began."""
    verb, instant = ("", record.ended) if record.exit is not None else ("began ", record.began)
    when = f"{verb}{beijing_time(instant)}, {ago((at - instant).total_seconds())}: " if instant else ""
    if record.failed:
        return f"{when}{_word(record)}, {record.failed:,} of {record.total or 0:,} failed"
    return f"{when}{_word(record)}" + ("" if record.total is None else f", {counted(record.total, 'account')}")


def _cells(record: RunRecord) -> Cells:
    began = beijing_minute(record.began) if record.began else "-"
    accounts = "-" if record.total is None else f"{record.total:>8,}"
    # In the table a word less: a line of it has to fit a terminal of 80 columns.
    result = f"{record.failed:,} failed" if record.status == "partial" and record.failed else _result(record)
    return in_one_line(record.command), in_one_line(record.run), began, _took(record), accounts, result


def _result(record: RunRecord) -> str:
    """Return how a run ended, in a few words."""
    have_all = record.status == "failed" and record.failed == record.total
    return f"{_word(record)}, {record.failed:,} failed" if record.failed and not have_all else _word(record)


def _word(record: RunRecord) -> str:
    if record.status == "running":
        return "at work" if record.at_work else "crashed"
    return in_one_line(record.status) or "unknown"


def _counts(record: RunRecord) -> str:
    if not record.accounts:
        return ""
    counts = [f"{count:,} {outcome}" for outcome, count in record.accounts.items() if count and outcome != "total"]
    accounts = f"{counted(record.total or 0, 'account')}{': ' if counts else ''}{', '.join(counts)}"
    if record.days is None:
        return accounts
    calls = (
        f"{counted(record.calls or 0, 'data call')}, {counted(record.token_calls or 0, 'token call')}, "
        f"{counted(record.retries or 0, 'retry')}"
    )
    return f"{accounts}\n{counted(record.days, 'day')} stored ({calls})"


def _took(record: RunRecord) -> str:
    """Return how long a run took, as minutes and seconds, or hours too."""
    if record.seconds is None:
        return "-"
    minutes, seconds = divmod(round(record.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _in_one_line(failure: Failure) -> Failure:
    """Return a failure as it is safe to show: another tool may have written the document."""
    texts: dict[str, Any] = {key: in_one_line(text) for key, text in asdict(failure).items() if isinstance(text, str)}
    return replace(failure, **texts)
