"""Whole runs over the sandbox's real HTTP into a real MongoDB."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace
from datetime import date, timedelta
from datetime import time as time_of_day
from typing import Any

import orjson
import pytest
from aioresponses import aioresponses
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs
from support import Configured, FakeClock, run, stored, truth

from collector.commands import work as work_module
from collector.commands.collect import collect
from collector.commands.plans import plans, target_of
from collector.commands.work import Job
from collector.config import Selection
from collector.console.summary import as_json
from collector.model.accounts import Secret, TokenKind
from collector.model.days import ONE_DAY, Window
from collector.model.results import Outcome
from collector.runtime import Stop
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import Database
from collector.store.leases import lease
from collector.store.runs import RUNS
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


async def test_documents_are_the_truth(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=20)
    since = NEWEST - 89 * ONE_DAY
    async with _sandbox(clock, world) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    assert (result.exit, result.status) == (0, "ok")
    assert result.outcomes == {Outcome.OK: 20, Outcome.PENDING: 0, Outcome.FAILED: 0, Outcome.SKIPPED: 0}
    assert (result.calls, result.token_calls, result.retries) == (20 * 13 * 2, 20, 0)
    expected = truth(world, Window(since - ONE_DAY, NEWEST))  # 13 windows of 7 days
    assert await stored(database) == expected
    assert result.days >= len(expected)  # quiet days need a neighbour's total, so some are written twice


async def test_second_run_changes_nothing(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock, World(size=5)) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        before = await stored(database)
        await run(settings, clock)
    assert await stored(database) == before


async def test_fetched_at_of_each_dataset(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock, World(size=3)) as sandbox:
        await run(configured(sandbox), clock)
    async for document in database[USER_DAILY].find():
        came = {
            dataset
            for dataset, key in (("user_summary", "sources"), ("user_cumulate", "cumulate_user"))
            if key in document
        }
        assert set(document["fetched_at"]) == came
        assert {moment.replace(tzinfo=clock.now().tzinfo) for moment in document["fetched_at"].values()} == {
            clock.now().replace(microsecond=0)
        }


async def test_transient_faults_lose_nothing(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=30)
    since = NEWEST - 27 * ONE_DAY
    faults = Faults(
        seed=3,
        system_error=0.012,
        http_5xx=0.012,
        reset=0.012,
        cut_body=0.012,
        html=0.012,
        list_null=0.012,
        token_revoked=0.01,
    )
    async with _sandbox(clock, world, faults=faults) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    assert (result.exit, result.failures) == (0, ())
    assert result.retries > 20
    assert await stored(database) == truth(world, Window(since, NEWEST))


async def test_broken_accounts_fail_alone(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Broken accounts fail with their remedies, and the others are stored."""
    world = World(size=10)
    ip, secret, right, late_ip = (account.appid for account in world.accounts[:4])
    faults = Faults(broken={ip: 40164, secret: 40125, right: 48001}, broken_data={late_ip: 40164})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.status, result.outcomes[Outcome.FAILED]) == (3, "partial", 4)
    allow = "allow 203.0.113.7 in the account's console; that takes effect in 5 to 10 minutes"
    assert {
        (failure.account, failure.dataset, failure.errcode, failure.hint, failure.windows)
        for failure in result.failures
    } == {
        (ip, None, 40164, allow, 1),
        (secret, None, 40125, "the secret was reset or mistyped: copy it anew from the account's console", 1),
        (
            right,
            "user_summary",
            48001,
            "the account isn't verified, or the permission set for user analysis isn't granted",
            1,
        ),
        (
            right,
            "user_cumulate",
            48001,
            "the account isn't verified, or the permission set for user analysis isn't granted",
            1,
        ),
        (late_ip, None, 40164, allow, 1),
    }
    assert all(failure.rid for failure in result.failures)
    assert result.token_calls == 10
    assert await stored(database) == truth(world, LAST_WEEK, without=(ip, secret, right, late_ip))


async def _waits_stored(database: Database) -> set[str]:
    """The accounts with a stored wait."""
    found = database[ACCOUNTS].find({"user_summary.not_before": {"$exists": True}})
    return {state["_id"] async for state in found}


