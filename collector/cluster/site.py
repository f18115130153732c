"""The connections of a worker process during a run: the database, the session with WeChat, the run's lease."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from collector import config
from collector.cluster.messages import Order, RunInfo
from collector.config import Settings
from collector.model.accounts import Account
from collector.run.connect import connect
from collector.run.counts import Counts
from collector.runtime import Clock, Stop, WechatClock, tuned_gc
from collector.store.database import Database, open_database
from collector.store.held import Held
from collector.store.leases import following
from collector.store.location import location_of
from collector.wechat.session import Session

HELD: ContextVar[Held] = ContextVar("held")
"""The claim of the batch for which the current task makes its calls."""


def settings_of(info: RunInfo) -> Settings:
    """Return the worker's own configuration, read once a run. Raises `ConfigError`."""
    return _settings(info.run, info.files)


@lru_cache(1)
def _settings(_run: str, files: tuple[Path, ...]) -> Settings:
    return config.load(files or config.find((), os.environ, Path.cwd()), os.environ, datetime.now(UTC))


class Site:
    """A run's site in a worker process, which all its batches share."""

    def __init__(self, info: RunInfo) -> None:
        self.settings = settings_of(info)
        self.stop = Stop()
        self.database: Database
        self.session: Session
        self.lease: Held
        self._info = info
        self._opening = asyncio.Lock()
        self._stack: AsyncExitStack | None = None
        self.users = 0
        self._accounts = {account.appid: account for account in self.settings.accounts}
        self._counted = Counts()

    def accounts_of(self, order: Order) -> list[Account]:
        """Return the accounts of an order."""
        discovered = [self.settings.account_of(appid, name, component) for appid, name, component in order.discovered]
        return [*(self._accounts[appid] for appid in order.configured), *discovered]

    def uncounted(self) -> Counts:
        """Return the calls made since the last time, for whatever batch."""
        client, before = self.session.client, self._counted
        self._counted = Counts(calls=client.calls, token_calls=client.token_calls, retries=client.retries)
        return replace(
            self._counted,
            calls=client.calls - before.calls,
            token_calls=client.token_calls - before.token_calls,
            retries=client.retries - before.retries,
        )

    async def open(self) -> None:
        """Open everything, for the first batch."""
        async with self._opening:
            if self._stack is None:
                async with AsyncExitStack() as stack:
                    stack.enter_context(tuned_gc())
                    location, info = await location_of(self.settings.mongodb), self._info
                    self.database = await stack.enter_async_context(open_database(location))
                    lease = following(self.database, info.run, info.epoch, times=info.times)
                    self.lease = await stack.enter_async_context(lease)
                    session = connect(
                        self.settings,
                        clock=WechatClock(Clock()),
                        stop=self.stop,
                        before_call=lambda: HELD.get().check(),
                    )
                    self.session = await stack.enter_async_context(session)
                    self._stack = stack.pop_all()

    async def close(self) -> None:
        """Close everything, after the last batch."""
        if self._stack:
            await self._stack.aclose()


SITES: dict[str, Site] = {}
"""The open sites, by run."""


@asynccontextmanager
async def opened(info: RunInfo) -> AsyncIterator[Site]:
    """Open the run's site: the first batch opens it, the last to end closes it."""
    site = SITES.get(info.run) or Site(info)
    SITES[info.run] = site
    site.users += 1
    try:
        await site.open()
        yield site
    finally:
        site.users -= 1
        if not site.users:
            del SITES[info.run]
            await site.close()
