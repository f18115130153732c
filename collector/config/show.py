"""Show the settings in effect, in the forms of the file, with secrets masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import Any

from collector.config import yamlfile
from collector.config.loading import Settings
from collector.model.accounts import FromCommand, FromComponent, FromCredential, FromFile, FromUrl, Rate, Secret

MASK = "***"

_ADDRESSES = frozenset({"uri", "proxy", "url"})
_ACCOUNT_KEYS = ("name", "appid", "secret", "token", "authorizer_refresh_token")
_ADDRESS = re.compile(r"(?P<scheme>[a-z+]+://)(?P<user>[^/?]*@)?(?P<hosts>[^/?@]*)(?P<rest>.*)", re.DOTALL)


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings in effect as plain values, in the order of the file, without unset keys.

    Secrets are masked. An address keeps its scheme and hosts, a command its program. References to secrets stay.
    """
    components = [_plain(_fields(component)) for component in settings.components]
    return {
        "mongodb": _plain(dict(settings.mongodb)),
        "api": _plain(dict(settings.api)),
        "run": _plain(dict(settings.run)),
        "defaults": _plain(settings.defaults),
        **_plain({"components": components, "language": settings.language}),
        "accounts": [_plain(_fields(account, *_ACCOUNT_KEYS)) for account in settings.accounts],
    }


def show_yaml(settings: Settings) -> str:
    """Return `shown` as YAML, a configuration again except for the masks."""
    return yamlfile.dumped(shown(settings))


def _fields(entry: Any, *first: str) -> dict[str, Any]:
    return {key: getattr(entry, key) for key in (*first, *entry.__slots__)}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set, each as it is written in the file."""
    plain = {key: _address(value) if key in _ADDRESSES else _value(value) for key, value in values.items()}
    return {key: value for key, value in plain.items() if value not in (None, [], {})}


def _value(value: object) -> Any:
    match value:
        case Secret():
            return MASK
        case Rate() | date():
            return str(value)
        case time():
            return f"{value:%H:%M}"
        case float() if value.is_integer():  # 10, as in the file, and not 10.0
            return int(value)
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case frozenset():
            return sorted(value)
        case _:
            return _reference(value)


def _reference(value: object) -> Any:
    match value:
        case FromFile(path):
            return {"file": str(path)}
        case FromCredential(name):
            return {"credential": name}
        case FromComponent(name):
            return {"component": name}
        case FromCommand((program, *arguments), json, expires_json):
            # People pass passwords as arguments.
            command = [program, *(MASK for _ in arguments)]
            return _plain({"command": command, "json": json, "expires_json": expires_json})
        case FromUrl(url, headers, json, expires_json):
            shown_headers = {name: _value(header) for name, header in headers}
            return _plain({"url": url, "headers": shown_headers, "json": json, "expires_json": expires_json})
        case _:
            return value


def _address(origin: object) -> Any:
    """Return a reference as it is; of a literal address only scheme and hosts, since the rest may hold a token."""
    if not isinstance(origin, Secret):
        return _value(origin)
    parts = _ADDRESS.fullmatch(origin.get_secret_value())
    if not parts:  # unknown forms are masked as a whole
        return MASK
    user, rest = parts["user"] and f"{MASK}@", parts["rest"]
    return f"{parts['scheme']}{user or ''}{parts['hosts']}{rest if rest in ('', '/') else f'/{MASK}'}"
