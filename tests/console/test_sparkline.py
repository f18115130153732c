"""Curves in one line of text."""

from __future__ import annotations

import pytest

from collector.console.sparkline import PLAIN_LETTERS, sparkline


@pytest.mark.parametrize(
    ("values", "lowest", "curve"),
    [
        (range(8), None, "▁▂▃▄▅▆▇█"),
        ([100, None, 107], None, "▁ █"),
        ([0, 0], 0, "▁▁"),
        ([5, 5], None, "▁▁"),
        ([7, 7], 0, "██"),
        ([-4, 0, 10], None, "▁▃█"),
        ([0, 5, 9], None, "▁▅█"),
        ([None, None], None, "  "),
        ([], None, ""),
        ([1_000_000_000, 1_000_000_001], None, "▁█"),
    ],
)
def test_curve(values: list[int | None], lowest: int | None, curve: str) -> None:
    """From the lowest value, or the one named, to the highest; an absent value is a blank."""
    assert sparkline(values, lowest=lowest) == curve


def test_other_letters() -> None:
    assert sparkline(range(8), PLAIN_LETTERS) == PLAIN_LETTERS
