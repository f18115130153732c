"""A third-party platform: the tokens of the accounts that authorised it, without their secrets.

Its own token and the list of those accounts are had once a run, by one call at a time, and shared by all of them.
Nothing of it is stored: the list is where refresh tokens come from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import structlog

from collector.errors import ApiError, CallError, CallKind, ComponentError, OriginError, Reaction, TransientError
from collector.model.accounts import Account, Component, FromCommand, FromUrl, Origin, Secret
from collector.model.state import Authorizer
from collector.runtime import Clock
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, is_token
from collector.wechat.client import Route
from collector.wechat.external_tokens import Outside, fetched, value_in
from collector.wechat.tokens import Grant, Source, Token, Tokens, granted

log = structlog.get_logger()
T = TypeVar("T")

MOST_LISTED = 100_000
"""More accounts than any platform has."""

MOST_READINGS = 3
"""How often a list is read that changes while it is read."""

PAGE = 500
"""The most accounts that WeChat gives in one page of the list."""

FRESH_FOR = timedelta(seconds=60)
"""A list that was read again isn't read once more within this: many refusals at once need one reading."""

STALE_HINT = "the platform {} has no valid token: see that its ticket arrives, and that nothing else renews its token"


@dataclass(slots=True)
class Listing:
    """The accounts that authorised the platform, with the refresh tokens that the list gave, by appid in its order.

    `is_whole` says whether the list came to its end, `total` how many accounts WeChat counts.
    """

    read_at: datetime
    refresh_tokens: dict[str, str | None] = field(default_factory=dict, repr=False)
    is_whole: bool = True
    total: int = 0


