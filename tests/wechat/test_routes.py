import asyncio
import base64
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from structlog.testing import capture_logs

from collector.errors import CallError, HostError, OriginError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import FromFile, Secret
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request
from collector.wechat.client import MAX_TRIES, Client, ToWechat
from collector.wechat.routes import Route

ONE, TWO, THREE = "https://one.wechat.test", "https://two.wechat.test", "https://three.wechat.test"
PATH = "/datacube/getusersummary"
REQUEST = Request(CallKind.DATA, "POST", PATH, "list", {"access_token": "T"}, {"begin_date": "2026-11-17"})
PASSWORD = "password-7"
OPENS = "Basic " + base64.b64encode(f"agency:{PASSWORD}".encode()).decode()


def shown(error: BaseException) -> str:
    """All that an error shows of itself, wherever it may be printed."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    return "\n".join(parts)


# Hosts


def host(name: str) -> str:
    return f"{name}{PATH}?access_token=T"


async def test_failed_host_is_logged_once(web: Any, client: Client, secrets: Secrets) -> None:
    """A host that fails is left for the rest of the run and logged once."""
    web.post(host(ONE), exception=ConnectionResetError(), repeat=True)
    web.post(host(TWO), exception=TimeoutError())
    web.post(host(TWO), payload={"list": [2]}, repeat=True)
    route = Route(client, [ONE, TWO], None, secrets)
    with capture_logs() as logs:
        for _ in range(3):
            await client.retrying(lambda: route.request(REQUEST))
    left = [
        (entry["host"], entry["trouble"], entry["next_host"], entry["log_level"])
        for entry in logs
        if entry["event"] == "host.left"
    ]
    assert left == [(ONE, "the connection broke", TWO, "warning"), (TWO, "timed out", ONE, "warning")]
    # one and two fail, one fails again without a word, two answers and is kept
    assert (client.calls, client.retries, route.answered_by) == (6, 3, TWO)


async def test_late_failure_keeps_the_host(web: Any, client: Client, secrets: Secrets) -> None:
    asked, fails = asyncio.Event(), asyncio.Event()

    async def late(url: object, **kwargs: object) -> None:
        if not asked.is_set():
            asked.set()
            await fails.wait()

    web.post(host(ONE), callback=late, exception=ConnectionResetError(), repeat=True)
    web.post(host(TWO), exception=ConnectionResetError(), repeat=True)
    web.post(host(THREE), payload={"list": [3]}, repeat=True)
    route = Route(client, [ONE, TWO, THREE], None, secrets)
    slow = asyncio.create_task(client.retrying(lambda: route.request(REQUEST)))
    await asked.wait()
    await client.retrying(lambda: route.request(REQUEST))
    fails.set()
    assert (await slow, client.calls) == ({"list": [3]}, 5)


async def test_routes_fail_over_separately(web: Any, client: Client, secrets: Secrets) -> None:
    web.post(host(ONE), exception=ConnectionResetError())
    web.post(host(ONE), payload={"list": [1]})
    web.post(host(TWO), payload={"list": [2]}, repeat=True)
    common, own = Route(client, [ONE, TWO], None, secrets), Route(client, [ONE, TWO], None, secrets)
    await client.retrying(lambda: common.request(REQUEST))
    await own.request(REQUEST)
    assert (common.answered_by, own.answered_by) == (TWO, ONE)


async def test_http_error_keeps_the_host(web: Any, client: Client, secrets: Secrets) -> None:
    web.post(host(ONE), status=502)
    route = Route(client, [ONE, TWO], None, secrets)
    with pytest.raises(CallError, match="HTTP 502"):
        await route.request(REQUEST)
    assert (client.answered, route.answered_by) == (True, ONE)


@pytest.mark.parametrize(("ipv4_only", "family"), [(True, socket.AF_INET), (False, socket.AF_UNSPEC)])
async def test_ipv4_only(stop: Stop, ipv4_only: bool, family: socket.AddressFamily) -> None:
    async with Client.opened(timeout_s=5, connections=4, stop=stop, ipv4_only=ipv4_only) as client:
        with (
            await client.connections.turn(ToWechat(ONE, None)) as session,
            await client.connections.turn("http://tokens.internal") as direct,
        ):
            connectors: list[Any] = [session.connector, direct.connector]
        assert [each.family for each in connectors] == [family, socket.AF_UNSPEC]


# Proxies


@dataclass
class Proxy:
    """A proxy on this machine that answers for WeChat, to those who have the password; notes what it was asked.

    `refusal` is its answer to all others.
    """

    refusal: str = "407 Proxy Authentication Required"
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        self.asked.append((head[0], headers.get("proxy-authorization", "")))
        await reader.readexactly(int(headers.get("content-length", "0")))
        opens = headers.get("proxy-authorization") == OPENS
        status, body = ("200 OK", b'{"list": [7]}') if opens else (self.refusal, b"")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


@pytest.fixture
def address_in_file(tmp_path: Path) -> Callable[[str], FromFile]:
    def write(address: str) -> FromFile:
        path = tmp_path / "proxy"
        path.write_text(address + "\n")
        path.chmod(0o600)
        return FromFile(path)

    return write


async def test_proxy_credentials(
    client: Client, secrets: Secrets, proxy: Proxy, address_in_file: Callable[[str], FromFile]
) -> None:
    origin = address_in_file(f"http://agency:{PASSWORD}@127.0.0.1:{proxy.port}")
    route = Route(client, ["http://wechat.test"], origin, secrets)
    assert await route.request(REQUEST) == {"list": [7]}
    assert proxy.asked == [(f"POST http://wechat.test{PATH}?access_token=T HTTP/1.1", OPENS)]


async def test_proxy_of_each_route(client: Client, secrets: Secrets, proxy: Proxy) -> None:
    other = Proxy()
    async with await asyncio.start_server(other.serve, "127.0.0.1", 0) as server:
        other.port = server.sockets[0].getsockname()[1]
        for port in (proxy.port, other.port):
            address = Secret(f"http://agency:{PASSWORD}@127.0.0.1:{port}")
            await Route(client, ["http://wechat.test"], address, secrets).request(REQUEST)
    assert (len(proxy.asked), len(other.asked)) == (1, 1)


async def test_proxy_refuses_connect(client: Client, secrets: Secrets, proxy: Proxy) -> None:
    """HTTPS hosts are reached by CONNECT; a refusal shows no password."""
    wrong = Secret(f"http://agency:{PASSWORD}-old@127.0.0.1:{proxy.port}")
    with pytest.raises(HostError) as failed, capture_logs() as logs:
        await Route(client, [ONE, TWO], wrong, secrets).request(REQUEST)
    ((line, authorization),) = proxy.asked
    assert line == "CONNECT one.wechat.test:443 HTTP/1.1"
    assert authorization.startswith("Basic ")
    assert str(failed.value) == f"{ONE} gave no answer (the proxy refused with HTTP 407)"
    assert PASSWORD not in shown(failed.value) + repr(logs)
    assert authorization not in shown(failed.value) + repr(logs)


CONNECT_ONE, CONNECT_TWO = (f"CONNECT {name.removeprefix('https://')}:443 HTTP/1.1" for name in (ONE, TWO))


async def _asked(client: Client, secrets: Secrets, proxy: Proxy) -> tuple[HostError, list[str], list[Any]]:
    """Make a call by a proxy that refuses it; return the error, what the proxy was asked, and the log."""
    route = Route(client, [ONE, TWO], Secret(f"http://127.0.0.1:{proxy.port}"), secrets)
    with pytest.raises(HostError) as failed, capture_logs() as logs:
        await client.retrying(lambda: route.request(REQUEST))
    return failed.value, [line for line, _ in proxy.asked], [log for log in logs if log["event"] == "host.left"]


@pytest.mark.parametrize("refusal", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
async def test_next_host_behind_a_proxy(client: Client, secrets: Secrets, proxy: Proxy, refusal: str) -> None:
    """A proxy that gets no connection to a host is asked for the next one."""
    proxy.refusal = refusal
    failed, asked, left = await _asked(client, secrets, proxy)
    assert asked == [CONNECT_ONE, CONNECT_TWO] * 2
    assert str(failed) == f"{TWO} gave no answer (no connection by the proxy: HTTP {refusal[:3]})"
    assert failed.hint == f"WeChat couldn't be reached ({ONE}, {TWO}): check network, proxy and hosts"
    assert [(log["host"], log["next_host"]) for log in left] == [(ONE, TWO), (TWO, ONE)]


@pytest.mark.parametrize("refusal", ["403 Forbidden", "407 Proxy Authentication Required"])
async def test_proxy_that_refuses_is_final(client: Client, secrets: Secrets, proxy: Proxy, refusal: str) -> None:
    """A refusal of the proxy's own isn't retried, and no host is left for it."""
    proxy.refusal = refusal
    failed, asked, left = await _asked(client, secrets, proxy)
    assert (asked, left, failed.reaction) == ([CONNECT_ONE], [], Reaction.ACCOUNT)
    assert failed.hint == (
        f"the proxy refused with HTTP {refusal[:3]} (http://127.0.0.1:{proxy.port}): check `proxy`, and that it runs"
    )


async def test_busy_proxy_keeps_the_host(client: Client, secrets: Secrets, proxy: Proxy) -> None:
    """Any other refusal is the proxy's as well, and is retried."""
    proxy.refusal = "429 Too Many Requests"
    _, asked, left = await _asked(client, secrets, proxy)
    assert (asked, left) == ([CONNECT_ONE] * MAX_TRIES, [])


