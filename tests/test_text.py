"""Text that is safe and pleasant to log."""

from __future__ import annotations

import pytest

from collector.text import alternatives, counted, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\tb\x1b[31m\n", "a b [31m "), ("\ud800x", " x"), ("服务号", "服务号"), (None, "None"), (12, "12")],
)
def test_printable(text: object, shown: str) -> None:
    assert printable(text) == shown


def test_printable_is_short() -> None:
    assert (len(printable("x" * 501)), printable("abc", 2)) == (500, "ab")


def test_counted() -> None:
    counts = [counted(1, "account"), counted(1200, "account"), counted(1, "retry"), counted(2, "retry")]
    assert counts == ["1 account", "1,200 accounts", "1 retry", "2 retries"]


def test_alternatives() -> None:
    assert alternatives([".csv", ".parquet", ".xlsx"]) == ".csv, .parquet or .xlsx"
    assert alternatives(["zh", "en"]) == "zh or en"
