"""Fixtures of this folder: a client, a route to one host, and the web that answers there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aioresponses import aioresponses
from support import FakeClock

from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.client import Client
from collector.wechat.routes import Route


@pytest.fixture
async def client(stop: Stop, clock: FakeClock) -> AsyncIterator[Client]:
    async with Client.opened(timeout_s=5, connections=64, stop=stop, clock=clock) as opened:
        yield opened


@pytest.fixture
def secrets(clock: FakeClock) -> Secrets:
    return Secrets(monotonic=clock.monotonic)


@pytest.fixture
def route(client: Client, secrets: Secrets) -> Route:
    """The common way to WeChat: `https://wechat.test`, without a proxy."""
    return Route(client, ["https://wechat.test"], None, secrets)


@pytest.fixture
def web() -> Iterator[Any]:
    with aioresponses() as mocked:
        yield mocked
