"""The accounts and platforms as the configuration describes them, and where their secrets and tokens live."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

Secret = SecretStr
"""A text that can't print: its repr, str and JSON are asterisks; `get_secret_value()` gives it away."""


@dataclass(frozen=True, slots=True)
class FromFile:
    """A secret that a file holds, which nobody else may read."""

    path: Path


@dataclass(frozen=True, slots=True)
class FromCredential:
    """A secret that systemd hands over, by the name of a file in `$CREDENTIALS_DIRECTORY`."""

    name: str


@dataclass(frozen=True, slots=True)
class FromCommand:
    """What a command prints: `argv` is a list of arguments that no shell reads.

    Without `json` the output is the value itself; with it, a dotted path leads to the value in the JSON that the
    command prints, and `expires_json` to a token's lifetime in seconds. In a token's command `{appid}` stands for
    the account's appid.
    """

    argv: tuple[str, ...] = field(repr=False)
    json: str | None = None
    expires_json: str | None = None


Origin = Secret | FromFile | FromCredential | FromCommand
"""Where a secret lives: in the configuration itself, or where it points to. `Secrets` reads it."""


@dataclass(frozen=True, slots=True)
class FromUrl:
    """What a server answers to GET; the rest is as with `FromCommand`. The address may hold a secret itself."""

    url: Secret
    headers: tuple[tuple[str, Origin], ...] = ()
    json: str | None = None
    expires_json: str | None = None


@dataclass(frozen=True, slots=True)
class FromComponent:
    """A token that the third-party platform of that name gets, because the account has authorised it."""

    name: str


class TokenKind(StrEnum):
    """How an account's access_token is had with its secret: by WeChat's stable call, or its classic one."""

    STABLE = "stable"
    CLASSIC = "classic"


TokenOrigin = TokenKind | FromComponent | FromUrl | FromCommand
"""Where an account's access_token comes from."""


@dataclass(frozen=True, slots=True)
class Component:
    """One third-party platform of the agency.

    Its token comes from `access_token`, or is asked for with `secret` and `verify_ticket`. With `discover` all
    official accounts that authorised it are collected, but for the appids of `exclude`.
    """

    name: str
    appid: str
    access_token: FromUrl | FromCommand | None = None
    secret: Origin | None = None
    verify_ticket: Origin | FromUrl | None = None
    discover: bool = False
    exclude: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` data calls of one account in any `period_s` seconds."""

    calls: int
    period_s: int

    @property
    def spacing_s(self) -> float:
        """Seconds from one call to the next when they are paced evenly."""
        return self.period_s / self.calls

    def __str__(self) -> str:
        return f"{self.calls}/{'s' if self.period_s == 1 else 'min'}"


@dataclass(frozen=True, slots=True)
class Account:
    """One official account, with everything that the defaults gave it filled in.

    `daily_calls` is how many data calls of each dataset it may have in a Beijing day, all runs together. `proxy` and
    `hosts` are its own way to WeChat, where it has one. `authorizer_refresh_token` stands in where the list of a
    third-party platform doesn't give one.
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
    tags: tuple[str, ...] = ()
    enabled: bool = True

    def __str__(self) -> str:
        return f"{self.name} ({self.appid})"
