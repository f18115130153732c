"""A small local HTTP proxy that requires a user and a password."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """Proxy that forwards requests, one for each connection; `asked` are their paths."""

    user: str
    password: str
    port: int = 0
    asked: list[str] = field(default_factory=list)
    refused: int = 0
    _serving: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.user}:{self.password}@127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
        # A call whose side was killed may still be waited for.
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):  # where one side has gone, the other one's call ends
                await self._answer(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, _, rest = head.partition("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest.split("\r\n"))
        }
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if fields.get("proxy-authorization") != f"Basic {credentials}":
            self.refused += 1
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        else:
            writer.write(await self._forward(line, rest, body))
        await writer.drain()

    async def _forward(self, line: str, rest: str, body: bytes) -> bytes:
        method, url, version = line.split()
        parts = urlsplit(url)
        self.asked.append(parts.path)
        kept = [each for each in rest.split("\r\n") if each and not each.lower().startswith(("proxy-", "connection:"))]
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
        try:
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()
