"""The workbook of a report: its forms, sheets of rows, and charts; a door to XlsxWriter."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from collector.errors import UsageError
from collector.report import formats
from collector.report.cells import write_text
from collector.report.charts.colours import GAP, GRID, INK, MUTED, WARN
from collector.report.figures.comparing import Comparison
from collector.report.terms import Terms
from collector.shell import install_line

FONT = "Microsoft YaHei"

_HEAD = {
    "bold": True,
    "bg_color": "#eef2fb",
    "bottom": 1,
    "bottom_color": "#b9c4dc",
    "valign": "vcenter",
    "text_wrap": True,
}
_CHANGE = "▲ 0.0%;▼ 0.0%;0.0%"
_FORMS: Mapping[str, Mapping[str, object]] = {
    "text": {},
    "title": {"bold": True, "font_size": 18},
    "section": {"bold": True, "font_size": 12},
    "head": _HEAD,
    "head_remark": _HEAD | {"indent": 1},
    "head_number": _HEAD | {"align": "right"},
    "muted": {"font_color": MUTED},
    "warn": {"font_color": WARN, "indent": 1},
    "reason": {"font_color": MUTED, "align": "right"},
    "day": {"num_format": "yyyy-mm-dd", "align": "left"},
    "number": {"num_format": "#,##0"},
    "mean": {"num_format": "#,##0.0"},
    "rate": {"num_format": "0.0%"},
    "small_rate": {"num_format": "0.000%"},
    "change": {"num_format": _CHANGE},
}
"""The forms of cells by their names."""

_GAP = {"bg_color": GAP}

Cell = tuple[str, str | date | float | None]
"""The name of a cell's form, and its value; None is an empty cell."""


class Book(NamedTuple):
    """A workbook that is being written, and the language of its texts."""

    workbook: Any
    forms: Mapping[str, Any]
    gap_forms: Mapping[str, Any]
    terms: Terms

    def sheet(self, name: str, widths: Sequence[int]) -> Sheet:
        """Add a sheet, whose columns are so many letters wide."""
        sheet = self.workbook.add_worksheet(name)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        # On the screen as well.
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        return Sheet(self, sheet, name)


class Sheet:
    """A sheet that is written from the top. `row` is the number of the next row, from 0."""

    def __init__(self, book: Book, sheet: Any, name: str) -> None:
        self.sheet = sheet
        self.name = name
        self.row = 0
        self._book = book

    def line(self, cells: Sequence[Cell], *, begin: int = 0, is_gap: bool = False) -> None:
        """Write the next row from column `begin` on. One with a gap is coloured."""
        forms = self._book.gap_forms if is_gap else self._book.forms
        for column, (form, value) in enumerate(cells, begin):
            self._write(self.row, column, forms[form], value)
        self.row += 1

    def head(self, titles: Sequence[str], texts: int = 1) -> None:
        """Write the titles of a table, of whose columns the first ones are `texts`."""
        remark = self._book.terms.label("remark")
        forms = ["head" if at < texts else "head_number" for at in range(len(titles))]
        self.line(
            [("head_remark" if title == remark else form, title) for form, title in zip(forms, titles, strict=True)]
        )

    def chart(self, chart: Any, column: int, *, row: int | None = None, width: int, height: int) -> None:
        """Put a chart at the next row, or another one."""
        chart.set_size({"width": width, "height": height})
        self.sheet.insert_chart(self.row if row is None else row, column, chart, {"object_position": 2})

    def cells(self, column: int, first: int, last: int) -> list[object]:
        """Return the address of the cells of a column, as charts take it."""
        return [self.name, first, column, last, column]

    def _write(self, row: int, column: int, form: Any, value: str | date | float | None) -> None:
        match value:
            case None | "":
                self.sheet.write_blank(row, column, None, form)
            case str():
                write_text(self.sheet, row, column, value, form)
            case date():
                self.sheet.write_datetime(row, column, value, form)
            case _:
                self.sheet.write_number(row, column, value, form)


def change_cell(comparison: Comparison, terms: Terms) -> Cell:
    """Return the change of a comparison, or the reason why it is left out."""
    return ("reason", formats.reason(comparison, terms)) if comparison.change is None else ("change", comparison.change)


@contextmanager
def opened(path: Path, terms: Terms) -> Iterator[Book]:
    """Open a workbook, and write it once the block has ended.

    Raises:
        UsageError: XlsxWriter isn't installed.
        OSError: it can't be written.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise UsageError(f"a workbook needs the extra `report`: {install_line('report')}") from None
    options = {"in_memory": True, "default_format_properties": {"font_name": FONT, "font_size": 10, "font_color": INK}}
    whole = io.BytesIO()  # a file that can't be written would be written once more as XlsxWriter is collected
    workbook = xlsxwriter.Workbook(whole, options)
    plain, gaps = (
        {name: workbook.add_format({**form, **more}) for name, form in _FORMS.items()} for more in ({}, _GAP)
    )
    yield Book(workbook, plain, gaps, terms)
    workbook.close()
    path.write_bytes(whole.getvalue())


AXIS = {"line": {"none": True}, "num_font": {"color": MUTED, "size": 9}, "major_gridlines": {"visible": False}}
NUMBERS = AXIS | {
    "num_format": "#,##0;#,##0",  # lost followers go down, and are no negative number
    "major_gridlines": {"visible": True, "line": {"color": GRID, "width": 0.75}},
    "major_tick_mark": "none",
}
DAYS = AXIS | {"date_axis": True, "num_format": "m/d", "label_position": "low", "major_tick_mark": "none"}


def finish(chart: Any, title: str, *, dates: bool = True, least: int | None = None) -> None:
    """Give a chart its title, legend, and axes of days and of numbers from `least` up. An empty cell is a gap in it."""
    chart.set_title({"name": title, "name_font": {"size": 11, "color": INK}, "overlay": False})
    chart.set_legend({"position": "bottom", "font": {"color": MUTED, "size": 9}})
    chart.set_chartarea({"border": {"color": GRID}})
    chart.show_blanks_as("gap")
    chart.show_hidden_data()
    if dates:
        chart.set_x_axis(DAYS)
        chart.set_y_axis(NUMBERS if least is None else NUMBERS | {"min": least})
