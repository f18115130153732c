from hypothesis import given
from hypothesis import strategies as st

from collector.sandbox.dice import Dice, hex_digits

KEYS = st.tuples(st.integers(), st.text())


@given(KEYS, st.integers(1, 1000))
def test_throws_follow_from_the_key(key: tuple[int, str], sides: int) -> None:
    first, second = Dice(*key), Dice(*key)
    throws = [first.below(sides) for _ in range(20)]
    assert throws == [second.below(sides) for _ in range(20)]
    assert all(0 <= throw < sides for throw in throws)


@given(KEYS)
def test_fraction_is_below_one(key: tuple[int, str]) -> None:
    assert 0 <= Dice(*key).fraction() < 1


def test_throws_never_change() -> None:
    """Stored dumps depend on them."""
    dice = Dice(7, "level", "wx", 1)
    assert [dice.below(100) for _ in range(5)] == [27, 48, 5, 36, 23]
    assert hex_digits(8, 7, "appid", 0) == "3f7c37d2"
