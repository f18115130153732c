"""The part that a run leases holds whatever accounts its selection may turn out to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from collector.config import Selection, Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import UsageError
from collector.model.accounts import Account, Component, Rate
from collector.model.parts import ALL, MAX_APPIDS, Labels, Part
from collector.model.shards import Shard
from collector.run.part import digest_of_labels, part_of

SHARD = Shard(1, 2)
HK = frozenset({"hk"})


def _appid(number: int) -> str:
    return f"wx{number:016x}"


def _account(number: int, egress: str | None = None, **more: Any) -> Account:
    return Account(f"client-{number}", _appid(number), None, Rate(5, 1), egress=egress, **more)


ACCOUNTS = (_account(1, "hk", tags=("retail",)), _account(2, "sh", tags=("retail",)), _account(3))
PLATFORM = Component("agency", "wx00000000000000aa", discover=True)


def _settings(
    accounts: Sequence[Account] = ACCOUNTS, components: Sequence[Component] = (), **defaults: str
) -> Settings:
    return Settings(
        MongoSettings(), ApiSettings(), RunSettings(), tuple(accounts), (), tuple(components), defaults=defaults
    )


def _of(*numbers: int) -> Part:
    return Part(appids=frozenset(map(_appid, numbers)))


@pytest.mark.parametrize(
    ("selection", "part"),
    [
        (Selection(), ALL),
        (Selection(shard=SHARD), Part(SHARD)),
        (Selection(["client-1"]), _of(1)),
        (Selection([_appid(1), "client-3"]), _of(1, 3)),
        (Selection(tags=["retail"]), _of(1, 2)),
        (Selection(["client-1"], ["retail"]), _of(1)),
        (Selection(tags=["retail"], egress=HK), replace(_of(1), egress=Labels(HK, digest_of_labels(_settings())))),
        (Selection(egress=HK, shard=SHARD), Part(SHARD, Labels(HK, digest_of_labels(_settings())))),
    ],
)
def test_configured_accounts(selection: Selection, part: Part) -> None:
    assert part_of(_settings(), selection) == part


@pytest.mark.parametrize(
    ("selection", "part"),
    [
        (Selection(), ALL),
        (Selection(["client-1"]), _of(1)),
        (Selection(tags=["retail"]), _of(1, 2)),
        (Selection([_appid(9)]), _of(9)),
        (Selection([_appid(9), "client-1"]), _of(9, 1)),
        (Selection([_appid(9), "Acme 鞋"]), ALL),
        (Selection(["Acme 鞋"], shard=SHARD), Part(SHARD)),
    ],
)
def test_accounts_that_a_platform_may_discover(selection: Selection, part: Part) -> None:
    """Only appids say before its list is read who is meant: a nickname may be anybody's."""
    assert part_of(_settings(components=[PLATFORM]), selection) == part


def test_name_in_the_form_of_an_appid() -> None:
    """It stands for the account that has it, and for the one whose appid it is."""
    odd = replace(_account(1), name=_appid(9))
    part = part_of(_settings([odd], [PLATFORM]), Selection([_appid(9), _appid(8)]))
    assert part == Part(appids=frozenset(map(_appid, (1, 8, 9))))


@pytest.mark.parametrize(("number", "is_listed"), [(MAX_APPIDS, True), (MAX_APPIDS + 1, False)])
def test_many_chosen_accounts(number: int, is_listed: bool) -> None:
    accounts = [_account(each, tags=("many",)) for each in range(number)]
    part = part_of(_settings(accounts), Selection(tags=["many"], shard=SHARD))
    chosen = frozenset(account.appid for account in accounts if account.appid in SHARD)
    assert part == Part(SHARD, appids=chosen)
    part = part_of(_settings(accounts), Selection(tags=["many"]))
    assert part == (_of(*range(number)) if is_listed else ALL)


def test_no_account() -> None:
    with pytest.raises(UsageError, match="no account has the name or appid 'other'"):
        part_of(_settings(), Selection(["other"]))


def test_digest_is_that_of_the_labels_alone() -> None:
    digest = digest_of_labels(_settings())
    others = [replace(each, name=f"new-{each.name}", rate_limit=Rate(1, 60)) for each in reversed(ACCOUNTS)]
    assert digest_of_labels(_settings(others, [replace(PLATFORM, discover=False)])) == digest
    assert digest == "d5271b085960a4e2b09341aa1961438fb5538c8fa68a58a3b73d4edca34b53dd", (
        "the same for all hosts and versions"
    )


@pytest.mark.parametrize(
    "other",
    [
        _settings([replace(ACCOUNTS[0], egress="sh"), *ACCOUNTS[1:]], [PLATFORM]),
        _settings(ACCOUNTS[:2], [PLATFORM]),
        _settings(ACCOUNTS),
        _settings(ACCOUNTS, [replace(PLATFORM, egress="hk")]),
        _settings(ACCOUNTS, [PLATFORM], egress="hk"),
        _settings(ACCOUNTS, [replace(PLATFORM, name="other")]),
        _settings(ACCOUNTS, [replace(PLATFORM, exclude=frozenset({_appid(9)}))]),
    ],
    ids=["label", "account", "no platform", "platform's label", "default", "platform's name", "excluded"],
)
def test_digest_of_other_labels(other: Settings) -> None:
    """Whatever may give an account another label makes another digest."""
    assert digest_of_labels(other) != digest_of_labels(_settings(ACCOUNTS, [PLATFORM]))
