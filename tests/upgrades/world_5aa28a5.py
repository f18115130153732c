"""The pretend WeChat behind the dump of version 5aa28a5: its accounts, their roles and the dates of its runs.

`make_5aa28a5.py` and the test share it, so that the truth behind the dump stays computable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time
from enum import StrEnum
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Any

from collector.sandbox import SandboxAccount, World
from collector.sandbox.world import BEIJING


class Role(StrEnum):
    """The part that an account plays: what WeChat answers for it, and how it is collected."""

    BORN = "born within the days collected"
    UNBORN = "without any row until after the dump"
    BACKFILLED = "history collected by a backfill"
    INTERRUPTED = "history collected by a backfill that was killed"
    CAPPED = "daily_calls spent in the middle of the lookback"
    QUOTA = "45009 on the last day"
    REFUSED_FOR_DAY = "89506 on the last day"
    REFUSED_FOR_HOUR = "89507 on the last day"
    SECRET_RESET = "40125 in the last days"
    UNAUTHORISED = "48001 in the last days"
    NOT_ALLOWED = "40164 in the last days"
    TOKENLESS = "an unusable answer of the token server in the last days"
    FROZEN = "50002 from the first day on"
    DISCOVERED = "found by a platform"
    LEFT = "found by a platform, and later gone from its list"
    PLAIN = "nothing special"


SIZES: Mapping[Role, int] = {
    Role.BORN: 8,
    Role.UNBORN: 2,
    Role.BACKFILLED: 6,
    Role.INTERRUPTED: 6,
    Role.CAPPED: 6,
    Role.QUOTA: 8,
    Role.REFUSED_FOR_DAY: 4,
    Role.REFUSED_FOR_HOUR: 4,
    Role.SECRET_RESET: 5,
    Role.UNAUTHORISED: 5,
    Role.NOT_ALLOWED: 6,
    Role.TOKENLESS: 3,
    Role.FROZEN: 2,
    Role.DISCOVERED: 19,
    Role.LEFT: 1,
    Role.PLAIN: 114,
}
"""Number of accounts in each role, in the order of the world's accounts; a mini program comes on top."""

SINCE = date(2026, 10, 20)
"""The first day wanted of every account."""

BACKFILLED_SINCE = date(2026, 6, 30)
INTERRUPTED_SINCE = date(2026, 8, 25)
BACKFILLED: Mapping[Role, date] = {
    Role.BORN: BACKFILLED_SINCE,
    Role.BACKFILLED: BACKFILLED_SINCE,
    Role.INTERRUPTED: INTERRUPTED_SINCE,
}
"""The first day wanted of the accounts whose history a backfill wants."""

FOUND_ROLES = (Role.DISCOVERED, Role.LEFT)

_BIRTHS = (
    *(date(2026, 9, 29), date(2026, 10, 5), date(2026, 10, 11), date(2026, 10, 17)),
    *(date(2026, 10, 23), date(2026, 10, 30), date(2026, 11, 6), date(2026, 11, 11)),
)
_BORN_AFTER_DUMP = date(2026, 11, 19)
_NAMELESS = World(seed=0x5AA28A5, size=sum(SIZES.values()))
_BOUNDS = dict(zip(SIZES, pairwise(accumulate(SIZES.values(), initial=0)), strict=True))


def of_role(*roles: Role) -> list[SandboxAccount]:
    """Return the accounts that play one of `roles`."""
    return [account for role in roles for account in _NAMELESS.accounts[slice(*_BOUNDS[role])]]


def appids(*roles: Role) -> list[str]:
    """Return the appids of the accounts that play one of `roles`."""
    return [account.appid for account in of_role(*roles)]


WORLD = replace(
    _NAMELESS,
    births=(*_BIRTHS, *[_BORN_AFTER_DUMP] * SIZES[Role.UNBORN]),
    lost_days=0.02,
    revised_for_days=2,
    late_summary=0.03,
    mini_programs=1,
    nick_names=((appids(Role.DISCOVERED)[0], "Acme 鞋店"),),
)
"""The world while version 5aa28a5 collected it."""

FINAL_WORLD = replace(WORLD, revised_for_days=0, late_summary=0.0)
"""The same truth, published at once and for good: one run must bring all of it."""

LAST_INSTANT = datetime.combine(date(2026, 11, 17), time(10, 30), BEIJING)
"""The instant at which the last run of version 5aa28a5 was killed."""

LATER = datetime.combine(date(2026, 11, 23), time(10, 30), BEIJING)
"""The instant of the later version's run, when every account is healthy again."""

_TAGS = {
    Role.BORN: ["history"],
    Role.BACKFILLED: ["history"],
    Role.INTERRUPTED: ["interrupted"],
    Role.CAPPED: ["retail", "capped"],
}

UNCHANGED: Mapping[Role, Mapping[str, Any]] = MappingProxyType({})


def configuration(url: str, changed: Mapping[Role, Mapping[str, Any]] = UNCHANGED) -> dict[str, Any]:
    """Return the content of an `accounts.yaml` for the world served at `url`.

    `changed` holds what the entries of a role have beside their credentials. Discovered accounts have no entry.
    """
    component = WORLD.component
    server = {"url": f"{url}/tokens/{{appid}}", "headers": {"Authorization": f"Bearer {WORLD.token_server_key}"}}
    own_token = {Role.TOKENLESS: {"token": {**server, "json": "data.access_token"}}}
    platform = {"name": "agency", "appid": component.appid, "discover": "true"}
    return {
        "api": {"hosts": [url]},
        "defaults": {"rate_limit": "1000/s", "since": str(SINCE)},
        "components": [platform | {"secret": component.secret, "verify_ticket": component.verify_ticket}],
        "accounts": [
            {"name": account.name, "appid": account.appid, "tags": _TAGS.get(role, [])}
            | own_token.get(role, {"secret": account.secret})
            | dict(changed.get(role, {}))
            for role in Role
            if role not in FOUND_ROLES
            for account in of_role(role)
        ],
    }
