"""Forms of single texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config.texts import parse_rate
from collector.model.accounts import Rate


@given(st.integers(1, 999_999_999), st.sampled_from([1, 60]))
def test_rate(calls: int, period_s: int) -> None:
    rate = Rate(calls, period_s)
    assert parse_rate(str(rate)) == rate == parse_rate(rate)


@given(st.text(st.sampled_from("0159/smin. -+٣²"), max_size=8) | st.text() | st.integers() | st.none())
def test_bad_rate(value: object) -> None:
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}/(s|min)", value, re.ASCII):
        return
    with pytest.raises(ValueError, match="n/s or n/min"):
        parse_rate(value)
