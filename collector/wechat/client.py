"""The only door to aiohttp: one request in, one JSON object out, every fault translated.

Addresses of calls carry tokens and secrets, so no exception of aiohttp leaves this module, not even as
a cause, and no body of unknown shape is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NoReturn, Self, TypeVar

import aiohttp
import orjson
import stamina
import structlog

from collector.errors import CallError, CallKind, HostError, Reaction, TransientError, printable
from collector.model import Secret
from collector.wechat.errcodes import api_error
from collector.wechat.waits import Stop

log = structlog.get_logger()
T = TypeVar("T")

TRIES = 4
"""How often a call is made before its trouble counts."""

MOST_BYTES = 4 * 1024 * 1024
"""The largest body that is read; seven days of sources take a few kilobytes."""

MOST_ERRCODE = 10**9
"""WeChat's errcodes have up to seven digits; more than nine are no errcode."""

_DIGITS = re.compile("-?[0-9]{1,10}")
_RETRIED_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_SECRET_KEYS = ("access_token", "secret")


@dataclass(frozen=True, slots=True)
class Request:
    """One call: what kind, where, with what, and the key that its answer must have."""

    kind: CallKind
    method: str
    path: str
    expect: str
    query: Mapping[str, str] = field(repr=False)  # tokens and secrets, as the body may hold them
    body: Mapping[str, object] | None = field(default=None, repr=False)


class Client:
    """Makes calls to WeChat's hosts, one after the other of them when connections fail, and counts them.

    `calls` counts requests sent for data, retries included; `token_calls` those for tokens; `retries`
    the repetitions; `answered` says whether any host ever gave an HTTP answer in this run.
    """

    def __init__(self, session: aiohttp.ClientSession, hosts: Sequence[str], *, stop: Stop) -> None:
        self.calls = 0
        self.token_calls = 0
        self.retries = 0
        self.answered = False
        self._session = session
        self._hosts = tuple(hosts)
        self._host = 0
        self._stop = stop

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, hosts: Sequence[str], *, timeout_s: float, proxy: Secret | None, connections: int, stop: Stop
    ) -> AsyncIterator[Self]:
        """A client with a session of its own, sized for `connections` calls in flight."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            proxy=proxy.get_secret_value() if proxy else None,
            json_serialize=lambda value: orjson.dumps(value).decode(),
        ) as session:
            yield cls(session, hosts, stop=stop)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are tried, in order."""
        return self._hosts

    async def retrying(self, call: Callable[[], Awaitable[T]], *, what: object = "") -> T:
        """Make a call up to `TRIES` times while its trouble is a passing one, backing off with jitter.

        Raises the last error of a passing trouble, any other error at once, and `StoppedError` when a stop
        signal ends a wait or came before. `what` names the call in the log.
        """
        self._stop.check()
        try:
            return await call()
        except CallError as error:
            if not _passes(error):
                raise
            trouble = error
        # stamina costs some microseconds a call, so it enters with the first trouble and is shown that again
        attempts = aiter(stamina.retry_context(on=_passes, attempts=TRIES, timeout=None, wait_initial=0.5, wait_max=8))
        while True:
            async with self._stop.ends():
                attempt = await anext(attempts)
            with attempt:
                if attempt.num == 1:
                    raise trouble
                self.retries += 1
                log.debug("call.retried", call=str(what), number=attempt.num - 1, trouble=str(trouble))
                return await call()

    async def request(self, request: Request) -> dict[str, Any]:
        """Make one request and return its JSON object, which has the key that the request expects.

        Raises `HostError` without a whole HTTP answer, `TransientError` for HTTP 5xx, 408, 429 and bodies
        that are cut or no JSON object or lack the key, `ApiError` for an errcode other than 0, `CallError`
        for any other HTTP status.
        """
        if request.kind is CallKind.DATA:
            self.calls += 1
        else:
            self.token_calls += 1
        status, body = await self._exchange(request)
        if status != HTTPStatus.OK:
            _raise_for_status(status, request.kind)
        return _answer(body, request)

    async def _exchange(self, request: Request) -> tuple[int, bytes]:
        number = self._host
        host = self._hosts[number]
        try:
            async with self._session.request(
                request.method, host + request.path, params=request.query, json=request.body, allow_redirects=False
            ) as response:
                self.answered = True
                return response.status, await _read(response, request.kind)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # time-outs are OSErrors, odd names ValueErrors
            trouble = _trouble(error)
        self._leave(number, trouble)
        raise HostError(
            f"{host} gave no answer ({trouble})",
            kind=request.kind,
            hint=f"WeChat couldn't be reached ({', '.join(self._hosts)}): check network, proxy and api.hosts",
        )

    def _leave(self, number: int, trouble: str) -> None:
        """Go on with the next host, for the rest of the run; calls that failed beside this one change nothing more."""
        if number == self._host and len(self._hosts) > 1:
            self._host = (number + 1) % len(self._hosts)
            log.info("host.left", host=self._hosts[number], trouble=trouble, next_host=self._hosts[self._host])


