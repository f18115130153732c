"""Workbooks, read back by openpyxl."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import openpyxl
import pytest
from openpyxl.utils.escape import unescape
from report.export.samples import COLUMNS, DAY, HOSTILE, NAMES, ROWS, row

from collector.errors import UsageError
from collector.report.export.rows import Row
from collector.report.export.xlsx_file import xlsx_writer
from collector.shell import install_line

MIDNIGHT = datetime(DAY.year, DAY.month, DAY.day)  # noqa: DTZ001 (a workbook knows no zones)


def _workbook(folder: Path, rows: list[Row], **options: Any) -> Any:
    path = folder / "out.xlsx"
    with path.open("wb") as file, xlsx_writer(file, COLUMNS, folder=folder, **options) as write:
        for each in rows:
            write([each])
    assert [*folder.iterdir()] == [path]
    return openpyxl.load_workbook(path)


def _values(sheet: Any) -> list[tuple[Any, ...]]:
    # As Excel does; openpyxl leaves it to its caller.
    return [tuple(unescape(value) if isinstance(value, str) else value for value in line) for line in sheet.values]


def test_read_back(tmp_path: Path) -> None:
    """Texts are as they were, days are days, and what isn't stored is empty."""
    sheet = _workbook(tmp_path, ROWS).active
    names, *lines = _values(sheet)
    assert [*names] == NAMES
    assert lines == [("wx1", name, "=tag;b", MIDNIGHT, 5, 2, 3, None) for name in HOSTILE]
    assert {cell.number_format for cell in sheet["D"][1:]} == {"yyyy-mm-dd"}
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", f"A1:H{len(HOSTILE) + 1}")


def test_no_formulas_and_links(tmp_path: Path) -> None:
    sheet = _workbook(tmp_path, ROWS).active
    assert {cell.data_type for column in ("B", "C") for cell in sheet[column] if cell.value} == {"s"}
    assert not any(cell.hyperlink for cell in sheet["B"])


def _stop(write: Callable[[Iterable[Row]], None]) -> NoReturn:
    write(ROWS)
    raise KeyError("stop")


@pytest.mark.parametrize(("rows", "sizes"), [(4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_further_sheets(tmp_path: Path, rows: int, sizes: list[int]) -> None:
    """Each has its names; none is begun without a row for it."""
    workbook = _workbook(tmp_path, [row(str(number)) for number in range(rows)], rows_of_a_sheet=4)
    assert workbook.sheetnames == ["user_daily", "user_daily 2", "user_daily 3"][: len(sizes)]
    sheets = [_values(sheet) for sheet in workbook]
    assert [len(lines) - 1 for lines in sheets] == sizes
    assert [[*lines[0]] for lines in sheets] == [NAMES] * len(sizes)
    assert [line[1] for lines in sheets for line in lines[1:]] == [str(number) for number in range(rows)]


def test_stop_writes_nothing(tmp_path: Path) -> None:
    """Nothing is written where it ends before the end."""
    parts = tmp_path / "parts"
    parts.mkdir()
    file = io.BytesIO()
    with pytest.raises(KeyError, match="stop"), xlsx_writer(file, COLUMNS, folder=parts) as write:
        _stop(write)
    assert file.getvalue() == b""


def test_parts_are_kept_in_the_folder(tmp_path: Path) -> None:
    """Not where the system keeps temporary files, which may be memory; they go as it ends."""
    with xlsx_writer(io.BytesIO(), COLUMNS, folder=tmp_path) as write:
        write(ROWS)
        assert len([*tmp_path.iterdir()]) == 1
    assert [*tmp_path.iterdir()] == []


def test_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with (tmp_path / "x").open("wb") as file, pytest.raises(UsageError) as caught:
        xlsx_writer(file, COLUMNS, folder=None).__enter__()
    assert install_line("export") in str(caught.value)
