"""Runs on days one after the other: what is known, what is asked again, what heals."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from support import Configured, FakeClock, run, stored, truth

from collector.commands.collect import collect
from collector.commands.plans import plans, target_of
from collector.commands.work import Job
from collector.completeness.datasets import DATASETS
from collector.config import Selection
from collector.model.days import FIRST_DAY, ONE_DAY, Window
from collector.model.results import Outcome
from collector.runtime import Stop
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import Database, Document
from collector.store.leases import lease
from collector.store.state import load

NEWEST = date(2026, 11, 23)
SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"


def _data_calls(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(call.appid for call in sandbox.calls if call.path in (SUMMARY, CUMULATE))


async def test_daily_pass_costs_two_calls(clock: FakeClock, configured: Configured) -> None:
    """The daily pass makes two calls for each account; a second pass on the same day makes none."""
    world = World(size=1000, sparse=False)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        assert (await run(settings, clock)).exit == 0
        sandbox.calls.clear()
        clock.instant += ONE_DAY
        result = await run(settings, clock)
        assert (result.exit, result.calls) == (0, 2000)
        assert set(_data_calls(sandbox).values()) == {2}
        result = await run(settings, clock)
        assert (result.exit, result.calls, result.token_calls) == (0, 0, 0)


async def test_unresolved_newest_day_is_asked_again(
    clock: FakeClock, configured: Configured, database: Database
) -> None:
    """Only newest days for which summary has no row yet are asked for again."""
    world = World(size=60)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        assert (await run(settings, clock)).exit == 0
        documents = await stored(database)
        newest = [documents[account.appid, str(NEWEST)] for account in world.accounts]
        open_days = sum("sources" not in document for document in newest)
        sandbox.calls.clear()
        result = await run(settings, clock)
        assert result.exit == 0
        assert 0 < open_days <= result.calls < 30
        assert {call.path for call in sandbox.calls if call.path.startswith("/datacube")} == {SUMMARY}


async def test_lookback_once_a_day_while_newest_is_late(clock: FakeClock, configured: Configured) -> None:
    """While the newest day is late, the lookback is fetched once a Beijing day."""
    async with Sandbox(World(size=1, published_at=time(20)), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        settings = replace(settings, run=settings.run.model_copy(update={"lookback": 30, "published_at": time(8)}))
        calls = []
        for _ in range(3):
            calls.append((await run(settings, clock)).calls)
            clock.instant += timedelta(hours=1)
    assert calls == [10, 2, 2]


async def test_month_of_outage_heals_in_one_run(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=200)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        clock.instant -= 31 * ONE_DAY
        assert (await run(settings, clock)).exit == 0
        clock.instant += 31 * ONE_DAY
        assert (await run(settings, clock)).exit == 0
    begin = NEWEST - 37 * ONE_DAY
    found = await stored(database)
    expected = truth(world, Window(begin, NEWEST))
    assert {key: found[key] for key in expected if key[1] > str(begin)} == {
        key: document for key, document in expected.items() if key[1] > str(begin)
    }


async def test_backfill_fills_history_and_finds_births(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    births = (date(2026, 8, 5), date(2026, 11, 21))
    world = World(size=3, births=births)
    since = date(2026, 6, 1)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        result = await run(settings, clock, since=since)
        assert (result.exit, result.failures) == (0, ())
        calls = _data_calls(sandbox)
        again = await run(settings, clock, since=since)
    states = {state["_id"]: state async for state in database["accounts"].find()}
    young, newborn, old = (account.appid for account in world.accounts)
    assert [states[appid].get("born") for appid in (young, newborn, old)] == ["2026-08-05", "2026-11-21", None]
    assert calls[newborn] == 2
    assert calls[young] <= 2 * 21  # of 26 windows back to June: some are in flight when the birth shows
    assert again.token_calls <= 3
    found = await stored(database)
    assert min(day for account, day in found if account == young) == "2026-08-05"
    assert truth(world, Window(since, NEWEST)).keys() <= found.keys()


async def test_history_respects_daily_calls(clock: FakeClock, database: Database, configured: Configured) -> None:
    """History stops at `daily_calls`, and plain runs continue it on the days that follow."""
    world = World(size=2)
    since = NEWEST - 69 * ONE_DAY
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, account={"daily_calls": 4})
        result = await run(settings, clock, since=since)
        assert (result.exit, result.failures, result.windows_left) == (0, (), 2 * 6)
        assert {notice.kind for notice in result.notices} == {"daily_calls"}
        again = await run(settings, clock)
        assert (again.exit, again.calls, again.windows_left) == (0, 0, 2 * 6)
        assert {notice.kind for notice in again.notices} == {"daily_calls"}
        for _ in range(3):
            clock.instant += ONE_DAY
            result = await run(settings, clock)
            assert result.exit == 0
            assert result.calls <= 2 * 2 * 4
    found = await stored(database)
    assert truth(world, Window(since, NEWEST)).keys() <= found.keys()


async def test_used_up_quota_is_remembered(clock: FakeClock, configured: Configured) -> None:
    async with Sandbox(World(size=1), clock=clock.now, limits=Limits(daily=2)) as sandbox:
        settings = configured(sandbox, since=NEWEST - 34 * ONE_DAY)
        assert (await run(settings, clock)).exit == 0
        sandbox.calls.clear()
        result = await run(settings, clock)
        assert (result.exit, sandbox.calls) == (0, [])
        assert [notice.kind for notice in result.notices] == ["quota"]
        clock.instant += timedelta(hours=14)  # 00:30 in Beijing
        await run(settings, clock)
        assert _data_calls(sandbox).total() == 2 * 3  # the third of each is refused again


async def test_refused_ip_waits(clock: FakeClock, configured: Configured) -> None:
    world = World(size=1)
    async with Sandbox(world, clock=clock.now, faults=Faults(broken_data={world.accounts[0].appid: 89507})) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        before = len(sandbox.calls)
        clock.instant += timedelta(minutes=59)
        assert (await run(settings, clock)).exit == 75
        assert len(sandbox.calls) == before
        clock.instant += timedelta(minutes=2)
        await run(settings, clock)
        assert len(sandbox.calls) > before


async def test_lost_days_become_void(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Days that never come are asked for on two Beijing days, and then no more."""
    world = World(size=20, lost_days=0.1)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=NEWEST - 34 * ONE_DAY)
        for _ in range(9):
            await run(settings, clock)
            clock.instant += ONE_DAY
        result = await run(settings, clock)
        assert result.calls <= 20 * 4
    void = [state["user_cumulate"]["void"] async for state in database["accounts"].find()]
    assert any(void)


