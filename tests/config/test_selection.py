"""Which accounts a command works on."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from collector.config import Selection
from collector.errors import UsageError
from collector.model.accounts import Account, Rate


def account(name: str, number: int, *tags: str, enabled: bool = True) -> Account:
    return Account(name, f"wx{number:016x}", SecretStr("s"), Rate(5, 1), tags=tags, enabled=enabled)


SHOES = account("acme-shoes", 1, "retail", "north")
TEA = account("acme-tea", 2, "food")
BANK = account("bank", 3, "finance")
OLD = account("old", 4, "retail", enabled=False)
ALL = (SHOES, TEA, BANK, OLD)


@pytest.mark.parametrize(
    ("names", "tags", "chosen"),
    [
        ([], [], (SHOES, TEA, BANK)),
        (["bank", SHOES.appid], [], (SHOES, BANK)),
        ([], ["food", "retail"], (SHOES, TEA)),
        ([], ["food", "unknown"], (TEA,)),
        (["bank", "acme-tea"], ["food", "retail"], (TEA,)),
        (["bank", "bank"], [], (BANK,)),
    ],
)
def test_selection(names: list[str], tags: list[str], chosen: tuple[Account, ...]) -> None:
    """Enabled accounts of any tag, among those named."""
    assert Selection(names, tags).of(ALL) == chosen


@pytest.mark.parametrize(
    ("names", "tags", "message"),
    [
        (["acme-shoe"], [], "no account has the name or appid 'acme-shoe' (did you mean acme-shoes or acme-tea?)"),
        (["xyz", "bank"], [], "no account has the name or appid 'xyz'"),
        (
            ["old", "q"],
            [],
            (
                "the account old (wx0000000000000004) is disabled; set `enabled: true` in the configuration to use it\n"
                "no account has the name or appid 'q'"
            ),
        ),
        ([], ["retial"], "none of the enabled accounts has the tag 'retial' (did you mean retail?)"),
        (["bank"], ["food", "north"], "none of the accounts named has the tag 'food' or 'north'"),
    ],
)
def test_no_match(names: list[str], tags: list[str], message: str) -> None:
    """A name or tag that matches nothing is a usage error."""
    with pytest.raises(UsageError) as caught:
        Selection(names, tags).of(ALL)
    assert str(caught.value) == message


def test_only_disabled_accounts() -> None:
    with pytest.raises(UsageError) as caught:
        Selection().of([OLD])
    assert str(caught.value) == "all accounts are disabled; set `enabled: true` for one in the configuration"
