"""A local server with an untrusted certificate, and a proxy that leads to it."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

# Self-signed, for `localhost`. Its key was made for these tests and protects nothing.
PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdWzqr3OXkJU5NzZl
U1stLOpb4Javh+ItyxUxFwGOW2mhRANCAAQRFr/5+dVRyeMX3vgrt0UESJSCIhQM
4BDbMVSxXy91LpmlOLhEsNxVMOkcOZI4m0aBo2s8MSLilo22Qt10ReJx
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBpTCCAUugAwIBAgIUDsTbuoZFv/OsFuh1XiO0sNmX/VYwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQRFr/5+dVRyeMX3vgrt0UESJSCIhQM4BDbMVSxXy91LpmlOLhEsNxV
MOkcOZI4m0aBo2s8MSLilo22Qt10ReJxo3kwdzAdBgNVHQ4EFgQUeqDfy/WS8UM9
YXHPepPsI6SYn+QwHwYDVR0jBBgwFoAUeqDfy/WS8UM9YXHPepPsI6SYn+QwFAYD
VR0RBA0wC4IJbG9jYWxob3N0MA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQD
AgKEMAoGCCqGSM49BAMCA0gAMEUCIQCUF3x6smGfS+UadMMRXG5r0cyrE6ygObHz
1l/WteGqkQIgRw2AmpOI1HFsH4yrb1GxVZ/WEaobhHerWKgPBFRxN30=
-----END CERTIFICATE-----
"""


def pem_file(folder: Path) -> Path:
    """Write key and certificate to a file."""
    path = folder / "localhost.pem"
    path.write_text(PEM)
    return path


@dataclass
class TlsServer:
    """Server that answers every request with `body`. `received` is all that came over TLS."""

    pem: Path
    body: bytes = b"{}"
    port: int = 0
    received: bytes = field(default=b"")

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[TlsServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        async with _served(self._accept, context) as self.port:
            yield self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = b""
        while not _is_whole(request) and (data := await reader.read(65_536)):
            request += data
            self.received += data
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(self.body)
        writer.write(head + self.body)
        await writer.drain()


@dataclass
class Tunnel:
    """Proxy for HTTPS; `opened` are the targets of its tunnels."""

    port: int = 0
    opened: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Tunnel]:
        async with _served(self._accept) as self.port:
            yield self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1]
        self.opened.append(place)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(place.rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def _is_whole(request: bytes) -> bool:
    """Return whether a request is complete."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


@asynccontextmanager
async def _served(
    accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve on a port whose connections are all closed at the end, however far they have come."""
    connections: list[_Connection] = []
    at_work: set[asyncio.Task[None]] = set()

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        at_work.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            if context:
                await writer.start_tls(context)
            await accept(reader, writer)
        writer.close()
        at_work.discard(task)

    def connection() -> _Connection:
        connections.append(_Connection(asyncio.StreamReader(), work))
        return connections[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # A connection that asyncio has accepted and not yet made when its server is closed would never be closed.
        loop.remove_reader(server.sockets[0].fileno())
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await asyncio.gather(*(each.made.wait() for each in connections))
        server.close()
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        for each in connections:
            each.abort()


class _Connection(asyncio.StreamReaderProtocol):
    def __init__(
        self,
        reader: asyncio.StreamReader,
        work: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ) -> None:
        super().__init__(reader, work)
        self.made = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.abort = transport.abort  # also where TLS takes its place
        super().connection_made(transport)
        self.made.set()