class ComponentApi:
    """The calls of one platform. Once it has failed, all its accounts fail with the same `ComponentError`."""

    def __init__(self, component: Component, route: Route, secrets: Secrets, *, clock: Clock) -> None:
        self.component = component
        self._route = route
        self._secrets = secrets
        self._clock = clock
        source = _source(component, route, secrets)
        self._tokens = Tokens(source, route.client, clock=clock, whose=str(component))
        self._listing = asyncio.Lock()
        self._list: Listing | None = None
        self._read_again = False
        self._failure: CallError | None = None
        self._list_failure: CallError | None = None
        self._again_failure: CallError | None = None

    async def authorizers(self) -> Listing:
        """Who authorised the platform, read once a run. Raises `ComponentError` when it can't be read."""
        async with self._listing:
            if self._list_failure:
                raise self._error(self._list_failure)
            if self._list is None:
                try:
                    self._list = await self._read_list()
                except CallError as error:
                    self._list_failure = error
                    raise self._error(error) from None
            return self._list

    async def authorizer(self, appid: str) -> Authorizer:
        """What an account is that authorised the platform. Raises `CallError` when WeChat doesn't say."""
        info = (await self._retried(lambda: self._info(appid)))["authorizer_info"]
        nick_name = info.get("nick_name") if isinstance(info, Mapping) else None
        if not isinstance(nick_name, str):
            raise CallError("the answer about an authorised account has no nick_name", kind=CallKind.COMPONENT)
        return Authorizer(self.component.name, nick_name, mini_program="MiniProgramInfo" in info)

    async def grant(self, account: Account) -> Grant:
        """A token of an account. A refresh token that WeChat doesn't take is looked up in the list once more."""
        listing = await self._list_for(account)
        refresh_token = await self._refresh_token(account, listing)
        try:
            return await self._authorizer_token(account, refresh_token, listing)
        except ApiError as error:
            if error.reaction is not Reaction.LIST_AGAIN:
                raise
            refusal = error
        newer = await self._newer_than(listing)
        again = await self._refresh_token(account, newer)
        if again == refresh_token:
            raise refusal
        return await self._authorizer_token(account, again, newer)

    async def _list_for(self, account: Account) -> Listing:
        """The list; an account with a refresh token of its own can do without."""
        try:
            return await self.authorizers()
        except CallError:
            if self._failure or account.authorizer_refresh_token is None:
                raise
            return Listing(self._clock.now())

    async def _refresh_token(self, account: Account, listing: Listing) -> Secret:
        """From the list; where that has a gap from the call for the one account; else from the configuration."""
        appid = account.appid
        if token := listing.refresh_tokens.get(appid):
            return Secret(token)
        if appid in listing.refresh_tokens or not listing.is_whole:
            about = (await self._info(appid)).get("authorization_info")
            token = about.get("authorizer_refresh_token") if isinstance(about, Mapping) else None
            if is_token(token):
                listing.refresh_tokens[appid] = token
                return Secret(token)
        if account.authorizer_refresh_token:
            return await self._secrets.read(account.authorizer_refresh_token)
        message = f"the account isn't among those that authorised the platform {self.component.name}"
        raise OriginError(message, "ask the client to authorise it")

    async def _newer_than(self, listing: Listing) -> Listing:
        """The list, read again if it is the one that was in hand, and that wasn't done a moment ago.

        Raises `ComponentError` when it can't be read, as to everybody else who needs it again.
        """
        async with self._listing:
            if self._list is None or self._list is not listing:
                return self._list or listing
            is_fresh = self._read_again and self._clock.now() - listing.read_at < FRESH_FOR
            if self._again_failure is None and not is_fresh:
                try:
                    self._list = await self._read_list()
                    self._read_again = True
                except CallError as error:
                    self._again_failure = error
            if self._again_failure:
                raise self._error(self._again_failure)
            return self._list

    async def _read_list(self) -> Listing:
        """The list; read anew when its length changes meanwhile, since others slip from one page to the one before."""
        for _ in range(MOST_READINGS):
            listing, is_steady = await self._read_pages()
            if is_steady:
                return listing
        listing.is_whole = False
        return listing

    async def _read_pages(self) -> tuple[Listing, bool]:
        listing, offset, total = Listing(self._clock.now()), 0, 1
        while offset < total:
            page, total = await self._retried(lambda at=offset: self._page(at))  # type: ignore[misc] # bound now
            if offset and total != listing.total:
                return listing, False
            if total and not page.keys() - listing.refresh_tokens.keys():
                listing.is_whole = False
                log.warning("authorizers.cut", component=str(self.component), listed=offset, total=total)
                break
            listing.refresh_tokens |= page
            listing.total = total
            offset += len(page)
        return listing, True

    async def _page(self, offset: int) -> tuple[dict[str, str | None], int]:
        """One page of the list, and how many accounts there are in all."""
        answer = await self._call("api_get_authorizer_list", "list", {"offset": offset, "count": PAGE})
        total, rows = answer.get("total_count"), answer["list"]
        if type(total) is not int or total > MOST_LISTED or not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise TransientError("the list of authorised accounts isn't of its form", kind=CallKind.COMPONENT)
        return {
            row["authorizer_appid"]: token if is_token(token := row.get("refresh_token")) else None for row in rows
        }, total

    async def _info(self, appid: str) -> dict[str, Any]:
        return await self._call("api_get_authorizer_info", "authorizer_info", {"authorizer_appid": appid})

    async def _authorizer_token(self, account: Account, refresh_token: Secret, listing: Listing) -> Grant:
        body = {
            "authorizer_appid": account.appid,
            "authorizer_refresh_token": refresh_token.get_secret_value(),
        }
        answer = await self._call("api_authorizer_token", "authorizer_access_token", body)
        if is_token(newer := answer.get("authorizer_refresh_token")):
            listing.refresh_tokens[account.appid] = newer
        return granted(answer, "authorizer_access_token")

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._route.client.retrying(call, self.component)

    async def _call(self, path: str, expect: str, body: Mapping[str, object]) -> dict[str, Any]:
        """One call with the platform's token, and once more with a newer one where WeChat refuses that."""
        while True:
            token = await self._opened(self._tokens.get)
            query = {"component_access_token": token.value.get_secret_value()}
            named = {"component_appid": self.component.appid, **body}
            try:
                answer = await self._route.request(
                    Request(CallKind.COMPONENT, "POST", f"/cgi-bin/component/{path}", expect, query, named)
                )
            except ApiError as error:
                await self._mend(error, token)
                self._route.client.retries += 1
                continue
            self._tokens.worked(token)
            return answer

    async def _mend(self, error: ApiError, token: Token) -> None:
        """Have a newer token of the platform, or raise the error."""
        if error.reaction is not Reaction.COMPONENT:
            raise error
        await self._opened(lambda: self._tokens.after_refusal(token, error))

    async def _opened(self, have_token: Callable[[], Awaitable[Token]]) -> Token:
        """The platform's token; the first failure to have it is everybody's."""
        if self._failure is None:
            try:
                return await have_token()
            except CallError as error:
                raise self._failed(error) from None
        raise self._error(self._failure)

    def _failed(self, trouble: CallError) -> CallError:
        self._failure = self._failure or trouble
        return self._error(trouble)

    def _error(self, trouble: CallError) -> CallError:
        """What all accounts hear; that the platform has no token comes before what follows from it.

        A wait that WeChat orders the platform is each account's own.
        """
        trouble = self._failure or trouble
        if not trouble.reaction.is_failure:
            return trouble
        return ComponentError(self.component.appid, self.component.name, trouble)


