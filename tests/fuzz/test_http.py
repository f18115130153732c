"""Hostile servers over real HTTP: each call ends soon, in little memory, with an error of the right class."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from fuzz.hazards import HAZARDS, ROWS, Hazard
from fuzz.server import Asked, Saying, Server

from collector.errors import OriginError, TransientError
from collector.kinds import CallKind
from collector.model.accounts import FromUrl, Secret
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request
from collector.wechat.client import Client
from collector.wechat.external_tokens import External
from collector.wechat.routes import Route

TIMEOUT_S, SLOW_TIMEOUT_S = 20, 0.3
"""Time-outs of a call; short where the hazard is that time runs out."""

MAX_MEMORY_BYTES = 24 * 2**20
"""The largest body that is read is a sixth of it."""

ROUTES = [pytest.param(hazard, id=name) for name, hazard in HAZARDS.items()]


@pytest.fixture
async def client(stop: Stop) -> AsyncIterator[Client]:
    async with Client.opened(timeout_s=TIMEOUT_S, connections=8, stop=stop) as opened:
        yield opened


@pytest.fixture
async def in_danger(stop: Stop, hazard: Hazard) -> AsyncIterator[Client]:
    """A client for the hazard alone."""
    timeout_s = SLOW_TIMEOUT_S if hazard.is_slow else TIMEOUT_S
    async with Client.opened(timeout_s=timeout_s, connections=8, stop=stop) as opened:
        yield opened


def _request(name: str) -> Request:
    return Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": name}, {})


@contextmanager
def _in_little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("hazard", ROUTES)
async def test_hostile_call_leaves_the_next_one_alone(client: Client, in_danger: Client, hazard: Hazard) -> None:
    """A call ends as it should, and the one beside it is answered."""

    def answer(asked: Asked) -> Saying | bytes:
        return hazard.saying if asked.query["access_token"] == "hostile" else ROWS

    server = Server(answer)
    async with server.serving() as address:
        sound, hostile = Route(client, [address], None, Secrets()), Route(in_danger, [address], None, Secrets())
        calls = (hostile.request(_request("hostile")), sound.request(_request("sound")))
        with _in_little_memory():
            results: list[object] = await asyncio.gather(*calls, return_exceptions=True)
        ended, beside = results
        assert beside == {"list": []}
        assert await hostile.request(_request("sound")) == {"list": []}
    if hazard.error is None:
        assert ended == {"list": []}
    else:
        assert (type(ended), hazard.text in str(ended)) == (hazard.error, True), repr(ended)
    assert len(server.asked) == 3  # no redirect was followed, nothing was sent again


@pytest.mark.parametrize("hazard", ROUTES)
async def test_hostile_token_server(in_danger: Client, hazard: Hazard) -> None:
    server = Server(lambda asked: hazard.saying)
    async with server.serving() as address:
        origin = FromUrl(Secret(f"{address}/secret-7"))
        with _in_little_memory(), pytest.raises((TransientError, OriginError)) as failed:
            await External(origin, "wx0123456789abcdef", in_danger, Secrets()).grant()
    assert "secret-7" not in f"{failed.value} {failed.value.hint}"
    assert len(server.asked) <= 2  # aiohttp asks by GET once more where a connection closes without a word
