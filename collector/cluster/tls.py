"""Keep the end of one TLS connection from breaking others of its process. Dask's processes preload this module.

Where a call on a TLS socket fails with an error of the system, Python from 3.12.9, 3.13.2 and 3.11.12 on leaves the
error in OpenSSL's queue, and the next connection of the same thread that has nothing to read yet fails with it as well
(github.com/python/cpython, issues 148594 and 81891). Dask opens and closes many connections, so its scheduler loses
healthy workers by it: with Python 3.13.5, OpenSSL 3.5 and four workers, one or two were gone after every third start.
"""

from __future__ import annotations

import ssl

from tornado.iostream import IOStream, SSLIOStream

_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

_close_fd = SSLIOStream.close_fd


def _close_cleanly(stream: IOStream) -> None:
    """Close the socket, and empty the thread's queue of errors. A connection that fails is closed at once."""
    _close_fd(stream)
    _CONTEXT.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())  # empties it, in 4 µs


def dask_setup(_server: object = None) -> None:
    """Close all TLS connections of this process cleanly; Dask calls it with the server that it starts."""
    SSLIOStream.close_fd = _close_cleanly  # type: ignore[assignment]
