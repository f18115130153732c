"""Configured accounts and platforms, and references to their secrets and tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from collector.errors import Fault
from collector.text import counted

_APPID = re.compile("wx[0-9a-f]{16}")
_APP_SECRET_LENGTH = 32
_APP_SECRET = re.compile(f"[0-9A-Za-z]{{{_APP_SECRET_LENGTH}}}")

Secret = SecretStr
"""A text whose repr, str and JSON are asterisks; `get_secret_value()` returns it."""


def is_appid(text: str) -> bool:
    """Return True for a text of the form that appids have."""
    return _APPID.fullmatch(text) is not None


def app_secret_fault(secret: str) -> str:
    """Return why WeChat can't have given this secret, such as a placeholder, without a part of it; "" if it can."""
    if _APP_SECRET.fullmatch(secret):
        return ""
    length = len(secret)
    has = "it holds other characters" if length == _APP_SECRET_LENGTH else f"it has {length}"
    return f"isn't an AppSecret of WeChat's, {_APP_SECRET_LENGTH} digits and letters ({has}): copy the real one"


@dataclass(frozen=True, slots=True)
class FromFile:
    """A secret in a file that others may not read."""

    path: Path


@dataclass(frozen=True, slots=True)
class FromCredential:
    """A secret from systemd, by the name of a file in `$CREDENTIALS_DIRECTORY`."""

    name: str


@dataclass(frozen=True, slots=True)
class FromCommand:
    """The output of a command: `argv` is a list of arguments that no shell interprets.

    Without `json` the output is the value itself; with it, a dotted path leads to the value in the JSON that the
    command prints, and `expires_json` to a token's lifetime in seconds. In a token's command `{appid}` stands for
    the account's appid.
    """

    argv: tuple[str, ...] = field(repr=False)
    json: str | None = None
    expires_json: str | None = None


Origin = Secret | FromFile | FromCredential | FromCommand
"""A secret in the configuration itself, or a reference to one. `collector.secrets` reads it."""


@dataclass(frozen=True, slots=True)
class FromUrl:
    """The answer of a server to GET; the rest is as with `FromCommand`. The address may hold a secret itself."""

    url: Secret
    headers: tuple[tuple[str, Origin], ...] = ()
    json: str | None = None
    expires_json: str | None = None


@dataclass(frozen=True, slots=True)
class FromComponent:
    """A token from the third-party platform of that name, which the account has authorised."""

    name: str


class TokenKind(StrEnum):
    """WeChat's calls that give an access_token for an account's secret."""

    STABLE = "stable"
    CLASSIC = "classic"


TokenOrigin = TokenKind | FromComponent | FromUrl | FromCommand
"""The source of an account's access_token."""


@dataclass(frozen=True, slots=True)
class Component:
    """One third-party platform of the agency.

    Its token comes from `access_token`, or is requested with `secret` and `verify_ticket`. With `discover` all
    official accounts that authorised it are collected, except the appids of `exclude`. `egress` is the label of the
    accounts whose token it gives, where they have none of their own.
    """

    name: str
    appid: str
    access_token: FromUrl | FromCommand | None = None
    secret: Origin | None = None
    verify_ticket: Origin | FromUrl | None = None
    discover: bool = False
    exclude: frozenset[str] = frozenset()
    egress: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` data calls of one account in any `period_s` seconds."""

    calls: int
    period_s: int

    @property
    def spacing_s(self) -> float:
        """Seconds from one call to the next at an even pace."""
        return self.period_s / self.calls

    def __str__(self) -> str:
        return f"{self.calls}/{'s' if self.period_s == 1 else 'min'}"


@dataclass(frozen=True, slots=True)
class Account:
    """One official account, with the defaults filled in.

    `daily_calls` is its maximum of data calls of each dataset in a Beijing day, all runs together. `proxy` and
    `hosts` are its own route to WeChat, where it has one. `authorizer_refresh_token` is used where the list of a
    third-party platform has none. `egress` is the label of the way out to WeChat that its allow-list knows.
    """

    name: str
    appid: str
    secret: Origin | None
    rate_limit: Rate
    token: TokenOrigin = TokenKind.STABLE
    authorizer_refresh_token: Origin | None = None
    proxy: Origin | None = None
    hosts: tuple[str, ...] = ()
    since: date | None = None
    daily_calls: int | None = None
    egress: str | None = None
    tags: tuple[str, ...] = ()
    enabled: bool = True

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"


@dataclass(frozen=True, slots=True)
class BrokenEntry:
    """An account that the configuration lists and that can't be used, as far as it can be read; or a file of accounts.

    `faults` are the reasons, at least one. `appid` is None where it can't be read: the entry may be for any account
    then, and for any egress label. `name` stands for it if it has no name: `FILE:LINE`, or the path of the file.
    """

    name: str
    appid: str | None
    faults: tuple[Fault, ...]
    tags: tuple[str, ...] = ()
    egress: str | None = None
    since: date | None = None
    enabled: bool = True

    @property
    def message(self) -> str:
        """The first fault, with file and line."""
        return f"{self.faults[0].where}: {self.faults[0].message}"

    @property
    def remedy(self) -> str:
        """The first fault with its remedy, and how to see the others."""
        more = len(self.faults) - 1
        others = f" ({counted(more, 'more fault')}: see `collector config validate`)" if more else ""
        return f"{self.message}. {self.faults[0].remedy}{others}"

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})" if self.appid else self.name


Entry = Account | BrokenEntry
"""One entry of the configuration."""
