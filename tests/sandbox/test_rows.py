from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from collector.sandbox.dice import Dice
from collector.sandbox.rows import Truth, draw_rows, zeros

DAY = date(2026, 11, 23)


@given(st.integers(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_rows_add_up(key: int, new: int, cancelled: int) -> None:
    """Each source has one row, and only source 0 may be without movement."""
    rows = draw_rows(Dice(key), DAY, new, cancelled)
    truth = Truth(tuple(rows), None)
    assert (truth.new_user, truth.cancel_user, truth.net_user) == (new, cancelled, new - cancelled)
    sources = [row["user_source"] for row in rows]
    assert len(set(sources)) == len(sources) <= 5
    assert all(row["new_user"] or row["cancel_user"] or row["user_source"] == 0 for row in rows)


def test_zeros_are_one_row() -> None:
    assert zeros(DAY) == [{"ref_date": "2026-11-23", "user_source": 0, "new_user": 0, "cancel_user": 0}]
