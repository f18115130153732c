"""Runs over documents without a `date`, as older versions have stored them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import Configured, FakeClock, RecordingWatch, run, stored, truth

from collector.commands.plans import target_of
from collector.commands.verify import verify
from collector.config import Selection
from collector.model.days import ONE_DAY, Window
from collector.model.results import AccountResult
from collector.runtime import Stop
from collector.sandbox import Sandbox, World
from collector.store import dates as module
from collector.store.bulk import write_bulk
from collector.store.database import Database
from collector.store.schema import USER_DAILY

NEWEST = date(2026, 11, 23)
MONTH = Window(NEWEST - 27 * ONE_DAY, NEWEST)
WORLD = World(size=5)


async def _age(database: Database) -> None:
    """Make the documents those of an older version."""
    await database[USER_DAILY].update_many({}, {"$unset": {"date": True}})


async def _dateless(database: Database) -> int:
    return await database[USER_DAILY].count_documents({"date": None})


async def test_run_fills_in_the_date(clock: FakeClock, database: Database, configured: Configured) -> None:
    """It does so once, and all else stays as it is."""
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=MONTH.begin)
        await run(settings, clock)
        await _age(database)
        with capture_logs() as logs:
            results = [await run(settings, clock) for _ in range(2)]
    assert await stored(database) == truth(WORLD, MONTH)
    assert [result.exit for result in results] == [0, 0]
    assert [log["event"] for log in logs if log["event"].startswith("dates")] == ["dates.filled"]
    assert (await verify(settings, Selection(), target_of(settings, clock), repair=False)).findings == []


class _StopAfterFirst(RecordingWatch):
    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def account(self, result: AccountResult) -> None:
        self._stop.set(15)


async def test_stopped_run_leaves_it_to_the_next(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=MONTH.begin, workers=1)
        await run(settings, clock)
        await _age(database)
        before = await _dateless(database)
        stop = Stop()
        result = await run(settings, clock, stop, _StopAfterFirst(stop))
        assert (result.exit, await _dateless(database)) == (143, before)
        assert (await run(settings, clock)).exit == 0
    assert await _dateless(database) == 0


async def test_stop_while_it_fills_in(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day's figures are stored by then."""
    stop = Stop()

    async def stopping(*arguments: Any) -> Any:
        stop.set(15)
        return await write_bulk(*arguments)

    monkeypatch.setattr(module, "write_bulk", stopping)
    monkeypatch.setattr(module, "FILLED_AT_ONCE", 10)
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=MONTH.begin)
        await run(settings, clock)
        await _age(database)
        clock.instant += ONE_DAY
        before = await _dateless(database)
        result = await run(settings, clock, stop)
    newest = await database[USER_DAILY].count_documents({"ref_date": str(NEWEST + ONE_DAY), "date": {"$type": "date"}})
    assert (result.exit, newest) == (143, len(WORLD.accounts))
    assert 10 <= before - await _dateless(database) < before


async def test_refused_document_stops_no_run(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=MONTH.begin)
        await run(settings, clock)
        await _age(database)
        await database.command("collMod", USER_DAILY, validator={"ref_date": {"$ne": str(MONTH.begin)}})
        with capture_logs() as logs:
            result = await run(settings, clock)
    assert (result.exit, await _dateless(database)) == (0, len(WORLD.accounts))
    (refused,) = (log for log in logs if log["event"] == "dates.refused")
    assert (refused["documents"], refused["reason"]) == (len(WORLD.accounts), "Document failed validation")
