"""Configuration of a storm's collectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from chaos.plan import Plan, Way

from collector.sandbox import SandboxAccount

TIMEOUT_S = 5
"""Time-out of a call to WeChat, in seconds of the collector's hurried loop."""

AGENCY = "agency"


def configuration(plan: Plan, hosts: Sequence[str], uri: str, database: str) -> bytes:
    """Return the text of an `accounts.yaml` for WeChat at `hosts`; the token server is at the first of them."""
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
        "verify_ticket": {"url": f"{hosts[0]}/component-ticket", "json": "ticket"},
    }
    settings = {
        "mongodb": {"uri": uri, "database": database},
        "api": {"hosts": hosts, "timeout": str(TIMEOUT_S)},
        "run": {"workers": str(plan.workers)},
        "defaults": defaults,
        "components": [agency] if Way.COMPONENT in plan.ways else [],
        "accounts": [
            {
                "name": account.name,
                "appid": account.appid,
                **_credentials(account, way, hosts[0], world.token_server_key),
            }
            for account, way in zip(world.accounts, plan.ways, strict=True)
        ],
    }
    return orjson.dumps(settings)  # JSON is YAML


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
