"""A local server that can break every rule of HTTP: `Asked` is a request, `Saying` an answer."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BLOCK = b"0" * 65_536


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    body: Any


Saying = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""A function that writes an answer, however broken; the connection is closed after it."""


class Server:
    """Server that answers each request by `answer`. `asked` are the requests so far."""

    def __init__(self, answer: Callable[[Asked], Saying | bytes]) -> None:
        self.asked: list[Asked] = []
        self._answer = answer
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve, and give the server's address."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may be used again."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = urlsplit(head.split(" ")[1])
        lengths = [line.split(":")[1] for line in head.splitlines() if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0])) if lengths else b""
        asked = Asked(target.path, dict(parse_qsl(target.query)), json.loads(body) if body else None)
        self.asked.append(asked)
        said = self._answer(asked)
        if isinstance(said, bytes):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
            await writer.drain()
            return True
        await said(writer)
        return False


def says(*parts: bytes, times: int = 1, pause_s: float = 0.0) -> Saying:
    """Make an answer of these parts, the last of them `times` times; then the connection is closed."""

    async def say(writer: asyncio.StreamWriter) -> None:
        for part in chain(parts[:-1], repeat(parts[-1], times)):
            writer.write(part)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)

    return say


def http(body: bytes, *headers: str, status: str = "200 OK", length: object = None) -> bytes:
    """Return an HTTP/1.1 answer; `length` replaces the body's Content-Length, and an empty one leaves it out."""
    given = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {given}"] if given != "" else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def bomb(megabytes: int, *, raw: bool = False) -> bytes:
    """Return a gzip body of about a kilobyte for each megabyte it expands to; `raw` gives a deflate body."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(b"0" * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    head = b"\x78\xda" if raw else b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return head + block * megabytes + packer.flush()
