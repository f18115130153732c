"""A local TCP proxy before one server, which can be made to misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
CHUNK_BYTES = 65_536
TRICKLE_BYTES = 512
"""Size of a chunk on a slow link."""

_NO_LINGER = struct.pack("ii", 1, 0)


class Link:
    """Proxy to the port `target`, between `async with` and its end.

    `cut` happens at once; `refuse`, `slow` and `hold` last for a given time, and may overlap.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._troubles: Counter[str] = Counter()
        self._delay_s = 0.0
        self._let_go = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        self._let_go.set()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def connections(self) -> int:
        """Return the number of connections that are open."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset all connections, on both sides; data in flight is lost."""
        for writer in self._writers:
            _reset(writer)

    async def refuse(self, for_s: float) -> None:
        """Reset all connections, and each new one for some time."""
        with self._in_trouble("refuse"):
            self.cut()
            await asyncio.sleep(for_s)

    async def slow(self, for_s: float, delay_s: float) -> None:
        """Forward little for some time: `TRICKLE_BYTES` each `delay_s`."""
        self._delay_s = delay_s
        with self._in_trouble("slow"):
            await asyncio.sleep(for_s)

    async def hold(self, for_s: float) -> None:
        """Forward nothing for some time, though connections stay open and new ones are accepted."""
        self._let_go.clear()
        with self._in_trouble("hold"):
            await asyncio.sleep(for_s)
        if not self._troubles["hold"]:
            self._let_go.set()

    @contextmanager
    def _in_trouble(self, what: str) -> Iterator[None]:
        self._troubles[what] += 1
        try:
            yield
        finally:
            self._troubles[what] -= 1

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await self._connect(reader, writer)
        finally:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._troubles["refuse"]:
            _reset(writer)
            return
        there_reader, there_writer = await asyncio.open_connection(HOST, self.target)
        both = {writer, there_writer}
        self._writers |= both
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, there_writer))
                pumps.create_task(self._pump(there_reader, writer))
        except* OSError:  # the other side of a cut
            pass
        finally:
            self._writers -= both
            there_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one side's data until its end; then end the other side too, once it has everything."""
        while data := await reader.read(TRICKLE_BYTES if self._troubles["slow"] else CHUNK_BYTES):
            if await self._delayed() and reader.at_eof():
                break  # it was on its way when its sender went: a process that was killed says nothing any more
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _delayed(self) -> bool:
        """Wait as long as the troubles last; return whether there were any."""
        slow, held = self._troubles["slow"], self._troubles["hold"]
        if slow:
            await asyncio.sleep(self._delay_s)
        if held:
            await self._let_go.wait()
        return bool(slow or held)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN, as if it were lost."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