async def test_proxy_refuses_a_plain_host(client: Client, secrets: Secrets, proxy: Proxy) -> None:
    route = Route(client, ["http://wechat.test"], Secret(f"http://127.0.0.1:{proxy.port}"), secrets)
    with pytest.raises(CallError) as failed:
        await client.retrying(lambda: route.request(REQUEST))
    assert (str(failed.value), len(proxy.asked)) == ("HTTP 407 instead of an answer", 1)
    assert failed.value.hint == "this isn't WeChat's way to answer: check api.hosts and the proxy"


async def test_unreachable_proxy(client: Client, secrets: Secrets) -> None:
    with pytest.raises(HostError) as failed, capture_logs() as logs:
        await Route(client, [ONE, TWO], Secret(f"http://agency:{PASSWORD}@127.0.0.1:1"), secrets).request(REQUEST)
    assert str(failed.value) == f"{ONE} gave no answer (the proxy can't be reached)"
    assert failed.value.hint == "the proxy can't be reached (http://127.0.0.1:1): check `proxy`, and that it runs"
    assert PASSWORD not in shown(failed.value)
    assert logs == []  # the host isn't to blame


@pytest.mark.parametrize(("proxy_of", "whose"), [(Secret("http://egress:3128"), "the proxy's"), (None, "its")])
async def test_unknown_name_of_a_proxy(
    web: Any, client: Client, secrets: Secrets, proxy_of: Secret | None, whose: str
) -> None:
    unknown = aiohttp.ClientConnectorDNSError(Mock(ssl=True, host="h", port=1), OSError(1, PASSWORD))
    web.post(host(ONE), exception=unknown)
    with pytest.raises(HostError) as failed:
        await Route(client, [ONE], proxy_of, secrets).request(REQUEST)
    assert str(failed.value) == f"{ONE} gave no answer ({whose} name isn't known)"


