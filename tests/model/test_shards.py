from hypothesis import given
from hypothesis import strategies as st

from collector.model.shards import Shard, shard_of

COUNTS = st.integers(1, 64)


def test_number_is_that_of_the_hash() -> None:
    # As sha256sum tells it, so that no version of the collector ever divides the accounts in another way.
    first_8_bytes = 0x2692C151497BE970
    for count in (1, 2, 3, 7, 1000):
        assert shard_of("wx0000000000000002", count) == first_8_bytes % count + 1


@given(st.text(min_size=1), COUNTS)
def test_each_appid_is_in_one_shard(appid: str, count: int) -> None:
    assert [appid in Shard(number, count) for number in range(1, count + 1)].count(True) == 1


@given(st.text(min_size=1), st.integers(1, 16), st.integers(1, 8))
def test_shards_of_a_multiple_divide_those_of_the_divisor(appid: str, count: int, factor: int) -> None:
    assert (shard_of(appid, count * factor) - 1) % count == shard_of(appid, count) - 1


def test_text_names_number_and_count() -> None:
    assert str(Shard(1, 3)) == "1/3"
