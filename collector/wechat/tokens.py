"""Where an account's access_token comes from, and when it is asked for anew.

Tokens live in memory alone: they are never stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from collector.errors import ApiError, CallKind, TransientError
from collector.model import Account, Secret, TokenKind
from collector.wechat.client import Client, Request
from collector.wechat.errcodes import ROTATING_HINT
from collector.wechat.waits import Clock

RENEW_BEFORE = timedelta(seconds=60)
"""A token with less time left than this is renewed before it is used."""

RENEW_EVERY = timedelta(seconds=10)
"""At most this often: WeChat's stable call hands out the same token until shortly before its end."""

MOST_REFUSALS = 3
"""How often a run asks for a token anew after refusals of one account, each token having worked first."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access_token, when it was had and when it ends (UTC)."""

    value: Secret
    had_at: datetime
    ends_at: datetime


Source = Callable[[Client, Account, bool], Awaitable[dict[str, Any]]]
"""One way to a token: asks for the account, forcing a new one if the flag is set; WeChat's answer comes back."""


async def stable(client: Client, account: Account, force: bool) -> dict[str, Any]:  # noqa: FBT001 - WeChat's own flag
    """WeChat's stable call: the same token for everybody who asks, so it disturbs nobody else."""
    body = {
        "grant_type": "client_credential",
        "appid": account.appid,
        "secret": account.secret.get_secret_value(),
        "force_refresh": force,
    }
    return await client.request(Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, body))


async def classic(client: Client, account: Account, force: bool) -> dict[str, Any]:  # noqa: ARG001, FBT001 - always a new one
    """WeChat's classic call: each token kills the one before it, and with it whatever else uses that."""
    query = {
        "grant_type": "client_credential",
        "appid": account.appid,
        "secret": account.secret.get_secret_value(),
    }
    return await client.request(Request(CallKind.TOKEN, "GET", "/cgi-bin/token", "access_token", query))


SOURCES: Mapping[TokenKind, Source] = {TokenKind.STABLE: stable, TokenKind.CLASSIC: classic}


class Tokens:
    """The access_token of one account during one run, asked for by one call at a time. `token` is the one in hand."""

    def __init__(self, account: Account, client: Client, *, clock: Clock, token: Token | None = None) -> None:
        self._account = account
        self._client = client
        self._clock = clock
        self._lock = asyncio.Lock()
        self.token = token
        self._worked = False
        self._forced = False
        self._refusals = 0

    async def get(self) -> Token:
        """The token in hand, renewed if its end is near. Raises what the token call raises."""
        async with self._lock:
            if self.token is None or self.is_due(self.token):
                self.token = await self._ask()
            return self.token

    def worked(self, token: Token) -> None:
        """Note that WeChat took `token`."""
        self._worked = self._worked or token is self.token

    async def after_refusal(self, refused: Token, refusal: ApiError) -> Token:
        """A newer token than the one that WeChat refused on a data call.

        The one in hand if it is newer, else the source is asked once. Raises `refusal`, with its hint, when
        that was in vain: a token refused that never worked, or too many refusals in one run.
        """
        async with self._lock:
            if self.token is not None and self.token is not refused:
                return self.token
            if self._refusals == MOST_REFUSALS or (self._refusals and not self._worked):
                refusal.hint = ROTATING_HINT
                raise refusal
            self._refusals += 1
            self._worked = False
            self.token = await self._newer_than(refused)
            return self.token

    async def _newer_than(self, refused: Token) -> Token:
        token = await self._ask()
        if token.value == refused.value and self._account.token is TokenKind.STABLE and not self._forced:
            self._forced = True
            token = await self._ask(force=True)
        return token

    def is_due(self, token: Token) -> bool:
        """Whether a token is so near its end that it should be renewed before it is used."""
        now = self._clock.now()
        return token.ends_at - now < RENEW_BEFORE and now - token.had_at >= RENEW_EVERY

    async def _ask(self, *, force: bool = False) -> Token:
        source = SOURCES[self._account.token]
        what = f"{self._account} token"
        answer = await self._client.retrying(lambda: source(self._client, self._account, force), what=what)
        value, expires_in = answer["access_token"], answer.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(expires_in, int) or isinstance(expires_in, bool):
            raise TransientError("the token's answer lacks access_token or expires_in", kind=CallKind.TOKEN)
        now = self._clock.now()
        return Token(Secret(value), now, now + timedelta(seconds=expires_in))
