"""Whole runs over the sandbox's real HTTP into a real MongoDB."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta
from datetime import time as time_of_day
from typing import Any

import orjson
import pytest
import structlog
from aioresponses import aioresponses
from pymongo.errors import AutoReconnect
from support import Configured, FakeClock, run, stored, truth

from collector.commands import collect as collect_module
from collector.completeness.settle import Settling
from collector.console.progress import Watch
from collector.console.summary import as_json
from collector.errors import WaitKind
from collector.model.accounts import Rate, Secret, TokenKind
from collector.model.days import ONE_DAY, Window
from collector.model.results import AccountResult, Notice, Outcome
from collector.run import connect
from collector.runtime import Stop
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import USER_DAILY, Database
from collector.store.writer import Writer

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
    assert result.days >= len(expected)  # quiet days are told apart with a neighbour, so some are written twice


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


async def test_unknown_errcode_fails_its_dataset(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An unknown errcode fails its dataset without a retry."""
    world = World(size=2)
    strange = world.accounts[0].appid
    async with _sandbox(clock, world, faults=Faults(broken_data={strange: 99999})) as sandbox:
        result = await run(configured(sandbox), clock)
    assert [(failure.account, failure.errcode) for failure in result.failures] == [(strange, 99999)] * 2
    assert result.retries == 0
    assert await stored(database) == truth(world, LAST_WEEK, without=[strange])


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


async def test_used_up_quota_is_a_notice(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=1)
    since = NEWEST - 27 * ONE_DAY
    async with _sandbox(clock, world, limits=Limits(daily=2)) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    account = world.accounts[0]
    midnight = clock.now().replace(hour=16, minute=0, second=0, microsecond=0)
    assert result.notices == (Notice(account.appid, account.name, WaitKind.QUOTA, midnight),)
    assert (result.exit, result.failures) == (0, ())
    assert await stored(database) == truth(world, Window(NEWEST - 13 * ONE_DAY, NEWEST))


async def test_minute_quota_slows_the_account(clock: FakeClock, database: Database, configured: Configured) -> None:
    """45011 slows the account down and loses nothing."""
    world = World(size=1)
    since = NEWEST - 48 * ONE_DAY
    async with _sandbox(clock, world, limits=Limits(minute=6)) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    assert (result.exit, result.failures, result.notices) == (0, (), ())
    assert len(clock.slept) == 2
    assert await stored(database) == truth(world, Window(since, NEWEST))


async def test_fourth_slow_down_ends_the_account(clock: FakeClock, configured: Configured) -> None:
    """After too many 45011 the rest is left to the next run."""
    world = World(size=1)
    async with _sandbox(clock, world, limits=Limits(minute=0)) as sandbox:
        result = await run(configured(sandbox), clock)
    assert [notice.kind for notice in result.notices] == ["rate"]
    assert (result.exit, result.failures) == (75, ())


@pytest.mark.parametrize(
    ("errcode", "kind", "wait"),
    [
        (89506, WaitKind.IP_REFUSED, timedelta(hours=24)),
        (89507, WaitKind.IP_REFUSED, timedelta(hours=1)),
        (89503, WaitKind.IP_UNCONFIRMED, None),
    ],
)
async def test_ip_refused_by_the_admin_is_a_notice(
    clock: FakeClock, configured: Configured, errcode: int, kind: WaitKind, wait: timedelta | None
) -> None:
    world = World(size=1)
    async with _sandbox(clock, world, faults=Faults(broken_data={world.accounts[0].appid: errcode})) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.failures) == (75, ())
    assert [(notice.kind, notice.until) for notice in result.notices] == [(kind, clock.now() + wait if wait else None)]


