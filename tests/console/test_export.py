from __future__ import annotations

from dataclasses import replace
from datetime import date

from collector.console.export import as_json, as_text, notes_text
from collector.model.exported import Exported, Format, Per

EXPORTED = Exported(4_410, 49, 90, date(2026, 8, 26), date(2026, 11, 23), 0, 0, "wechat on db")


def test_one_line() -> None:
    assert as_text(EXPORTED, "out.csv") == (
        "out.csv: 4,410 rows (49 accounts, 90 days, 2026-08-26..2026-11-23). Database: wechat on db"
    )


def test_values_left_out_and_entries_unread() -> None:
    assert as_text(replace(EXPORTED, rows=1, accounts=1, days=1, damaged=1, unread=2), "out.csv") == (
        "out.csv: 1 row (1 account, 1 day, 2026-08-26..2026-11-23). Database: wechat on db. "
        "1 document has values that no run writes, which are left out. "
        "2 entries of the configuration can't be read, so accounts may be missing: `collector config validate` says why"
    )
    assert notes_text(replace(EXPORTED, damaged=2)) == "2 documents have values that no run writes, which are left out"


def test_json() -> None:
    assert as_json(replace(EXPORTED, damaged=3), "out.csv", Format.CSV, Per.DAY) == {
        "file": "out.csv",
        "format": "csv",
        "per": "day",
        "rows": 4_410,
        "accounts": 49,
        "days": 90,
        "begin": date(2026, 8, 26),
        "end": date(2026, 11, 23),
        "damaged_documents": 3,
        "unread_entries": 0,
        "database": "wechat on db",
    }