async def test_old_day_is_asked_once_a_day(clock: FakeClock, configured: Configured) -> None:
    """A plain run after a backfill asks for young days alone: old ones have given today's answer."""
    world = World(size=4, lost_days=0.1, births=(date(2027, 6, 1),))
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock, since=date(2026, 6, 1))
        for since in (None, date(2026, 6, 1)):
            sandbox.calls.clear()
            await run(settings, clock, since=since)
            ends = {call.end_date for call in sandbox.calls if call.path in (SUMMARY, CUMULATE)}
            assert min(ends) > str(NEWEST - 6 * ONE_DAY)
        sandbox.calls.clear()
        clock.instant += ONE_DAY
        await run(settings, clock)
        assert min(call.end_date for call in sandbox.calls if call.path == CUMULATE) < "2026-07-01"


async def test_late_and_revised_days_come_right(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=20, late_summary=0.3, revised_for_days=5)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        for _ in range(12):
            assert (await run(settings, clock)).failures == ()
            clock.instant += ONE_DAY
    newest = NEWEST + 11 * ONE_DAY
    found = await stored(database)
    settled = Window(NEWEST - 5 * ONE_DAY, newest - 6 * ONE_DAY)
    expected = truth(world, Window(NEWEST - 6 * ONE_DAY, newest - 6 * ONE_DAY), newest=newest)
    for key, document in expected.items():
        if date.fromisoformat(key[1]) in settled:
            assert found[key] == document


async def test_silent_account_is_ok(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2, births=(date(2027, 6, 1),))
    async with Sandbox(world, clock=clock.now) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.silent) == (0, (world.accounts[0].name,))


