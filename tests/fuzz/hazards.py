"""The table of hazards: what a server can do instead of answering, each with the error that must follow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from fuzz.server import BLOCK, Saying, bomb, http, says

from collector.errors import CallError, HostError, TransientError

ROWS = b'{"list": []}'
"""A body that is always accepted."""

CHUNKED = "Transfer-Encoding: chunked"
GZIP = "Content-Encoding: gzip"
ENDLESS = 10**9
TOO_LONG = "a body of more than"
NO_ANSWER = "gave no answer"
NO_JSON = "isn't a JSON object"


@dataclass(frozen=True, slots=True)
class Hazard:
    """A broken answer, and the end of its call: the error's class and a part of its text. No class means an answer."""

    saying: Saying
    error: type[CallError] | None = HostError
    text: str = NO_ANSWER

    @property
    def is_slow(self) -> bool:
        """Return whether only the time-out ends it."""
        return self.text == "timed out"


async def _nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _reset(writer: asyncio.StreamWriter) -> None:
    writer.write(http(ROWS, length=500))
    await writer.drain()
    writer.transport.abort()


def _said(*parts: bytes, error: type[CallError] | None = HostError, text: str = NO_ANSWER) -> Hazard:
    return Hazard(says(*parts), error, text)


def _status(status: str, error: type[CallError], *headers: str, body: bytes = ROWS) -> Hazard:
    return _said(http(body, *headers, status=status), error=error, text=f"HTTP {status[:3]} instead of an answer")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HAZARDS: Mapping[str, Hazard] = {
    # Too much of it
    "50 MB": Hazard(says(http(b"", length=50 * 2**20), BLOCK, times=800), TransientError, TOO_LONG),
    "50 MB in chunks": Hazard(says(http(b"", CHUNKED, length=""), _chunk(BLOCK), times=800), TransientError, TOO_LONG),
    "endless until it closes": Hazard(says(http(b"", length=""), BLOCK, times=ENDLESS), TransientError, TOO_LONG),
    "a gzip bomb": _said(http(bomb(1024), GZIP), error=TransientError, text=TOO_LONG),
    "a deflate bomb": _said(
        http(bomb(1024, raw=True), "Content-Encoding: deflate"), error=TransientError, text=TOO_LONG
    ),
    "a gzip bomb in chunks": _said(
        http(b"", GZIP, CHUNKED, length=""), _chunk(bomb(1024)), b"0\r\n\r\n", error=TransientError, text=TOO_LONG
    ),
    "very many headers": Hazard(says(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n" * 4000, times=ENDLESS)),
    "one endless header": Hazard(says(b"HTTP/1.1 200 OK\r\nX-Header: ", BLOCK, times=ENDLESS)),
    "an endless status": Hazard(says(b"HTTP/1.1 200 ", BLOCK, times=ENDLESS)),
    "very many cookies": _said(http(ROWS, *[f"Set-Cookie: c{n}={'v' * 60}" for n in range(100)]), error=None),
    "endless trailers": Hazard(
        says(http(b"", CHUNKED, length="") + _chunk(ROWS) + b"0\r\n", b"X-Trailer: value\r\n" * 4000, times=ENDLESS)
    ),
    # Too slow
    "silence": Hazard(_nothing, text="timed out"),
    "a slow body": Hazard(says(http(b"", length=10_000), b" ", times=1_000, pause_s=0.02), text="timed out"),
    "a slow head": Hazard(says(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n", times=1_000, pause_s=0.02), text="timed out"),
    "slow chunks": Hazard(
        says(http(b"", CHUNKED, length=""), _chunk(b" "), times=1_000, pause_s=0.02), text="timed out"
    ),
    "endless interim answers": Hazard(
        says(b"", b"HTTP/1.1 100 Continue\r\n\r\n", times=1_000, pause_s=0.005), text="timed out"
    ),
    # Broken off
    "nothing at all": _said(b""),
    "a reset in mid-body": Hazard(_reset),
    "half a head": _said(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "half a body": _said(http(ROWS[:5], length=len(ROWS)), text="the answer broke off"),
    "half a chunk": _said(http(b"", CHUNKED, length="") + b"ff\r\n" + ROWS, text="the answer broke off"),
    "no last chunk": _said(http(b"", CHUNKED, length="") + _chunk(ROWS), text="the answer broke off"),
    "half a gzip body": _said(http(bomb(1)[:40], GZIP, length=500)),
    # Lies about itself
    "a length too short": _said(http(ROWS, length=5)),
    "a length that is none": _said(http(ROWS, length="many")),
    "a length below zero": _said(http(ROWS, length=-5)),
    "a length beyond all": _said(http(ROWS, length="9" * 30)),
    "two lengths": _said(http(ROWS, "Content-Length: 3")),
    "length and chunks": _said(http(b"", CHUNKED, length=7) + _chunk(ROWS) + b"0\r\n\r\n"),
    "chunk sizes that are none": _said(http(b"", CHUNKED, length="") + b"zz\r\n" + ROWS),
    "a chunk size beyond all": _said(http(b"", CHUNKED, length="") + b"f" * 60 + b"\r\n" + ROWS),
    "no gzip though it says so": _said(http(ROWS, GZIP)),
    "a coding that nobody knows": _said(http(ROWS, "Content-Encoding: rot13"), error=None),
    "a charset that nobody knows": _said(http(ROWS, 'Content-Type: text/x; charset="utf-99"'), error=None),
    "a type that is none": _said(http(ROWS, "Content-Type: ;;;/\xff"), error=None),
    "an image": _said(http(b"\x89PNG\r\n\x1a\n", "Content-Type: application/json"), error=TransientError, text=NO_JSON),
    "an empty 200": _said(http(b""), error=TransientError, text=NO_JSON),
    "nothing but a head": _said(http(b"", length=""), error=TransientError, text=NO_JSON),
    # Other statuses
    "204": _status("204 No Content", CallError, body=b""),
    "304": _status("304 Not Modified", CallError, body=b""),
    "302": _status("302 Found", CallError, "Location: /elsewhere"),
    "307 to another scheme": _status("307 Temporary Redirect", CallError, "Location: file:///etc/passwd"),
    "308 in a circle": _status("308 Permanent Redirect", CallError, "Location: ?"),
    "404": _status("404 Not Found", CallError, body=b""),
    "407": _status("407 Proxy Authentication Required", CallError),
    "429": _status("429 Too Many Requests", TransientError),
    "503": _status("503 Service Unavailable", TransientError, "Retry-After: 99999999999"),
    "999": _status("999 Out of Range", TransientError),
    "101": _said(
        http(b"", "Upgrade: x", "Connection: upgrade", status="101 Switching Protocols"), error=CallError, text="101"
    ),
    "an interim answer before it": _said(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + http(ROWS), error=None),
    # No HTTP
    "HTTP/0.9": _said(ROWS),
    "another protocol": _said(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a TLS alert": _said(b"\x15\x03\x01\x00\x02\x02\x28"),
    "HTTP/2": _said(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"),
    "a status that is none": _said(b"HTTP/1.1 OK 200\r\n\r\n" + ROWS),
    "a version that is none": _said(b"HTTP/x.y 200 OK\r\n\r\n" + ROWS),
    "a header without a colon": _said(http(ROWS, "no colon")),
    "a null character in a header": _said(http(ROWS, "X-Null: a\0b")),
    "a line end in a header": _said(http(ROWS, "X-Bare: a\rb: c")),
}
