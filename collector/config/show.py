"""Show the settings in effect, in the forms of the file, with secrets masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from collector.config import yamlfile
from collector.config.loading import Settings
from collector.model.accounts import (
    Account,
    Component,
    FromCommand,
    FromComponent,
    FromCredential,
    FromFile,
    FromUrl,
    Rate,
    Secret,
)

MASK = "***"

_ADDRESS = re.compile(r"(?P<scheme>[a-z+]+://)(?P<user>[^/?]*@)?(?P<hosts>[^/?@]*)(?P<rest>.*)", re.DOTALL)


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings in effect as plain values, in the order of the file, without unset keys.

    Secrets are masked. An address keeps its scheme and hosts, a command its program. References to secrets stay.
    """
    mongodb, api = settings.mongodb, settings.api
    return {
        "mongodb": _without_unset({"uri": _address(mongodb.uri), "database": mongodb.database}),
        "api": _without_unset(_plain(dict(api)) | {"proxy": _address(api.proxy)}),
        "run": _plain(dict(settings.run)),
        "defaults": _without_unset(_plain(settings.defaults)),
        **_without_unset({"components": [_component(component) for component in settings.components]}),
        "accounts": [_account(account) for account in settings.accounts],
    }


def show_yaml(settings: Settings) -> str:
    """Return `shown` as YAML, a configuration again except for the masks."""
    return yamlfile.dumped(shown(settings))


def _component(component: Component) -> dict[str, Any]:
    values = {key: getattr(component, key) for key in component.__slots__}
    return _without_unset(_plain(values) | {"exclude": sorted(component.exclude)})


def _account(account: Account) -> dict[str, Any]:
    order = ("name", "appid", "secret", "token", "authorizer_refresh_token")
    keys = dict.fromkeys((*order, *account.__slots__))
    values = {key: getattr(account, key) for key in keys}
    return _without_unset(_plain(values) | {"proxy": _address(account.proxy)})


def _without_unset(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != []}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(value) for key, value in values.items()}


def _value(value: object) -> Any:
    match value:
        case Secret():
            return MASK
        case FromFile() | FromCredential() | FromComponent() | FromCommand() | FromUrl():
            return _reference(value)
        case Rate() | date():
            return str(value)
        case time():
            return f"{value:%H:%M}"
        case float() if value.is_integer():  # 10, as in the file, and not 10.0
            return int(value)
        case tuple():
            return list(value)
        case _:
            return value


def _reference(origin: FromFile | FromCredential | FromComponent | FromCommand | FromUrl) -> dict[str, Any]:
    match origin:
        case FromFile(path):
            return {"file": str(path)}
        case FromCredential(name):
            return {"credential": name}
        case FromComponent(name):
            return {"component": name}
        case FromCommand(argv):
            # People pass passwords as arguments.
            return {"command": [argv[0], *(MASK for _ in argv[1:])], **_json_paths(origin)}
        case FromUrl(url, headers):
            named = {"headers": _plain(dict(headers))} if headers else {}
            return {"url": _address(url), **named, **_json_paths(origin)}


def _json_paths(origin: FromUrl | FromCommand) -> dict[str, Any]:
    return _without_unset({"json": origin.json, "expires_json": origin.expires_json})


def _address(origin: object) -> Any:
    """Return a reference as it is; of a literal address only scheme and hosts, since the rest may hold a token."""
    if not isinstance(origin, Secret):
        return _value(origin)
    parts = _ADDRESS.fullmatch(origin.get_secret_value())
    if not parts:  # unknown forms are masked as a whole
        return MASK
    user, rest = parts["user"] and f"{MASK}@", parts["rest"]
    return f"{parts['scheme']}{user or ''}{parts['hosts']}{rest if rest in ('', '/') else f'/{MASK}'}"
