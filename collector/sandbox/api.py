"""The calls of an official account and their rules, without I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from collector.sandbox.allowlists import Allowlists
from collector.sandbox.component import ComponentApi
from collector.sandbox.faults import Fault, Faults, Late
from collector.sandbox.limits import Limits, Meter
from collector.sandbox.publication import ONE_DAY, newest_published, shown_cumulate, shown_summary
from collector.sandbox.question import Question, RefusalError
from collector.sandbox.rows import Row
from collector.sandbox.tokens import Kind, Token, Tokens
from collector.sandbox.world import BEIJING, World

SUMMARY = "/datacube/getusersummary"
CUMULATE = "/datacube/getusercumulate"
SPAN_DAYS = 7

Answer = dict[str, Any]
_Shown = Callable[[World, str, date, date], list[Row]]

_SHOWN: dict[str, _Shown] = {SUMMARY: shown_summary, CUMULATE: shown_cumulate}
_ERRCODES = {Fault.SYSTEM_ERROR: -1, Fault.DAILY_QUOTA: 45009, Fault.MINUTE_QUOTA: 45011}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Api:
    """The API of one world, with its tokens and counted calls. Each question brings its own time.

    `authorised` is the number of accounts that have authorised the component at the start (None: all).
    """

    def __init__(self, world: World, faults: Faults, limits: Limits, authorised: int | None = None) -> None:
        self._world = world
        self._faults = faults
        self._limits = limits
        self._meter = Meter()
        self._allowlists = Allowlists(faults.refused_ips)
        self.tokens = Tokens(limits)
        self.component = ComponentApi(world, faults, self.tokens, self._allowlists, authorised)
        self._calls: dict[str, tuple[str, Callable[[Question], Answer]]] = {
            "/cgi-bin/stable_token": ("POST", self._stable_token),
            "/cgi-bin/token": ("GET", self._classic_token),
            SUMMARY: ("POST", self._data),
            CUMULATE: ("POST", self._data),
            "/cgi-bin/openapi/quota/get": ("POST", self._quota),
        } | {path: ("POST", call) for path, call in self.component.calls.items()}

    def knows(self, path: str) -> bool:
        """Return True if there is such a call."""
        return path in self._calls

    def appid_of(self, question: Question) -> str | None:
        """Return the appid of a call: the owner of its token, else the appid in the query or body."""
        if question.token:
            return self.tokens.owner(question.token)
        named = question.query.get("appid") or question.get("appid") or question.get("component_appid")
        return named if isinstance(named, str) else None

    def answer(self, question: Question, fault: Fault | None = None) -> Answer:
        """Answer a question whose path is known, with `fault` if that is one of the API's own.

        Raises:
            RefusalError: the answer is an errcode.
        """
        method, call = self._calls[question.path]
        if question.method != method:
            raise RefusalError(43002 if method == "POST" else 43001)
        # Before the call itself, so that a refused call counts against no quota.
        if fault in _ERRCODES:
            raise RefusalError(_ERRCODES[fault])
        if fault in (Fault.TOKEN_REVOKED, Fault.TOKEN_STUCK):
            self.tokens.revoke(question.token, question.seconds, still_offered=fault is Fault.TOKEN_STUCK)
        answer = call(question)
        return {"list": None} if fault is Fault.LIST_NULL else answer

    def _stable_token(self, question: Question) -> Answer:
        data = question.require_data()
        appid = self._authenticate(data.get("grant_type"), data.get("appid"), data.get("secret"))
        now = question.seconds
        token = self.tokens.stable(appid, now, force=data.get("force_refresh") is True, day=question.day)
        return {"access_token": token.text, "expires_in": token.expires_in(now)}

    def _classic_token(self, question: Question) -> Answer:
        query = question.query
        appid = self._authenticate(query.get("grant_type"), query.get("appid"), query.get("secret"))
        if not self._meter.take((appid, question.path), question.day, self._limits.token_calls_daily):
            raise RefusalError(45009)
        token = self.tokens.replace(appid, Kind.CLASSIC, question.seconds)
        return {"access_token": token.text, "expires_in": token.expires_in(question.seconds)}

    def _authenticate(self, grant_type: object, appid: object, secret: object) -> str:
        if grant_type != "client_credential":
            raise RefusalError(40002)
        if not appid:
            raise RefusalError(41002)
        if not secret:
            raise RefusalError(41004)
        account = self._world.account_of.get(str(appid))
        if account is None:
            raise RefusalError(40013)
        self._allowlists.admit_to_account(account.appid)
        broken = self._faults.token_errcode(account.appid)
        if broken:
            raise RefusalError(broken)
        if account.secret != secret:
            raise RefusalError(40125)
        return account.appid

    def _data(self, question: Question) -> Answer:
        appid = self._account_token(question).appid
        if appid not in self._world.account_of:
            raise RefusalError(48001)  # a mini program has no followers
        broken = self._faults.data_errcode(appid)
        if broken:
            raise RefusalError(broken)
        self._take_quota(appid, question)
        yesterday = question.now.astimezone(BEIJING).date() - ONE_DAY
        begin, end = _window(question.require_data(), yesterday)
        published = newest_published(question.now, self._world.published_at)
        # WeChat doesn't refuse a day that isn't published yet: the list just ends the day before.
        if end > published or self._is_late(appid, question, end):
            end -= ONE_DAY
        shown = _SHOWN[question.path]
        days = (begin + ONE_DAY * n for n in range((end - begin).days + 1))
        return {"list": [row for day in days for row in shown(self._world, appid, day, published)]}

    def _account_token(self, question: Question) -> Token:
        token = self.tokens.find(question.token, question.seconds)
        # The component's own token is valid for the calls of the platform alone.
        if token.kind is Kind.COMPONENT:
            raise RefusalError(40001)
        self._allowlists.admit_to_account(token.appid)
        if token.kind is Kind.AUTHORIZER:
            self.component.authorisations.require(token.appid)
        return token

    def _take_quota(self, appid: str, question: Question) -> None:
        if not self._meter.take((appid, "minute"), int(question.seconds // 60), self._limits.minute):
            raise RefusalError(45011)
        if not self._meter.take((appid, question.path), question.day, self._limits.daily):
            raise RefusalError(45009)

    def _is_late(self, appid: str, question: Question, end: date) -> bool:
        """Return True if the fault of a late yesterday withholds the last day of the window."""
        local = question.now.astimezone(BEIJING)
        if end != local.date() - ONE_DAY or local.time() >= self._faults.late_until:
            return False
        late = self._faults.late(appid, question.path, end)
        if late is Late.REFUSED:
            raise RefusalError(61503)
        return late is Late.SHORT

    def _quota(self, question: Question) -> Answer:
        appid = self._account_token(question).appid
        path = question.require_data().get("cgi_path")
        if path not in _SHOWN:
            raise RefusalError(76021)
        used = self._meter.used((appid, path), question.day)
        return {
            "errcode": 0,
            "errmsg": "ok",
            "quota": {"daily_limit": self._limits.daily, "used": used, "remain": self._limits.daily - used},
            "rate_limit": {"call_count": self._limits.minute, "refresh_second": 60},
        }


def _window(data: Answer, yesterday: date) -> tuple[date, date]:
    """Return the first and the last day of the call.

    Raises:
        RefusalError: a date is missing or malformed (61500), or the range isn't allowed (61501).
    """
    begin, end = _day(data.get("begin_date")), _day(data.get("end_date"))
    if not begin <= end <= yesterday or (end - begin).days >= SPAN_DAYS:
        raise RefusalError(61501)
    return begin, end


def _day(value: object) -> date:
    # `date.fromisoformat` alone would take 20261124 and 2026-W48-2 as well.
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise RefusalError(61500)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise RefusalError(61500) from None
