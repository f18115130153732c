"""HTTP client, the only user of aiohttp: one request in, one body out, each error translated.

URLs of calls carry tokens and secrets, so no exception of aiohttp leaves this module, not even as a cause, and no
body of unknown shape is shown.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
import stamina
import structlog
from yarl import URL

from collector.breakers import Breakers
from collector.errors import CallError, OpenFilesError, OriginError, TransientError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import Secret
from collector.runtime import Clock, Stop, is_out_of_files
from collector.secrets.addresses import server_of
from collector.wechat.answers import Request, is_passing
from collector.wechat.connections import Connections

log = structlog.get_logger()
T = TypeVar("T")

MAX_TRIES = 4
"""Times that a call is made before its error counts."""

MAX_BODY_BYTES = 1024 * 1024
"""Size of the largest body that is read. Seven days of sources take a few kilobytes, a page of 500 accounts 350.

What is stored of a body may be several times as large, and MongoDB takes 16 MB.
"""

_HOST_FAILED = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
"""A proxy's answers to CONNECT that mean the host behind it."""

_PROXY_REFUSES = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
"""Those by which it refuses the account for good, so that a retry is of no use."""

UNTRUSTED = "its certificate isn't trusted"
UNTRUSTED_REMEDY = (
    "see who answers there; if that is right, make this host trust the authority that signed its certificate"
)

_NO_ANSWER = (aiohttp.ClientError, OSError, ValueError)
"""Errors of a call without a whole answer: time-outs are OSErrors, odd names ValueErrors."""


KEPT_S = 5
"""Seconds that a connection is kept without a call: longer than the spacing of most accounts, and no longer, since each
is an open file."""

MAX_URLS = 512
"""URLs that are kept, enough for 256 accounts at work; more of them only lose the gain."""


class Trouble(NamedTuple):
    """Why a request had no whole HTTP answer, in `words` without any URL.

    `is_proxys` is True where the proxy is to blame, and not the host, `is_final` where a retry is of no use.
    """

    words: str
    is_proxys: bool = False
    is_final: bool = False