@pytest.mark.parametrize(
    ("errcode", "kind", "wait"),
    [
        (89506, WaitKind.IP_REFUSED, timedelta(hours=24)),
        (89503, WaitKind.IP_UNCONFIRMED, None),
        (45009, WaitKind.QUOTA, timedelta(hours=13)),
    ],
)
async def test_refused_token_call_waits(
    clock: FakeClock, configured: Configured, errcode: int, kind: WaitKind, wait: timedelta | None
) -> None:
    world = World(size=1)
    account = world.accounts[0]
    with aioresponses() as web:
        web.post("https://wechat.test/cgi-bin/stable_token", payload={"errcode": errcode, "errmsg": "wait"})
        settings = configured(Sandbox(world, port=1))
        api = settings.api.model_copy(update={"hosts": ("https://wechat.test",)})
        result = await run(replace(settings, api=api), clock)
    until = clock.now() + wait if wait else None
    if errcode == 45009 and until:
        until = until.replace(hour=16, minute=0, second=0)
    assert result.notices == (Notice(account.appid, account.name, kind, until),)
    assert (result.exit, result.failures, result.calls) == (75, (), 0)


async def test_stop_before_the_token(clock: FakeClock, configured: Configured, stop: Stop) -> None:
    async with _sandbox(clock, World(size=1)) as sandbox:
        settings = configured(sandbox)
        stop.set(signal.SIGTERM)
        result = await run(settings, clock, stop)
        assert sandbox.calls == []
    assert (result.exit, result.outcomes[Outcome.SKIPPED]) == (143, 1)


