import pytest

from collector.console.table import Table, in_one_line, problem_text
from collector.model.results import Failure

ROWS = [("name", "token", "problem"), ("acme-shoes", "ok", ""), ("刚刚加入", "failed", "ask for the right")]


def test_columns_align() -> None:
    """Wide characters take two cells, and no line ends with blanks."""
    assert Table(ROWS, None).lines(ROWS).splitlines() == [
        "name        token   problem",
        "acme-shoes  ok",
        "刚刚加入    failed  ask for the right",
    ]


def test_some_of_the_rows() -> None:
    """All rows of a table count for its widths, whichever are shown."""
    assert Table(ROWS, None).lines(ROWS[2:]) == "刚刚加入    failed  ask for the right"


def test_problem_without_room() -> None:
    assert Table(ROWS, 30).lines(ROWS[2:]).splitlines() == ["刚刚加入    failed", "    ask for the right"]


def test_long_names_are_cut() -> None:
    rows = [("a name of more than twelve cells", "ok", "x")]
    assert Table(rows, 40).lines(rows) == "a name of m…  ok  x"
    assert Table(rows, None).lines(rows).startswith(rows[0][0])


@pytest.mark.parametrize(("text", "expected"), [("a\r\n  b", "a b"), ("a \x1b[2J", "a [2J"), ("", "")])
def test_in_one_line(text: str, expected: str) -> None:
    assert in_one_line(text) == expected


@pytest.mark.parametrize(
    ("errmsg", "errcode", "hint", "expected"),
    [
        ("api unauthorized", 48001, "ask", "ask (summary: 48001 api unauthorized)"),
        ("cut", None, "ask", "ask (summary: cut)"),
        ("cut\nhere", None, "", "summary: cut here"),
        ("x is empty", None, "x is empty: fill it", "x is empty: fill it"),
    ],
)
def test_problem_text(errmsg: str, errcode: int | None, hint: str, expected: str) -> None:
    """The remedy, then the message in brackets unless the remedy contains it."""
    failure = Failure("wx-a", "a", None, errmsg, errcode, hint=hint)
    assert problem_text(failure, "summary: ") == expected
