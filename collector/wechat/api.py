"""Calls of one account: its token, its pace, its retries, and the reaction to a refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf

import structlog

from collector.errors import ApiError, TransientError, UnwantedError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import Account
from collector.model.days import Window, beijing_day
from collector.wechat.answers import Request
from collector.wechat.limits import Budget, Limiter
from collector.wechat.session import Session
from collector.wechat.tokens import ForcedTokens, Token, Tokens

log = structlog.get_logger()

MAX_IN_FLIGHT = 4
"""Calls of one account in flight at once: whoever uses an `AccountApi` makes no more."""


class AccountApi:
    """WeChat's data calls for one account, within its rate and its budget."""

    def __init__(self, account: Account, session: Session, *, last_turn_s: float = -inf) -> None:
        self.account = account
        self._route = session.route_of(account)
        self.budget = Budget(account.daily_calls, clock=session.clock)
        self._limiter = Limiter(account.rate_limit, stop=session.stop, clock=session.clock, last_turn_s=last_turn_s)
        source = session.source_of(account, self._route)
        self.forced = ForcedTokens(account.appid, session.forced_for, clock=session.clock)
        self._tokens = Tokens(source, session.client, clock=session.clock, owner=str(account), forced=self.forced)
        self.host: str | None = None
        """The host that gave the last answer to a call of the account."""
        self._clock = session.clock
        self._stop = session.stop

    @property
    def last_turn_s(self) -> float:
        """The second of the monotonic clock at which the account had its last turn."""
        return self._limiter.last_turn_s

    async def log_in(self) -> None:
        """Get a token, so that an account without one fails before any data call."""
        self._stop.check()
        try:
            await self._tokens.get()
        except ApiError:
            self.host = self._route.answered_by
            raise

    async def rows(self, path: str, window: Window, wanted: Callable[[], bool] = lambda: True) -> list[object]:
        """Ask the dataset at `path` for a window, and return the rows as WeChat gave them.

        Passing errors are retried, refused tokens replaced, 45011 slows the account down. Raises `CallError` without
        an answer, `StoppedError` when a stop signal came before the call, `UnwantedError` when it isn't `wanted` any
        more once its turn has come.
        """
        once = partial(self._once, path, window, wanted)
        return await self._route.client.retrying(once, self.account, path, window)

    async def quota_left(self, path: str) -> int | None:
        """Return how many calls of `path` WeChat allows for the rest of the day; None where it doesn't say.

        Raises what a call raises. It isn't retried, and isn't counted as a data call of the account.
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
        """Make one call at the account's pace; again with another token, or slower, where WeChat asks for that."""
        while True:
            token = await self._tokens.get()
            slowdowns = await self._limiter.acquire()
            if not wanted():
                raise UnwantedError
            # Even where it came due while the turn was awaited: to renew it now would delay the call into the next
            # one's turn, and another turn might come too late again, for ever.
            token = self._tokens.token or token
            self.budget.spend(path)
            try:
                answer = await self._route.request(_request(path, window, token))
            except ApiError as error:
                await self._mend(error, token, slowdowns)
                self._route.client.retries += 1
                continue
            finally:
                self.host = self._route.answered_by
            self._tokens.worked(token)
            rows = answer["list"]
            if not isinstance(rows, list):
                raise TransientError("the body's `list` isn't a list")
            return rows

    async def _mend(self, error: ApiError, token: Token, slowdowns: int) -> None:
        """Prepare another call with a newer token, a new day's quota or a slower pace, or raise the error."""
        if error.reaction is Reaction.REFRESH:
            await self._tokens.after_refusal(token, error)
        elif error.reaction is Reaction.STOP_FOR_DAY and self._is_of_yesterday(error):
            log.info("quota.renewed", account=str(self.account))
        elif error.reaction is not Reaction.SLOW or not self._limiter.slow_down(slowdowns):
            raise error
        else:
            log.warning("account.slowed_down", account=str(self.account), errmsg=error.errmsg)

    def _is_of_yesterday(self, error: ApiError) -> bool:
        """Return True if the call was sent before Beijing's midnight, and the answer came after it."""
        return error.sent_at is not None and beijing_day(error.sent_at) < beijing_day(self._clock.now())


def _request(path: str, window: Window, token: Token) -> Request:
    query = {"access_token": token.value.get_secret_value()}
    days = {"begin_date": window.begin.isoformat(), "end_date": window.end.isoformat()}
    return Request(CallKind.DATA, "POST", path, "list", query, days)