async def test_wait_that_is_over_is_ignored(clock: FakeClock, database: Database, configured: Configured) -> None:
    """WeChat has raised the quota: the accounts named get their days, and the wait is forgotten."""
    world, since = World(size=2, sparse=False), NEWEST - 13 * ONE_DAY
    named, other = (account.appid for account in world.accounts)
    async with _sandbox(clock, world, limits=Limits(daily=1)) as sandbox:
        assert {notice.kind for notice in (await run(configured(sandbox, since=since), clock)).notices} == {"quota"}
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, since=since)
        assert (await run(settings, clock)).calls == 0
        job = Job(target_of(settings, clock), Selection([named]), ignore_waits=True)
        planned = await plans(settings, job.selection, job.target, clock, ignore_waits=True)
        assert [(plan.history.windows, plan.waits) for _, plan in planned.of_accounts] == [(1, {})]
        result = await collect(settings, job, clock=clock, stop=Stop())
    assert (result.exit, result.notices, result.calls) == (0, (), 2)
    assert await _waits_stored(database) == {other}
    found = await stored(database)
    expected = truth(world, Window(since, NEWEST), without=[other])
    assert {key: document for key, document in found.items() if key[0] == named} == expected


async def test_ignored_wait_is_ordered_anew(clock: FakeClock, database: Database, configured: Configured) -> None:
    """It isn't over in truth: what WeChat answers is stored."""
    world = World(size=1)
    async with _sandbox(clock, world, limits=Limits(daily=1)) as sandbox:
        settings = configured(sandbox, since=NEWEST - 13 * ONE_DAY)
        await run(settings, clock)
        job = Job(target_of(settings, clock), Selection([world.accounts[0].name]), ignore_waits=True)
        result = await collect(settings, job, clock=clock, stop=Stop())
        assert ([notice.kind for notice in result.notices], result.calls) == (["quota"], 2)
        assert await _waits_stored(database) == {world.accounts[0].appid}
        assert (await run(settings, clock)).calls == 0


async def test_daily_calls_are_never_ignored(clock: FakeClock, configured: Configured) -> None:
    """They are the configuration's own limit."""
    world = World(size=1)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, since=NEWEST - 13 * ONE_DAY, account={"daily_calls": 1})
        await run(settings, clock)
        job = Job(target_of(settings, clock), Selection([world.accounts[0].name]), ignore_waits=True)
        result = await collect(settings, job, clock=clock, stop=Stop())
    assert ([notice.kind for notice in result.notices], result.calls) == (["daily_calls"], 0)


async def test_no_account_through_fails_the_run(clock: FakeClock, configured: Configured) -> None:
    world = World(size=1)
    faults = Faults(broken={world.accounts[0].appid: 40125})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.status) == (1, "failed")


@pytest.mark.parametrize(
    "faults",
    [
        Faults(html=1.0),
        Faults(cut_body=1.0),
        Faults(list_null=1.0),
        Faults(http_5xx=1.0),
        Faults(reset=1.0),
        Faults(system_error=1.0),
    ],
    ids=lambda faults: faults.rates[0][0],
)
async def test_failed_answers_store_nothing(
    clock: FakeClock, database: Database, configured: Configured, faults: Faults
) -> None:
    """A failed answer stores nothing and overwrites nothing."""
    world = World(size=3)
    async with _sandbox(clock, world) as sandbox:
        await run(configured(sandbox), clock)
    before = await stored(database)
    clock.instant += ONE_DAY
    async with _sandbox(clock, world, faults=faults) as sandbox:
        result = await run(configured(sandbox), clock)
    assert result.outcomes[Outcome.FAILED] == 3
    assert await stored(database) == before


async def test_late_day_is_pending(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=20)
    clock.instant = clock.instant.replace(hour=0, minute=30)  # 08:30 in Beijing
    async with _sandbox(clock, world, faults=Faults(late_yesterday=1.0)) as sandbox:
        settings = configured(sandbox)
        result = await run(settings, clock)
        assert (result.exit, result.status, result.failures) == (75, "pending", ())
        assert result.outcomes[Outcome.PENDING] == 20
        assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST - ONE_DAY), newest=NEWEST)
        refused = [call for call in sandbox.calls if call.errcode == 61503]
        assert refused  # said outright by some, and asked again without that day
        clock.instant = clock.instant.replace(hour=5)
        assert (await run(settings, clock)).exit == 0
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_classic_tokens(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        accounts = tuple(replace(account, token=TokenKind.CLASSIC) for account in settings.accounts)
        await run(replace(settings, accounts=accounts), clock)
        assert {call.path for call in sandbox.calls} == {"/cgi-bin/token", SUMMARY, CUMULATE}
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_hanging_call_is_cut_off(
    clock: FakeClock, configured: Configured, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "DRAIN_S", 0.05)
    async with _sandbox(clock, World(size=3), faults=Faults(hang=1.0)) as sandbox:
        settings = configured(sandbox)
        asyncio.get_running_loop().call_later(0.1, stop.set, signal.SIGINT)
        began = time.monotonic()
        result = await run(settings, clock, stop)
    assert (result.exit, result.outcomes[Outcome.SKIPPED]) == (130, 3)
    assert time.monotonic() - began < 5


async def test_failover(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=5)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        api = settings.api.model_copy(update={"hosts": ("http://127.0.0.1:1", sandbox.url)})
        result = await run(replace(settings, api=api), clock)
    assert (result.exit, result.failures) == (0, ())
    assert await stored(database) == truth(world, LAST_WEEK)


@pytest.mark.usefixtures("_impatient")
async def test_unreachable_database(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=2)) as sandbox:
        settings = configured(sandbox)
        mongodb = settings.mongodb.model_copy(update={"uri": Secret("mongodb://127.0.0.1:1")})
        result = await run(replace(settings, mongodb=mongodb), clock)
        assert sandbox.calls == []
    assert (result.exit, result.status) == (1, "failed")
    assert "MongoDB can't be reached" in (result.error or "")
    assert result.outcomes[Outcome.SKIPPED] == 2


