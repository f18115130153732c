import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

import pytest

from collector.kinds import CallKind
from collector.model.accounts import Secret
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request
from collector.wechat.client import Client
from collector.wechat.connections import OPEN_PER_CALL, Connections, Destination
from collector.wechat.routes import Route

REQUEST = Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": "T"}, {})
BODY = b'{"list": []}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Servers:
    """Hosts, proxies and token servers on this machine, each of which keeps its connections open."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.open = self.most_open = self.opened = 0

    @asynccontextmanager
    async def serving(self, number: int) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for _ in range(number):
                server = await stack.enter_async_context(await asyncio.start_server(self._serve, "127.0.0.1", 0))
                self.urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.opened += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if b"content-length" in line]
                await reader.readexactly(int(lengths[0]) if lengths else 0)
                writer.write(ANSWER)
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.open -= 1
            writer.close()


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    servers = Servers()
    async with servers.serving(30):
        yield servers


@pytest.mark.parametrize("kind", ["hosts", "proxies", "token servers"])
async def test_open_connections_are_bounded(servers: Servers, secrets: Secrets, stop: Stop, kind: str) -> None:
    """Connections that are kept count as well, over all hosts, proxies and token servers."""

    async def call(client: Client, url: str) -> None:
        if kind == "token servers":
            await client.fetch(Secret(url), {})
        else:
            proxy = Secret(url) if kind == "proxies" else None
            await Route(client, [url], proxy, secrets).request(REQUEST)

    async with Client.opened(timeout_s=5, connections=4, stop=stop) as client:
        for _ in range(2):
            await asyncio.gather(*(call(client, url) for url in servers.urls))
        assert servers.most_open <= 4 * (OPEN_PER_CALL + 1)  # they see the end of a connection a little later


async def test_connection_is_used_again(servers: Servers, secrets: Secrets, stop: Stop) -> None:
    """Calls to as many destinations as there is room for use one connection each."""
    async with Client.opened(timeout_s=5, connections=4, stop=stop) as client:
        for _ in range(3):
            for url in servers.urls[: 4 * OPEN_PER_CALL]:
                await Route(client, [url], None, secrets).request(REQUEST)
    assert servers.opened == 4 * OPEN_PER_CALL


class Session:
    """A session, and how often each was closed."""

    closed: ClassVar[Counter[str]] = Counter()

    def __init__(self, name: object) -> None:
        self.name = str(name)

    async def close(self) -> None:
        self.closed[self.name] += 1


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    monkeypatch.setattr(Session, "closed", Counter())
    return Session.closed


async def test_call_waits_for_room(closed: Counter[str]) -> None:
    """A slow call keeps the session of each destination open; a call to another one waits until one of them is done."""
    connections = Connections(4, Session)

    async def begun(name: str, calls: int) -> list[Destination[Session]]:
        return [await connections.turn(name) for _ in range(calls)]

    slow = {}
    for name, calls in (("a", 4), ("b", 3), ("c", 1)):  # eight connections may be open
        slow[name], *others = await begun(name, calls)
        for turn in others:
            turn.__exit__()
    waiting = asyncio.create_task(begun("d", 1))
    later = asyncio.create_task(begun("a", 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert not later.done()  # else the others might keep all destinations busy for ever
    slow["b"].__exit__()
    await waiting
    await later
    assert closed == {"b": 1}


async def test_longest_unused_is_closed(closed: Counter[str]) -> None:
    """The session closed for another one is that which was used longest ago and has no call."""
    connections = Connections(2, Session)
    with await connections.turn("busy"):
        for name in ("a", "b", "a", "c", "d"):
            with await connections.turn(name):
                pass
        assert closed == {"b": 1}
    await connections.close()
    assert closed == {"a": 1, "b": 1, "busy": 1, "c": 1, "d": 1}


async def test_sessions_are_bounded(closed: Counter[str]) -> None:
    """Of 1,000 destinations no more sessions stay than connections may be open."""
    connections = Connections(2, Session)
    for name in range(1000):
        with await connections.turn(name):
            pass
    assert len(closed) == 1000 - 2 * OPEN_PER_CALL


async def test_cancelled_call_gives_its_turn_back(closed: Counter[str]) -> None:
    connections, begun = Connections(1, Session), asyncio.Event()

    async def call() -> None:
        with await connections.turn("slow"):
            begun.set()
            await asyncio.Event().wait()

    slow = asyncio.create_task(call())
    await begun.wait()
    slow.cancel()
    with await connections.turn("next"):
        assert slow.cancelled()
    assert not closed
