from collector.sandbox.limits import Meter


def test_limit_is_kept() -> None:
    """The count stops at the limit, and refused calls don't count."""
    meter = Meter()
    assert [meter.take("a", 1, 2) for _ in range(4)] == [True, True, False, False]
    assert (meter.used("a", 1), meter.take("a", 1, 3)) == (2, True)


def test_new_period_counts_from_zero() -> None:
    meter = Meter()
    meter.take("a", 1, 1)
    assert (meter.used("a", 2), meter.take("a", 2, 1)) == (0, True)


def test_keys_count_apart() -> None:
    meter = Meter()
    meter.take("a", 1, 1)
    assert (meter.used("b", 1), meter.take("b", 1, 1)) == (0, True)