async def test_rejected_document_fails_its_account(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    world = World(size=2)
    refused = world.accounts[0].appid
    await database.create_collection(USER_DAILY, validator={"account": {"$ne": refused}})
    async with _sandbox(clock, world) as sandbox:
        result = await run(configured(sandbox), clock)
    assert [(failure.account, failure.dataset) for failure in result.failures] == [(refused, None)]
    assert result.failures[0].errmsg.endswith("Document failed validation")
    assert result.exit == 3
    assert await stored(database) == truth(world, LAST_WEEK, without=[refused])


async def test_published_at_and_lookback_are_settings(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    world = World(size=1)
    async with _sandbox(clock, world) as sandbox:
        await run(configured(sandbox, published_at=time_of_day(11), lookback=9), clock)  # it is half past ten
        windows = {(call.begin_date, call.end_date) for call in sandbox.calls if call.path == SUMMARY}
    assert windows == {("2026-11-16", "2026-11-22"), ("2026-11-09", "2026-11-15")}


async def test_rejected_documents_fail_the_run(clock: FakeClock, database: Database, configured: Configured) -> None:
    await database.create_collection(USER_DAILY, validator={"never": True})
    async with _sandbox(clock, World(size=3)) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.days, result.outcomes[Outcome.FAILED]) == (1, 0, 3)


async def test_unacknowledged_accounts_are_skipped(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch, stop: Stop
) -> None:
    async def failing(*_: object, **__: object) -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", failing)
    async with _sandbox(clock, World(size=2)) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.days, result.outcomes[Outcome.SKIPPED]) == (1, 0, 2)
    assert "MongoDB can't be reached (connection closed)" in (result.error or "")


async def test_crash_of_the_writer(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the run of all accounts plainly: one traceback in the log, and the ledger is closed."""

    async def broken(*_: object, **__: object) -> None:
        raise ValueError("not foreseen")

    monkeypatch.setattr(AsyncIOMotorCollection, "bulk_write", broken)
    async with _sandbox(clock, World(size=200)) as sandbox:
        with capture_logs() as logs:
            result = await run(configured(sandbox), clock)
    error = (
        "the collector failed as it wrote to MongoDB (ValueError). This is a mistake of the collector: please report "
        "it with the log"
    )
    assert (result.error, result.exit, result.failures) == (error, 1, ())
    assert [entry["event"] for entry in logs if "exc_info" in entry] == ["writer.crashed"]
    (entry,) = await database[RUNS].find().to_list(None)
    assert (entry["status"], entry["error"], "ended" in entry) == ("failed", error, True)


async def test_odd_characters_in_an_errmsg(clock: FakeClock, configured: Configured) -> None:
    """Half characters and escapes in WeChat's text are replaced before they are printed."""
    with aioresponses() as web:
        web.post(
            "https://wechat.test/cgi-bin/stable_token", body=b'{"errcode": 40125, "errmsg": "a\\ud83d\\u001b[31m"}'
        )
        settings = configured(Sandbox(World(size=1), port=1))
        api = settings.api.model_copy(update={"hosts": ("https://wechat.test",)})
        result = await run(replace(settings, api=api), clock)
    assert result.failures[0].errmsg == "a  [31m"
    assert orjson.dumps(as_json(result))


async def test_day_published_during_the_wait(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A run that waited for another one past 08:00 asks for the newer day."""
    clock.instant = clock.instant.replace(hour=23, minute=50)  # 07:50 in Beijing
    async with Sandbox(World(size=2, sparse=False), clock=clock.now) as sandbox:
        settings = configured(sandbox)
        async with lease(database, "other", "backfill"):
            job = Job(target_of(settings, clock), wait_s=30)
            waiting = asyncio.create_task(collect(settings, job, clock=clock, stop=Stop()))
            await asyncio.sleep(0)
            clock.instant += timedelta(hours=1)
        result = await waiting
        newest = max(call.end_date or "" for call in sandbox.calls)
    assert (result.exit, newest) == (0, str(target_of(settings, clock).newest))
