"""The calls of one account: its token, its pace, its retries, and what follows from a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from collector.errors import ApiError, CallKind, Reaction, TransientError, UnwantedError
from collector.model.accounts import Account
from collector.model.days import Window
from collector.wechat.answers import Request
from collector.wechat.limits import Budget, Limiter
from collector.wechat.session import Access
from collector.wechat.tokens import Token, Tokens

log = structlog.get_logger()

MOST_IN_FLIGHT = 4
"""Calls of one account in flight at once."""


class AccountApi:
    """WeChat's data calls for one account, at most `MOST_IN_FLIGHT` at once and within its rate."""

    def __init__(self, account: Account, access: Access) -> None:
        stop, clock = access.stop, access.clock
        source = access.source_of(account, access.route_of(account))
        self.account = account
        self._client = access.client
        self._route = access.route_of(account)
        self.budget = Budget(account.daily_calls, clock=clock)
        self._limiter = Limiter(account.rate_limit, stop=stop, clock=clock)
        self._tokens = Tokens(source, access.client, clock=clock, whose=str(account))
        self.host: str | None = None
        """The host that answered the account's own calls last."""
        self._in_flight = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._stop = stop

    async def log_in(self) -> None:
        """Have a token, so that an account which can't get one fails before anything is asked."""
        self._stop.check()
        try:
            await self._tokens.get()
        except ApiError:
            self.host = self._route.answered_by
            raise

    async def rows(self, path: str, window: Window, wanted: Callable[[], bool] = lambda: True) -> list[object]:
        """Ask the dataset at `path` for a window; the rows come as WeChat gave them.

        Passing troubles are retried, refused tokens replaced, 45011 slows the account down. Raises
        `CallError` when no answer is to be had, `StoppedError` when a stop signal came before the call,
        `UnwantedError` when it isn't `wanted` any more once its turn has come.
        """
        async with self._in_flight:  # before its turn: none may pile up behind it
            once = partial(self._once, path, window, wanted)
            return await self._client.retrying(once, self.account, path, window)

    async def quota_left(self, path: str) -> int | None:
        """How many calls of `path` WeChat allows for the rest of the day; None where it doesn't say.

        Raises what a call raises; it isn't repeated, and counts as none of the account's data calls.
        """
        token = await self._tokens.get()
        query = {"access_token": token.value.get_secret_value()}
        call = Request(CallKind.TOKEN, "POST", "/cgi-bin/openapi/quota/get", "quota", query, {"cgi_path": path})
        try:
            quota = (await self._route.request(call))["quota"]
        finally:
            self.host = self._route.answered_by
        left = quota.get("remain") if isinstance(quota, dict) else None
        return left if type(left) is int else None

    async def _once(self, path: str, window: Window, wanted: Callable[[], bool]) -> list[object]:
        """One call at the account's pace; once more with another token, or slower, where WeChat asks for that."""
        while True:
            token = await self._tokens.get()
            slowdowns = await self._limiter.acquire()
            if not wanted():
                raise UnwantedError
            if self._tokens.is_due(token):
                continue  # the turn took so long; a call that waits for a token after its turn would meet the next
            self.budget.spend(path)
            try:
                answer = await self._route.request(_request(path, window, token))
            except ApiError as error:
                await self._mend(error, token, slowdowns)
                self._client.retries += 1
                continue
            finally:
                self.host = self._route.answered_by
            self._tokens.worked(token)
            rows = answer["list"]
            if not isinstance(rows, list):
                raise TransientError("the body's `list` isn't a list")
            return rows

    async def _mend(self, error: ApiError, token: Token, slowdowns: int) -> None:
        """Do what makes another call worth while, or raise the error."""
        if error.reaction is Reaction.REFRESH:
            await self._tokens.after_refusal(token, error)
        elif error.reaction is not Reaction.SLOW or not self._limiter.slow_down(slowdowns):
            raise error
        else:
            log.warning("account.slowed_down", account=str(self.account), errmsg=error.errmsg)


def _request(path: str, window: Window, token: Token) -> Request:
    return Request(
        CallKind.DATA,
        "POST",
        path,
        "list",
        {"access_token": token.value.get_secret_value()},
        {"begin_date": window.begin.isoformat(), "end_date": window.end.isoformat()},
    )
