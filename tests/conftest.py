"""Fixtures that all tests share: a real mongod, a clock that never waits, settings, and the recorded bodies."""

from __future__ import annotations

import asyncio
import inspect
import json
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aioresponses.core
import pytest
import stamina
import structlog
from aiohttp import ClientResponse
from hypothesis import Phase, settings
from support import FAST, Advance, Configured, FakeClock, settings_of

from collector.config import Settings
from collector.model.accounts import Account, Secret
from collector.runtime import Stop, tuned_gc
from collector.sandbox import Sandbox
from collector.store.database import Database, open_database
from collector.store.local import local_mongod
from collector.store.location import Location

# A slow machine must not fail a test, and hypothesis' explanations of failures cost minutes.
PHASES = tuple(phase for phase in Phase if phase is not Phase.explain)
settings.register_profile("collector", deadline=None, print_blob=True, phases=PHASES)
settings.load_profile("collector")

PAYLOADS = Path(__file__).parent / "payloads"


if "stream_writer" in inspect.signature(ClientResponse.__init__).parameters:
    # aioresponses 0.7.9 doesn't know the argument that aiohttp 3.14 asks for (its issue 289).
    class _Response(ClientResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
            super().__init__(*args, **kwargs)

    aioresponses.core.ClientResponse = _Response  # type: ignore[attr-defined] # it imports the name for itself


@pytest.fixture
def clock() -> FakeClock:
    """2026-11-24, 10:30:10 in Beijing: the newest published day is the 23rd."""
    return FakeClock(datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC))


@pytest.fixture
async def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Move the loop's clock forward by some seconds, and let all tasks continue whose wait is over."""
    loop = asyncio.get_running_loop()
    real, ahead_s = loop.time, 0.0

    async def forward(seconds: float) -> None:
        nonlocal ahead_s
        await asyncio.sleep(0)  # whatever has just begun gets to its wait
        ahead_s += seconds
        for _ in range(5):
            await asyncio.sleep(0)

    monkeypatch.setattr(loop, "time", lambda: real() + ahead_s)
    return forward


@pytest.fixture
def callbacks_s(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The CPU seconds of its thread that each callback of the event loop has used."""
    used_s: list[float] = []
    call = asyncio.events.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        call(handle)
        used_s.append(time.thread_time() - began)

    monkeypatch.setattr(asyncio.events.Handle, "_run", measured)
    with tuned_gc():
        yield used_s


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def account() -> Account:
    return Account("acme-shoes", "wx0123456789abcdef", Secret("s3cret-of-acme"), FAST)


@pytest.fixture
def payload() -> Callable[[str], Any]:
    """Read the recorded body of a name."""

    def read(name: str) -> Any:
        return json.loads((PAYLOADS / f"{name}.json").read_text())["response"]

    return read


@pytest.fixture(autouse=True)
def _quick_retries() -> Iterator[None]:
    """Count retries as ever, but don't wait for them."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
    structlog.reset_defaults()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give up at once on an address of MongoDB that doesn't answer."""
    monkeypatch.setattr("collector.store.database.SELECTION_TIMEOUT_MS", 50)
    monkeypatch.setattr("collector.store.database.FIRST_OUTAGE_S", 0.01)
    with stamina.set_testing(False):
        yield


@pytest.fixture(scope="session")
def mongod() -> Iterator[str]:
    """The URI of a real mongod with an empty data directory, for the whole session."""
    with tempfile.TemporaryDirectory(prefix="collector-tests-") as folder, asyncio.Runner() as runner:
        stack = AsyncExitStack()
        uri = runner.run(stack.enter_async_context(local_mongod(Path(folder))))
        yield uri
        runner.run(stack.aclose())


@pytest.fixture
async def database(mongod: str) -> AsyncIterator[Database]:
    """A database of the test's own, dropped at its end."""
    async with open_database(Location(f"test_{uuid.uuid4().hex}", Secret(mongod))) as opened:
        yield opened
        await opened.client.drop_database(opened.name)


@pytest.fixture
def configured(database: Database, mongod: str, tmp_path: Path) -> Configured:
    """Make the settings for a sandbox, or from a configuration's content, with the test's own database.

    `account` changes all accounts, which are fast unless it says otherwise; other options are those of `settings_of`.
    """

    def make(source: Sandbox | Mapping[str, Any], *, account: Mapping[str, Any] | None = None, **run: Any) -> Settings:
        settings = settings_of(source, database, mongod, tmp_path, **run)
        changed = {"rate_limit": FAST, **(account or {})}
        return replace(settings, accounts=tuple(replace(each, **changed) for each in settings.accounts))

    return make
