"""Texts of pictures: cut to fit, and without letters that no font has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.report.picture.drawing import Drawing, Look, drawable, fitted, width_of


@pytest.mark.parametrize(
    ("text", "lines", "expected"),
    [
        ("服务号", 1, ["服务号"]),
        ("服务号服务号", 1, ["服务号…"]),
        ("服务号服务号", 2, ["服务号服", "务号"]),
        ("ab cdefgh", 2, ["ab", "cdefgh"]),
        ("", 2, []),
    ],
)
def test_fitted(text: str, lines: int, expected: list[str]) -> None:
    """Words stay whole where there are blanks."""
    assert fitted(text, 10, 45, lines) == expected


@given(st.text(), st.integers(1, 3))
def test_no_line_is_too_wide(text: str, lines: int) -> None:
    found = fitted(text, 10, 60, lines)
    assert len(found) <= lines
    assert all(width_of(line, 10) <= 60 for line in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("服务号 🎉🎊", "服务号"),
        ("🧧茶\u202e馆\x00", "茶 馆"),
        ("A–B · «x» 100 % ①", "A–B · «x» 100 % ①"),
        ("🎉", ""),
    ],
)
def test_drawable(text: str, expected: str) -> None:
    """Emoji are left out: they would be boxes."""
    assert drawable(text) == expected


def test_texts_are_no_markup() -> None:
    drawing = Drawing(100)
    drawing.text(1, 2, '</text><script>"&', Look(10, "#000"))
    assert "&lt;/text&gt;&lt;script&gt;&quot;&amp;</text>" in drawing.svg(10, "#fff")
