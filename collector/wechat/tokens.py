"""Where an account's access_token comes from, and when it is asked for anew.

One protocol, `Source`, stands before all ways to a token: WeChat's stable and classic calls here, a server or a
command of the agency's own in `outside.py`, a third-party platform in `component.py`. Tokens live in memory
alone: they are never stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeVar

from collector.errors import ApiError, CallError, CallKind, OriginError, TransientError
from collector.model.accounts import Account, Secret
from collector.runtime import Clock
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, is_token
from collector.wechat.client import Client, Route
from collector.wechat.errcodes import ROTATING_HINT

T = TypeVar("T")

RENEW_BEFORE = timedelta(seconds=60)
"""A token with less time left than this is renewed before it is used."""

RENEW_EVERY = timedelta(seconds=10)
"""At most this often: WeChat's stable call hands out the same token until shortly before its end."""

MOST_LIFE_S = 10 * 7200
"""Seconds that no token lives: WeChat gives none more than two hours."""

MOST_REFUSALS = 3
"""How often a run asks for a token anew after refusals of one account, each token having worked first."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token as its source gives it, and the seconds that it has left to live."""

    value: Secret
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Token:
    """A token, when it was had and when it ends (UTC)."""

    value: Secret
    had_at: datetime
    ends_at: datetime


class Source(Protocol):
    """One way to a token."""

    @property
    def refused_hint(self) -> str:
        """What is to be done when WeChat refuses what the source gives."""

    async def grant(self) -> Grant:
        """The source's token of now. Raises `CallError` when there is none to be had."""

    async def forced(self) -> Grant | None:
        """Another token than the one that `grant` keeps giving; None where the source has no such call."""


@dataclass(frozen=True, slots=True)
class Stable:
    """WeChat's stable call: the same token for everybody who asks, so it disturbs nobody else."""

    account: Account
    route: Route
    secrets: Secrets
    refused_hint: ClassVar[str] = ROTATING_HINT

    async def grant(self) -> Grant:
        """The token that all share."""
        return await self._ask(force=False)

    async def forced(self) -> Grant | None:
        """A new one, in the place of the one that all share."""
        return await self._ask(force=True)

    async def _ask(self, *, force: bool) -> Grant:
        body = {**await _credentials(self.account, self.secrets), "force_refresh": force}
        request = Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, body)
        return granted(await self.route.request(request), "access_token")


@dataclass(frozen=True, slots=True)
class Classic:
    """WeChat's classic call: each token kills the one before it, and with it whatever else uses that."""

    account: Account
    route: Route
    secrets: Secrets
    refused_hint: ClassVar[str] = ROTATING_HINT

    async def grant(self) -> Grant:
        """Always a new token."""
        query = await _credentials(self.account, self.secrets)
        request = Request(CallKind.TOKEN, "GET", "/cgi-bin/token", "access_token", query)
        return granted(await self.route.request(request), "access_token")

    async def forced(self) -> Grant | None:
        """Nothing more than `grant` gives."""
        return None


async def _credentials(account: Account, secrets: Secrets) -> dict[str, str]:
    if account.secret is None:
        raise OriginError("the account has no secret", "give it a `secret`, or a `token` from elsewhere")
    secret = await secrets.read(account.secret)
    return {"grant_type": "client_credential", "appid": account.appid, "secret": secret.get_secret_value()}


def granted(answer: Mapping[str, Any], key: str) -> Grant:
    """The token that an answer of WeChat's holds under `key`. Raises `TransientError` where it holds none."""
    value, expires_in = answer[key], answer.get("expires_in")
    if not is_token(value) or type(expires_in) is not int or abs(expires_in) > MOST_LIFE_S:
        raise TransientError(f"the token's answer lacks {key} or expires_in", kind=CallKind.TOKEN)
    return Grant(Secret(value), expires_in)


class Tokens:
    """The token of one account, or of one platform, during one run: asked for by one call at a time.

    `token` is the one in hand; `whose` names its owner in the log. When the source fails, that is the end: everybody
    who asks hears of it, and it isn't asked again.
    """

    def __init__(self, source: Source, client: Client, *, clock: Clock, whose: str) -> None:
        self._source = source
        self._client = client
        self._clock = clock
        self._whose = whose
        self._lock = asyncio.Lock()
        self.token: Token | None = None
        self._worked = False
        self._forced = False
        self._refusals = 0
        self._failure: CallError | None = None

    async def get(self) -> Token:
        """The token in hand, renewed if its end is near. Raises what the source raises."""
        if self.token and not self._lock.locked() and not self.is_due(self.token):
            return self.token
        async with self._lock:
            if self.token is None or self.is_due(self.token):
                self.token = self._token(await self._had(self._source.grant))
            return self.token

    def worked(self, token: Token) -> None:
        """Note that WeChat took `token`."""
        self._worked = self._worked or token is self.token

    async def after_refusal(self, refused: Token, refusal: ApiError) -> Token:
        """A newer token than the one that WeChat refused.

        The one in hand if it is newer, else the source is asked once. Raises `refusal`, with its hint, when
        that was in vain: a token refused that never worked, or too many refusals in one run.
        """
        async with self._lock:
            if self.token is not None and self.token is not refused:
                return self.token
            in_vain = self._refusals == MOST_REFUSALS or (self._refusals and not self._worked)
            if in_vain and self._failure is None:
                refusal.hint = self._source.refused_hint
                raise refusal
            self._refusals += 1
            self._worked = False
            newer = await self._newer_than(refused)
            if newer.value == refused.value:
                refusal.hint = self._source.refused_hint
                raise refusal
            self.token = self._token(newer)
            return self.token

    async def _newer_than(self, refused: Token) -> Grant:
        """What the source gives now; forced, once, where that is the refused token again."""
        grant = await self._had(self._source.grant)
        if grant.value != refused.value or self._forced:
            return grant
        self._forced = True
        return await self._had(self._source.forced) or grant

    def is_due(self, token: Token) -> bool:
        """Whether a token is so near its end that it should be renewed before it is used."""
        now = self._clock.now()
        return token.ends_at - now < RENEW_BEFORE and now - token.had_at >= RENEW_EVERY

    async def _had(self, call: Callable[[], Awaitable[T]]) -> T:
        if self._failure is None:
            try:
                return await self._client.retrying(call, self._whose, "token")
            except CallError as error:
                error.reaction = error.reaction.after_retries
                self._failure = error
        raise self._failure

    def _token(self, grant: Grant) -> Token:
        now = self._clock.now()
        return Token(grant.value, now, now + timedelta(seconds=grant.expires_in_s))
