"""Which accounts a command works on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from collector.config import Selection, labels_of
from collector.errors import Fault, UsageError
from collector.model.accounts import Account, BrokenEntry, Entry, Rate
from collector.model.shards import Shard, shard_of


def account(name: str, number: int, *tags: str, enabled: bool = True, egress: str | None = None) -> Account:
    return Account(name, f"wx{number:016x}", SecretStr("s"), Rate(5, 1), egress=egress, tags=tags, enabled=enabled)


SHOES = account("acme-shoes", 1, "retail", "north", egress="hk")
TEA = account("acme-tea", 2, "food", egress="sh")
BANK = account("bank", 3, "finance")
OLD = account("old", 4, "retail", enabled=False, egress="eu")
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


def test_disabled_ones_too() -> None:
    """Their documents stay, so they can be looked at."""
    assert Selection().of(ALL, with_disabled=True) == ALL
    assert Selection(["old"]).of(ALL, with_disabled=True) == (OLD,)
    assert Selection(tags=["retail"]).of(ALL, with_disabled=True) == (SHOES, OLD)
    with pytest.raises(UsageError, match=r"^none of the accounts has the tag 'xyz'$"):
        Selection(tags=["xyz"]).of(ALL, with_disabled=True)


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


@pytest.mark.parametrize(
    ("egress", "chosen"),
    [
        ({"hk"}, (SHOES,)),
        ({"hk", "sh"}, (SHOES, TEA)),
        ({None}, (BANK,)),
        ({None, "sh"}, (TEA, BANK)),
    ],
)
def test_egress(egress: set[str | None], chosen: tuple[Account, ...]) -> None:
    """Accounts with any of the labels; None are those without one."""
    assert Selection(egress=frozenset(egress)).of(ALL) == chosen


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(egress=frozenset({"eu"})), "none of the enabled accounts has the egress label 'eu'"),
        (
            Selection(egress=frozenset({"hk", "eu"}), tags=["food"]),
            "none of the enabled accounts has the egress label 'eu' or 'hk'",
        ),
        (Selection(["acme-tea"], egress=frozenset({None})), "all of the accounts named have an egress label"),
        (
            Selection(["acme-tea"], egress=frozenset({"hk", "eu", None})),
            "all of the accounts named have an egress label other than 'eu' or 'hk'",
        ),
    ],
)
def test_no_account_of_the_labels(selection: Selection, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        selection.of(ALL)
    assert str(caught.value) == message


def test_shards_divide_what_is_selected() -> None:
    """Each selected account is in one shard, whose accounts stay in the order of the configuration."""
    many = [account(f"a-{number}", number, egress="hk" if number % 2 else None) for number in range(40)]
    of_labels = Selection(egress=frozenset({"hk"}))
    shards = [replace(of_labels, shard=Shard(number, 3)).of(many) for number in (1, 2, 3)]
    assert all(each == tuple(sorted(each, key=lambda one: one.appid)) for each in shards)
    assert sorted(sum(shards, ()), key=lambda one: one.appid) == list(of_labels.of(many))
    assert [shard_of(each[0].appid, 3) for each in shards] == [1, 2, 3]


def _other_shard(account: Account, count: int) -> Shard:
    """A shard that the account isn't in."""
    return Shard(shard_of(account.appid, count) % count + 1, count)


@pytest.mark.parametrize("selection", [Selection(), Selection(tags=["food"]), Selection(egress=frozenset({"sh"}))])
def test_empty_shard(selection: Selection) -> None:
    """A shard without any of the selected accounts is nobody's mistake."""
    assert replace(selection, shard=_other_shard(TEA, 1000)).of([TEA, OLD]) == ()


@pytest.mark.parametrize("wrong", [Selection(tags=["fodo"]), Selection(egress=frozenset({"eu"})), Selection(["old"])])
def test_empty_shard_hides_no_mistake(wrong: Selection) -> None:
    with pytest.raises(UsageError):
        replace(wrong, shard=_other_shard(TEA, 1000)).of([TEA, OLD])


def test_named_accounts_of_other_shards() -> None:
    """They are a usage error where no account is left, and left out else."""
    shard = _other_shard(TEA, 1000)
    with pytest.raises(UsageError) as caught:
        Selection(["acme-tea"], shard=shard).of(ALL)
    assert str(caught.value) == (
        f"acme-tea (wx0000000000000002) is in shard {shard_of(TEA.appid, 1000)}/1000, not in {shard}"
    )
    assert Selection(["acme-tea", "bank"], shard=Shard(shard_of(BANK.appid, 1000), 1000)).of(ALL) == (BANK,)


