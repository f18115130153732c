"""Text and JSON of a report that was written."""

from __future__ import annotations

from collector.model.reported import Reported
from collector.text import counted


def as_text(reported: Reported, out: str) -> str:
    """Return what was written, in one line."""
    count = counted(reported.accounts, "account")
    others = [f"{number:,} {name}" for name, number in reported.standings.items() if number and name != "complete"]
    accounts = f"{count} ({', '.join(others)})" if others else count
    until = f"figures up to {reported.data_until}" if reported.data_until else "no totals"
    return f"{out}: {accounts}, {reported.days}, {until}. Database: {reported.database}"


def as_json(reported: Reported, out: str) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    return {
        "file": out,
        "period": reported.period,
        "begin": reported.days.begin,
        "end": reported.days.end,
        "data_until": reported.data_until,
        "accounts": {"total": reported.accounts, **reported.standings},
        "database": reported.database,
    }
