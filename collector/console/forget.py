"""Text and JSON of `forget`, and its question."""

from __future__ import annotations

from collector.console.summary import with_database
from collector.console.table import in_one_line
from collector.model.forgotten import Departed, Forgotten
from collector.text import counted


def question(departed: Departed, *, with_documents: bool) -> str:
    """Return the question whether to forget an account."""
    state = ["its state"] if departed.has_state else []
    days = _days(departed.days)
    what = " and ".join([*state, *([days] if with_documents and departed.days else [])])
    stay = f" {days} {_stays(departed.days)}." if departed.days and not with_documents else ""
    return f"{in_one_line(str(departed))}, {departed.database}.{stay} Delete {what}?"


def as_text(forgotten: Forgotten) -> str:
    """Return what is deleted of an account, and what stays."""
    departed, left = forgotten.departed, forgotten.days_left
    state = ["its state"] if departed.has_state else []
    what = " and ".join([*state, *([_days(forgotten.days)] if forgotten.days else [])])
    command = f"collector forget {departed.account} --with-documents"
    stay = f"\n{_days(left)} {_stays(left)}: `{command}` deletes {'it' if left == 1 else 'them'}, too." if left else ""
    return with_database(f"{in_one_line(str(departed))} is forgotten: deleted {what}.{stay}", departed.database)


def as_json(forgotten: Forgotten) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    departed = forgotten.departed
    return {
        "account": departed.account,
        "name": departed.name,
        "state_deleted": departed.has_state,
        "documents_deleted": forgotten.days,
        "documents_left": forgotten.days_left,
        "database": departed.database,
    }


def _days(count: int) -> str:
    return f"{counted(count, 'document')} of user_daily"


def _stays(count: int) -> str:
    return "stays" if count == 1 else "stay"
