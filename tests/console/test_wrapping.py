"""Lines no wider than the terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from collector.console.wrapping import fitting, wrapped

_WORDS = st.lists(st.text(alphabet="ab客户😀", min_size=1, max_size=12), min_size=1, max_size=20)


@given(_WORDS, st.integers(0, 6), st.integers(40, 100))
def test_lines_fit(words: list[str], indent: int, width: int) -> None:
    """No word is lost or broken, and the rest of a line is indented further."""
    line = " " * indent + " ".join(words)
    lines = wrapped(line, width).split("\n")
    assert all(cell_len(each) <= width for each in lines)
    assert [word for each in lines for word in each.split()] == words
    hang = indent + 2 if indent else 0
    assert all(len(each) - len(each.lstrip()) == hang for each in lines[1:])


def test_long_word_stays_whole() -> None:
    """Addresses and commands in backticks can be copied."""
    assert wrapped("see https://mongodb.internal/a-long-path or `run it again` now", 16).split("\n") == [
        "see",
        "https://mongodb.internal/a-long-path",
        "or",
        "`run it again`",
        "now",
    ]


def test_without_a_terminal_nothing_wraps() -> None:
    assert wrapped("word " * 100, None) == "word " * 100


def test_names_that_fit() -> None:
    """A Chinese character takes two cells; one name is shown in any case."""
    assert fitting(["客户", "客户", "客户"], 12) == 2
    assert fitting(["acme", "acme", "acme"], 18) == 3
    assert fitting(["a" * 50], 10) == 1
