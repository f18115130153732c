"""Configured accounts as messages name them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from collector.model.accounts import Account, Component, FromCommand, Rate


@pytest.mark.parametrize(("rate", "text", "spacing_s"), [(Rate(5, 1), "5/s", 0.2), (Rate(30, 60), "30/min", 2.0)])
def test_rate(rate: Rate, text: str, spacing_s: float) -> None:
    assert (str(rate), rate.spacing_s) == (text, spacing_s)


def test_names() -> None:
    assert str(Account("acme", "wx1", None, Rate(5, 1))) == "acme (wx1)"
    assert str(Component("agency", "wx2")) == "agency (wx2)"


def test_secrets_have_no_repr() -> None:
    account = Account("acme", "wx1", SecretStr("l3ak"), Rate(5, 1), token=FromCommand(("get", "l3ak")))
    assert "l3ak" not in repr(account)
