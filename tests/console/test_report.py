"""Text and JSON of a report that was written."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from collector.console.report import as_json, as_text
from collector.model.days import Window
from collector.model.reported import Changed, Reported

STANDINGS = {"complete": 1_197, "pending": 2, "failing": 1, "silent": 0}
DAYS = Window(date(2026, 10, 1), date(2026, 10, 31))
REPORTED = Reported("2026-10", DAYS, date(2026, 10, 30), 1_200, STANDINGS, "wechat on db")


def test_one_line() -> None:
    assert as_text(REPORTED, "out.html") == (
        "out.html: 1,200 accounts (2 pending, 1 failing), 2026-10-01..2026-10-31, figures up to 2026-10-30. "
        "Database: wechat on db"
    )


def test_nothing_is_wrong() -> None:
    whole = replace(REPORTED, accounts=1, standings={"complete": 1, "pending": 0}, data_until=None)
    assert as_text(whole, "out.png") == (
        "out.png: 1 account, 2026-10-01..2026-10-31, no totals. Database: wechat on db"
    )


def test_site_whose_entries_are_unread() -> None:
    site = replace(REPORTED, standings={}, changed=Changed(1_201, 30), unread=1)
    assert as_text(site, "site/") == (
        "site/: 1,200 accounts, 2026-10-01..2026-10-31, figures up to 2026-10-30. "
        "Files: 1,201 written, 30 unchanged. Database: wechat on db. "
        "1 entry of the configuration can't be read, so accounts may be missing: `collector config validate` says why"
    )
    assert "30 unchanged, 1,000 removed. " in as_text(replace(site, changed=Changed(1, 30, 1_000)), "site/")


def test_json() -> None:
    fields = {
        "file": "out.html",
        "period": "2026-10",
        "begin": date(2026, 10, 1),
        "end": date(2026, 10, 31),
        "data_until": date(2026, 10, 30),
        "accounts": {"total": 1_200, "complete": 1_197, "pending": 2, "failing": 1, "silent": 0},
        "unread_entries": 0,
        "database": "wechat on db",
    }
    assert as_json(REPORTED, "out.html") == fields
    files = {"files": {"written": 1, "kept": 2, "removed": 3}}
    assert as_json(replace(REPORTED, changed=Changed(1, 2, 3)), "out.html") == fields | files
