"""The only door to aiohttp: one request in, one body out, every fault translated.

Addresses of calls carry tokens and secrets, so no exception of aiohttp leaves this module, not even as
a cause, and no body of unknown shape is shown.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import orjson
import stamina
import structlog
from yarl import URL

from collector.errors import CallError, CallKind, HostError, OriginError, Reaction, TransientError
from collector.model.accounts import Origin, Secret
from collector.runtime import Stop, let_others_catch_up
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request, answer_in

log = structlog.get_logger()
T = TypeVar("T")

TRIES = 4
"""How often a call is made before its trouble counts."""

MOST_BYTES = 1024 * 1024
"""The largest body that is read. Seven days of sources take a few kilobytes, a page of 500 authorised accounts 350.

What is stored of a body may be several times as large, and MongoDB takes 16 MB.
"""

MOST_ADDRESSES = 1_024
"""Addresses that are kept: two for an account at work."""

_PROXY = "the proxy"
"""How the words for a trouble begin that is the proxy's own, and no host's."""

_UNTRUSTED = "its certificate isn't trusted"
_UNTRUSTED_REMEDY = (
    "see who answers there; if that is right, let this host know the authority that signed its certificate"
)

_RETRIED_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NO_ANSWER = (aiohttp.ClientError, OSError, ValueError)
"""What a call without a whole answer raises: time-outs are OSErrors, odd names ValueErrors."""


class Client:
    """Makes calls to WeChat by its routes, retries them, and counts them all.

    `calls` counts requests sent for data, retries included; `token_calls` those for tokens and other credentials;
    `retries` the repetitions; `answered` says whether any host ever gave an HTTP answer in this run, `trouble` what
    last kept a call from one. `silent` are the troubles with servers of the agency's own that accounts
    have given up, by server, until it answers again. Calls wait for one of the `slots` outside their time-out: how
    long that takes is no fault of WeChat's.
    """

    def __init__(
        self, session: aiohttp.ClientSession, outside: aiohttp.ClientSession, slots: asyncio.Semaphore, *, stop: Stop
    ) -> None:
        self.calls = 0
        self.token_calls = 0
        self.retries = 0
        self.answered = False
        self.trouble = ""
        self.silent: dict[str, list[CallError]] = defaultdict(list)
        self.session = session
        self.slots = slots
        self._outside = outside
        self._stop = stop

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, *, timeout_s: float, connections: int, stop: Stop, ipv4_only: bool = False
    ) -> AsyncIterator[Self]:
        """A client sized for `connections` calls in flight; with `ipv4_only`, those to WeChat go by IPv4."""

        def session(family: socket.AddressFamily) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=300, family=family),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                json_serialize_bytes=orjson.dumps,
            )

        family = socket.AF_INET if ipv4_only else socket.AF_UNSPEC
        async with session(family) as to_wechat, session(socket.AF_UNSPEC) as outside:
            yield cls(to_wechat, outside, asyncio.Semaphore(connections), stop=stop)

    async def retrying(self, call: Callable[[], Awaitable[T]], *what: object) -> T:
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
                log.debug("call.retried", call=" ".join(map(str, what)), number=attempt.num - 1, trouble=str(trouble))
                return await call()

    async def fetch(self, url: Secret, headers: Mapping[str, str]) -> bytes:
        """The body that a server of the agency's own gives to GET; it is asked directly, by no route of WeChat's.

        Raises `TransientError` without an answer and for HTTP 5xx, 408, 429, `OriginError` for any other status
        than 200, and when it can't be asked. Both name the server and nothing more of the address.
        """
        self.token_calls += 1
        server = server_of(url)
        status, body, trouble = None, b"", ""
        try:
            async with self.slots:
                response = await self._outside.get(url.get_secret_value(), headers=headers, allow_redirects=False)
                status, body = response.status, await _read(response, CallKind.TOKEN)
        except aiohttp.ClientConnectorError as error:
            trouble = _trouble(error)  # first: that of a certificate is a ValueError too
        except ValueError:
            pass  # an odd name, or an Authorization header beside a user in the address
        except (aiohttp.ClientError, OSError) as error:
            trouble = _trouble(error)
        if status == HTTPStatus.OK:
            return body
        if trouble or (status and _is_passing(status)):
            what = trouble or f"HTTP {status}"
            remedy = _UNTRUSTED_REMEDY if trouble == _UNTRUSTED else "see that it runs and can be reached from here"
            hint = f"the server {server} gives no answer ({what}): {remedy}"
            raise TransientError(f"the server {server} gives no answer ({what})", kind=CallKind.TOKEN, hint=hint)
        what = f"answered HTTP {status}" if status else "can't be asked like this"
        raise OriginError(f"the server {server} {what}", "check `url` and `headers`")


class Route:
    """One way to WeChat: its hosts, one after the other of them when connections fail, by a proxy or without.

    A host that was left isn't tried again before all others were. `answered_by` is the host of the last answer;
    `is_common` says whether it is the way of all accounts that have none of their own.
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

        Raises `HostError` without a whole HTTP answer, `TransientError` for HTTP 5xx, 408, 429 and bodies
        that are cut or no JSON object or lack the key, `ApiError` for an errcode other than 0, `CallError`
        for any other HTTP status, `OriginError` when the proxy's address can't be read.
        """
        await let_others_catch_up()
        proxy = address_of(await self._secrets.read(self.proxy)) if self.proxy else None
        if request.kind is CallKind.DATA:
            self.client.calls += 1
        else:
            self.client.token_calls += 1
        status, body = await self._exchange(request, proxy)
        if status != HTTPStatus.OK:
            _raise_for_status(status, request.kind)
        return answer_in(body, request)

    async def _exchange(self, request: Request, proxy: str | None) -> tuple[int, bytes]:
        number = self._host
        host = self.hosts[number]
        address: str | URL = host + request.path
        query: Mapping[str, str] | None = request.query
        try:
            if request.kind is CallKind.DATA or not query:  # it will be asked at again
                address, query = _address(host + request.path, tuple(request.query.items())), None
            async with self.client.slots:
                response = await self.client.session.request(
                    request.method,
                    address,
                    params=query,
                    json=request.body,
                    proxy=proxy,
                    allow_redirects=False,
                )
                self.client.answered = True
                self.answered_by = host
                return response.status, await _read(response, request.kind)
        except _NO_ANSWER as error:
            trouble = self.client.trouble = _trouble(error, proxy)
        if proxy and trouble.startswith(_PROXY):
            hint = f"{trouble} ({server_of(Secret(proxy))}): check `proxy`, and that it runs"
        else:
            hint = f"WeChat couldn't be reached ({', '.join(self.hosts)}): check network, proxy and hosts"
            if trouble == _UNTRUSTED:
                hint = f"the certificate of {host} isn't trusted, so it was told nothing: {_UNTRUSTED_REMEDY}"
            self._leave(number, trouble)
        unreached = HostError(f"{host} gave no answer ({trouble})", kind=request.kind, hint=hint)
        unreached.is_common = self.is_common
        raise unreached

    def _leave(self, number: int, trouble: str) -> None:
        """Go on with the next host, for the rest of the run; calls that failed beside this one change nothing more."""
        if number == self._host and len(self.hosts) > 1:
            self._host = (number + 1) % len(self.hosts)
            if number not in self._left:
                self._left.add(number)
                log.warning("host.left", host=self.hosts[number], trouble=trouble, next_host=self.hosts[self._host])


def server_of(url: Secret) -> str:
    """Scheme, host and port of an address, which may be shown; the rest may hold secrets."""
    parts = urlsplit(url.get_secret_value())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def address_of(proxy: Secret) -> str:
    """The address of a proxy as aiohttp takes it. Raises `OriginError` when it isn't one."""
    address = proxy.get_secret_value()
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return address
    except ValueError:
        pass
    raise OriginError("the proxy isn't an address of the right form", "write it as http://USER:PASSWORD@HOST:3128")


