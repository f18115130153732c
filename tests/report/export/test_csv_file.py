"""CSV, read back by the csv module."""

from __future__ import annotations

import csv
import io

import pytest
from report.export.samples import COLUMNS, HOSTILE, NAMES, ROWS, row

from collector.report.export.csv_file import csv_writer, neutralised

BOM = b"\xef\xbb\xbf"
RUN = {each for each in HOSTILE if each.strip()[:1] in {*"=+-@＝"} or each.startswith("\t")} - {"", "'"}


def _written(bom: bool = True) -> bytes:
    file = io.BytesIO()
    with csv_writer(file, COLUMNS, bom=bom) as write:
        write(ROWS[:3])
        write(ROWS[3:])
    return file.getvalue()


def test_read_back() -> None:
    """Texts come back as they went, but for those that a spreadsheet would run; what is absent is empty."""
    lines = [*csv.reader(io.StringIO(_written().removeprefix(BOM).decode(), newline=""))]
    cells = [
        ["wx1", f"'{name}" if name in RUN else name, "'=tag;b", "2026-11-23", "5", "2", "3", ""] for name in HOSTILE
    ]
    assert lines == [NAMES, *cells]


def test_mark_of_utf8() -> None:
    """Once, at the very beginning, where it is wanted."""
    assert _written() == BOM + _written(bom=False)
    assert _written(bom=False).startswith(b"account,")


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@a", "\t1", "\r1", " =1", "\n=1", "\u3000=1", "＝1", "＋1", "－1", "＠1"]
)
def test_formula(text: str) -> None:
    assert neutralised(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "'=1", "1-2", " a", "服务号", "a\t=1"])
def test_plain_text(text: str) -> None:
    assert neutralised(text) == text


def test_numbers_stay_numbers() -> None:
    """A net loss begins with a minus, and is no text."""
    file = io.BytesIO()
    with csv_writer(file, COLUMNS, bom=False) as write:
        write([row("a", 1, 4, -3, 2**40)])
    assert file.getvalue().splitlines()[1] == b"wx1,a,'=tag;b,2026-11-23,1,4,-3,1099511627776"