@dataclass(frozen=True, slots=True)
class Authorized:
    """An account's token by way of the platform that it authorised."""

    account: Account
    component: ComponentApi
    refused_hint: ClassVar[str] = (
        "WeChat refuses the token that the platform got: see that no other system renews this account's token, "
        "and that the client still grants the permission"
    )

    async def grant(self) -> Grant:
        """A new token of the account."""
        return await self.component.grant(self.account)

    async def forced(self) -> Grant | None:
        """Nothing more than `grant` gives."""
        return None


@dataclass(frozen=True, slots=True)
class _Asked:
    """The platform's token, asked for with its secret and the newest ticket."""

    component: Component
    route: Route
    secrets: Secrets
    refused_hint: str

    async def grant(self) -> Grant:
        """A new token, after which the platform's own systems must take it too."""
        component = self.component
        if component.secret is None or component.verify_ticket is None:
            message = f"the platform {component.name} has no way to its token"
            raise OriginError(message, "give it an `access_token`, or a `secret` and a `verify_ticket`")
        secret, ticket = await self.secrets.read(component.secret), await self._ticket(component.verify_ticket)
        body = {
            "component_appid": component.appid,
            "component_appsecret": secret.get_secret_value(),
            "component_verify_ticket": ticket.get_secret_value(),
        }
        path, key = "/cgi-bin/component/api_component_token", "component_access_token"
        return granted(await self.route.request(Request(CallKind.COMPONENT, "POST", path, key, {}, body)), key)

    async def forced(self) -> Grant | None:
        """Nothing more than `grant` gives."""
        return None

    async def _ticket(self, origin: Origin | FromUrl) -> Secret:
        """WeChat sends another every ten minutes, so it is read anew each time."""
        if isinstance(origin, FromUrl | FromCommand):
            body = await fetched(origin, self.route.client, self.secrets, appid=self.component.appid)
            return value_in(body, origin)
        return await self.secrets.read(origin, fresh=True)


def _source(component: Component, route: Route, secrets: Secrets) -> Source:
    hint = STALE_HINT.format(component.name)
    if component.access_token is None:
        return _Asked(component, route, secrets, hint)
    return Outside(component.access_token, component.appid, route.client, secrets, refused_hint=hint)


def _is_row(row: object) -> bool:
    return isinstance(row, Mapping) and is_token(row.get("authorizer_appid"))
