"""A host with a clock of its own, and a loop whose time the test moves on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clocks.hosts import NO_TIME, Host, HostClock, Hosting
from support import FakeClock, settings_of

from collector.model.accounts import Rate
from collector.sandbox import Sandbox, World
from collector.store.database import Database


@pytest.fixture
def hosting(clock: FakeClock, database: Database, mongod: str, tmp_path: Path) -> Hosting:
    """`hosting(world)` is a host that collects it, `clock` WeChat's clock; `account` is set for all accounts.

    Other options are the sandbox's.
    """

    @asynccontextmanager
    async def open_host(
        world: World,
        *,
        since: date | None = None,
        tick: timedelta = NO_TIME,
        account: Mapping[str, Any] | None = None,
        workers: int = 64,
        check_clock: bool = True,
        **options: Any,
    ) -> AsyncIterator[Host]:
        host: Host

        def now() -> datetime:
            return host.wechat_now()

        async with Sandbox(world, clock=now, **options) as sandbox:
            settings = settings_of(sandbox, database, mongod, tmp_path, since=since, workers=workers)
            known = {"rate_limit": Rate(1000, 1), **(account or {})}
            accounts = tuple(replace(each, **known) for each in settings.accounts)
            api = settings.api.model_copy(update={"check_clock": check_clock})
            settings = replace(settings, accounts=accounts, api=api)
            host = Host(settings, database, sandbox, HostClock(clock), tick)
            yield host

    return open_host