def _passes(error: Exception) -> bool:
    return isinstance(error, CallError) and error.reaction is Reaction.RETRY


@lru_cache(MOST_ADDRESSES)
def _address(url: str, query: tuple[tuple[str, str], ...]) -> URL:
    """An address, whole and quoted: an account asks at the same two for all of its history, all at one for tokens."""
    return URL(url).extend_query(query)


async def _read(response: aiohttp.ClientResponse, kind: CallKind) -> bytes:
    """The whole body; the connection is let go, for another call if the body came to its end."""
    chunks: list[bytes] = []
    size = 0
    try:
        while not response.content.at_eof():
            chunk = await response.content.readany()
            size += len(chunk)
            if size > MOST_BYTES:
                response.close()
                raise TransientError(f"a body of more than {MOST_BYTES} bytes", kind=kind)
            chunks.append(chunk)
    finally:
        response.release()
    return b"".join(chunks)


def _is_passing(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRIED_STATUSES


def _raise_for_status(status: int, kind: CallKind) -> NoReturn:
    message = f"HTTP {status} instead of an answer"
    if _is_passing(status):
        raise TransientError(message, kind=kind)
    raise CallError(message, kind=kind, hint="this isn't WeChat's way to answer: check api.hosts and the proxy")


def _trouble(error: BaseException, proxy: str | None = None) -> str:
    """What went wrong on the way, which is by `proxy` if there is one, in words that hold no address."""
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
    """Whether it was the proxy itself that the connection failed to."""
    parts = urlsplit(proxy)
    return (error.host, error.port) == (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
