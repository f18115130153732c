"""Sources of an account's access_token, and its renewal.

A `Source` is one way to a token: WeChat's stable and classic calls here, a token server or a command in
`external_tokens.py`, a third-party platform in `component.py`. Tokens are kept in memory and never stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from collector.breakers import CircuitBreaker
from collector.errors import ApiError, CallError, OriginError, PostponedError, TransientError
from collector.kinds import CallKind
from collector.model.accounts import Account, Origin, Secret, app_secret_fault
from collector.model.days import beijing_day
from collector.runtime import Clock
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, is_token
from collector.wechat.client import Client
from collector.wechat.errcodes import ROTATING_HINT
from collector.wechat.routes import Route

T = TypeVar("T")
log = structlog.get_logger()

RENEW_BEFORE_S = 60
"""A token with less time left than this is renewed before it is used."""

RENEW_EVERY_S = 10
"""Shortest time between renewals: WeChat's stable call returns the same token until shortly before its end."""

MAX_LIFE_S = 10 * 7200
"""Upper bound for a token's life: ten times WeChat's two hours. A larger number isn't a life in seconds."""

MAX_REFUSALS = 3
"""Refusals of one account in a run after which a new token is fetched, each token having worked first."""


SECOND_LOOK_S = 2
"""Seconds after which a refused token is tried once more before another one is forced: the refusal may be passing."""

MAX_FORCED = 3
"""Tokens that are forced for an account on a Beijing day: WeChat allows 20, which its other systems share."""


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

    can_force: bool = False
    """True if `forced` replaces the token that `grant` keeps giving."""

    async def grant(self) -> Grant:
        """Fetch the source's current token. Raises `CallError` without one."""

    async def forced(self) -> Grant:
        """Fetch another token than the one that `grant` keeps giving, where the source can."""
        return await self.grant()


@dataclass(frozen=True)
class _BySecret(Source):
    """A call to WeChat with the account's appid and secret."""

    account: Account
    route: Route
    secrets: Secrets

    async def _credentials(self) -> dict[str, str]:
        if self.account.secret is None:
            raise OriginError("the account has no secret", "give it a `secret`, or a `token` from elsewhere")
        secret = await app_secret(self.account.secret, self.secrets, account=str(self.account))
        return {"grant_type": "client_credential", "appid": self.account.appid, "secret": secret}


async def app_secret(origin: Origin, secrets: Secrets, **owner: str) -> str:
    """Return the secret of an account or a platform; warn of one that WeChat can't have given.

    Raises `OriginError` when it can't be read.
    """
    secret = (await secrets.read(origin)).get_secret_value()
    # Of one in the configuration itself, that has warned.
    if not isinstance(origin, Secret) and (fault := app_secret_fault(secret)):
        log.warning("secret.malformed", **owner, what=f"the secret {fault}")
    return secret


class Stable(_BySecret):
    """WeChat's stable call: the same token for all callers, so no other system loses its own."""

    can_force = True

    async def grant(self) -> Grant:
        """Fetch the token that all callers share."""
        return await self._ask(force=False)

    async def forced(self) -> Grant:
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


class ForcedTokens:
    """Count of the tokens forced for one account: at most one a run, and `MAX_FORCED` on a Beijing day.

    `in_run` are the appids of all accounts for which one was forced in this run. None is forced before `resume`:
    whoever doesn't remember the count mustn't add to it.
    """

    def __init__(self, appid: str, in_run: set[str], *, clock: Clock) -> None:
        self._appid = appid
        self._in_run = in_run
        self._clock = clock
        self._may_force = False
        self.used: tuple[date | None, int] = (None, 0)
        """The last day in Beijing on which a token was forced, and how many."""

    def resume(self, on: date | None, tokens: int) -> None:
        """Take over the tokens that earlier runs have forced on a day, when the account's first turn has come."""
        if not self._may_force:
            self._may_force = True
            self.used = (on, tokens)

    @property
    def is_allowed(self) -> bool:
        """True where one more may be forced."""
        return self._may_force and self._appid not in self._in_run and self._of_today()[1] < MAX_FORCED

    def count(self) -> None:
        """Count one token, before it is asked for: an answer that is lost may have replaced the token as well."""
        self._in_run.add(self._appid)
        today, tokens = self._of_today()
        self.used = (today, tokens + 1)

    def _of_today(self) -> tuple[date, int]:
        today, (on, tokens) = beijing_day(self._clock.now()), self.used
        return today, tokens if on == today else 0


class Tokens:
    """Token of one account, or of one platform, during one run: fetched by one call at a time.

    `token` is the current one; `owner` is the name in the log. The first failure of the source is final, unless it may
    recover: it isn't asked again, and every later call raises a copy of the error. `forced` counts the tokens that are
    forced; None where none may be.
    """

    def __init__(
        self, source: Source, client: Client, *, clock: Clock, owner: str, forced: ForcedTokens | None = None
    ) -> None:
        self._source = source
        self._client = client
        self._clock = clock
        self._owner = owner
        self._lock = asyncio.Lock()
        self.token: Token | None = None
        self._worked = False
        self._forced = forced
        # The refused token, given once more.
        self._second_look: Token | None = None
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

    def take_over(self, grant: Grant) -> None:
        """Use a token that another process has fetched."""
        self.token = self._token(grant)

    def worked(self, token: Token) -> None:
        """Note that WeChat accepted `token`."""
        if token is self.token:
            self._worked, self._second_look = True, None

    async def after_refusal(self, refused: Token, refusal: ApiError) -> Token:
        """Return a newer token than the one that WeChat refused.

        This is the current one if it is newer, else the source is asked once. A source that could be forced to give a
        newer one gets a second look first: the same token once more, after `SECOND_LOOK_S`. Raises `refusal`, with its
        hint, for a token that never worked, after too many refusals in one run, and when there is no newer one.
        """
        async with self._lock:
            # Another call that was refused with the same token has fetched a newer one meanwhile.
            if self.token is not None and self.token is not refused:
                return self.token
            in_vain = self._refusals == MAX_REFUSALS or (self._refusals and not self._worked)
            # A source that failed raises its own error below, which says more than the refusal.
            is_last = in_vain and refused is not self._second_look and not self._breaker.is_open
            try:
                newer = None if is_last else await self._newer_than(refused)
            except PostponedError:
                self.token = None  # else the refused one would be used again when the account's turn has come
                raise
            if newer is None:
                refusal.hint = self._source.refused_hint
                raise refusal
            self.token = newer
            return newer

    async def _newer_than(self, refused: Token) -> Token | None:
        """Fetch the source's current token; None where that is the refused one and no other may be forced."""
        grant = await self._fetch(self._source.grant)
        is_second, self._second_look = refused is self._second_look, None
        if not is_second:
            self._refusals += 1
            self._worked = False
        if grant.value == refused.value and self._source.can_force:
            if not is_second:
                await self._clock.sleep(SECOND_LOOK_S)
                self._second_look = self._token(grant)
                return self._second_look
            if self._forced and self._forced.is_allowed:
                grant = await self._fetch(partial(self._force, self._forced))
        return None if grant.value == refused.value else self._token(grant)

    async def _force(self, forced: ForcedTokens) -> Grant:
        """Force a new token. A retry asks for the current one, which the lost answer's call may have replaced."""
        if not forced.is_allowed:
            return await self._source.grant()
        forced.count()
        return await self._source.forced()

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
            if not error.may_recover:
                self._breaker.failed(error)
            raise

    def _token(self, grant: Grant) -> Token:
        now_s = self._clock.monotonic()
        return Token(grant.value, now_s, now_s + grant.expires_in_s)
