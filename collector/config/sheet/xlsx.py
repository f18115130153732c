"""The lines of an Excel workbook; the only door to openpyxl."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from collector.config.sheet.lines import Line
from collector.config.yamlfile import single_fault
from collector.errors import UsageError
from collector.shell import install_line

SIGNATURE = b"PK\x03\x04"
OLD_SIGNATURE = b"\xd0\xcf\x11\xe0"
"""The first bytes of an `.xls`, and of an `.xlsx` with a password."""

_MAX_NUMBER = 10**15
"""Excel keeps 15 digits of a number."""

_UNCOMPUTED = (
    "is a formula without a result",
    "Open the workbook in Excel or LibreOffice, save it, and import it again.",
)
_FAILED = "is a formula that failed", "Correct it, or write the text itself."
_CUT = (
    "is a number of more than 15 digits, of which a spreadsheet keeps no more",
    "Format the cell as text, and enter it again.",
)


def lines(path: Path, raw: bytes) -> list[Line]:
    """Return the lines of the first visible sheet. Numbers and days become texts.

    Raises:
        UsageError: openpyxl isn't installed.
        ConfigError: the workbook can't be read.
    """
    try:
        import openpyxl  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        what = f"{path} is an Excel workbook, which needs the extra `export`"
        raise UsageError(f"{what}: {install_line('export')}. Or save the sheet as CSV") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what openpyxl would lose in writing
            # The results of formulas, and the formulas themselves: it reads one of them at a time.
            results, formulas = (
                _rows(openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=data_only))
                for data_only in (True, False)
            )
    except Exception:  # noqa: BLE001 (a damaged workbook raises almost anything)
        remedy = "Open it in Excel or LibreOffice and save it again, or save the sheet as CSV."
        raise single_fault(path, "the workbook can't be read", remedy) from None
    return [_line(number, *cells) for number, cells in enumerate(zip(results, formulas, strict=True), 1)]


def _rows(workbook: Any) -> list[Sequence[Any]]:
    sheet = next(sheet for sheet in workbook.worksheets if sheet.sheet_state == "visible")
    sheet.reset_dimensions()  # those that the file names may be wrong, or a million rows
    return list(sheet.iter_rows())


def _line(number: int, results: Sequence[Any], formulas: Sequence[Any]) -> Line:
    cells, problems = [], {}
    for place, (result, formula) in enumerate(zip(results, formulas, strict=True)):
        cells.append(_text(result.value))
        if result.value is None and formula.data_type == "f":
            problems[place] = _UNCOMPUTED
        elif result.data_type == "e":
            problems[place] = _FAILED
        elif isinstance(result.value, int | float) and abs(result.value) >= _MAX_NUMBER:
            problems[place] = _CUT
    return Line(number, cells, problems)


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime() if value.time() == time():
            return str(value.date())
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return str(value).strip()
