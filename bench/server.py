"""The bench's WeChat: a process that answers from memory, so that its own cost doesn't count.

It implements as much HTTP as these clients need, on uvloop, without a framework: an answer costs it some 20 µs. Bodies
are made once for each dataset and window. It records when each account's data calls arrive; `GET
/bench/taken` returns the record since the last time, as JSON, and clears it.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import ssl
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

import orjson
import uvloop

from bench import world

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Wechat:
    """Answers of the server, and a record of the calls.

    `latency_s` is the time of an answer, `authorized` the number of accounts that have authorised the platform.
    """

    def __init__(self, latency_s: float, authorized: int = 0) -> None:
        self.latency_s = latency_s
        self._authorized = authorized
        self._bodies: dict[tuple[bytes, bytes], bytes] = {}
        self._begin()

    def _begin(self) -> None:
        self._arrivals: dict[bytes, list[float]] = defaultdict(list)
        self._tokens = 0
        self._connections = 0
        self._handshakes = 0
        self._resumed = 0
        self._cpu_s = _cpu_s()

    def connected(self, tls: ssl.SSLObject | None) -> None:
        """Count a connection, and its handshake over TLS."""
        self._connections += 1
        self._handshakes += tls is not None
        self._resumed += bool(tls and tls.session_reused)

    def answer(self, target: bytes, body: bytes) -> tuple[bytes, float]:
        """Return the HTTP answer to a call, and the seconds until it is due."""
        path, _, query = target.partition(b"?")
        if path.startswith(b"/datacube/"):
            token = query.partition(b"access_token=")[2]
            self._arrivals[world.appid_in(token)].append(time.monotonic())
            return self._bodies.get((path, body)) or self._figures(path, body), self.latency_s
        if path == b"/bench/taken":
            return _http(orjson.dumps(self._taken())), 0.0
        self._tokens += 1
        if path.startswith(b"/cgi-bin/component/"):
            return _http(orjson.dumps(self._of_platform(path, orjson.loads(body)))), self.latency_s
        appid = orjson.loads(body)["appid"] if body else query.partition(b"appid=")[2].partition(b"&")[0].decode()
        return _http(orjson.dumps({"access_token": world.token_of(appid), "expires_in": 7200})), self.latency_s

    def _of_platform(self, path: bytes, asked: Mapping[str, Any]) -> dict[str, Any]:
        if path.endswith(b"list"):
            end = min(asked["offset"] + asked["count"], self._authorized)
            appids = map(world.appid, range(asked["offset"], end))
            return {
                "total_count": self._authorized,
                "list": [{"authorizer_appid": appid, "refresh_token": f"r@{appid}"} for appid in appids],
            }
        appid = asked["authorizer_appid"]
        if path.endswith(b"info"):
            return {"authorizer_info": {"nick_name": f"client {appid}"}, "authorization_info": {}}
        return {"authorizer_access_token": world.token_of(appid), "expires_in": 7200}

    def _figures(self, path: bytes, body: bytes) -> bytes:
        asked = orjson.loads(body)
        rows = world.rows(path.decode(), world.Window(asked["begin_date"], asked["end_date"]))
        made = self._bodies[path, body] = _http(orjson.dumps({"list": rows}))
        return made

    def _taken(self) -> dict[str, Any]:
        """Return the record since the last time. Rates are calls of one account a second; instants are monotonic.

        The connection that asks isn't counted; it resumes no session.
        """
        times = list(self._arrivals.values())
        every = [instant for arrivals in times for instant in arrivals]
        seen = {
            "calls": len(every),
            "token_calls": self._tokens,
            "connections": self._connections - 1,
            "handshakes": max(0, self._handshakes - 1),
            "resumed": self._resumed,
            "cpu_s": _cpu_s() - self._cpu_s,
            "first_s": min(every, default=0.0),
            "last_s": max(every, default=0.0),
            "slowest_rate": min(map(_rate, times), default=0.0),
            "max_in_a_second": max(map(_max_in_a_second, times), default=0),
        }
        self._begin()
        return seen


class Conversation(asyncio.Protocol):
    """One connection, kept alive; requests may come in pieces."""

    def __init__(self, wechat: Wechat) -> None:
        self._wechat = wechat
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no such class
        self._wechat.connected(transport.get_extra_info("ssl_object"))

    def data_received(self, data: bytes) -> None:
        """Answer the requests that are whole."""
        received = self._received + data
        while (end := received.find(_HEAD_END)) >= 0:
            head, begin = received[:end], end + len(_HEAD_END)
            length = _content_length(head)
            if len(received) < begin + length:
                break
            answer, due_s = self._wechat.answer(head.split(b" ", 2)[1], received[begin : begin + length])
            received = received[begin + length :]
            if due_s:
                self._loop.call_later(due_s, self._send, answer)
            else:
                self._send(answer)
        self._received = received

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _http(body: bytes) -> bytes:
    """Return an answer with the headers that WeChat sends."""
    head = (
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: application/json; encoding=utf-8\r\n"
        f"Date: Tue, 24 Nov 2026 00:30:00 GMT\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(_LENGTH)
    return int(lowered[at + len(_LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0


def _rate(times: list[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else 0.0


def _max_in_a_second(times: list[float]) -> int:
    return max(bisect_left(times, first + 1) - place for place, first in enumerate(times))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(wechat: Wechat, certificate: str | None, *, ends_with_stdin: bool) -> None:
    """Serve on a free local port, which is printed, until the process is ended; over TLS with a `certificate`."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    if ends_with_stdin:
        loop.add_reader(sys.stdin.fileno(), end.set)
    listening = loop.create_server(lambda: Conversation(wechat), "127.0.0.1", backlog=4096, ssl=context)
    async with await listening as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await end.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--authorized", type=int, default=0, help="number of accounts that authorised the platform")
    parser.add_argument("--certificate", help="a file with a key and its certificate, for TLS")
    parser.add_argument("--ends-with-stdin", action="store_true", help="not by Ctrl-C, but when stdin is closed")
    arguments = parser.parse_args()
    if arguments.ends_with_stdin:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    wechat = Wechat(arguments.latency_s, arguments.authorized)
    uvloop.run(main(wechat, arguments.certificate, ends_with_stdin=arguments.ends_with_stdin))