async def test_unusable_states_fail_alone(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Nothing is asked for their accounts, the documents stay, and those of unknown accounts disturb nobody."""
    async with Sandbox(World(size=4), clock=clock.now) as sandbox:
        damaged, newer, *others = (account.appid for account in sandbox.world.accounts)
        documents: list[Document] = [
            {"_id": damaged, "version": 1},
            {"_id": newer, "version": 99},
            {"_id": "wxgone", "version": "?"},
        ]
        await database["accounts"].insert_many(documents)
        settings = configured(sandbox)
        result = await run(settings, clock)
        assert set(_data_calls(sandbox)) == set(others)
        assert await database["accounts"].find({"_id": {"$nin": others}}).to_list(None) == documents
        planned = await plans(settings, Selection(), target_of(settings, clock), clock)
    assert (result.exit, result.outcomes[Outcome.FAILED], result.outcomes[Outcome.OK]) == (3, 2, 2)
    assert [(failure.account, failure.errmsg, failure.hint) for failure in result.failures] == [
        (
            damaged,
            "the account's document in the collection accounts is damaged",
            f"make it anew from the stored days: collector verify --repair --account {damaged}",
        ),
        (
            newer,
            "the account's document in the collection accounts was written by a newer version of the collector",
            "upgrade the collector on this host",
        ),
    ]
    assert {account for account, _ in await stored(database)} == set(others)
    assert [account.appid for account, _ in planned.of_accounts] == others


async def test_ledger_has_runs_and_crashes(clock: FakeClock, database: Database, configured: Configured) -> None:
    await database["runs"].insert_one({"_id": "died", "began": datetime(2026, 11, 1, tzinfo=UTC), "status": "running"})
    async with Sandbox(World(size=2), clock=clock.now) as sandbox:
        result = await run(configured(sandbox), clock)
    entries = {entry["_id"]: entry async for entry in database["runs"].find()}
    assert entries["died"]["status"] == "crashed"
    mine = entries[result.run]
    assert (mine["status"], mine["exit"], mine["days"], mine["accounts"]["ok"]) == ("ok", 0, result.days, 2)


async def test_failed_calls_count(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=1, sparse=False)
    async with Sandbox(world, clock=clock.now, faults=Faults(broken_data={world.accounts[0].appid: 48001})) as sandbox:
        await run(configured(sandbox), clock)
    (state,) = (await load(database)).values()
    assert [state.dataset(name).calls for name in DATASETS] == [1, 1]


async def test_outage_beyond_budget_heals_day_by_day(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    """Three weeks at a call more than the daily job needs: each run looks at something new."""
    world = World(size=2)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, account={"daily_calls": 3})
        await run(settings, clock)
        clock.instant += 40 * ONE_DAY
        for _ in range(4):
            assert (await run(settings, clock)).exit == 0
            clock.instant += ONE_DAY
    newest = NEWEST + 43 * ONE_DAY
    states = [state async for state in database["accounts"].find()]
    assert {state["user_cumulate"]["refreshed_to"] for state in states} == {str(newest)}
    assert truth(world, Window(NEWEST - 5 * ONE_DAY, newest)).keys() <= (await stored(database)).keys()


async def test_backfill_out_of_budget_reports_the_rest(clock: FakeClock, configured: Configured) -> None:
    async with Sandbox(World(size=2), clock=clock.now) as sandbox:
        result = await run(configured(sandbox, account={"daily_calls": 1}), clock, since=NEWEST - 69 * ONE_DAY)
    assert (result.exit, result.windows_left) == (0, 2 * 9)
    assert {notice.kind for notice in result.notices} == {"daily_calls"}


async def test_failed_account_has_no_waits(clock: FakeClock, configured: Configured) -> None:
    world = World(size=1)
    async with Sandbox(world, clock=clock.now, faults=Faults(broken_data={world.accounts[0].appid: 48001})) as sandbox:
        result = await run(configured(sandbox, account={"daily_calls": 1}), clock, since=NEWEST - 69 * ONE_DAY)
    assert (len(result.failures), result.notices, result.windows_left) == (2, (), 9)


async def test_stop_ends_the_wait_for_the_lease(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop
) -> None:
    async with Sandbox(World(size=1), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        job = Job(target_of(settings, clock), wait_s=600)
        async with lease(database, "other", "run"):
            asyncio.get_running_loop().call_later(0.05, stop.set, signal.SIGTERM)
            result = await collect(settings, job, clock=clock, stop=stop)
        assert sandbox.calls == []
    assert (result.exit, result.status) == (143, "stopped")


async def test_twelve_years_killed_twenty_times(database: Database, mongod: str, tmp_path: Path) -> None:
    """SIGKILL at random moments, and run again each time; at most half of the calls are made twice."""
    world = World(size=1)
    dice = random.Random(12)
    async with Sandbox(world, latency_s=0.004) as sandbox:
        text = sandbox.config_yaml(mongodb_uri=mongod, since=str(FIRST_DAY))
        text = text.replace("api:", f"  database: {database.name}\napi:", 1)
        text = text.replace("defaults:", "defaults:\n  rate_limit: 1000/s", 1)
        file = tmp_path / "accounts.yaml"
        file.write_text(text)
        command = (sys.executable, "-m", "collector", "run", "-q", "-c", str(file))
        kills = 0
        while kills < 20:
            process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            until = len(sandbox.calls) + dice.randrange(5, 90)
            while len(sandbox.calls) < until and process.returncode is None:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.002)
            assert process.returncode is None, (await process.communicate())[1]
            process.send_signal(signal.SIGKILL)
            await process.communicate()
            await database["leases"].delete_many({})  # it would run out by itself, in a minute
            kills += 1
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0
        calls = _data_calls(sandbox).total()
    newest = max(date.fromisoformat(day) for _, day in await stored(database))
    undisturbed = 2 * -(-len(Window(FIRST_DAY, newest)) // 7)
    assert undisturbed <= calls <= 1.5 * undisturbed
    found, expected = await stored(database), truth(world, Window(FIRST_DAY, newest))
    assert found.keys() == expected.keys()
    assert found == expected