def _passes(error: Exception) -> bool:
    return isinstance(error, CallError) and error.reaction is Reaction.RETRY


async def _read(response: aiohttp.ClientResponse, kind: CallKind) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MOST_BYTES:
            response.close()
            raise TransientError(f"a body of more than {MOST_BYTES} bytes", kind=kind)
        chunks.append(chunk)
    return b"".join(chunks)


def _raise_for_status(status: int, kind: CallKind) -> NoReturn:
    message = f"HTTP {status} instead of an answer"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRIED_STATUSES:
        raise TransientError(message, kind=kind)
    raise CallError(message, kind=kind, hint="this isn't WeChat's way to answer: check api.hosts and the proxy")


def _answer(body: bytes, request: Request) -> dict[str, Any]:
    """The body as an object, if it is an answer: errcode 0 or none, and the expected key."""
    kind = request.kind
    answer = _parsed(body)
    if not isinstance(answer, dict):
        raise TransientError("the body isn't a JSON object, or it is cut", kind=kind)
    errcode, errmsg = _errcode(answer)
    if errcode is None:
        raise TransientError("the errcode isn't a number", kind=kind)
    if errcode != 0:
        raise api_error(errcode, printable(_masked(errmsg, request)), kind)
    if answer.get(request.expect) is None:
        raise TransientError(f"the body has no `{request.expect}`", kind=kind)
    return answer


def _parsed(body: bytes) -> object:
    """The JSON value of `body`, or None; control characters inside strings are tolerated, as WeChat sends them."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body, strict=False, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _errcode(answer: Mapping[str, Any]) -> tuple[int | None, str]:
    """The errcode (0 where there is none, None where it isn't a number) and the errmsg, wrapped or not."""
    wrapped = answer.get("base_resp")
    if isinstance(wrapped, dict) and not answer.get("errcode"):
        errcode = wrapped.get("errcode", wrapped.get("ret", 0))
        errmsg = wrapped.get("errmsg", wrapped.get("err_msg", ""))
    else:
        errcode, errmsg = answer.get("errcode", 0), answer.get("errmsg", "")
    if isinstance(errcode, str) and _DIGITS.fullmatch(errcode):
        errcode = int(errcode)
    if not isinstance(errcode, int) or isinstance(errcode, bool) or abs(errcode) > MOST_ERRCODE:
        return None, ""
    return errcode, str(errmsg)


def _masked(errmsg: str, request: Request) -> str:
    """WeChat's text without the secrets of the request, should it ever repeat one."""
    for holder in (request.query, request.body or {}):
        for key in _SECRET_KEYS:
            if value := holder.get(key):
                errmsg = errmsg.replace(str(value), "***")
    return errmsg


def _trouble(error: BaseException) -> str:
    """What went wrong, in words that hold no address."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate isn't trusted"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name isn't known"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy can't be reached"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused with HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return "no connection"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    return "the connection broke"
