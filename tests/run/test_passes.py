"""State that the passes keep of an account while the newest day changes, and while it is postponed."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import Configured, FakeClock, RecordingWatch, SpoiltWorld, run, stored, truth

from collector.config import Settings
from collector.errors import CallError, PostponedError, TransientError
from collector.kinds import CallKind, WaitKind
from collector.model.accounts import Component, FromComponent, FromFile, FromUrl, Rate, Secret
from collector.model.days import ONE_DAY, Days, Window
from collector.model.results import Outcome, RunResult
from collector.model.state import AccountState, DatasetState
from collector.model.waits import Wait
from collector.runtime import Stop
from collector.sandbox import Faults, Sandbox, TokenServerFault, World
from collector.store.database import Database
from collector.store.state import ACCOUNTS, load
from collector.store.state_document import to_document
from collector.store.writer import Writer
from collector.wechat.api import AccountApi
from collector.wechat.component import ComponentApi
from collector.wechat.tokens import Tokens

NEWEST = date(2026, 11, 23)
SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"


def _with(settings: Settings, place: int, **changes: Any) -> Settings:
    """Return the settings with one account changed."""
    accounts = [replace(each, **changes) if n == place else each for n, each in enumerate(settings.accounts)]
    return replace(settings, accounts=tuple(accounts))


def _served(settings: Settings, sandbox: Sandbox, places: range) -> Settings:
    """Return the settings with accounts whose token comes from the sandbox's token server."""
    key = (("Authorization", Secret(f"Bearer {sandbox.world.token_server_key}")),)
    token = FromUrl(Secret(f"{sandbox.url}/tokens/{{appid}}"), key, json="data.access_token")
    for place in places:
        settings = _with(settings, place, token=token)
    return settings


class DayAfter(RecordingWatch):
    """Watch that moves the clock to the next day with every so many windows of history, at most so many times."""

    def __init__(self, clock: FakeClock, *, windows: int = 3, days: int = 1, then: Callable[[], Any] = int) -> None:
        super().__init__()
        self._clock = clock
        self._windows = windows
        self._days = days
        self._then = then
        self.done = 0

    def window(self) -> None:
        self.done += 1
        if self.done % self._windows == 0 and self._days:
            self._days -= 1
            self._then()
            self._clock.instant += ONE_DAY


@pytest.mark.parametrize("refetch", [False, True])
async def test_backfill_goes_on_with_newer_days(clock: FakeClock, configured: Configured, refetch: bool) -> None:
    """A backfill that takes days asks for each old day once."""
    world, since = World(size=3), NEWEST - 60 * ONE_DAY
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=since, workers=1)
        if refetch:
            await run(settings, clock)
            sandbox.calls.clear()
        await run(settings, clock, watch=DayAfter(clock, windows=4, days=5), since=since, refetch=refetch)
        asked: dict[str | None, list[Window]] = defaultdict(list)
        for call in sandbox.calls:
            if call.path == CUMULATE and not call.errcode:  # a token expires with each leap of the clock
                begin, end = map(date.fromisoformat, (call.begin_date or "", call.end_date or ""))
                asked[call.appid].append(Window(begin, end))
    for account in world.accounts:
        windows = asked[account.appid]
        assert not Days.between(since, NEWEST) - Days.joined(windows)
        old = [window for window in windows if window.end < NEWEST - 13 * ONE_DAY]
        assert len(Days.joined(old)) == 7 * len(old)  # none overlaps another


