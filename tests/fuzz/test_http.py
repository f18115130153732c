"""Over real HTTP, whatever a server does: a call ends as an error of the right family, soon, in little memory."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from fuzz.hazards import HAZARDS, ROWS, Hazard
from fuzz.server import Asked, Saying, Server

from collector.errors import CallError, CallKind, OriginError, TransientError
from collector.model import Secret
from collector.secrets import Secrets
from collector.wechat.answers import Request
from collector.wechat.client import Client, Route
from collector.wechat.waits import Stop

TIMEOUT_S = 0.5
MOST_MEMORY = 24 * 2**20
"""Bytes; the largest body that is read is a sixth of it."""

ROUTES = [pytest.param(hazard, id=name) for name, hazard in HAZARDS.items()]


@pytest.fixture
async def client(stop: Stop) -> AsyncIterator[Client]:
    async with Client.opened(timeout_s=TIMEOUT_S, connections=8, stop=stop) as opened:
        yield opened


def _request(name: str) -> Request:
    return Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": name}, {})


@contextmanager
def _in_little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("hazard", ROUTES)
async def test_a_call_ends_as_it_should_and_the_one_beside_it_is_answered(client: Client, hazard: Hazard) -> None:
    def answer(asked: Asked) -> Saying | bytes:
        return hazard.saying if asked.query["access_token"] == "hostile" else ROWS

    server = Server(answer)
    async with server.serving() as address:
        route = Route(client, [address], None, Secrets())
        began = time.monotonic()
        with _in_little_memory():
            ended, beside = await asyncio.gather(
                route.request(_request("hostile")), route.request(_request("sound")), return_exceptions=True
            )
        assert time.monotonic() - began < 8 * TIMEOUT_S
        assert beside == {"list": []}
        assert await route.request(_request("sound")) == {"list": []}
    if hazard.error is None:
        assert ended == {"list": []}
    else:
        assert (type(ended), hazard.text in str(ended)) == (hazard.error, True), repr(ended)
    assert len(server.asked) == 3  # no redirect was followed, nothing was sent again


@pytest.mark.parametrize("hazard", ROUTES)
async def test_a_token_server_in_trouble_is_named(client: Client, hazard: Hazard) -> None:
    server = Server(lambda asked: hazard.saying)
    async with server.serving() as address:
        with _in_little_memory():
            try:
                assert await client.fetch(Secret(f"{address}/secret-7"), {})
            except (TransientError, OriginError) as error:
                assert address in str(error) or "more than" in str(error)
                assert "secret-7" not in str(error)
    assert len(server.asked) == 1
