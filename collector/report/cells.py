"""Texts in the cells of workbooks."""

from __future__ import annotations

from typing import Any


def write_text(sheet: Any, row: int, column: int, text: str, form: Any = None) -> None:
    """Write a text into a cell of XlsxWriter's as it is: never as a formula, a link or XML."""
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter would take it for XML of its own and not escape it, so that Excel refuses the workbook.
        sheet.write_rich_string(row, column, *([form, "<", form, text[1:], form] if form else ["<", "r>", text[3:]]))
    else:
        sheet.write_string(row, column, text, form)