class NoAnswerError(Exception):
    """A request had no whole HTTP answer."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.words)
        self.trouble = trouble


class ToWechat(NamedTuple):
    """Destination of calls to WeChat: a host, and the address of the proxy before it, which may hold a password."""

    host: str
    proxy: str | None


class Client:
    """HTTP client of one run: makes calls to WeChat by its routes and to token servers, retries and counts them.

    `calls` counts requests sent for data, retries included; `token_calls` those for tokens and other credentials;
    `retries` the repetitions; `answered` says whether any host ever gave an HTTP answer in this run, `trouble` is the
    last error without one. `breakers` are the circuit breakers of token servers. Calls wait
    for one of the `connections` outside their time-out: WeChat isn't to blame for that time.

    `clock` tells when a call was sent, and when an unresponsive server is tried again. `before_call` is called before
    each request, however long that waited for its turn; `on_date` is given the time of WeChat's first answer, until it
    has returned once. Both may raise a `CollectorError` to end the run.
    """

    def __init__(self, *, timeout_s: float, connections: int, stop: Stop, clock: Clock, ipv4_only: bool) -> None:
        self.calls = self.token_calls = self.retries = 0
        self.answered = False
        self.trouble = ""
        self.breakers = Breakers(clock.monotonic)
        # An account asks at the same two URLs for all of its history: building them anew is 6 % of a backfill's CPU.
        # They hold tokens, so they are kept no longer than the run.
        self.url_of = lru_cache(MAX_URLS)(_url)
        self.clock = clock
        self.before_call: Callable[[], None] = _nothing
        self.on_date: Callable[[datetime], None] | None = None
        self.connections = Connections(connections, self._session)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._family = socket.AF_INET if ipv4_only else socket.AF_UNSPEC
        self._stop = stop

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        *,
        timeout_s: float,
        connections: int,
        stop: Stop,
        clock: Clock | None = None,
        ipv4_only: bool = False,
    ) -> AsyncIterator[Self]:
        """Open a client for `connections` calls in flight; with `ipv4_only`, those to WeChat go by IPv4.

        `clock` is this host's by default.
        """
        client = cls(
            timeout_s=timeout_s, connections=connections, stop=stop, clock=clock or Clock(), ipv4_only=ipv4_only
        )
        try:
            yield client
        finally:
            await client.connections.close()

    def _session(self, destination: Hashable) -> aiohttp.ClientSession:
        """Open the session of a destination, whose connections `self.connections` counts."""
        family = self._family if isinstance(destination, ToWechat) else socket.AF_UNSPEC
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S, ttl_dns_cache=300, family=family),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            json_serialize_bytes=orjson.dumps,
        )

    async def retrying(self, call: Callable[[], Awaitable[T]], *what: object) -> T:
        """Make a call up to `MAX_TRIES` times while its error is a passing one, backing off with jitter.

        Raises the last one of the passing errors, any other error at once, and `StoppedError` when a stop signal
        ends a wait or came before. `what` names the call in the log.
        """
        self._stop.check()
        try:
            return await call()
        except CallError as error:
            if not _passes(error):
                raise
            trouble = error
        # stamina costs some microseconds a call, so it is used only from the first error on, its first attempt.
        attempts = aiter(
            stamina.retry_context(on=_passes, attempts=MAX_TRIES, timeout=None, wait_initial=0.5, wait_max=8)
        )
        while True:
            async with self._stop.ends():
                attempt = await anext(attempts)
            with attempt:
                if attempt.num == 1:
                    raise trouble
                self.retries += 1
                log.debug("call.retried", call=" ".join(map(str, what)), number=attempt.num - 1, trouble=str(trouble))
                return await call()

    async def exchange(self, destination: ToWechat, request: Request) -> tuple[int, bytes, str | None]:
        """Make one request to WeChat; return the status, the body, and the `Date` of the answer.

        Raises `NoAnswerError` without a whole HTTP answer, `OpenFilesError` where this host has no file left for it.
        """
        if request.kind is CallKind.DATA:
            self.calls += 1
        else:
            self.token_calls += 1
        host, proxy = destination
        try:
            with await self.connections.turn(destination) as session:
                self.before_call()
                url = self.url_of(host + request.path, tuple(request.query.items()))
                response = await session.request(
                    request.method, url, json=request.body, proxy=proxy, allow_redirects=False
                )
                self.answered = True
                return response.status, await _read(response, request.kind), response.headers.get("Date")
        except _NO_ANSWER as error:
            if is_out_of_files(error):  # then neither the host nor the proxy is to blame
                raise OpenFilesError(kind=request.kind) from None
            trouble = _trouble(error, proxy)
        self.trouble = trouble.words
        raise NoAnswerError(trouble)

    async def fetch(self, url: Secret, headers: Mapping[str, str]) -> bytes:
        """Return the body that a server of the agency's own gives to GET, by no route of WeChat's.

        Raises `TransientError` without an answer and for HTTP 5xx, 408, 429, `OriginError` for any other status
        than 200 and for a request that can't be sent. Both name the server and nothing more of the URL.
        """
        self.token_calls += 1
        server = server_of(url)
        status, body, trouble = None, b"", ""
        try:
            with await self.connections.turn(server) as session:
                self.before_call()
                response = await session.get(url.get_secret_value(), headers=headers, allow_redirects=False)
                status, body = response.status, await _read(response, CallKind.TOKEN)
        except _NO_ANSWER as error:
            if is_out_of_files(error):
                raise OpenFilesError(kind=CallKind.TOKEN) from None
            # A ValueError is an odd name, or an Authorization header beside a user in the URL, or a certificate's.
            is_sent = isinstance(error, aiohttp.ClientConnectorError) or not isinstance(error, ValueError)
            trouble = _trouble(error).words if is_sent else ""
        if status == HTTPStatus.OK:
            return body
        if trouble or (status and is_passing(status)):
            what = trouble or f"HTTP {status}"
            remedy = UNTRUSTED_REMEDY if trouble == UNTRUSTED else "see that it runs and can be reached from here"
            hint = f"the server {server} gives no answer ({what}): {remedy}"
            raise TransientError(f"the server {server} gives no answer ({what})", kind=CallKind.TOKEN, hint=hint)
        what = f"answered HTTP {status}" if status else "can't be asked like this"
        raise OriginError(f"the server {server} {what}", "check `url` and `headers`")


def _nothing() -> None:
    """Permit every call."""


def _url(endpoint: str, query: tuple[tuple[str, str], ...]) -> URL:
    return URL(endpoint).extend_query(query)


def _passes(error: Exception) -> bool:
    return isinstance(error, CallError) and error.reaction is Reaction.RETRY


async def _read(response: aiohttp.ClientResponse, kind: CallKind) -> bytes:
    """Return the whole body, and release the connection, for another call if the body came to its end."""
    body = bytearray()
    try:
        while not response.content.at_eof():
            body += await response.content.readany()
            if len(body) > MAX_BODY_BYTES:
                response.close()
                raise TransientError(f"a body of more than {MAX_BODY_BYTES} bytes", kind=kind)
    finally:
        response.release()
    return bytes(body)


def _trouble(error: BaseException, proxy: str | None = None) -> Trouble:
    """Return why a call got no answer, by `proxy` if there is one."""
    if isinstance(error, TimeoutError):
        return Trouble("timed out")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        if proxy and _is_at(error, proxy):
            return Trouble("the proxy's certificate isn't trusted", is_proxys=True)
        return Trouble(UNTRUSTED)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Trouble("the proxy's name isn't known", is_proxys=True) if proxy else Trouble("its name isn't known")
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return Trouble("the proxy can't be reached", is_proxys=True)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status in _HOST_FAILED:
            return Trouble(f"no connection by the proxy: HTTP {error.status}")
        words = f"the proxy refused with HTTP {error.status}"
        return Trouble(words, is_proxys=True, is_final=error.status in _PROXY_REFUSES)
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return Trouble("no connection")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Trouble("the answer broke off")
    return Trouble("the connection broke")


def _is_at(error: aiohttp.ClientConnectorError, proxy: str) -> bool:
    """Return True if the connection failed to the proxy itself, and not to the host behind it."""
    parts = urlsplit(proxy)
    return (error.host, error.port) == (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
