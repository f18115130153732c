"""Rows whose texts are hostile."""

from datetime import date

from collector.model.exported import Per
from collector.report.export.rows import TABLES, Row

COLUMNS = TABLES[Per.DAY].columns
NAMES = [column.name for column in COLUMNS]
DAY = date(2026, 11, 23)
HOSTILE = (
    "服务号 🎉",
    '=HYPERLINK("http://evil.example","open")',
    "{=1+1}",
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    " \u3000=1",
    "\t1",
    "＝1+1",
    "http://evil.example",
    "<script>alert(1)</script>",
    "<r><t>& not XML</t></r>",
    'a "quoted", and; parted',
    "two\nlines\rof it",
    "_x0041_",
    "\x01\x1f￿",
    " blanks ",
    "'",
    "x" * 200,
    "123",
    "",
)


def row(name: str, *figures: int | None, tags: tuple[str, ...] = ("=tag", "b")) -> Row:
    return "wx1", name, tags, DAY, *(figures or (5, 2, 3, None))


ROWS = [row(name) for name in HOSTILE]
