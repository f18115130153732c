"""Text and JSON of a report that was written."""

from __future__ import annotations

from collector.console.export import unread_text
from collector.model.reported import Changed, Reported
from collector.text import counted


def as_text(reported: Reported, out: str) -> str:
    """Return what was written, in one line."""
    count = counted(reported.accounts, "account")
    others = [f"{number:,} {name}" for name, number in reported.standings.items() if number and name != "complete"]
    accounts = f"{count} ({', '.join(others)})" if others else count
    until = f"figures up to {reported.data_until}" if reported.data_until else "no totals"
    changed = reported.changed
    files = f" {_files(changed)}." if changed else ""
    unread = f". {unread_text(reported.unread)}" if reported.unread else ""
    return f"{out}: {accounts}, {reported.days}, {until}.{files} Database: {reported.database}{unread}"


def _files(changed: Changed) -> str:
    removed = f", {changed.removed:,} removed" if changed.removed else ""
    return f"Files: {changed.written:,} written, {changed.kept:,} unchanged{removed}"


def as_json(reported: Reported, out: str) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    return {
        "file": out,
        "period": reported.period,
        "begin": reported.days.begin,
        "end": reported.days.end,
        "data_until": reported.data_until,
        "accounts": {"total": reported.accounts, **reported.standings},
        "unread_entries": reported.unread,
        "database": reported.database,
        **({"files": reported.changed._asdict()} if reported.changed else {}),
    }
