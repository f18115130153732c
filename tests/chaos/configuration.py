"""Configuration of a storm's collectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from chaos.plan import Plan, Way

from collector.sandbox import SandboxAccount

TIMEOUT_S = 5
"""Time-out of a call to WeChat, in seconds of the collector's hurried loop."""

AGENCY = "agency"
PROXY_USER, PROXY_PASSWORD = "egress", "pass-of-the-proxies"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses that a storm's collectors call: WeChat's `hosts`, the token server, and by appid their `proxies`."""

    hosts: tuple[str, ...]
    token_server: str
    proxies: Mapping[str, str] = field(default_factory=dict)


def configuration(plan: Plan, addresses: Addresses, uri: str, database: str) -> bytes:
    """Return the text of an `accounts.yaml`."""
    world, component = plan.world, plan.world.component
    defaults: dict[str, Any] = {"rate_limit": plan.rate_limit}
    if not plan.backfill:
        defaults["since"] = str(plan.since)
    if plan.daily_calls:
        defaults["daily_calls"] = str(plan.daily_calls)
    agency = {
        "name": AGENCY,
        "appid": component.appid,
        "secret": component.secret,
        "verify_ticket": {"url": f"{addresses.token_server}/component-ticket", "json": "ticket"},
    }
    if plan.discovers:
        agency["discover"] = "true"
    settings = {
        "mongodb": {"uri": uri, "database": database},
        "api": {"hosts": addresses.hosts, "timeout": str(TIMEOUT_S)},
        "run": {"workers": str(plan.workers)},
        "defaults": defaults,
        "components": [agency] if Way.COMPONENT in plan.ways else [],
        "accounts": [
            {
                "name": account.name,
                "appid": account.appid,
                **_credentials(account, way, addresses.token_server, world.token_server_key),
                **_own(account, plan, addresses),
            }
            for account, way in zip(world.accounts, plan.ways, strict=True)
            if way is not Way.COMPONENT or not plan.discovers
        ],
    }
    return orjson.dumps(settings)  # JSON is YAML


def _own(account: SandboxAccount, plan: Plan, addresses: Addresses) -> Mapping[str, str]:
    """Return the rate and the proxy of an account that has its own."""
    own = {"rate_limit": plan.slow, "proxy": addresses.proxies}
    return {key: by_appid[account.appid] for key, by_appid in own.items() if account.appid in by_appid}


def _credentials(account: SandboxAccount, way: Way, url: str, key: str) -> Mapping[str, Any]:
    server = {"url": f"{url}/tokens/{{appid}}", "headers": {"Authorization": f"Bearer {key}"}}
    match way:
        case Way.STABLE | Way.CLASSIC:
            return {"secret": account.secret, "token": str(way)}
        case Way.COMPONENT:
            return {"token": {"component": AGENCY}}
        case Way.SERVER:
            return {"token": {**server, "json": "data.access_token", "expires_json": "data.expires_in"}}
        case Way.PLAIN:
            return {"token": {**server, "url": f"{server['url']}/plain"}}
