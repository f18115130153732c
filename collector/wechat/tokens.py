"""Sources of an account's access_token, and its renewal.

A `Source` is one way to a token: WeChat's stable and classic calls here, a token server or a command in
`external_tokens.py`, a third-party platform in `component.py`. Tokens are kept in memory and never stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from collector.errors import ApiError, CallError, CallKind, OriginError, TransientError
from collector.model.accounts import Account, Secret
from collector.runtime import CircuitBreaker, Clock
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, is_token
from collector.wechat.client import Client
from collector.wechat.errcodes import ROTATING_HINT
from collector.wechat.routes import Route

T = TypeVar("T")

RENEW_BEFORE_S = 60
"""A token with less time left than this is renewed before it is used."""

RENEW_EVERY_S = 10
"""Shortest time between renewals: WeChat's stable call returns the same token until shortly before its end."""

MAX_LIFE_S = 10 * 7200
"""Upper bound for a token's life: ten times WeChat's two hours. A larger number isn't a life in seconds."""

MAX_REFUSALS = 3
"""Refusals of one account in a run after which a new token is fetched, each token having worked first."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token as its source gives it, and the seconds until it expires."""

    value: Secret
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token, with the seconds of the monotonic clock at which it was fetched and expires."""

    value: Secret
    fetched_at_s: float
    ends_at_s: float


class Source(Protocol):
    """One way to a token."""

    refused_hint: str = ROTATING_HINT
    """Remedy when WeChat refuses the source's token."""

    async def grant(self) -> Grant:
        """Fetch the source's current token. Raises `CallError` without one."""

    async def forced(self) -> Grant | None:
        """Fetch another token than the one that `grant` keeps giving; None where the source has no such call."""
        return None


@dataclass(frozen=True)
class _BySecret(Source):
    """A call to WeChat with the account's appid and secret."""

    account: Account
    route: Route
    secrets: Secrets

    async def _credentials(self) -> dict[str, str]:
        if self.account.secret is None:
            raise OriginError("the account has no secret", "give it a `secret`, or a `token` from elsewhere")
        secret = await self.secrets.read(self.account.secret)
        return {"grant_type": "client_credential", "appid": self.account.appid, "secret": secret.get_secret_value()}


class Stable(_BySecret):
    """WeChat's stable call: the same token for all callers, so no other system loses its own."""

    async def grant(self) -> Grant:
        """Fetch the token that all callers share."""
        return await self._ask(force=False)

    async def forced(self) -> Grant | None:
        """Replace the token that all callers share."""
        return await self._ask(force=True)

    async def _ask(self, *, force: bool) -> Grant:
        body = {**await self._credentials(), "force_refresh": force}
        request = Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, body)
        return granted(await self.route.request(request), "access_token")


class Classic(_BySecret):
    """WeChat's classic call: each token invalidates the one before it, for other systems as well."""

    async def grant(self) -> Grant:
        """Fetch a new token."""
        request = Request(CallKind.TOKEN, "GET", "/cgi-bin/token", "access_token", await self._credentials())
        return granted(await self.route.request(request), "access_token")


def granted(answer: Mapping[str, Any], key: str) -> Grant:
    """Return the token that an answer of WeChat's holds under `key`. Raises `TransientError` where it holds none."""
    value, expires_in = answer[key], answer.get("expires_in")
    if not is_token(value) or type(expires_in) is not int or abs(expires_in) > MAX_LIFE_S:
        raise TransientError(f"the token's answer lacks {key} or expires_in", kind=CallKind.TOKEN)
    return Grant(Secret(value), expires_in)


class Tokens:
    """Token of one account, or of one platform, during one run: fetched by one call at a time.

    `token` is the current one; `owner` is the name in the log. The first failure of the source is final: it isn't
    asked again, and every later call raises a copy of the error.
    """

    def __init__(self, source: Source, client: Client, *, clock: Clock, owner: str) -> None:
        self._source = source
        self._client = client
        self._clock = clock
        self._owner = owner
        self._lock = asyncio.Lock()
        self.token: Token | None = None
        self._worked = False
        self._forced = False
        self._refusals = 0
        self._breaker = CircuitBreaker[CallError](max_failures=1)

    async def get(self) -> Token:
        """Return the current token, renewed if its end is near. Raises what the source raises."""
        # While a refused token is being replaced, the current one is as good as refused.
        if self.token and not self._lock.locked() and not self.is_due(self.token):
            return self.token
        async with self._lock:
            if self.token is None or self.is_due(self.token):
                self.token = self._token(await self._fetch(self._source.grant))
            return self.token

    def worked(self, token: Token) -> None:
        """Note that WeChat accepted `token`."""
        self._worked = self._worked or token is self.token

    async def after_refusal(self, refused: Token, refusal: ApiError) -> Token:
        """Return a newer token than the one that WeChat refused.

        This is the current one if it is newer, else the source is asked once. Raises `refusal`, with its hint, for
        a token that never worked, after too many refusals in one run, and when the source has no newer one.
        """
        async with self._lock:
            # Another call that was refused with the same token has fetched a newer one meanwhile.
            if self.token is not None and self.token is not refused:
                return self.token
            in_vain = self._refusals == MAX_REFUSALS or (self._refusals and not self._worked)
            # A source that failed raises its own error below, which says more than the refusal.
            newer = None if in_vain and not self._breaker.is_open else await self._newer_than(refused)
            if newer is None or newer.value == refused.value:
                refusal.hint = self._source.refused_hint
                raise refusal
            self.token = self._token(newer)
            return self.token

    async def _newer_than(self, refused: Token) -> Grant:
        """Fetch the source's current token; force a new one, once, where that is the refused token again."""
        self._refusals += 1
        self._worked = False
        grant = await self._fetch(self._source.grant)
        if grant.value != refused.value or self._forced:
            return grant
        self._forced = True
        return await self._fetch(self._source.forced) or grant

    def is_due(self, token: Token) -> bool:
        """Return True if a token is so near its end that it must be renewed before it is used."""
        now_s = self._clock.monotonic()
        return token.ends_at_s - now_s < RENEW_BEFORE_S and now_s - token.fetched_at_s >= RENEW_EVERY_S

    async def _fetch(self, call: Callable[[], Awaitable[T]]) -> T:
        self._breaker.check()
        try:
            return await self._client.retrying(call, self._owner, "token")
        except CallError as error:
            # Else the call that needs the token would retry in turn.
            error.reaction = error.reaction.after_retries
            self._breaker.failed(error)
            raise

    def _token(self, grant: Grant) -> Token:
        now_s = self._clock.monotonic()
        return Token(grant.value, now_s, now_s + grant.expires_in_s)
