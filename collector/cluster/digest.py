"""Digest of what a configuration asks for, by which workers are compared with the coordinator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

import orjson

from collector.config import Settings
from collector.model.accounts import Account, FromCommand, FromComponent, FromUrl, TokenOrigin


def digest_of(settings: Settings, appids: Collection[str] | None = None) -> str:
    """Return a text that is the same for configurations by which the same calls are made for the same accounts.

    With `appids` the other accounts of the files don't count.
    Each host may have its own proxies, hosts, addresses of servers, paths and secrets: they don't count.
    """
    defaults = settings.defaults
    asked = {
        "database": settings.mongodb.database,
        "published_at": settings.run.published_at,
        "lookback": settings.run.lookback,
        "accounts": sorted(_account(each) for each in settings.accounts if appids is None or each.appid in appids),
        "components": sorted(
            [each.name, each.appid, each.egress or "", each.discover, sorted(each.exclude)]
            for each in settings.components
        ),
        "defaults": _settings_of(defaults) | {"egress": defaults.get("egress")},
    }
    return sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _account(account: Account) -> list[Any]:
    own = {"rate_limit": account.rate_limit, "since": account.since, "daily_calls": account.daily_calls}
    kind = _kind_of(account.token)
    return [account.appid, account.name, account.egress or "", account.enabled, kind, account.tags, _settings_of(own)]


def _settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"rate_limit": str(values["rate_limit"]), "since": values["since"], "daily_calls": values["daily_calls"]}


def _kind_of(token: TokenOrigin) -> str:
    match token:
        case FromComponent(name):
            return f"component {name}"
        case FromUrl():
            return "url"
        case FromCommand():
            return "command"
        case kind:
            return kind