async def test_rows_outside_the_window_are_dropped(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    world = World(size=1)
    appid = world.accounts[0].appid
    dirty = [{"ref_date": "2014-11-30", "cumulate_user": 1}]
    good = [{"ref_date": str(NEWEST), "cumulate_user": 2}]
    with aioresponses() as web, structlog.testing.capture_logs() as logs:
        web.post("https://wechat.test/cgi-bin/stable_token", payload={"access_token": "T", "expires_in": 7200})
        web.post(f"https://wechat.test{SUMMARY}?access_token=T", payload={"list": []})
        web.post(f"https://wechat.test{CUMULATE}?access_token=T", payload={"list": dirty + good})
        settings = configured(Sandbox(world, port=1))
        api = settings.api.model_copy(update={"hosts": ("https://wechat.test",)})
        assert (await run(replace(settings, api=api), clock)).exit == 0
    assert [(log["event"], log["dataset"], log["rows"]) for log in logs] == [("rows.dropped", "user_cumulate", 1)]
    assert (await stored(database)).keys() == {(appid, str(NEWEST))}


async def test_stuck_token_is_forced(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=10)
    since = NEWEST - 20 * ONE_DAY
    async with _sandbox(clock, world, faults=Faults(seed=2, token_stuck=0.02)) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    assert (result.exit, result.failures) == (0, ())
    assert result.token_calls > 10
    assert await stored(database) == truth(world, Window(since, NEWEST))


async def test_repeatedly_refused_token(clock: FakeClock, configured: Configured) -> None:
    """A token that is refused again and again fails the account with few token calls."""
    async with _sandbox(clock, World(size=1), faults=Faults(token_revoked=1.0)) as sandbox:
        result = await run(configured(sandbox), clock)
    (failure,) = result.failures
    assert (failure.dataset, failure.errcode) == (None, 40001)
    assert failure.hint.startswith("another system is rotating this account's token")
    assert result.token_calls == 2


async def test_classic_tokens(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        accounts = tuple(replace(account, token=TokenKind.CLASSIC) for account in settings.accounts)
        await run(replace(settings, accounts=accounts), clock)
        assert {call.path for call in sandbox.calls} == {"/cgi-bin/token", SUMMARY, CUMULATE}
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_no_account_exceeds_its_rate(clock: FakeClock, configured: Configured) -> None:
    """200 accounts at 5 calls a second, as the server sees them; one more at a period's edge is jitter."""
    async with _sandbox(clock, World(size=200)) as sandbox:
        settings = configured(sandbox, account={"rate_limit": Rate(5, 1)}, since=NEWEST - 34 * ONE_DAY, workers=200)
        assert (await run(settings, clock)).exit == 0
        times: dict[str, list[float]] = defaultdict(list)
        for call in sandbox.calls:
            if call.path in (SUMMARY, CUMULATE):
                times[call.appid or ""].append(call.arrived_s)
    assert len(times) == 200
    assert max(_most_within(1, account) for account in times.values()) <= 6


def _most_within(seconds: float, times: Collection[float]) -> int:
    return max(sum(first <= other < first + seconds for other in times) for first in times)


async def test_four_calls_in_flight(clock: FakeClock, configured: Configured) -> None:
    """26 calls of 50 ms, four at once, take seven rounds; one at a time they would take 1.3 s."""
    async with _sandbox(clock, World(size=1), latency_s=0.05) as sandbox:
        settings = configured(sandbox, since=NEWEST - 90 * ONE_DAY)
        began = time.monotonic()
        await run(settings, clock)
        taken = time.monotonic() - began
    assert 7 * 0.05 <= taken < 26 * 0.05


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
    assert 1 <= result.outcomes[Outcome.OK] <= 10  # two calls each: as many as five workers may have in flight
    assert result.outcomes[Outcome.SKIPPED] == 30 - result.outcomes[Outcome.OK]
    assert result.failures == ()
    expected = truth(world, LAST_WEEK)
    found = await stored(database)
    assert len(found) >= 7 * result.outcomes[Outcome.OK]
    assert found == {key: expected[key] for key in found}


async def test_stop_between_two_datasets(
    clock: FakeClock, database: Database, configured: Configured, stop: Stop
) -> None:
    """At one call a second the second of them still waits for its turn when the first arrives."""

    async def stop_at_the_first(sandbox: Sandbox) -> None:
        while not any(call.path == SUMMARY for call in sandbox.calls):  # noqa: ASYNC110 - the sandbox sets no event
            await asyncio.sleep(0.001)
        stop.set(signal.SIGTERM)

    world = World(size=1, sparse=False)
    async with _sandbox(clock, world, latency_s=0.05) as sandbox, asyncio.TaskGroup() as group:
        group.create_task(stop_at_the_first(sandbox))
        result = await run(configured(sandbox, account={"rate_limit": Rate(1, 1)}), clock, stop)
    assert (result.exit, result.calls, result.days) == (143, 1, 7)
    expected = {key: document.copy() for key, document in truth(world, LAST_WEEK).items()}
    for document in expected.values():
        del document["cumulate_user"]
    assert await stored(database) == expected


async def test_hanging_call_is_cut_off(
    clock: FakeClock, configured: Configured, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect_module, "DRAIN_S", 0.05)
    async with _sandbox(clock, World(size=3), faults=Faults(hang=1.0)) as sandbox:
        settings = configured(sandbox)
        asyncio.get_running_loop().call_later(0.1, stop.set, signal.SIGINT)
        began = time.monotonic()
        result = await run(settings, clock, stop)
    assert (result.exit, result.outcomes[Outcome.SKIPPED]) == (130, 3)
    assert time.monotonic() - began < 5


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


async def test_failover(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=5)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        api = settings.api.model_copy(update={"hosts": ("http://127.0.0.1:1", sandbox.url)})
        result = await run(replace(settings, api=api), clock)
    assert (result.exit, result.failures) == (0, ())
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_unreachable_database(clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.store.database.SELECTION_TIMEOUT_MS", 50)
    async with _sandbox(clock, World(size=2)) as sandbox:
        settings = configured(sandbox)
        mongodb = settings.mongodb.model_copy(update={"uri": Secret("mongodb://127.0.0.1:1")})
        result = await run(replace(settings, mongodb=mongodb), clock)
        assert sandbox.calls == []
    assert (result.exit, result.status) == (1, "failed")
    assert "MongoDB can't be reached" in (result.error or "")
    assert result.outcomes[Outcome.SKIPPED] == 2


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
        result = await run(configured(sandbox), clock, since=NEWEST - 20 * ONE_DAY)
        assert sum(call.appid == broken for call in sandbox.calls) == 3  # a token and the newest days: no history
    assert [(failure.account, failure.errmsg) for failure in result.failures] == [
        (broken, "the collector failed on this account (KeyError)")
    ]
    assert result.exit == 3
    assert await stored(database) == truth(world, Window(NEWEST - 20 * ONE_DAY, NEWEST), without=[broken])


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


async def test_nothing_to_ask_makes_no_call(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=1)) as sandbox:
        result = await run(configured(sandbox, since=NEWEST + ONE_DAY), clock)
        assert sandbox.calls == []
    assert (result.exit, result.outcomes[Outcome.OK]) == (0, 1)


async def test_refusal_stops_waiting_calls(clock: FakeClock, configured: Configured) -> None:
    """The first refusal is known before the second call's turn comes: at 4 a second, answers take no time."""
    world = World(size=2)
    whole, summary = (account.appid for account in world.accounts)
    faults = Faults(broken_data={whole: 40164, summary: 48001})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        await run(configured(sandbox, account={"rate_limit": Rate(4, 1)}, since=NEWEST - 69 * ONE_DAY), clock)
        calls = Counter((call.appid, call.path) for call in sandbox.calls if call.path in (SUMMARY, CUMULATE))
    assert sum(calls[whole, path] for path in (SUMMARY, CUMULATE)) == 1
    assert (calls[summary, SUMMARY], calls[summary, CUMULATE]) == (1, 1)


async def test_published_at_and_lookback_are_settings(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    world = World(size=1)
    async with _sandbox(clock, world) as sandbox:
        await run(configured(sandbox, published_at=time_of_day(11), lookback=9), clock)  # it is half past ten
        windows = {(call.begin_date, call.end_date) for call in sandbox.calls if call.path == SUMMARY}
    assert windows == {("2026-11-16", "2026-11-22"), ("2026-11-09", "2026-11-15")}


async def test_newest_day_refused_with_61501(clock: FakeClock, database: Database, configured: Configured) -> None:
    """61501 on the newest day is asked again without it; elsewhere it fails. The sandbox's clock is behind ours."""
    world = World(size=1)
    async with Sandbox(world, clock=lambda: clock.now() - ONE_DAY) as sandbox:
        result = await run(configured(sandbox), clock)
        assert (result.exit, result.failures) == (75, ())
        assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST - ONE_DAY), newest=NEWEST)
    async with Sandbox(world, clock=lambda: clock.now() - 9 * ONE_DAY) as sandbox:
        result = await run(configured(sandbox), clock)
    assert {failure.errcode for failure in result.failures} == {61501}
    assert "check this host's clock" in result.failures[0].hint


async def test_rejected_documents_fail_the_run(clock: FakeClock, database: Database, configured: Configured) -> None:
    await database.create_collection(USER_DAILY, validator={"never": True})
    async with _sandbox(clock, World(size=3)) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.days, result.outcomes[Outcome.FAILED]) == (1, 0, 3)


async def test_unacknowledged_accounts_are_skipped(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch, stop: Stop
) -> None:
    async def failing(self: Writer, days: Any) -> Any:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(Writer, "_upsert", failing)
    async with _sandbox(clock, World(size=2)) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.exit, result.days, result.outcomes[Outcome.SKIPPED]) == (1, 0, 2)
    assert "MongoDB can't be reached (connection closed)" in (result.error or "")


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


async def test_open_files_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(64, 100_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: limits.append(limit))
    assert connect._connections(64) == 320
    assert limits == [(64, 100_000), (420, 100_000)]
    limits[:] = [(256, 256)]
    with structlog.testing.capture_logs() as logs:
        assert connect._connections(512) == 156
    assert [(log["event"], log["open_files"], log["wanted"]) for log in logs] == [("connections.limited", 256, 2660)]
    limits[:] = [(1024, resource.RLIM_INFINITY)]
    assert connect._connections(512) == 2560


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
