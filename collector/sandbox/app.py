"""The sandbox as a local server. The only module that imports aiohttp.web."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Self

import orjson
from aiohttp import web

from collector.sandbox.api import CUMULATE, SUMMARY, Api
from collector.sandbox.dice import hex_digits
from collector.sandbox.faults import Fault, Faults, TokenServerFault
from collector.sandbox.limits import Limits
from collector.sandbox.question import HTML, Answered, Question, RefusalError, Reply, json_object
from collector.sandbox.tokens import Kind
from collector.sandbox.tokenserver import TokenServer
from collector.sandbox.world import World

HOST = "127.0.0.1"

_JSON = {"Content-Type": "application/json; encoding=utf-8"}  # as WeChat writes it
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

_SHUTDOWN_S = 0.1
"""The time that calls in flight get at the end, before hanging ones are cut off."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request and its answer.

    `arrived_s` is `time.monotonic()` at its arrival, `status` the HTTP status (None: a fault withheld the answer),
    `errcode` WeChat's (0: none), `fault` the fault that was drawn for it.
    """

    arrived_s: float
    appid: str | None
    path: str
    begin_date: Any
    end_date: Any
    status: int | None
    errcode: int
    fault: Fault | TokenServerFault | None


_SPOILT = {
    Fault.HTTP_5XX: Reply(502, HTML, _PAGE),
    Fault.HTML: Reply(200, HTML, _PAGE),
    Fault.RESET: None,
    Fault.HANG: None,
}
"""The replies of faults that need no answer of the API; None is no reply at all."""

_HANGING = frozenset({Fault.HANG, TokenServerFault.LATE})


@dataclass(slots=True)
class Sandbox:
    """A server of a world and its token server on 127.0.0.1, open within `async with`.

    * `authorised`: the number of accounts, from the first one on, that have authorised the component at the start
      (None: all). All mini programs have.
    * `clock`: returns the time, with a zone.
    * `latency_s`: a delay before each answer.
    * `port`: 0 takes a free one.
    * `record`: list each request in `calls`, which only grows: turn it off for long runs.
    * `sends_date`: send the time of `clock` as the `Date` of each answer; without it answers have no `Date`.
    """

    world: World
    _: KW_ONLY
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    authorised: int | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    latency_s: float = 0.0
    port: int = 0
    record: bool = True
    sends_date: bool = True
    calls: list[Call] = field(init=False, default_factory=list, repr=False)
    _api: Api = field(init=False, repr=False)
    _token_server: TokenServer = field(init=False, repr=False)
    _asked: Counter[tuple[str, str]] = field(init=False, default_factory=Counter, repr=False)
    _refused: int = field(init=False, default=0, repr=False)
    _runner: web.ServerRunner = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._api = Api(self.world, self.faults, self.limits, self.authorised)
        self._token_server = TokenServer(self.world, self.faults, self._api.tokens, self._api.component.ticket)

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The base URL: the one entry of `api.hosts`."""
        return f"http://{HOST}:{self.port}"

    def authorise(self, appid: str) -> None:
        """Authorise the component for a client, or authorise it again, which ends the refresh token before.

        Raises:
            KeyError: the world has neither an account nor a mini program of that appid.
        """
        self._api.component.authorisations.authorise(appid, int(self.clock().timestamp()))

    def withdraw(self, appid: str) -> None:
        """Withdraw a client's authorisation: it leaves the list, and calls about it get 61003.

        Raises:
            KeyError: there is no authorisation of that appid.
        """
        self._api.component.authorisations.withdraw(appid)

    def shrink_list(self, size: int) -> None:
        """Leave all but the first `size` accounts out of the next reading of the component's list.

        `total_count` is `size` too, so only calls about the accounts show that they are still authorised.
        """
        self._api.component.shrink_list(size)

    def refresh_token(self, appid: str) -> str:
        """Return the valid `authorizer_refresh_token`.

        Raises:
            KeyError: there is no authorisation of that appid.
        """
        return self._api.component.authorisations[appid].refresh_token

    def end_component_token(self) -> None:
        """End all tokens of the component at once, as if its platform had fetched a new one without a grace."""
        self._api.tokens.end(self.world.component.appid, Kind.COMPONENT, self.clock().timestamp())

    def renew_ticket(self) -> None:
        """Push a new `component_verify_ticket`: earlier ones get 61005."""
        self._api.component.ticket.renew()

    def config_yaml(self, *, mongodb_uri: str | None = None, since: str | None = None) -> str:
        """Return the text of an `accounts.yaml` for a collector of this sandbox.

        Without `mongodb_uri` the collector uses its local MongoDB; `since` is the first day wanted.
        """
        lines = ["mongodb:", f"  uri: {_quoted(mongodb_uri)}"] if mongodb_uri else []
        lines += ["api:", f"  hosts: [{_quoted(self.url)}]"]
        lines += ["run:", f"  published_at: {_quoted(f'{self.world.published_at:%H:%M}')}"]
        lines += ["defaults:", f"  since: {_quoted(since)}"] if since else []
        lines += ["accounts:"]
        for account in self.world.accounts:
            name, appid, secret = map(_quoted, (account.name, account.appid, account.secret))
            lines += [f"  - name: {name}", f"    appid: {appid}", f"    secret: {secret}"]
        return "\n".join(lines) + "\n"

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        arrived_s = time.monotonic()
        body = await request.read()
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        authorization = request.headers.get("Authorization")
        question = Question(
            request.path, request.method, request.query, body, json_object(body), self.clock(), authorization
        )
        # The token server has paths of its own, so it is asked first and passes on all others.
        answered = self._token_server.answer(question) or self._wechat(question)
        if self.record:
            self.calls.append(_call(arrived_s, question, answered))
        date = {"Date": formatdate(question.seconds, usegmt=True)} if self.sends_date else {}
        return await _send(request, answered, date)

    def _wechat(self, question: Question) -> Answered:
        appid = self._api.appid_of(question)
        if question.path not in self._api.calls:
            return Answered(appid, None, Reply(404, {}, b""))
        fault = self._draw_fault(appid, question.path)
        return Answered(appid, fault, self._reply(question, fault))

    def _draw_fault(self, appid: str | None, path: str) -> Fault | None:
        # Faults are drawn by appid and count, so a call without a known appid has none.
        if appid not in self.world.account_of and appid != self.world.component.appid:
            return None
        self._asked[appid, path] += 1
        return self.faults.draw(appid, path, self._asked[appid, path], data_call=path in (SUMMARY, CUMULATE))

    def _reply(self, question: Question, fault: Fault | None) -> Reply | None:
        """Return the reply; None if nothing is to be sent."""
        if fault in _SPOILT:
            return _SPOILT[fault]
        try:
            return Reply(200, _JSON, orjson.dumps(self._api.answer(question, fault)))
        except RefusalError as refusal:
            self._refused += 1
            number = hex_digits(16, "rid", self._refused)
            rid = f"{int(question.seconds):08x}-{number[:8]}-{number[8:]}"
            body = {"errcode": refusal.errcode, "errmsg": f"{refusal.errmsg} rid: {rid}"}
            return Reply(200, _JSON, orjson.dumps(body), refusal.errcode)


