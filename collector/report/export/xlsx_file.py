"""Rows as an Excel workbook, whose rows go to the disk one by one; a door to XlsxWriter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from collector.errors import UsageError
from collector.report.cells import write_text
from collector.report.export.rows import Column, Kind, Row
from collector.report.export.target import target_of
from collector.shell import install_line

ROWS_OF_A_SHEET = 1_048_575
"""Rows of one sheet, below the line with the names. Excel has one more."""

_WIDTHS = {Kind.TEXT: 22, Kind.TEXTS: 22, Kind.DAY: 12, Kind.NUMBER: 14}


@contextmanager
def xlsx_writer(
    file: BinaryIO, columns: Sequence[Column], *, folder: Path | None, rows_of_a_sheet: int = ROWS_OF_A_SHEET
) -> Iterator[Callable[[Iterable[Row]], None]]:
    """Write rows as a workbook, which goes on in a further sheet where one is full.

    Texts are never formulas or links, days are dates, and texts of several are joined by `;`. The parts of the workbook
    are kept in `folder` until it is whole. Raises `UsageError` where XlsxWriter isn't installed.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise UsageError(f"xlsx needs the extra `export`: {install_line('export')}. CSV needs nothing") from None
    options = {"constant_memory": True, "tmpdir": folder and str(folder), "default_date_format": "yyyy-mm-dd"}
    with target_of(file) as target:
        workbook = xlsxwriter.Workbook(target, options)
        workbook.use_zip64()
        sheets = _Sheets(workbook, columns, rows_of_a_sheet)
        try:
            yield sheets.write
            sheets.end()
            _close(workbook)
        finally:
            for sheet in workbook.worksheets():  # `close` does it only where nothing failed
                with suppress(OSError):
                    sheet.row_data_fh.close()


class _Sheets:
    """The sheets of a workbook, of which the last one is written."""

    def __init__(self, workbook: Any, columns: Sequence[Column], rows_of_a_sheet: int) -> None:
        self._workbook = workbook
        self._columns = columns
        self._rows_of_a_sheet = rows_of_a_sheet
        self._bold = workbook.add_format({"bold": True})
        self._begin()

    def write(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if self._row == self._rows_of_a_sheet:
                self.end()
                self._begin()
            self._row += 1
            for place, (value, write) in enumerate(zip(row, self._writes, strict=True)):
                if value is not None:
                    write(self._row, place, value)

    def end(self) -> None:
        """End the sheet: what is said about its rows is written after them."""
        self._sheet.autofilter(0, 0, self._row, len(self._columns) - 1)

    def _begin(self) -> None:
        number = len(self._workbook.worksheets()) + 1
        self._sheet = sheet = self._workbook.add_worksheet("user_daily" if number == 1 else f"user_daily {number}")
        self._row = 0
        by_kind: Mapping[Kind, Callable[[int, int, Any], object]] = {
            Kind.TEXT: partial(write_text, sheet),
            Kind.TEXTS: lambda row, place, texts: write_text(sheet, row, place, ";".join(texts)),
            Kind.DAY: sheet.write_datetime,
            Kind.NUMBER: sheet.write_number,
        }
        self._writes = [by_kind[column.kind] for column in self._columns]
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(self._columns):
            sheet.set_column(place, place, _WIDTHS[column.kind])
            sheet.write_string(0, place, column.name, self._bold)


def _close(workbook: Any) -> None:
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

    try:
        workbook.close()
    except FileCreateError as error:
        raise error.args[0] from None  # an OSError
