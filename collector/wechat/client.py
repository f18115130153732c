"""HTTP client, the only user of aiohttp: one request in, one body out, each error translated.

URLs of calls carry tokens and secrets, so no exception of aiohttp leaves this module, not even as a cause, and no
body of unknown shape is shown.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
import stamina
import structlog
from yarl import URL

from collector.errors import ApiError, CallError, CallKind, HostError, OriginError, Reaction, TransientError
from collector.model.accounts import Origin, Secret
from collector.runtime import CircuitBreaker, Clock, Stop, let_others_catch_up
from collector.secrets.addresses import proxy_url, server_of
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, answer_in, instant_in, is_passing, refusal

log = structlog.get_logger()
T = TypeVar("T")

MAX_TRIES = 4
"""Times that a call is made before its error counts."""

MAX_BODY_BYTES = 1024 * 1024
"""Size of the largest body that is read. Seven days of sources take a few kilobytes, a page of 500 accounts 350.

What is stored of a body may be several times as large, and MongoDB takes 16 MB.
"""

_PROXY = "the proxy"
"""First words of an error that is the proxy's own, and no host's."""

_UNTRUSTED = "its certificate isn't trusted"
_UNTRUSTED_REMEDY = (
    "see who answers there; if that is right, make this host trust the authority that signed its certificate"
)

_NO_ANSWER = (aiohttp.ClientError, OSError, ValueError)
"""Errors of a call without a whole answer: time-outs are OSErrors, odd names ValueErrors."""


MAX_URLS = 512
"""URLs that are kept, enough for 256 accounts at work; more of them only lose the gain."""


class Client:
    """HTTP client of one run: makes calls to WeChat by its routes and to token servers, retries and counts them.

    `calls` counts requests sent for data, retries included; `token_calls` those for tokens and other credentials;
    `retries` the repetitions; `answered` says whether any host ever gave an HTTP answer in this run, `trouble` is the
    last error without one. `breakers` are the circuit breakers of token servers and commands by their name in
    messages. Calls wait for one of the `slots` outside their time-out: WeChat isn't to blame for that time.

    `clock` tells when a call was sent. `on_date` is given the time of WeChat's first answer, until it has returned
    once. It may raise a `CollectorError` to end the run.
    """

    def __init__(
        self, session: aiohttp.ClientSession, direct: aiohttp.ClientSession, slots: asyncio.Semaphore, *, stop: Stop
    ) -> None:
        self.calls = self.token_calls = self.retries = 0
        self.answered = False
        self.trouble = ""
        self.breakers: dict[str, CircuitBreaker[CallError]] = defaultdict(CircuitBreaker)
        # An account asks at the same two URLs for all of its history: building them anew is 6 % of a backfill's CPU.
        # They hold tokens, so they are kept no longer than the run.
        self.url_of = lru_cache(MAX_URLS)(_url)
        self.clock = Clock()
        self.on_date: Callable[[datetime], None] | None = None
        self.session = session
        self.slots = slots
        self._direct = direct
        self._stop = stop

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, *, timeout_s: float, connections: int, stop: Stop, ipv4_only: bool = False
    ) -> AsyncIterator[Self]:
        """Open a client for `connections` calls in flight; with `ipv4_only`, those to WeChat go by IPv4."""

        def session(family: socket.AddressFamily) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=300, family=family),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                json_serialize_bytes=orjson.dumps,
            )

        family = socket.AF_INET if ipv4_only else socket.AF_UNSPEC
        async with session(family) as to_wechat, session(socket.AF_UNSPEC) as direct:
            yield cls(to_wechat, direct, asyncio.Semaphore(connections), stop=stop)

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

    async def fetch(self, url: Secret, headers: Mapping[str, str]) -> bytes:
        """Return the body that a server of the agency's own gives to GET, by no route of WeChat's.

        Raises `TransientError` without an answer and for HTTP 5xx, 408, 429, `OriginError` for any other status
        than 200 and for a request that can't be sent. Both name the server and nothing more of the URL.
        """
        self.token_calls += 1
        server = server_of(url)
        status, body, trouble = None, b"", ""
        try:
            async with self.slots:
                response = await self._direct.get(url.get_secret_value(), headers=headers, allow_redirects=False)
                status, body = response.status, await _read(response, CallKind.TOKEN)
        except _NO_ANSWER as error:
            # A ValueError is an odd name, or an Authorization header beside a user in the URL, or a certificate's.
            is_sent = isinstance(error, aiohttp.ClientConnectorError) or not isinstance(error, ValueError)
            trouble = _trouble(error) if is_sent else ""
        if status == HTTPStatus.OK:
            return body
        if trouble or (status and is_passing(status)):
            what = trouble or f"HTTP {status}"
            remedy = _UNTRUSTED_REMEDY if trouble == _UNTRUSTED else "see that it runs and can be reached from here"
            hint = f"the server {server} gives no answer ({what}): {remedy}"
            raise TransientError(f"the server {server} gives no answer ({what})", kind=CallKind.TOKEN, hint=hint)
        what = f"answered HTTP {status}" if status else "can't be asked like this"
        raise OriginError(f"the server {server} {what}", "check `url` and `headers`")


def _url(endpoint: str, query: tuple[tuple[str, str], ...]) -> URL:
    return URL(endpoint).extend_query(query)


class Route:
    """One route to WeChat: its hosts, with failover to the next when a connection fails, by a proxy or without.

    A host that failed isn't tried again before all others were. `answered_by` is the host of the last answer;
    `is_common` says whether it is the route of all accounts that have none of their own.
    """

    def __init__(
        self, client: Client, hosts: Sequence[str], proxy: Origin | None, secrets: Secrets, *, is_common: bool = True
    ) -> None:
        self.client = client
        self.is_common = is_common
        self.hosts = tuple(hosts)
        self.proxy = proxy
        self.answered_by: str | None = None
        self._secrets = secrets
        self._host = 0
        self._left: set[int] = set()

    async def request(self, request: Request) -> dict[str, Any]:
        """Make one request and return its JSON object, which has the key that the request expects.

        Hands WeChat's time to `on_date`. Raises `HostError` without a whole HTTP answer, `TransientError` for HTTP
        5xx, 408, 429 and malformed bodies, `ApiError` for an errcode other than 0, `CallError` for any other HTTP
        status, `OriginError` when the proxy's URL can't be read.
        """
        await let_others_catch_up()
        proxy = proxy_url(await self._secrets.read(self.proxy)) if self.proxy else None
        if request.kind is CallKind.DATA:
            self.client.calls += 1
        else:
            self.client.token_calls += 1
        sent_s = self.client.clock.monotonic()
        status, body, date = await self._exchange(request, proxy)
        if status != HTTPStatus.OK:
            raise refusal(status, request.kind)
        try:
            answer = answer_in(body, request)
        except ApiError as error:
            self._note_date(date)
            error.sent_at = self.client.clock.instant_of(sent_s)
            raise  # any other error means that it isn't WeChat's answer, nor is the date
        self._note_date(date)
        return answer

    def _note_date(self, date: str | None) -> None:
        """Hand the `Date` of an answer to `on_date`, until that has returned once; a malformed one is left out."""
        if self.is_common and self.client.on_date and (instant := instant_in(date)):
            self.client.on_date(instant)
            self.client.on_date = None  # not before: an error that ends the run must meet all calls in flight

    async def _exchange(self, request: Request, proxy: str | None) -> tuple[int, bytes, str | None]:
        """Make one request; return the status, the body, and the time that the server says it is."""
        number = self._host
        host = self.hosts[number]
        try:
            async with self.client.slots:
                url = self.client.url_of(host + request.path, tuple(request.query.items()))
                response = await self.client.session.request(
                    request.method, url, json=request.body, proxy=proxy, allow_redirects=False
                )
                self.client.answered = True
                self.answered_by = host
                return response.status, await _read(response, request.kind), response.headers.get("Date")
        except _NO_ANSWER as error:
            trouble = self.client.trouble = _trouble(error, proxy)
        if proxy and trouble.startswith(_PROXY):
            hint = f"{trouble} ({server_of(Secret(proxy))}): check `proxy`, and that it runs"
        else:
            hint = f"WeChat couldn't be reached ({', '.join(self.hosts)}): check network, proxy and hosts"
            if trouble == _UNTRUSTED:
                hint = f"the certificate of {host} isn't trusted, so nothing was sent to it: {_UNTRUSTED_REMEDY}"
            self._leave(number, trouble)
        unreached = HostError(f"{host} gave no answer ({trouble})", kind=request.kind, hint=hint)
        unreached.unreachable = self.is_common
        raise unreached

    def _leave(self, number: int, trouble: str) -> None:
        """Use the next host for the rest of the run."""
        # Calls that were in flight with this one fail as well; only the first of them moves on.
        if number == self._host and len(self.hosts) > 1:
            self._host = (number + 1) % len(self.hosts)
            if number not in self._left:
                self._left.add(number)
                log.warning("host.left", host=self.hosts[number], trouble=trouble, next_host=self.hosts[self._host])


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


def _trouble(error: BaseException, proxy: str | None = None) -> str:
    """Return in words without any URL why a call got no answer, by `proxy` if there is one."""
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"{_PROXY}'s certificate isn't trusted" if proxy and _is_at(error, proxy) else _UNTRUSTED
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"{_PROXY}'s name isn't known" if proxy else "its name isn't known"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"{_PROXY} can't be reached"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"{_PROXY} refused with HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionRefusedError):
        return "no connection"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    return "the connection broke"


def _is_at(error: aiohttp.ClientConnectorError, proxy: str) -> bool:
    """Return True if the connection failed to the proxy itself, and not to the host behind it."""
    parts = urlsplit(proxy)
    return (error.host, error.port) == (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