@pytest.mark.parametrize(
    "address",
    [
        f"agency:{PASSWORD}@egress:3128",
        f"socks5://agency:{PASSWORD}@egress:1080",
        f"http://agency:{PASSWORD}@",
        f"http://agency:{PASSWORD}@egress:port",
        f"http://agency:{PASSWORD}@egress:0",
        f"http://agency:{PASSWORD}@egress:99999",
        f"http://agency:{PASSWORD}/x@egress:3128",
        f"http://agency:{PASSWORD}@[egress:3128",
        f"http://agency:{PASSWORD}@egress\u2100:3128",
    ],
)
async def test_malformed_proxy(
    client: Client, secrets: Secrets, address: str, address_in_file: Callable[[str], FromFile]
) -> None:
    route = Route(client, [ONE], address_in_file(address), secrets)
    with pytest.raises(OriginError) as failed:
        await client.retrying(lambda: route.request(REQUEST))
    assert str(failed.value) == (
        "the proxy isn't an address of the right form: write it as http://USER:PASSWORD@HOST:3128"
    )
    assert (failed.value.reaction, client.calls) == (Reaction.ACCOUNT, 0)
    assert PASSWORD not in shown(failed.value)


async def test_proxy_file_is_gone(client: Client, secrets: Secrets, tmp_path: Path) -> None:
    route = Route(client, [ONE], FromFile(tmp_path / "gone"), secrets)
    with pytest.raises(OriginError, match="gone can't be read"):
        await route.request(REQUEST)
    assert (client.calls, client.token_calls) == (0, 0)
