"""The workers: which accounts are asked when, and one account's trouble apart from the others'."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import MAX_CALLBACK_S, Configured, FakeClock, RecordingWatch, run, stored, truth

from collector.completeness.plan import plan
from collector.completeness.settle import Settling
from collector.config import Settings
from collector.console.progress import Watch
from collector.kinds import CallKind, WaitKind
from collector.model.accounts import Account, FromUrl, Rate, Secret
from collector.model.days import ONE_DAY, Days, Window
from collector.model.results import AccountResult, Outcome
from collector.model.state import AccountState, DatasetState
from collector.model.waits import Wait
from collector.run import passes, queue
from collector.runtime import Stop
from collector.sandbox import Faults, Sandbox, TokenServerFault, World
from collector.store.database import Database
from collector.store.state_document import to_document
from collector.wechat.api import AccountApi
from collector.wechat.errcodes import api_error

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"
TOKEN = "/cgi-bin/stable_token"


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


def _most_within(seconds: float, times: Collection[float]) -> int:
    return max(sum(first <= other < first + seconds for other in times) for first in times)


async def test_no_account_exceeds_its_rate(clock: FakeClock, configured: Configured, callbacks_s: list[float]) -> None:
    """200 accounts at 5 calls a second, as the server sees them; one more at a period's edge is jitter.

    No callback uses more than 100 ms of the CPU of the loop's thread.
    """
    async with _sandbox(clock, World(size=200)) as sandbox:
        settings = configured(sandbox, account={"rate_limit": Rate(5, 1)}, since=NEWEST - 34 * ONE_DAY, workers=200)
        assert (await run(settings, clock)).exit == 0
        assert max(callbacks_s) < MAX_CALLBACK_S
        times: dict[str, list[float]] = defaultdict(list)
        for call in sandbox.calls:
            if call.path in (SUMMARY, CUMULATE):
                times[call.appid or ""].append(call.arrived_s)
    assert len(times) == 200
    assert max(_most_within(1, account) for account in times.values()) <= 6


async def test_four_calls_in_flight_for_each_worker(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=4), latency_s=0.05) as sandbox:
        await run(configured(sandbox, since=NEWEST - 90 * ONE_DAY, workers=2), clock)
        arrived = [call.arrived_s for call in sandbox.calls if call.path in (SUMMARY, CUMULATE)]
    assert _most_within(0.05, arrived) <= 8


async def test_stop_drains_calls_in_flight(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop
) -> None:
    """A stop finishes and stores the calls in flight, and skips the rest."""
    world = World(size=30)
    async with _sandbox(clock, world, latency_s=0.02) as sandbox:
        settings = configured(sandbox, workers=5)

        class StopAfterTheFirst(Watch):
            def account(self, result: AccountResult) -> None:
                if not stop.is_set:
                    stop.set(signal.SIGTERM)

        result = await run(settings, clock, stop, StopAfterTheFirst())
    assert (result.exit, result.status) == (143, "stopped")
    assert 1 <= result.outcomes[Outcome.OK] <= 5  # one for each worker
    assert result.outcomes[Outcome.SKIPPED] == 30 - result.outcomes[Outcome.OK]
    assert result.failures == ()
    expected = truth(world, LAST_WEEK)
    found = await stored(database)
    assert len(found) >= 7 * result.outcomes[Outcome.OK]
    assert found == {key: expected[key] for key in found}


async def test_unreachable_wechat_ends_the_run(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=10_000)) as sandbox:
        settings = configured(sandbox)
    api = settings.api.model_copy(update={"hosts": ("http://127.0.0.1:1", "http://127.0.0.1:2")})
    result = await run(replace(settings, api=api), clock)
    assert result.exit == 1
    assert result.error is not None
    assert "http://127.0.0.1:1, http://127.0.0.1:2" in result.error
    assert 128 <= result.outcomes[Outcome.FAILED] < 256
    assert result.calls == 0


async def test_crash_stops_one_account(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(size=3)
    broken = world.accounts[1].appid
    take = Settling.take

    def failing(self: Settling, *arguments: Any) -> Any:
        if self.state.account == broken:
            raise KeyError("a mistake")
        return take(self, *arguments)

    monkeypatch.setattr(Settling, "take", failing)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        with capture_logs() as logs:
            result = await run(settings, clock, since=NEWEST - 20 * ONE_DAY)
        assert sum(call.appid == broken for call in sandbox.calls) == 3  # a token and the newest days: no history
    assert [(failure.account, failure.errmsg, failure.windows) for failure in result.failures] == [
        (broken, "the collector failed on this account (KeyError)", 1)
    ]
    assert (result.exit, result.outcomes[Outcome.FAILED]) == (3, 1)
    crashes = [log for log in logs if log["event"] == "account.crashed"]
    assert [log["account"] for log in crashes] == [str(settings.accounts[1])]
    assert await stored(database) == truth(world, Window(NEWEST - 20 * ONE_DAY, NEWEST), without=[broken])


async def test_crash_in_planning_stops_one_account(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(size=3)
    broken = world.accounts[1].appid
    planned = plan

    def failing(account: Account, *arguments: Any, **more: Any) -> Any:
        if account.appid == broken:
            raise OverflowError("a date before all dates")
        return planned(account, *arguments, **more)

    monkeypatch.setattr(passes, "plan", failing)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        with capture_logs() as logs:
            result = await run(settings, clock)
    assert [(failure.account, failure.errmsg, failure.windows) for failure in result.failures] == [
        (broken, "the collector failed on this account (OverflowError)", 0)
    ]
    assert (result.exit, result.outcomes[Outcome.FAILED], result.outcomes[Outcome.OK]) == (3, 1, 2)
    crashes = [log for log in logs if log["event"] == "account.crashed"]
    assert [log["account"] for log in crashes] == [str(settings.accounts[1])]
    assert await stored(database) == truth(world, LAST_WEEK, without=[broken])


async def test_dead_proxy_fails_its_accounts_alone(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    async with Sandbox(World(size=8), clock=clock.now, latency_s=0.02) as sandbox:
        settings = configured(sandbox, workers=1)
        accounts = tuple(
            replace(account, proxy=Secret("http://127.0.0.1:1")) if place < 5 else account
            for place, account in enumerate(settings.accounts)
        )
        result = await run(replace(settings, accounts=accounts), clock)
    assert (result.exit, result.outcomes[Outcome.FAILED], result.outcomes[Outcome.OK]) == (3, 5, 3)
    assert {failure.hint for failure in result.failures} == {
        "the proxy can't be reached (http://127.0.0.1:1): check `proxy`, and that it runs"
    }


async def test_failed_history_is_not_through(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An account with nothing to ask that then fails in its history didn't get through."""
    async with Sandbox(World(size=1, sparse=False), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        assert (await run(settings, clock)).exit == 0
        wrong = replace(settings, accounts=(replace(settings.accounts[0], secret=Secret("wrong")),))
        result = await run(wrong, clock, since=NEWEST - 60 * ONE_DAY)
    assert (result.outcomes[Outcome.FAILED], result.got_through, result.exit) == (1, 0, 1)


async def test_days_before_a_wrong_birth_are_asked(
    clock: FakeClock, configured: Configured, database: Database
) -> None:
    world = World(size=1)
    since = NEWEST - 30 * ONE_DAY
    known = AccountState(world.accounts[0].appid, world.accounts[0].name, born=NEWEST - 2 * ONE_DAY)
    await database["accounts"].insert_one(to_document(known))
    async with Sandbox(world, clock=clock.now) as sandbox:
        assert (await run(configured(sandbox, since=since), clock)).exit == 0
    assert truth(world, Window(since, NEWEST)).items() <= (await stored(database)).items()


async def test_reopened_void_days_are_asked(clock: FakeClock, configured: Configured, database: Database) -> None:
    """Void days that a newer row reopens are asked for in the same run."""
    world = World(size=1)
    since, void = NEWEST - 30 * ONE_DAY, Days.between(NEWEST - 19 * ONE_DAY, NEWEST - 7 * ONE_DAY)
    dataset = DatasetState(Days.between(since, NEWEST - 20 * ONE_DAY), void)
    known = {"user_summary": dataset, "user_cumulate": dataset}
    state = AccountState(world.accounts[0].appid, world.accounts[0].name, datasets=known)
    await database["accounts"].insert_one(to_document(state))
    async with Sandbox(world, clock=clock.now) as sandbox:
        assert (await run(configured(sandbox, since=since), clock)).exit == 0
    found = await stored(database)
    assert {str(day) for day in void} <= {day for _, day in found}


async def test_history_keeps_the_pace(clock: FakeClock, configured: Configured) -> None:
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        settings = configured(sandbox, account={"rate_limit": Rate(4, 1)}, since=NEWEST - 20 * ONE_DAY)
        assert (await run(settings, clock)).exit == 0
        times = [call.arrived_s for call in sandbox.calls if call.path in (SUMMARY, CUMULATE)]
    assert len(times) == 6
    assert min(later - earlier for earlier, later in pairwise(sorted(times))) > 0.1


async def test_new_name_reaches_stored_documents(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with Sandbox(World(size=2), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        first, second = settings.accounts
        await run(replace(settings, accounts=(replace(first, name="新名"), second)), clock)
    names = {(document["account"], document["name"]) async for document in database["user_daily"].find()}
    assert names == {(first.appid, "新名"), (second.appid, second.name)}
    assert (await database["accounts"].find_one({"_id": first.appid}) or {})["name"] == "新名"


async def test_unreached_accounts_remember_since(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop
) -> None:
    async with Sandbox(World(size=5), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        asyncio.get_running_loop().call_later(0.001, stop.set, signal.SIGTERM)
        await run(settings, clock, stop, since=NEWEST - 20 * ONE_DAY)
    remembered = [state["history_since"] async for state in database["accounts"].find()]
    assert remembered in ([], [str(NEWEST - 20 * ONE_DAY)] * 5)


async def test_failed_dataset_spares_the_other(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = AccountApi.rows

    async def refusing(self: AccountApi, path: str, *arguments: Any) -> list[object]:
        if path == SUMMARY:
            raise api_error(48001, "api unauthorized", CallKind.DATA)
        return await rows(self, path, *arguments)

    monkeypatch.setattr(AccountApi, "rows", refusing)
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        result = await run(configured(sandbox), clock, since=NEWEST - 34 * ONE_DAY)
    assert [(failure.dataset, failure.errcode) for failure in result.failures] == [("user_summary", 48001)]
    assert result.exit == 3
    assert len(await stored(database)) == 35


async def test_stopped_run_counts_held_history(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop
) -> None:
    """History that waits is counted as left, also where the stop came before its turn."""
    since = NEWEST - 34 * ONE_DAY
    later = clock.now() + timedelta(hours=3)

    async with _sandbox(clock, World(size=2)) as sandbox:
        settings = configured(sandbox, since=since)
        for account in settings.accounts:
            waiting = dict.fromkeys(
                ("user_summary", "user_cumulate"), DatasetState(wait=Wait(WaitKind.NOT_BEFORE, later))
            )
            state = AccountState(account.appid, account.name, datasets=waiting)
            await database["accounts"].insert_one(to_document(state))
        result = await run(settings, clock, stop, StopAfterTwo(stop))
    assert (result.exit, result.calls, result.windows_left) == (143, 0, 2 * 4)


def _with(settings: Settings, slow: int, **changes: Any) -> Settings:
    """Return the settings with one account changed."""
    accounts = [replace(account, **changes) if n == slow else account for n, account in enumerate(settings.accounts)]
    return replace(settings, accounts=tuple(accounts))


class StopAfterTwo(Watch):
    """Watch that stops the run when the newest days of two accounts are done."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._seen = 0

    def account(self, result: AccountResult) -> None:
        self._seen += 1
        if self._seen == 2:
            self._stop.set(signal.SIGTERM)


class DayAfter(Watch):
    """Watch that moves the clock to the next day when the third window of history is done."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._windows = 0

    def window(self) -> None:
        self._windows += 1
        if self._windows == 3:
            self._clock.instant += ONE_DAY


async def test_newer_day_comes_before_history(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A day that is published while history is filled is asked for of all accounts, then history goes on."""
    world, newer, since = World(size=3), NEWEST + ONE_DAY, NEWEST - 90 * ONE_DAY
    async with _sandbox(clock, world) as sandbox:
        with capture_logs() as logs:
            result = await run(configured(sandbox, since=since, workers=1), clock, watch=DayAfter(clock))
        assert {"event": "day.published", "newest": str(newer), "log_level": "info"} in logs
        calls = [call for call in sandbox.calls if call.path == CUMULATE]
    of_newer = [n for n, call in enumerate(calls) if call.end_date == str(newer)]
    assert {calls[n].appid for n in of_newer} == {account.appid for account in world.accounts}
    between = {call.end_date for call in calls[of_newer[0] : of_newer[-1]]}
    assert between == {str(newer)}
    assert of_newer[-1] < len(calls) - 20  # most of the history was still to come
    assert (result.exit, result.total, result.windows_left) == (0, 3, 0)
    assert await stored(database) == truth(world, Window(since, newer))


async def test_crashed_account_claims_no_unsaved_day(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the newer day it is tried again, by what is stored of it."""
    world, since = World(size=2), NEWEST - 60 * ONE_DAY
    take, crashed = Settling.take, list[str]()

    def failing(self: Settling, *arguments: Any) -> Any:
        days = take(self, *arguments)
        if self.state.account == world.accounts[0].appid and not crashed:
            crashed.append(self.state.account)
            raise KeyError("a mistake, after days were learnt")
        return days

    monkeypatch.setattr(Settling, "take", failing)
    async with _sandbox(clock, world) as sandbox:
        result = await run(configured(sandbox, since=since, workers=1), clock, watch=DayAfter(clock))
    assert (result.exit, len(crashed)) == (0, 1)
    assert truth(world, Window(since, NEWEST + ONE_DAY)).items() <= (await stored(database)).items()


async def test_daily_job_is_finished_first(clock: FakeClock, configured: Configured) -> None:
    """A day that is published during the daily job comes after it, though an account waits for its history."""
    world = World(size=3)

    class Later(RecordingWatch):
        def account(self, result: AccountResult) -> None:
            super().account(result)
            if len(self.results) == 1:
                clock.instant += ONE_DAY

    async with _sandbox(clock, world) as sandbox:
        settings = _with(configured(sandbox, workers=1), 0, since=NEWEST - 30 * ONE_DAY)
        assert (await run(settings, clock, watch=Later())).exit == 0
        newest = [call.end_date for call in sandbox.calls if call.path == CUMULATE]
    assert newest[:6] == [str(NEWEST)] * 3 + [str(NEWEST + ONE_DAY)] * 3


async def test_newer_day_without_history(clock: FakeClock, configured: Configured) -> None:
    """A day that is published during the daily job alone is left to the next run."""
    world = World(size=3)

    class Later(Watch):
        def account(self, result: AccountResult) -> None:
            clock.instant += ONE_DAY

    async with _sandbox(clock, world) as sandbox:
        result = await run(configured(sandbox, workers=1), clock, watch=Later())
        assert {call.end_date for call in sandbox.calls if call.path == CUMULATE} == {str(NEWEST)}
    assert result.exit == 0


async def test_slow_account_holds_one_worker(clock: FakeClock, configured: Configured, stop: Stop) -> None:
    """While one account waits for its turn to make its second call, the others go on with their history."""

    class StopInHistory(Watch):
        def window(self) -> None:
            stop.set(signal.SIGTERM)

    world = World(size=3)
    async with _sandbox(clock, world) as sandbox:
        settings = _with(configured(sandbox, since=NEWEST - 30 * ONE_DAY, workers=2), 0, rate_limit=Rate(1, 60))
        result = await run(settings, clock, stop, StopInHistory())
        slow = [call for call in sandbox.calls if call.appid == world.accounts[0].appid and call.path != TOKEN]
    assert (result.exit, len(slow)) == (143, 1)


async def test_newer_day_does_not_wait_for_a_slow_account(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get it while the slow account, whose history is filled, waits for its turn."""
    monkeypatch.setattr(queue, "LOOK_EVERY_S", 0.01)
    world, newer = World(size=3, sparse=False), NEWEST + ONE_DAY

    tasks: list[asyncio.Task[None]] = []

    class Rested(Watch):
        results = 0

        def account(self, result: AccountResult) -> None:
            self.results += 1
            if self.results == 3:
                tasks.append(asyncio.create_task(tomorrow()))
            if self.results == 5:
                stop.set(signal.SIGTERM)

    async def tomorrow() -> None:
        """Begin the next day when the slow account has begun with its history."""
        slow = world.accounts[0].appid
        while not any(  # noqa: ASYNC110 - the sandbox sets no event
            call.appid == slow and call.path == SUMMARY for call in sandbox.calls[before:]
        ):
            await asyncio.sleep(0.01)
        clock.instant += ONE_DAY

    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, since=NEWEST - 6 * ONE_DAY, workers=3)
        assert (await run(settings, clock)).exit == 0
        before = len(sandbox.calls)
        slow = _with(settings, 0, rate_limit=Rate(1, 60), since=NEWEST - 90 * ONE_DAY)
        result = await run(slow, clock, stop, Rested())
    assert result.exit == 143
    found = await stored(database)
    assert {appid for appid, day in found if day == str(newer)} == {account.appid for account in world.accounts[1:]}


async def test_renames_come_after_the_daily_job(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop
) -> None:
    """A stop before an account's history leaves its old name, and the next run writes the new one."""

    async def names() -> set[str]:
        return set(await database["user_daily"].distinct("name"))

    async with _sandbox(clock, World(size=2, sparse=False)) as sandbox:
        settings = configured(sandbox, workers=1)
        await run(settings, clock)
        before = await names()
        renamed = _with(_with(settings, 0, name="新名"), 1, name="other")
        await run(renamed, clock, stop, StopAfterTwo(stop))
        assert await names() == before
        await run(renamed, clock)
    assert await names() == {"新名", "other"}
    assert {state["name"] async for state in database["accounts"].find()} == {"新名", "other"}


async def test_postponed_accounts_hold_no_worker(database: Database, configured: Configured, clock: FakeClock) -> None:
    """While a token server restarts, the others are collected, and then those that need it, but for the first two."""
    world, since = World(size=12), NEWEST - 20 * ONE_DAY
    served = [account.appid for account in world.accounts[:8]]
    absent = dict.fromkeys(served, TokenServerFault.ERROR)
    waiting_for_it: list[int] = []
    watch = RecordingWatch()

    class Restart(FakeClock):
        async def sleep(self, delay_s: float) -> None:
            await super().sleep(delay_s)
            waiting_for_it.append(len(watch.results))
            if len(self.slept) == 2:
                absent.clear()

    clock = Restart(clock.instant)
    async with _sandbox(clock, world, faults=Faults(token_server=absent)) as sandbox:
        settings = configured(sandbox, since=since, workers=2)
        key = (("Authorization", Secret(f"Bearer {world.token_server_key}")),)
        token = FromUrl(Secret(f"{sandbox.url}/tokens/{{appid}}"), key, json="data.access_token")
        for place in range(len(served)):
            settings = _with(settings, place, token=token)
        result = await run(settings, clock, watch=watch)
    assert waiting_for_it[:2] == [6, 6]  # four with a secret, and the two whose retries opened the circuit breaker
    assert [failure.account for failure in result.failures] == served[:2]
    assert await stored(database) == truth(world, Window(since, NEWEST), without=served[:2])


async def test_progress_of_newest_days_and_history(clock: FakeClock, configured: Configured) -> None:
    watch = RecordingWatch()
    async with _sandbox(clock, World(size=2)) as sandbox:
        await run(configured(sandbox), clock, watch=watch, since=NEWEST - 20 * ONE_DAY)
    assert (watch.begun, watch.windows) == ([2], [2, 2])