async def test_refetch_goes_on_after_a_postponement(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, postponed, asked = AccountApi.rows, 0, Counter[tuple[str, date]]()

    async def postponing(self: AccountApi, path: str, window: Window, *arguments: Any) -> list[object]:
        nonlocal postponed
        if postponed < 4 and window.end < NEWEST - 60 * ONE_DAY:
            postponed += 1
            raise PostponedError(CallError("no answer"), at_s=clock.monotonic() + 15)
        asked[path, window.end] += 1
        return await rows(self, path, window, *arguments)

    since = NEWEST - 100 * ONE_DAY
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        settings = configured(sandbox, since=since)
        await run(settings, clock)
        monkeypatch.setattr(AccountApi, "rows", postponing)
        await run(settings, clock, since=since, refetch=True)
    assert set(asked.values()) == {1}
    assert len(asked) == 2 * 15


async def test_failed_token_is_tried_for_a_newer_day(clock: FakeClock, configured: Configured) -> None:
    """The token server failed for one account as the run began, and works again the day after."""
    world, since = World(size=3), NEWEST - 90 * ONE_DAY
    down = {world.accounts[2].appid: TokenServerFault.ERROR}
    async with Sandbox(world, clock=clock.now, faults=Faults(token_server=down)) as sandbox:
        settings = _served(configured(sandbox, since=since, workers=1), sandbox, range(2, 3))
        result = await run(settings, clock, watch=DayAfter(clock, then=down.clear))
    assert (result.outcomes[Outcome.FAILED], result.failures, result.exit) == (0, (), 0)


async def test_failed_list_is_read_for_a_newer_day(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, is_down = World(size=4), [True]
    page = ComponentApi._page

    async def failing(self: ComponentApi, offset: int) -> Any:
        if is_down:
            raise TransientError("HTTP 502 instead of an answer", kind=CallKind.COMPONENT)
        return await page(self, offset)

    monkeypatch.setattr(ComponentApi, "_page", failing)
    known = world.component
    secret, ticket = Secret(known.secret), Secret(known.verify_ticket)
    platform = Component("agency", known.appid, secret=secret, verify_ticket=ticket)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = replace(configured(sandbox, since=NEWEST - 60 * ONE_DAY, workers=1), components=(platform,))
        for place in (2, 3):
            settings = _with(settings, place, token=FromComponent("agency"), secret=None)
        result = await run(settings, clock, watch=DayAfter(clock, then=is_down.clear))
    assert (result.outcomes[Outcome.FAILED], result.failures) == (0, ())


async def test_missing_secret_is_read_for_a_newer_day(clock: FakeClock, configured: Configured, tmp_path: Path) -> None:
    world, file = World(size=3), tmp_path / "secret"

    def write() -> None:
        file.touch(mode=0o600)
        file.write_text(world.accounts[2].secret)

    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=NEWEST - 60 * ONE_DAY, workers=1)
        settings = _with(settings, 2, secret=FromFile(file))
        result = await run(settings, clock, watch=DayAfter(clock, then=write))
    assert (result.outcomes[Outcome.FAILED], result.failures) == (0, ())


async def test_newer_day_keeps_the_pace(clock: FakeClock, configured: Configured) -> None:
    """An account whose daily job was done a moment ago waits for its next turn."""
    world = World(size=2, sparse=False)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = _with(configured(sandbox, workers=1), 1, since=NEWEST - 60 * ONE_DAY)
        settings = _with(settings, 0, rate_limit=Rate(2, 1))
        await run(settings, clock, watch=DayAfter(clock, windows=1))
        paced = world.accounts[0].appid
        times = [call.arrived_s for call in sandbox.calls if call.appid == paced and call.path in (SUMMARY, CUMULATE)]
    assert len(times) == 4
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.4


async def test_stop_after_a_newer_day(clock: FakeClock, configured: Configured, stop: Stop) -> None:
    """Accounts without a turn for the newer day count as they came out with the older one."""
    world = World(size=4)

    class Stopping(DayAfter):
        def begin(self, accounts: int) -> None:
            super().begin(accounts)
            if len(self.begun) == 2:
                stop.set(signal.SIGTERM)

    faults = Faults(broken={world.accounts[0].appid: 40125})
    async with Sandbox(world, clock=clock.now, faults=faults) as sandbox:
        settings = configured(sandbox, since=NEWEST - 60 * ONE_DAY, workers=1)
        result = await run(settings, clock, stop, watch=Stopping(clock))
    assert [failure.errcode for failure in result.failures] == [40125]
    assert (result.outcomes[Outcome.OK], result.outcomes[Outcome.FAILED]) == (3, 1)


async def test_error_of_a_newest_day_is_kept(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Answers of history don't mend what failed in the daily job."""
    world = SpoiltWorld(size=1, spoilt=[NEWEST - ONE_DAY])
    async with Sandbox(world, clock=clock.now) as sandbox:
        result = await run(configured(sandbox, since=NEWEST - 34 * ONE_DAY), clock)
    error = (await load(database))[world.accounts[0].appid].dataset("user_summary").last_error
    assert error
    assert [failure.errmsg for failure in result.failures] == [error.errmsg]


async def test_postponed_account_stores_nothing(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state is the same after each turn in vain."""
    get, put, puts = Tokens.get, Writer.put, Counter[str]()
    back_s = clock.monotonic() + 100

    async def away(self: Tokens) -> Any:
        if clock.monotonic() < back_s:
            raise PostponedError(CallError("no answer"), at_s=clock.monotonic() + 15)
        return await get(self)

    async def counted(self: Writer, update: Any) -> None:
        puts[update.state.account] += 1
        await put(self, update)

    monkeypatch.setattr(Tokens, "get", away)
    monkeypatch.setattr(Writer, "put", counted)
    async with Sandbox(World(size=3), clock=clock.now) as sandbox:
        assert (await run(configured(sandbox), clock)).exit == 0
    assert len(puts) == 3
    assert max(puts.values()) <= 2


async def test_history_makes_way_for_a_daily_job(clock: FakeClock, configured: Configured) -> None:
    """Accounts whose token server is back get their newest days before a long history goes on."""
    world = World(size=6)
    absent = dict.fromkeys([account.appid for account in world.accounts[:5]], TokenServerFault.ERROR)
    done: list[int] = []

    class Slow(RecordingWatch):
        def window(self) -> None:
            clock.instant += timedelta(minutes=1)
            absent.clear()
            done.append(len(self.results))

    async with Sandbox(world, clock=clock.now, faults=Faults(token_server=absent)) as sandbox:
        settings = _served(configured(sandbox, workers=1), sandbox, range(5))
        settings = _with(settings, 5, since=NEWEST - 200 * ONE_DAY)
        await run(settings, clock, watch=Slow())
    assert len(done) > 20
    assert done[6] == len(world.accounts)  # four calls are in flight at first


async def test_newer_day_does_not_wait_for_the_postponed(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    """08:00 comes while one history is filled and others wait, postponed, for their daily job."""
    world, since = World(size=6, sparse=False), NEWEST - 100 * ONE_DAY
    absent = dict.fromkeys([account.appid for account in world.accounts[:5]], TokenServerFault.ERROR)

    class Eight(DayAfter):
        def window(self) -> None:
            self.done += 1
            if self.done == 3:
                absent.clear()
                clock.instant += timedelta(seconds=5)

    clock.instant = clock.instant.replace(hour=23, minute=59, second=56)  # 07:59:56 in Beijing
    async with Sandbox(world, clock=clock.now, faults=Faults(token_server=absent)) as sandbox:
        settings = _served(configured(sandbox, workers=1), sandbox, range(5))
        settings = _with(settings, 5, since=since)
        result = await run(settings, clock, watch=Eight(clock))
    newer = NEWEST + ONE_DAY
    assert (result.exit, result.windows_left) == (0, 0)
    last = world.accounts[5].appid
    expected = {key: value for key, value in truth(world, Window(since, newer)).items() if key[0] == last}
    found = await stored(database)
    assert expected.items() <= found.items()
    assert {appid for appid, day in found if day == str(newer)} == {account.appid for account in world.accounts}


async def test_stop_before_any_turn(clock: FakeClock, database: Database, configured: Configured, stop: Stop) -> None:
    """A backfill's --since is remembered for all accounts, beside what was known; a plain run stores nothing."""
    since = NEWEST - 60 * ONE_DAY

    class AtOnce(RecordingWatch):
        def __init__(self) -> None:
            super().__init__()
            self.stop = Stop()

        def begin(self, accounts: int) -> None:
            self.stop.set(signal.SIGTERM)

    async def stopped(settings: Settings, **history: Any) -> RunResult:
        watch = AtOnce()
        return await run(settings, clock, watch.stop, watch, **history)

    async with Sandbox(World(size=3), clock=clock.now) as sandbox:
        settings = configured(sandbox, workers=1)
        await run(replace(settings, accounts=settings.accounts[:1]), clock)
        before = await load(database)
        await stopped(settings)
        assert await load(database) == before
        result = await stopped(settings, since=since)
    after = await load(database)
    assert (result.calls, {state.history_since for state in after.values()}, len(after)) == (0, {since}, 3)
    (first,) = before.values()
    assert after[first.account] == first._replace(history_since=since)


async def test_part_of_history_is_wanted_once(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A backfill with an end leaves nothing to later runs."""
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock, since=NEWEST - 60 * ONE_DAY, until=NEWEST - 40 * ONE_DAY)
    assert [state.history_since for state in (await load(database)).values()] == [None]


async def test_exhaustive_backfill_forgets_the_birth(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    world = World(size=1)
    born = AccountState(world.accounts[0].appid, world.accounts[0].name, born=NEWEST - 3 * ONE_DAY)
    await database[ACCOUNTS].insert_one(to_document(born))
    async with Sandbox(world, clock=clock.now) as sandbox:
        await run(configured(sandbox), clock, since=NEWEST - 20 * ONE_DAY, exhaustive=True)
        asked = min(call.begin_date or "" for call in sandbox.calls if call.path == CUMULATE)
    assert asked <= str(NEWEST - 20 * ONE_DAY)


async def test_history_keeps_the_token(clock: FakeClock, configured: Configured) -> None:
    async with Sandbox(World(size=3), clock=clock.now) as sandbox:
        result = await run(configured(sandbox, since=NEWEST - 60 * ONE_DAY, workers=1), clock)
    assert (result.exit, result.token_calls) == (0, 3)


async def test_planned_wait_is_told_with_its_end(clock: FakeClock, database: Database, configured: Configured) -> None:
    later = clock.now() + timedelta(hours=3)
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        waiting = dict.fromkeys(("user_summary", "user_cumulate"), DatasetState(wait=Wait(WaitKind.NOT_BEFORE, later)))
        (account,) = settings.accounts
        await database[ACCOUNTS].insert_one(to_document(AccountState(account.appid, account.name, datasets=waiting)))
        result = await run(settings, clock)
    assert [(notice.kind, notice.until) for notice in result.notices] == [(WaitKind.NOT_BEFORE, later)]