def test_unknown_appid_of_another_shard() -> None:
    """A platform's account of another shard is never discovered, so its shard is named."""
    new = "wx00000000000000aa"
    shard = _other_shard(account("new", 0xAA), 2)
    with pytest.raises(UsageError) as caught:
        Selection([new], shard=shard).of(ALL)
    assert str(caught.value) == f"{new} is in shard {shard_of(new, 2)}/2, not in {shard}"
    with pytest.raises(UsageError, match="no account has the name or appid"):
        Selection([new], shard=Shard(shard_of(new, 2), 2)).of(ALL)


@pytest.mark.parametrize(
    ("selection", "reaches"),
    [
        (Selection(), True),
        (Selection(["bank"]), False),
        (Selection(["unknown"]), True),
        (Selection(tags=["food"]), False),
        (Selection(egress=frozenset({"hk"})), True),
        (Selection(egress=frozenset({"sh"})), False),
        (Selection(["unknown"], egress=frozenset({"sh", None})), False),
    ],
)
def test_accounts_beyond_those_known(selection: Selection, reaches: bool) -> None:
    """Accounts of the labels of platforms may be selected where they aren't known yet."""
    assert selection.reaches_beyond(ALL, ["hk", "eu"]) is reaches
    assert not selection.reaches_beyond(ALL, [])


FAULTS = (Fault("accounts.yaml:1", "`rate_limit` can't be 'fast'", "Write 5/s."),)
BROKEN = BrokenEntry("broken", "wx0000000000000005", FAULTS, ("retail",), "hk")
UNREAD = BrokenEntry("d/x.yaml", None, FAULTS)
NO_APPID = BrokenEntry("typo", None, FAULTS, ("food",), "sh")


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(), (TEA, BROKEN, UNREAD, NO_APPID)),
        (Selection(["broken"]), (BROKEN,)),
        (Selection([BROKEN.appid or "", "typo"]), (BROKEN, NO_APPID)),
        (Selection(["d/x.yaml"]), (UNREAD,)),
        (Selection(tags=["retail"]), (BROKEN,)),
        (Selection(tags=["food"]), (TEA, NO_APPID)),
        (Selection(egress=frozenset({"hk"})), (BROKEN, UNREAD, NO_APPID)),
        (Selection(egress=frozenset({None})), (UNREAD, NO_APPID)),
        (Selection(shard=Shard(shard_of(TEA.appid, 1000), 1000)), (TEA, UNREAD, NO_APPID)),
        (Selection(["broken"], shard=Shard(shard_of("wx0000000000000005", 1000), 1000)), (BROKEN,)),
    ],
)
def test_broken_entries(selection: Selection, chosen: tuple[Entry, ...]) -> None:
    """They are selected as far as they can be read; one without an appid may have any label, and be in any shard."""
    entries: list[Entry] = [TEA, BROKEN, UNREAD, NO_APPID]
    assert selection.of(entries) == chosen


def test_disabled_broken_entry() -> None:
    off = replace(BROKEN, enabled=False)
    entries: list[Entry] = [TEA, off]
    assert Selection().of(entries) == (TEA,)
    with pytest.raises(UsageError, match=r"the account broken \(wx0000000000000005\) is disabled"):
        Selection(["broken"]).of(entries)
    for both in ([BROKEN, off], [off, BROKEN]):  # they have one name, so that both are broken
        assert Selection(["broken"]).of(both) == (BROKEN,)


def test_unknown_name_beside_a_file_that_cannot_be_read() -> None:
    entries: list[Entry] = [TEA, *(replace(UNREAD, name=f"d/{n}.yaml") for n in range(5))]
    where = "; it may be in d/0.yaml, d/1.yaml, d/2.yaml, which can't be read"
    for selection, message in [
        (Selection(["nobody"]), "no account has the name or appid 'nobody'"),
        (Selection(tags=["x"]), "none of the enabled accounts has the tag 'x'"),
    ]:
        with pytest.raises(UsageError) as caught:
            selection.of(entries)
        assert str(caught.value) == message + where
    with pytest.raises(UsageError) as caught:
        labels_of(["hk"], {"sh"}, entries)
    assert str(caught.value).endswith(f"has the egress label 'hk'{where}")


def test_labels() -> None:
    """A minus sign stands for no label, and a label must be in the configuration."""
    assert labels_of([], {"hk"}) == frozenset()
    assert labels_of(["-", "hk", "hk"], {"hk", "sh"}) == {None, "hk"}
    with pytest.raises(UsageError) as caught:
        labels_of(["-", "hkk", "hk", "x"], {"hk", "sh"})
    what = "no account and no platform of the configuration has the egress label"
    assert str(caught.value) == f"{what} 'hkk' (did you mean hk?)\n{what} 'x'"
