"""The link really cuts, refuses, holds and slows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from chaos.link import HOST, TRICKLE_BYTES, Link

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    """A link to a server that echoes everything."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100_000):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(echo, HOST, 0) as server, Link(server.sockets[0].getsockname()[1]) as link:
        yield link


async def _connect(link: Link) -> Connection:
    return await asyncio.open_connection(HOST, link.port)


async def _echoed(connection: Connection, data: bytes) -> bytes:
    reader, writer = connection
    writer.write(data)
    return await reader.readexactly(len(data))


async def _works(link: Link) -> None:
    connection = await _connect(link)
    assert await _echoed(connection, b"after") == b"after"
    connection[1].close()


async def test_forwards_data_and_close(link: Link) -> None:
    reader, writer = connection = await _connect(link)
    assert await _echoed(connection, b"x" * 200_000) == b"x" * 200_000
    assert link.connections == 1
    writer.close()
    assert await reader.read() == b""
    await asyncio.wait_for(_until_nobody_uses(link), 5)


async def _until_nobody_uses(link: Link) -> None:
    while link.connections:  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(0.001)


async def test_cut_resets_open_connections(link: Link) -> None:
    """A cut resets the open connections, and no later one."""
    reader, writer = connection = await _connect(link)
    await _echoed(connection, b"before")
    link.cut()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await _works(link)


async def test_refuse_resets_all_connections(link: Link) -> None:
    """A refusing link resets old and new connections for the given time."""
    old = await _connect(link)
    await _echoed(old, b"before")
    refusing = asyncio.create_task(link.refuse(0.05))
    await asyncio.sleep(0)
    new = await _connect(link)
    for connection in (old, new):
        with pytest.raises(ConnectionResetError):
            await _echoed(connection, b"x")
        connection[1].close()
    await refusing
    await _works(link)


async def test_hold_delays_data(link: Link) -> None:
    """A holding link delivers nothing for the given time, and everything afterwards."""
    connection = await _connect(link)
    await _echoed(connection, b"before")
    holding = asyncio.create_task(link.hold(0.05))
    await asyncio.sleep(0)
    echoed = asyncio.create_task(_echoed(connection, b"held"))
    await asyncio.wait([holding, echoed], return_when=asyncio.FIRST_COMPLETED)
    assert (holding.done(), echoed.done()) == (True, False)
    assert await echoed == b"held"
    connection[1].close()


async def test_held_data_of_a_closed_sender_is_lost(link: Link) -> None:
    """A collector that was killed must not write when the network comes back."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, HOST, 0) as server:
        link.target = server.sockets[0].getsockname()[1]
        _, writer = await _connect(link)
        await asyncio.wait_for(_until_somebody_uses(link), 5)
        holding = asyncio.create_task(link.hold(0.05))
        await asyncio.sleep(0)
        writer.write(b"too late")
        await asyncio.sleep(0.01)
        writer.close()
        await holding
        await asyncio.wait_for(_until_nobody_uses(link), 5)
        link.cut()
    assert heard in ([], [b""])


async def _until_somebody_uses(link: Link) -> None:
    while not link.connections:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.001)


async def test_slow_link_trickles(link: Link) -> None:
    connection = await _connect(link)
    now = asyncio.get_running_loop().time
    began = now()
    slowing = asyncio.create_task(link.slow(5, 0.005))
    await asyncio.sleep(0)
    assert await _echoed(connection, b"x" * 10 * TRICKLE_BYTES) == b"x" * 10 * TRICKLE_BYTES
    assert now() - began > 10 * 0.005
    slowing.cancel()
    connection[1].close()
