"""The calls of an official account and their rules, without I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from collector.sandbox.allowlists import Allowlists
from collector.sandbox.component import ComponentApi
from collector.sandbox.faults import Fault, Faults, Late
from collector.sandbox.limits import Limits, Meter
from collector.sandbox.publication import ONE_DAY, newest_published, shown_cumulate, shown_summary
from collector.sandbox.question import Answer, Question, RefusalError, refuse_if
from collector.sandbox.tokens import Kind, Token, Tokens
from collector.sandbox.world import BEIJING, World

SUMMARY = "/datacube/getusersummary"
CUMULATE = "/datacube/getusercumulate"
SPAN_DAYS = 7

_SHOWN = {SUMMARY: shown_summary, CUMULATE: shown_cumulate}
_ERRCODES = {Fault.SYSTEM_ERROR: -1, Fault.DAILY_QUOTA: 45009, Fault.MINUTE_QUOTA: 45011}


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
        self.calls: dict[str, tuple[str, Callable[[Question], Answer]]] = {
            "/cgi-bin/stable_token": ("POST", self._stable_token),
            "/cgi-bin/token": ("GET", self._classic_token),
            SUMMARY: ("POST", self._data),
            CUMULATE: ("POST", self._data),
            "/cgi-bin/openapi/quota/get": ("POST", self._quota),
        } | {path: ("POST", call) for path, call in self.component.calls.items()}

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
        method, call = self.calls[question.path]
        refuse_if(question.method != method, 43002 if method == "POST" else 43001)
        # Before the call itself, so that a refused call counts against no quota.
        if fault in _ERRCODES:
            raise RefusalError(_ERRCODES[fault])
        if fault in (Fault.TOKEN_REVOKED, Fault.TOKEN_STUCK):
            self.tokens.revoke(question.token, question.seconds, still_offered=fault is Fault.TOKEN_STUCK)
        answer = call(question)
        return {"list": None} if fault is Fault.LIST_NULL else answer

    def _stable_token(self, question: Question) -> Answer:
        appid = self._authenticate(question.require_data())
        force = question.get("force_refresh") is True
        token = self.tokens.stable(appid, question.seconds, force=force, day=question.day)
        return {"access_token": token.text, "expires_in": token.expires_in(question.seconds)}

    def _classic_token(self, question: Question) -> Answer:
        appid = self._authenticate(question.query)
        refuse_if(not self._meter.take((appid, question.path), question.day, self._limits.token_calls_daily), 45009)
        token = self.tokens.replace(appid, Kind.CLASSIC, question.seconds)
        return {"access_token": token.text, "expires_in": token.expires_in(question.seconds)}

    def _authenticate(self, credentials: Mapping[str, object]) -> str:
        """Return the appid of an account whose credentials are right."""
        refuse_if(credentials.get("grant_type") != "client_credential", 40002)
        refuse_if(not credentials.get("appid"), 41002)
        refuse_if(not credentials.get("secret"), 41004)
        appid = str(credentials["appid"])
        refuse_if(appid not in self._world.account_of, 40013)
        self._allowlists.admit_to_account(appid)
        if broken := self._faults.token_errcode(appid):
            raise RefusalError(broken)
        refuse_if(credentials["secret"] != self._world.account_of[appid].secret, 40125)
        return appid

    def _data(self, question: Question) -> Answer:
        appid = self._account_token(question).appid
        refuse_if(appid not in self._world.account_of, 48001)  # a mini program has no followers
        if broken := self._faults.data_errcode(appid):
            raise RefusalError(broken)
        refuse_if(not self._meter.take((appid, "minute"), int(question.seconds // 60), self._limits.minute), 45011)
        refuse_if(not self._meter.take((appid, question.path), question.day, self._limits.daily), 45009)
        yesterday = question.now.astimezone(BEIJING).date() - ONE_DAY
        begin, end = _window(question.require_data(), yesterday)
        published = newest_published(question.now, self._world.publication(appid, yesterday))
        # WeChat doesn't refuse a day that isn't published yet: the list just ends the day before.
        if end > published or self._is_late(appid, question, end):
            end -= ONE_DAY
        shown = _SHOWN[question.path]
        days = (begin + ONE_DAY * n for n in range((end - begin).days + 1))
        return {"list": [row for day in days for row in shown(self._world, appid, day, published)]}

    def _account_token(self, question: Question) -> Token:
        token = self.tokens.find(question.token, question.seconds)
        # The component's own token is valid for the calls of the platform alone.
        refuse_if(token.kind is Kind.COMPONENT, 40001)
        self._allowlists.admit_to_account(token.appid)
        if token.kind is Kind.AUTHORIZER:
            self.component.authorisations.require(token.appid)
        return token

    def _is_late(self, appid: str, question: Question, end: date) -> bool:
        """Return True if the fault of a late yesterday withholds the last day of the window."""
        local = question.now.astimezone(BEIJING)
        if end != local.date() - ONE_DAY or local.time() >= self._faults.late_until:
            return False
        late = self._faults.late(appid, question.path, end)
        refuse_if(late is Late.REFUSED, 61503)
        return late is Late.SHORT

    def _quota(self, question: Question) -> Answer:
        appid = self._account_token(question).appid
        path = question.require_data().get("cgi_path")
        refuse_if(path not in _SHOWN, 76021)
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
    refuse_if(not begin <= end <= yesterday or (end - begin).days >= SPAN_DAYS, 61501)
    return begin, end


def _day(value: object) -> date:
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise RefusalError(61500) from None
    # `date.fromisoformat` alone would take 20261124 and 2026-W48-2 as well.
    refuse_if(day.isoformat() != value, 61500)
    return day
