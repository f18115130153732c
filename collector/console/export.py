"""Text and JSON of an export."""

from __future__ import annotations

from collector.model.exported import Exported, Format, Per
from collector.text import counted


def as_text(exported: Exported, file: str) -> str:
    """Return what was written, in one line."""
    of = f"{counted(exported.accounts, 'account')}, {counted(exported.days, 'day')}, {exported.begin}..{exported.end}"
    notes = notes_text(exported)
    return f"{file}: {counted(exported.rows, 'row')} ({of}). Database: {exported.database}{notes and f'. {notes}'}"


def notes_text(exported: Exported) -> str:
    """Return what isn't among the rows; empty where nothing is known to lack."""
    notes = []
    if exported.damaged:
        have = "has" if exported.damaged == 1 else "have"
        notes.append(f"{counted(exported.damaged, 'document')} {have} values that no run writes, which are left out")
    notes += [unread_text(exported.unread)] if exported.unread else []
    return ". ".join(notes)


def unread_text(count: int) -> str:
    """Return the note of so many entries that can't be read."""
    cant = f"{counted(count, 'entry')} of the configuration can't be read"
    return f"{cant}, so accounts may be missing: `collector config validate` says why"


def as_json(exported: Exported, file: str, form: Format, per: Per) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    return {
        "file": file,
        "format": form,
        "per": per,
        "rows": exported.rows,
        "accounts": exported.accounts,
        "days": exported.days,
        "begin": exported.begin,
        "end": exported.end,
        "damaged_documents": exported.damaged,
        "unread_entries": exported.unread,
        "database": exported.database,
    }
