"""TLS connections of one process don't break one another."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme
from tornado.iostream import SSLIOStream, StreamClosedError

from collector.cluster import tls


async def _connected(authority: trustme.CA) -> tuple[SSLIOStream, SSLIOStream]:
    """Return both ends of a connection."""
    serving, asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("localhost").configure_cert(serving)
    authority.configure_trust(asking)
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    server = SSLIOStream(serving.wrap_socket(one, server_side=True, do_handshake_on_connect=False))
    client = SSLIOStream(asking.wrap_socket(other, server_hostname="localhost", do_handshake_on_connect=False))
    await asyncio.gather(server.wait_for_handshake(), client.wait_for_handshake())
    return server, client


async def test_broken_connection_breaks_no_other() -> None:
    """Only some versions of Python and OpenSSL need help."""
    tls.dask_setup()
    authority = trustme.CA()
    server, client = await _connected(authority)
    others = await _connected(authority)
    server.close()
    with pytest.raises(StreamClosedError):
        await client.write(b"more")
    with pytest.raises(ssl.SSLWantReadError):
        others[0].socket.recv(1)
    for stream in others:
        stream.close()
