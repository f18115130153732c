"""Text and JSON of the ledger: the last runs, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from collector.console.summary import failures_text
from collector.console.table import Cells, Table, in_one_line
from collector.model.days import BEIJING
from collector.model.ledger import Entry
from collector.text import counted, paragraphs

_HEADER: Cells = ("command", "run", "began (Beijing)", "took", "accounts", "result")


def as_json(entries: Sequence[Entry], database: str) -> dict[str, object]:
    """Return the object that `runs --json` prints; later versions add fields and change none."""
    return {"runs": [_entry_json(entry) for entry in entries], "database": database}


def entry_json(entry: Entry, database: str) -> dict[str, object]:
    """Return the object that `runs ID --json` prints."""
    return _entry_json(entry) | {"database": database}


def _entry_json(entry: Entry) -> dict[str, object]:
    return asdict(entry) | {"seconds": entry.seconds}


def as_text(entries: Sequence[Entry], database: str = "", *, width: int | None = None) -> str:
    """Return a line for each run. `width` is the terminal's in cells; without it nothing is cut."""
    rows = [_HEADER, *map(_cells, entries)]
    table = Table(rows, width).lines(rows) if entries else "No run has been made yet."
    return paragraphs(table, f"Database: {database}" if database else "")


def entry_text(entry: Entry, database: str = "", *, verbose: bool = False) -> str:
    """Return all that the ledger has of a run; `verbose` adds WeChat's errcode, message and rid of each failure."""
    where = f"{entry.command}, version {entry.version}, on {entry.host} (pid {entry.pid})"
    began = f"Began {entry.began.astimezone(BEIJING):%Y-%m-%d %H:%M:%S} Beijing time" if entry.began else "Began"
    code = "" if entry.exit is None else f", exit {entry.exit}"
    took = f", took {_took(entry)}" if entry.ended else ""
    more = entry.failures_left_out
    left_out = f"{counted(more, 'more failure')} {'is' if more == 1 else 'are'}n't kept." if more else ""
    return paragraphs(
        f"{entry.run}: {in_one_line(where)}\n{began}{took}: {_result(entry)}{code}.",
        _counts(entry),
        failures_text(entry.failures, entry.accounts.get("failed", 0) if entry.accounts else 0, verbose=verbose),
        left_out,
        in_one_line(entry.error or ""),
        f"Database: {database}" if database else "",
    )


def _cells(entry: Entry) -> Cells:
    total = entry.accounts.get("total") if entry.accounts else None
    began = f"{entry.began.astimezone(BEIJING):%Y-%m-%d %H:%M}" if entry.began else "-"
    accounts = "-" if total is None else f"{total:>8,}"
    return in_one_line(entry.command), entry.run, began, _took(entry), accounts, _result(entry)


def _result(entry: Entry) -> str:
    """Return how a run ended, in a few words."""
    if entry.status == "running":
        return "at work" if entry.at_work else "crashed"
    failed = entry.accounts.get("failed", 0) if entry.accounts else 0
    return in_one_line(entry.status) + (f", {failed:,} failed" if failed else "")


def _counts(entry: Entry) -> str:
    if not entry.accounts:
        return ""
    counts = [f"{count:,} {outcome}" for outcome, count in entry.accounts.items() if count and outcome != "total"]
    accounts = f"{counted(entry.accounts.get('total', 0), 'account')}{': ' if counts else ''}{', '.join(counts)}"
    if entry.days is None:
        return accounts
    calls = (
        f"{counted(entry.calls or 0, 'data call')}, {counted(entry.token_calls or 0, 'token call')}, "
        f"{counted(entry.retries or 0, 'retry')}"
    )
    return f"{accounts}\n{counted(entry.days, 'day')} stored ({calls})"


def _took(entry: Entry) -> str:
    """Return how long a run took, as minutes and seconds, or hours too."""
    if entry.seconds is None:
        return "-"
    minutes, seconds = divmod(round(entry.seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
