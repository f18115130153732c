"""A workbook of Excel's reads as the same sheet in CSV does."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import PatternFill

from collector.config.sheet import rows
from collector.errors import ConfigError, UsageError
from collector.shell import install_line

TODAY = date(2026, 11, 24)
APPIDS = [f"wx{number:016x}" for number in range(9)]
NAMES = ["名称", "AppID", "AppSecret", "标签", "since", "daily_calls", "enabled"]
Read = Callable[..., list[rows.Row]]


@pytest.fixture
def read(write: Callable[..., Path]) -> Read:
    """Write a workbook of these lines, and read it."""

    def read(*lines: Sequence[object], edit: Callable[[openpyxl.Workbook], object] = bool) -> list[rows.Row]:
        workbook = openpyxl.Workbook()
        for line in lines:
            workbook.active.append(line)
        edit(workbook)
        file = io.BytesIO()
        workbook.save(file)
        return rows.read(write(file.getvalue(), "sheet.xlsx"), TODAY)

    return read


def messages(read: list[rows.Row]) -> list[str]:
    return [f"{fault.where} {fault.message}" for row in read for fault in row.faults]


def test_texts(read: Read) -> None:
    """Numbers, days and switches become the texts that CSV has."""
    (first, second) = read(
        NAMES,
        ["甲", APPIDS[1], "0123", "a、b", datetime(2025, 1, 3), 200.0, True],  # noqa: DTZ001 (Excel has no zones)
        [123, APPIDS[2], None, None, "2025/1/3", "", "否"],
    )
    assert [*first.values.values()] == ["甲", APPIDS[1], "0123", ["a", "b"], "2025-01-03", "200", "true"]
    assert [*second.values.values()] == ["123", APPIDS[2], None, None, "2025-01-03", None, "false"]
    assert (first.faults, second.faults) == ((), ())


def test_empty_rows(read: Read) -> None:
    """Rows without a text count as lines, and are no accounts."""

    def paint(workbook: openpyxl.Workbook) -> None:
        workbook.active.cell(row=500, column=3).fill = PatternFill("solid", fgColor="00FF00")

    found = read([], NAMES, [], ["a", APPIDS[1]], [None, "  "], ["b", APPIDS[2]], edit=paint)
    assert [row.where for row in found] == ["sheet.xlsx:4", "sheet.xlsx:6"]


def test_hidden_and_further_sheets(read: Read) -> None:
    """The first sheet that isn't hidden counts."""

    def add(workbook: openpyxl.Workbook) -> None:
        workbook.create_sheet("old", 0).append(["x"])
        workbook["old"].sheet_state = "hidden"
        workbook.create_sheet("notes").append(["y"])

    assert len(read(NAMES, ["a", APPIDS[1]], edit=add)) == 1


def test_cut_numbers(read: Read) -> None:
    """A number that lost digits is a fault of its row."""
    found = read(NAMES, ["a", APPIDS[1], 12345678901234567890123456789012], ["b", APPIDS[2], 5.1e31])
    what = "`secret` is a number of more than 15 digits, of which a spreadsheet keeps no more"
    assert messages(found) == [f"sheet.xlsx:2 {what}", f"sheet.xlsx:3 {what}"]


def test_formulas(read: Read) -> None:
    """A formula is a fault where it has no result, or one that failed."""
    found = read(NAMES, ["=A9", APPIDS[1]], ["b", APPIDS[2], "#N/A"], ["c", "=A9"])
    assert messages(found) == [
        "sheet.xlsx:2 `name` is a formula without a result",
        "sheet.xlsx:3 `secret` is a formula that failed",
        "sheet.xlsx:4 `appid` is a formula without a result",
    ]


def test_row_of_formulas_alone(read: Read) -> None:
    """It isn't an empty row, and a formula beyond the columns isn't one of theirs."""
    (row,) = read(NAMES, ["=A9", "=A9", *[None] * len(NAMES), "=A9"])
    assert messages([row]) == [f"sheet.xlsx:2 `{key}` is a formula without a result" for key in ("appid", "name")]


def test_day_with_a_time(read: Read) -> None:
    """It isn't cut."""
    (row,) = read(NAMES, ["a", APPIDS[1], "s", None, datetime(2025, 1, 3, 12)])  # noqa: DTZ001 (Excel has no zones)
    assert row.values["since"] == "2025-01-03 12:00:00"


def replaced(pattern: bytes, by: bytes) -> bytes:
    """The content of `sheet.xlsx` with other XML."""
    whole, count = io.BytesIO(), 0
    with zipfile.ZipFile("sheet.xlsx") as made, zipfile.ZipFile(whole, "w") as changed:
        for name in made.namelist():
            content, found = re.subn(pattern, by, made.read(name))
            changed.writestr(name, content)
            count += found
    assert count == 1
    return whole.getvalue()


def test_result_of_a_formula(read: Read, write: Callable[..., Path]) -> None:
    read(NAMES, ["=A9", APPIDS[1]])
    (row,) = rows.read(write(replaced(rb"<v ?/>", b"<v>7</v>"), "sheet.xlsx"), TODAY)
    assert (row.values["name"], row.faults) == ("7", ())


def test_wrong_dimensions(read: Read, write: Callable[..., Path]) -> None:
    """Some programs name fewer cells than there are."""
    before = read(NAMES, ["a", APPIDS[1], "s"])
    content = replaced(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:A1"')
    assert rows.read(write(content, "sheet.xlsx"), TODAY) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 broken", "the workbook can't be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "the workbook has Excel's old form (.xls), or a password"),
    ],
)
def test_unreadable_workbook(write: Callable[..., Path], content: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rows.read(write(content, "sheet.xlsx"), TODAY)
    assert [fault.message for fault in caught.value.faults] == [message]


def test_missing_extra(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with the line that installs it."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UsageError) as caught:
        read(NAMES)
    assert install_line("export") in str(caught.value)
