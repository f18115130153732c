"""Third-party platforms: tokens of the accounts that authorised them, without their secrets.

A platform's own token and the list of those accounts are fetched once a run and shared by all of them. The list holds
the refresh tokens, so nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from collector.breakers import CircuitBreaker
from collector.errors import ApiError, CallError, ComponentError, OriginError, TransientError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import Account, Component, Secret
from collector.model.state import Authorizer
from collector.once import Once
from collector.runtime import Clock
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, is_token
from collector.wechat.component_tokens import source_of
from collector.wechat.routes import Route
from collector.wechat.tokens import Grant, Source, Token, Tokens, granted

log = structlog.get_logger()

MAX_LISTED = 2_000_000
"""Upper bound for the accounts of a platform: a larger count is a malformed answer."""

MAX_READINGS = 3
"""Times that a list is read which changes while it is read."""

PAGE = 500
"""The largest page of the list that WeChat gives."""

FRESH_FOR = timedelta(seconds=60)
"""Time for which a list that was read again counts as new: many refusals at once need one reading."""

WITHDRAWN = 61003
"""The errcode about an account that hasn't authorised the platform, or no longer does."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A platform's token, and the refresh tokens of some of its accounts, on their way to another process."""

    component: str
    token: Secret
    expires_in_s: int
    refresh_tokens: Mapping[str, Secret]


@dataclass(slots=True)
class Listing:
    """Accounts that authorised the platform, with their refresh tokens, by appid in the list's order.

    `is_whole` says whether the list came to its end; `total` is WeChat's count of accounts. One that `is_handed_over`
    holds what another process has read of it.
    """

    read_at: datetime
    refresh_tokens: dict[str, str | None] = field(default_factory=dict, repr=False)
    is_whole: bool = True
    total: int = 0
    is_handed_over: bool = False


class ComponentApi:
    """Calls of one platform. Once it has failed, each of its accounts fails with a `ComponentError`."""

    def __init__(self, component: Component, route: Route, secrets: Secrets, *, clock: Clock) -> None:
        self.component = component
        self._route = route
        self._secrets = secrets
        self._clock = clock
        source = source_of(component, route, secrets)
        self._tokens = Tokens(source, route.client, clock=clock, owner=str(component))
        self._breaker = CircuitBreaker[CallError](max_failures=1)
        self._first_list = Once(self._read_list)
        self._list: Listing | None = None
        self._list_again: Once[Listing] | None = None
        self._outdated: Listing | None = None
        self._handed_over: Secret | None = None

    @property
    def has_failed(self) -> bool:
        """True if its token or its list couldn't be fetched, which is final for this object."""
        return self._breaker.is_open or self._first_list.has_failed

    async def authorizers(self) -> Listing:
        """Return the accounts that authorised the platform, read once a run. Raises `ComponentError` without a list."""
        listing = self._list or await self._shared(self._first_list)
        self._list = self._list or listing
        return self._list

    async def hand_over(self, appids: Iterable[str]) -> Handover:
        """Return what another process needs to fetch the tokens of these accounts. Raises `CallError` without it."""
        token, listing = await self._token(self._tokens.get), await self.authorizers()
        left_s = int(token.ends_at_s - self._clock.monotonic())
        found = {appid: Secret(value) for appid in appids if (value := listing.refresh_tokens.get(appid))}
        return Handover(self.component.name, token.value, left_s, found)

    def take_over(self, handover: Handover) -> None:
        """Use what another process has fetched; the list isn't read here any more."""
        if handover.token != self._handed_over:  # else a newer one may have taken its place
            self._handed_over = handover.token
            self._tokens.take_over(Grant(handover.token, handover.expires_in_s))
        if self._list is None:
            self._list = Listing(self._clock.now(), is_handed_over=True)
        for appid, token in handover.refresh_tokens.items():
            self._list.refresh_tokens[appid] = token.get_secret_value()

    async def authorizer(self, appid: str) -> Authorizer:
        """Return the name and kind of an account that authorised the platform. Raises `CallError` without them.

        The answer also holds the account's refresh token, which the list may lack.
        """
        answer = await self._route.client.retrying(partial(self._info, appid), self.component)
        if self._list:
            _take_token(appid, answer, self._list)
        info = answer["authorizer_info"]
        nick_name = info.get("nick_name") if isinstance(info, Mapping) else None
        if not isinstance(nick_name, str):
            raise CallError("the answer about an authorised account has no nick_name", kind=CallKind.COMPONENT)
        return Authorizer(self.component.name, nick_name, mini_program="MiniProgramInfo" in info)

    async def grant(self, account: Account) -> Grant:
        """Fetch a token of an account. A refresh token that WeChat refuses is looked up in the list once more."""
        listing = await self._list_for(account)
        refresh_token = await self._refresh_token(account, listing)
        try:
            return await self._authorizer_token(account, refresh_token, listing)
        except ApiError as error:
            if error.reaction is not Reaction.LIST_AGAIN:
                raise
            refusal = error
        newer = await self._newer_than(listing, account)
        again = await self._refresh_token(account, newer)
        if again == refresh_token:
            raise refusal  # WeChat's list has nothing newer, so only the client can help
        return await self._authorizer_token(account, again, newer)

    async def _list_for(self, account: Account) -> Listing:
        """Return the list; if it can't be read, one of the account alone that has a refresh token of its own."""
        try:
            return await self.authorizers()
        except CallError:
            if self._breaker.is_open or account.authorizer_refresh_token is None:
                raise
            own = await self._secrets.read(account.authorizer_refresh_token)
            return Listing(self._clock.now(), {account.appid: own.get_secret_value()})

    async def _refresh_token(self, account: Account, listing: Listing) -> Secret:
        """Return it from the list; where that lacks it, from the call for one account; else from the configuration.

        A list was seen that lacked most accounts for once, so only the call for the account is a proof.
        """
        appid = account.appid
        if not listing.refresh_tokens.get(appid):
            try:
                _take_token(appid, await self._info(appid), listing)
            except ApiError as error:
                if error.errcode != WITHDRAWN or appid in listing.refresh_tokens:
                    raise
        if token := listing.refresh_tokens.get(appid):
            return Secret(token)
        if account.authorizer_refresh_token:
            return await self._secrets.read(account.authorizer_refresh_token)
        message = f"the account isn't among those that authorised the platform {self.component.name}"
        raise OriginError(message, "ask the client to authorise it")

    async def _newer_than(self, listing: Listing, account: Account) -> Listing:
        """Return the list, read again if `listing` is the current one, unless that was done a moment ago.

        Raises `ComponentError` when it can't be read, as for all others that need it again.
        """
        if self._list is not listing:
            return self._list or listing
        if listing.is_handed_over:  # the call for one account says as much, and costs less than the whole list
            listing.refresh_tokens.pop(account.appid, None)
            return listing
        if self._list_again is None or self._outdated is not listing:
            # The first list is as old as the run, so it is never new enough; one that was read again may be.
            if self._list_again and self._clock.now() - listing.read_at < FRESH_FOR:
                return listing
            self._list_again, self._outdated = Once(self._read_list), listing
        self._list = await self._shared(self._list_again)
        return self._list

    async def _shared(self, once: Once[Listing]) -> Listing:
        try:
            return await once.get()
        except CallError as error:
            raise self._error(error) from None

    async def _read_list(self) -> Listing:
        """Read the list, again when its length changes meanwhile, which moves accounts from one page to another."""
        for _ in range(MAX_READINGS):
            listing, is_steady = await self._read_pages()
            if is_steady:
                return listing
        listing.is_whole = False
        return listing

    async def _read_pages(self) -> tuple[Listing, bool]:
        listing, offset, total = Listing(self._clock.now()), 0, 1
        while offset < total:
            page, total = await self._route.client.retrying(partial(self._page, offset), self.component)
            if offset and total != listing.total:
                return listing, False
            # A page without anybody new would be read for ever: WeChat may count more accounts than it lists.
            if total and not page.keys() - listing.refresh_tokens.keys():
                listing.is_whole = False
                log.warning("authorizers.cut", component=str(self.component), listed=offset, total=total)
                break
            listing.refresh_tokens |= page
            listing.total = total
            offset += len(page)
        return listing, True

    async def _page(self, offset: int) -> tuple[dict[str, str | None], int]:
        """Read one page of the list, and the number of accounts in all."""
        answer = await self._call("api_get_authorizer_list", "list", {"offset": offset, "count": PAGE})
        total, rows = answer.get("total_count"), answer["list"]
        if type(total) is not int or total > MAX_LISTED or not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise TransientError("the list of authorised accounts isn't of its form", kind=CallKind.COMPONENT)
        tokens = ((row["authorizer_appid"], row.get("refresh_token")) for row in rows)
        return {appid: token if is_token(token) else None for appid, token in tokens}, total

    async def _info(self, appid: str) -> dict[str, Any]:
        return await self._call("api_get_authorizer_info", "authorizer_info", {"authorizer_appid": appid})

    async def _authorizer_token(self, account: Account, refresh_token: Secret, listing: Listing) -> Grant:
        body = {"authorizer_appid": account.appid, "authorizer_refresh_token": refresh_token.get_secret_value()}
        answer = await self._call("api_authorizer_token", "authorizer_access_token", body)
        # WeChat may replace the refresh token with each use; the old one is refused from then on.
        if is_token(newer := answer.get("authorizer_refresh_token")):
            listing.refresh_tokens[account.appid] = newer
        return granted(answer, "authorizer_access_token")

    async def _call(self, path: str, expect: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Make one call with the platform's token, and again with a newer one where WeChat refuses that."""
        while True:
            token = await self._token(self._tokens.get)
            query = {"component_access_token": token.value.get_secret_value()}
            named = {"component_appid": self.component.appid, **body}
            try:
                answer = await self._route.request(
                    Request(CallKind.COMPONENT, "POST", f"/cgi-bin/component/{path}", expect, query, named)
                )
            except ApiError as error:
                if error.reaction is not Reaction.COMPONENT:
                    raise
                await self._token(partial(self._tokens.after_refusal, token, error))
                self._route.client.retries += 1
            else:
                self._tokens.worked(token)
                return answer

    async def _token(self, get: Callable[[], Awaitable[Token]]) -> Token:
        """Return the platform's token; the first failure to get one is final for all its accounts."""
        try:
            self._breaker.check()
            return await get()
        except CallError as error:
            if not error.may_recover:
                self._breaker.failed(error)
            raise self._error(error) from None

    def _error(self, trouble: CallError) -> CallError:
        """Return the error that one account raises when the platform has failed."""
        trouble = self._breaker.error or trouble  # without the platform's token, all else fails only because of that
        if not trouble.reaction.is_failure:
            return trouble.copy()  # WeChat ordered a wait: it is each account's own
        return ComponentError(self.component.appid, self.component.name, trouble)


@dataclass(frozen=True, slots=True)
class Authorized(Source):
    """An account's token from the platform that it authorised."""

    account: Account
    component: ComponentApi
    refused_hint = (
        "WeChat refuses the token that the platform got: see that no other system renews this account's token, "
        "and that the client still grants the permission"
    )

    async def grant(self) -> Grant:
        """Fetch a new token of the account."""
        return await self.component.grant(self.account)


def _take_token(appid: str, answer: Mapping[str, Any], listing: Listing) -> None:
    """Enter the refresh token of an answer about one account into the list."""
    about = answer.get("authorization_info")
    if isinstance(about, Mapping) and is_token(token := about.get("authorizer_refresh_token")):
        listing.refresh_tokens[appid] = token


def _is_row(row: object) -> bool:
    return isinstance(row, Mapping) and is_token(row.get("authorizer_appid"))
