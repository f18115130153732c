"""Rows of stored days, with holes."""

from datetime import date

from collector.model.daily import Daily, Source
from collector.model.exported import Per
from collector.report.export.rows import TABLES, Subject

SHOES = Subject("wx1", "acme-shoes", ("retail", "north"))
DAYS = [
    Daily(date(2026, 11, 20), 5, 2, 100, (Source(0, 3, 2), Source(11, 2, 0))),
    Daily(date(2026, 11, 21), cumulate_user=103),  # the 22nd isn't stored
    Daily(date(2026, 11, 23), 0, 0, None, ()),
    Daily(date(2026, 11, 24), 1, 2, 5, None, is_damaged=True),
]


def test_columns() -> None:
    """They are a promise: names and order never change."""
    assert {per: [column.name for column in table.columns] for per, table in TABLES.items()} == {
        Per.DAY: ["account", "name", "tags", "ref_date", "new_user", "cancel_user", "net_user", "cumulate_user"],
        Per.SOURCE: [
            *("account", "name", "tags", "ref_date", "user_source", "channel", "new_user", "cancel_user", "net_user"),
        ],
    }


def test_rows_of_days() -> None:
    """One for each document. What isn't stored is None, zeros that were proven are 0."""
    assert [row for day in DAYS for row in TABLES[Per.DAY].rows(SHOES, day)] == [
        (*SHOES, date(2026, 11, 20), 5, 2, 3, 100),
        (*SHOES, date(2026, 11, 21), None, None, None, 103),
        (*SHOES, date(2026, 11, 23), 0, 0, 0, None),
        (*SHOES, date(2026, 11, 24), 1, 2, -1, 5),
    ]


def test_rows_of_sources() -> None:
    """One for each stored channel; one that nobody has named goes by its number."""
    assert [row for day in DAYS for row in TABLES[Per.SOURCE].rows(SHOES, day)] == [
        (*SHOES, date(2026, 11, 20), 0, "其他合计", 3, 2, 1),
        (*SHOES, date(2026, 11, 20), 11, "11", 2, 0, 2),
    ]
