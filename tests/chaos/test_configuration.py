"""A storm's configuration has what its plan says of single accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from chaos.configuration import Addresses, configuration
from chaos.plan import Plan, Way, draw

ADDRESSES = Addresses(("http://127.0.0.1:1", "http://localhost:1"), "http://127.0.0.1:2")
PLAN = draw(1)


def _written(plan: Plan, addresses: Addresses = ADDRESSES) -> dict[str, Any]:
    written: dict[str, Any] = orjson.loads(configuration(plan, addresses, "mongodb://127.0.0.1", "storm_1"))
    return written


def _values(written: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {account["appid"]: account[key] for account in written["accounts"] if key in account}


def test_slow_and_proxied_accounts() -> None:
    first, second = (account.appid for account in PLAN.world.accounts[:2])
    ways = (Way.STABLE,) * PLAN.world.size
    plan = replace(PLAN, ways=ways, slow={first: "10/s"}, proxied=(second,))
    written = _written(plan, replace(ADDRESSES, proxies={second: "http://127.0.0.1:3"}))
    assert _values(written, "rate_limit") == {first: "10/s"}
    assert _values(written, "proxy") == {second: "http://127.0.0.1:3"}


def test_discovered_accounts_are_in_no_file() -> None:
    """Where a platform discovers its accounts, only the others are configured."""
    ways = (Way.COMPONENT,) + (Way.STABLE,) * (PLAN.world.size - 1)
    listed = _written(replace(PLAN, ways=ways, discovers=False))
    found = _written(replace(PLAN, ways=ways, discovers=True))
    assert (len(listed["accounts"]), len(found["accounts"])) == (PLAN.world.size, PLAN.world.size - 1)
    assert [platform.get("discover") for platform in (*listed["components"], *found["components"])] == [None, "true"]


def test_token_server_has_its_own_address() -> None:
    written = _written(replace(PLAN, ways=(Way.SERVER,) * PLAN.world.size))
    assert {token["url"] for token in _values(written, "token").values()} == {"http://127.0.0.1:2/tokens/{appid}"}