def _call(arrived_s: float, question: Question, answered: Answered) -> Call:
    reply = answered.reply
    return Call(
        arrived_s=arrived_s,
        appid=answered.appid,
        path=question.path,
        begin_date=question.get("begin_date"),
        end_date=question.get("end_date"),
        status=reply.status if reply else None,
        errcode=reply.errcode if reply else 0,
        fault=answered.fault,
    )


async def _send(request: web.BaseRequest, answered: Answered, date: Mapping[str, str]) -> web.StreamResponse:
    reply = answered.reply
    if reply is None:
        if answered.fault in _HANGING:
            # Cancelled when the client leaves or the sandbox ends.
            await asyncio.get_running_loop().create_future()
        request.protocol.force_close()
        return web.Response()
    headers = {**reply.headers, **date}
    if answered.fault is not Fault.CUT_BODY:
        return _Response(status=reply.status, headers=headers, body=reply.body)
    headers["Content-Length"] = str(len(reply.body))
    half = _Response(status=reply.status, headers=headers, body=reply.body[: len(reply.body) // 2])
    # Sent here: `force_close` closes the connection at once, before the server would send the response.
    await half.prepare(request)
    await half.write_eof()
    request.protocol.force_close()
    return half


class _Response(web.Response):
    """A response with the `Date` of its headers, or without one."""

    # aiohttp adds the host's time here to a response without a `Date`, and no setting prevents it.
    async def _prepare_headers(self) -> None:
        has_date = "Date" in self.headers
        await super()._prepare_headers()
        if not has_date:
            del self.headers["Date"]


def _quoted(text: str) -> str:
    """Quote a text for YAML, as JSON does."""
    return orjson.dumps(text).decode()
