"""One account's part of a run, over the sandbox's real HTTP into a real MongoDB."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import structlog
from aioresponses import aioresponses
from support import Configured, FakeClock, SpoiltWorld, run, stored, truth

from collector.errors import DatabaseError, RowError
from collector.kinds import CallKind, WaitKind
from collector.model.accounts import Rate
from collector.model.days import ONE_DAY, Days, Window
from collector.model.results import Notice, Outcome
from collector.model.state import AccountState, Trouble, Update
from collector.model.waits import Wait
from collector.runtime import Stop
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import Database
from collector.store.state_document import from_document, to_document
from collector.store.writer import Writer
from collector.wechat.api import AccountApi
from collector.wechat.errcodes import api_error

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"


async def _state(database: Database, appid: str) -> AccountState:
    return from_document(await database["accounts"].find_one({"_id": appid}) or {})


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


async def test_unknown_errcode_fails_its_dataset(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An unknown errcode fails its dataset without a retry."""
    world = World(size=2)
    strange = world.accounts[0].appid
    async with _sandbox(clock, world, faults=Faults(broken_data={strange: 99999})) as sandbox:
        result = await run(configured(sandbox), clock)
    assert [(failure.account, failure.errcode) for failure in result.failures] == [(strange, 99999)] * 2
    assert result.retries == 0
    state = await _state(database, strange)
    for failure in result.failures:
        kept = state.dataset(failure.dataset or "").last_error
        rid, now = failure.rid, clock.now()
        assert kept == Trouble(failure.errmsg, 99999, rid, failure.hint, since=now, at=now)
    assert await stored(database) == truth(world, LAST_WEEK, without=[strange])


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
    state = await _state(database, account.appid)
    assert [dataset.wait for dataset in state.datasets.values()] == [Wait(WaitKind.QUOTA, midnight, 45009)] * 2


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
    account = str(settings.accounts[0])
    dropped = {"event": "rows.dropped", "account": account, "dataset": "user_cumulate", "rows": 1, "log_level": "info"}
    assert [entry for entry in logs if not entry["event"].startswith("run.")] == [dropped]
    assert (await stored(database)).keys() == {(appid, str(NEWEST))}


async def test_stuck_token_is_forced(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=10)
    since = NEWEST - 20 * ONE_DAY
    async with _sandbox(clock, world, faults=Faults(seed=2, token_stuck=0.02)) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    assert (result.exit, result.failures) == (0, ())
    assert result.token_calls > 10
    assert await stored(database) == truth(world, Window(since, NEWEST))


async def test_three_tokens_a_day_are_forced(clock: FakeClock, database: Database, configured: Configured) -> None:
    """One a run: the fourth run of a Beijing day forces none, and the next day brings three more."""
    token_calls = []
    async with _sandbox(clock, World(size=1), faults=Faults(token_stuck=1.0)) as sandbox:
        settings = configured(sandbox)
        for _ in range(5):
            token_calls.append((await run(settings, clock)).token_calls)
            clock.instant += timedelta(hours=4)
    assert token_calls == [4, 4, 4, 3, 4]  # the token; after a refusal; after the second look; forced
    (state,) = [from_document(state) async for state in database["accounts"].find()]
    assert (state.forced_on, state.forced_tokens) == (date(2026, 11, 25), 1)


async def test_repeatedly_refused_token(clock: FakeClock, configured: Configured) -> None:
    """A token that is refused again and again fails the account with few token calls."""
    async with _sandbox(clock, World(size=1), faults=Faults(token_revoked=1.0)) as sandbox:
        result = await run(configured(sandbox), clock)
    (failure,) = result.failures
    assert (failure.dataset, failure.errcode) == (None, 40001)
    assert failure.hint.startswith("another system is rotating this account's token")
    assert result.token_calls == 2


async def test_four_calls_in_flight(clock: FakeClock, configured: Configured) -> None:
    """26 calls of 0.2 s, four at once, take seven rounds; one at a time they would take 5.2 s."""
    async with _sandbox(clock, World(size=1), latency_s=0.2) as sandbox:
        settings = configured(sandbox, since=NEWEST - 90 * ONE_DAY)
        began = time.monotonic()
        await run(settings, clock)
        taken = time.monotonic() - began
    assert 7 * 0.2 <= taken < 26 * 0.2


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
    assert (result.exit, result.calls, result.days, result.outcomes[Outcome.SKIPPED]) == (143, 1, 7, 1)
    expected = {key: document.copy() for key, document in truth(world, LAST_WEEK).items()}
    for document in expected.values():
        del document["cumulate_user"]
    assert await stored(database) == expected


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
        await run(configured(sandbox, account={"rate_limit": Rate(4, 1)}, lookback=28), clock)
        calls = Counter((call.appid, call.path) for call in sandbox.calls if call.path in (SUMMARY, CUMULATE))
    assert sum(calls[whole, path] for path in (SUMMARY, CUMULATE)) == 1
    assert (calls[summary, SUMMARY], calls[summary, CUMULATE]) == (1, 1)


async def test_newest_day_refused_with_61501(clock: FakeClock, database: Database, configured: Configured) -> None:
    """61501 on the newest day is asked again without it; elsewhere it fails. The sandbox's clock is behind ours."""
    world = World(size=1)
    async with Sandbox(world, clock=lambda: clock.now() - ONE_DAY, sends_date=False) as sandbox:
        result = await run(configured(sandbox), clock)
        assert (result.exit, result.failures) == (75, ())
        assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST - ONE_DAY), newest=NEWEST)
    async with Sandbox(world, clock=lambda: clock.now() - 9 * ONE_DAY, sends_date=False) as sandbox:
        result = await run(configured(sandbox), clock)
    assert {failure.errcode for failure in result.failures} == {61501}
    assert "check this host's clock" in result.failures[0].hint


async def test_malformed_row_spoils_its_day_alone(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The days around it are stored with the first run; it is named, and asked for again."""
    since, spoilt = NEWEST - 34 * ONE_DAY, (NEWEST - 2 * ONE_DAY, NEWEST - 20 * ONE_DAY)
    world = World(size=1, sparse=False)
    expected = {key: document.copy() for key, document in truth(world, Window(since, NEWEST)).items()}
    for (_, day), document in expected.items():
        if day in map(str, spoilt):
            for key in ("new_user", "cancel_user", "net_user", "sources"):
                del document[key]
    async with _sandbox(clock, SpoiltWorld(size=1, sparse=False, spoilt=spoilt)) as sandbox:
        settings = configured(sandbox, since=since)
        with structlog.testing.capture_logs() as logs:
            result = await run(settings, clock)
        assert await stored(database) == expected
        (failure,) = result.failures
        malformed = {"event": "day.malformed", "account": str(settings.accounts[0]), "dataset": "user_summary"}
        assert malformed | {"trouble": failure.errmsg, "log_level": "info"} in logs
        assert (failure.dataset, failure.windows, result.exit) == ("user_summary", 1, 3)
        assert failure.errmsg.startswith("2026-11-21: a row has no whole number")
        assert result.got_through == 1
    async with _sandbox(clock, world) as sandbox:
        result = await run(configured(sandbox, since=since), clock)
    assert (result.exit, result.calls) == (0, 2)
    assert await stored(database) == truth(world, Window(since, NEWEST))


@pytest.mark.parametrize(
    ("fails", "error", "failed"),
    [
        ({SUMMARY: 1, CUMULATE: 2}, RowError("no date"), {"user_summary": 1, "user_cumulate": 2}),
        ({CUMULATE: 1}, api_error(48001, "no", CallKind.DATA), {"user_cumulate": 1}),
        ({CUMULATE: 1}, api_error(50002, "restricted", CallKind.DATA), {None: 1}),
    ],
    ids=["window", "dataset", "account"],
)
async def test_windows_that_lack_an_answer_are_counted(
    clock: FakeClock,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    fails: dict[str, int],
    error: Exception,
    failed: Any,
) -> None:
    """Of four windows the oldest fail, when the others have been answered."""
    rows = AccountApi.rows
    answered = 0

    async def failing(self: AccountApi, asked: str, window: Window, *arguments: Any) -> list[object]:
        nonlocal answered
        if window.begin <= NEWEST - 27 * ONE_DAY + 7 * ONE_DAY * (fails.get(asked, 0) - 1):
            while answered < 8 - sum(fails.values()):  # noqa: ASYNC110 - the other calls set no event
                await asyncio.sleep(0.001)
            raise error
        found = await rows(self, asked, window, *arguments)
        answered += 1
        return found

    monkeypatch.setattr(AccountApi, "rows", failing)
    async with _sandbox(clock, World(size=1)) as sandbox:
        result = await run(configured(sandbox, lookback=28), clock)
    assert {failure.dataset: failure.windows for failure in result.failures} == failed


async def _quiet_day_after_a_stored_total(database: Database, world: World, day: date) -> tuple[int, str]:
    """Store the total of the day before for an account whose `day` is quiet; return the account's place and appid."""
    number, quiet = next(
        (number, account)
        for number, account in enumerate(world.accounts)
        if world.cumulate(account.appid, day) and not world.summary(account.appid, day)
    )
    before = {"account": quiet.appid, "ref_date": str(day - ONE_DAY), "name": quiet.name}
    await database["user_daily"].insert_one(before | {"cumulate_user": world.cumulate(quiet.appid, day - ONE_DAY)})
    return number, quiet.appid


async def test_oldest_day_is_resolved_at_the_end(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Nothing before it is asked, so the stored total of the day before decides whether it is quiet."""
    world, day = World(size=80), NEWEST - 20 * ONE_DAY
    number, appid = await _quiet_day_after_a_stored_total(database, world, day)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, since=day)
        assert (await run(replace(settings, accounts=(settings.accounts[number],)), clock)).exit == 0
    assert (await stored(database))[appid, str(day)]["sources"] == []


async def test_calls_of_earlier_runs_count(clock: FakeClock, configured: Configured) -> None:
    """Of two calls a day the daily job has made one; the windows that are left wait."""
    async with _sandbox(clock, World(size=1, sparse=False)) as sandbox:
        settings = configured(sandbox, account={"daily_calls": 2})
        assert (await run(settings, clock)).calls == 2
        result = await run(settings, clock, since=NEWEST - 34 * ONE_DAY)
    assert (result.calls, result.windows_left) == (2, 3)
    assert [notice.kind for notice in result.notices] == [WaitKind.DAILY_CALLS]


async def test_windows_of_the_newest_days_are_no_history(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a dataset waits and the other has failed, its windows are counted with the failure."""

    async def refusing(self: AccountApi, path: str, *_: Any) -> list[object]:
        raise api_error({SUMMARY: 45009, CUMULATE: 48001}[path], "no", CallKind.DATA)

    monkeypatch.setattr(AccountApi, "rows", refusing)
    async with _sandbox(clock, World(size=1)) as sandbox:
        result = await run(configured(sandbox), clock)
    assert (result.windows_left, [failure.windows for failure in result.failures]) == (0, [1])
    assert [notice.kind for notice in result.notices] == [WaitKind.QUOTA]


async def test_account_without_rows_is_silent(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: Any) -> list[object]:
        return []

    monkeypatch.setattr(AccountApi, "rows", nothing)
    async with _sandbox(clock, World(size=1)) as sandbox:
        settings = configured(sandbox)
        result = await run(settings, clock)
    assert (result.exit, result.silent) == (0, (settings.accounts[0].name,))


async def test_new_tags_are_stored(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Also where nothing is asked; a new account that isn't asked gets no state."""
    async with _sandbox(clock, World(size=1, sparse=False)) as sandbox:
        settings = configured(sandbox)
        (account,) = settings.accounts
        await run(replace(settings, accounts=(replace(account, since=NEWEST + ONE_DAY),)), clock)
        assert await database["accounts"].count_documents({}) == 0
        await run(settings, clock)
        result = await run(replace(settings, accounts=(replace(account, tags=("new",)),)), clock)
    assert (result.calls, (await _state(database, account.appid)).tags) == (0, ("new",))


async def test_window_still_asked_decides_over_stored_totals(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summary lacks the oldest day of the newest window, and the stored total of the day before was revised."""
    world, day = World(seed=1, size=1, sparse=False), NEWEST - 5 * ONE_DAY
    (account,) = world.accounts
    assert world.cumulate(account.appid, day) != world.cumulate(account.appid, day - ONE_DAY)
    rows, put, settled = AccountApi.rows, Writer.put, asyncio.Event()

    async def lacking(self: AccountApi, path: str, window: Window, *arguments: Any) -> list[object]:
        if window.end < day and clock.now().day == 25:
            await settled.wait()  # the older window is answered when the newer one is settled
        found: list[Any] = await rows(self, path, window, *arguments)
        return [row for row in found if path == CUMULATE or row["ref_date"] != str(day)]

    async def noted(self: Writer, update: Update) -> None:
        await put(self, update)
        settled.set()

    monkeypatch.setattr(AccountApi, "rows", lacking)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, lookback=14)
        assert (await run(settings, clock)).exit == 0
        clock.instant += ONE_DAY
        stale = {"$set": {"cumulate_user": world.cumulate(account.appid, day)}}
        await database["user_daily"].update_one({"ref_date": str(day - ONE_DAY)}, stale)
        monkeypatch.setattr(Writer, "put", noted)
        assert (await run(settings, clock)).exit == 0
    assert "sources" not in (await stored(database))[account.appid, str(day)]


async def test_history_decides_over_stored_totals(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summary lacks the oldest day of the daily job. A stored total that WeChat has revised says that it is quiet."""
    world, day = World(size=1, sparse=False), NEWEST - 6 * ONE_DAY
    (account,) = world.accounts
    rows = AccountApi.rows

    async def lacking(self: AccountApi, path: str, window: Window, *arguments: Any) -> list[object]:
        found: list[Any] = await rows(self, path, window, *arguments)
        return [row for row in found if path == CUMULATE or row["ref_date"] != str(day)]

    monkeypatch.setattr(AccountApi, "rows", lacking)
    stale = {"account": account.appid, "ref_date": str(day - ONE_DAY), "name": account.name}
    await database["user_daily"].insert_one(stale | {"cumulate_user": world.cumulate(account.appid, day)})
    async with _sandbox(clock, world) as sandbox:
        assert (await run(configured(sandbox, since=NEWEST - 20 * ONE_DAY), clock)).exit == 0
    assert "sources" not in (await stored(database))[account.appid, str(day)]


async def test_failed_put_is_never_taken_for_stored(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane fails between learning and handing over: no other lane may hand over what it has learnt."""
    world = World(size=1)
    since = NEWEST - 69 * ONE_DAY
    put = Writer.put
    puts = 0

    async def failing(self: Writer, update: Update) -> None:
        nonlocal puts
        puts += 1
        if puts == 3:
            await asyncio.sleep(0.05)  # the other lanes wait behind this one by now
            raise DatabaseError("gone for a moment")
        await put(self, update)

    monkeypatch.setattr(Writer, "put", failing)
    async with Sandbox(world, clock=clock.now) as sandbox:
        assert (await run(configured(sandbox, since=since), clock)).exit == 1
    documents = await stored(database)
    (state,) = [from_document(state) async for state in database["accounts"].find()]
    for name, key in (("user_summary", "sources"), ("user_cumulate", "cumulate_user")):
        there = {day for (_, day), document in documents.items() if key in document}
        assert {str(day) for day in state.dataset(name).covered} <= there


async def test_quiet_day_is_settled_with_its_answer(
    clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its total comes when summary has long said nothing of it, and the run ends there: nothing asks for it again."""
    world = World(size=8)
    since = NEWEST - 69 * ONE_DAY
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, since=since)
        assert (await run(settings, clock)).exit == 0
        appid, quiet = next(
            (account.appid, day)
            for account in world.accounts
            for day in Window(since + 20 * ONE_DAY, since + 60 * ONE_DAY)
            if world.cumulate(account.appid, day) and not world.summary(account.appid, day)
        )
        window = Window(quiet, quiet + 6 * ONE_DAY)
        await database["user_daily"].delete_one({"account": appid, "ref_date": str(quiet)})
        (state,) = [from_document(state) async for state in database["accounts"].find({"_id": appid})]
        summary, cumulate = state.dataset("user_summary"), state.dataset("user_cumulate")
        summary = summary._replace(covered=summary.covered - Days.of([quiet]), void=Days.of([quiet]))
        cumulate = cumulate._replace(covered=cumulate.covered - Days.joined([window]))
        state = state._replace(datasets={"user_summary": summary, "user_cumulate": cumulate})
        await database["accounts"].replace_one({"_id": appid}, to_document(state))
        put = Writer.put

        async def last(self: Writer, update: Update) -> None:
            await put(self, update)
            if any((day.account, day.ref_date) == (appid, quiet) for day in update.days):
                raise DatabaseError("gone")

        with monkeypatch.context() as patched:
            patched.setattr(Writer, "put", last)
            assert (await run(settings, clock)).exit == 1
        assert (await run(settings, clock)).exit == 0
    found = await stored(database)
    assert found[appid, str(quiet)] == truth(world, Window(since, NEWEST))[appid, str(quiet)]


async def test_cut_daily_job_resolves_quiet_days(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Where the day before isn't asked any more in this run, its stored total decides, though history was to follow."""
    world, day = World(size=40), NEWEST - 6 * ONE_DAY
    number, appid = await _quiet_day_after_a_stored_total(database, world, day)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, since=NEWEST - 60 * ONE_DAY, lookback=14, account={"daily_calls": 1})
        result = await run(replace(settings, accounts=(settings.accounts[number],)), clock)
    assert [notice.kind for notice in result.notices] == [WaitKind.DAILY_CALLS]
    assert (await stored(database))[appid, str(day)]["sources"] == []
    document = await database["user_daily"].find_one({"account": appid, "ref_date": str(day)}) or {}
    assert document["fetched_at"]["user_summary"].replace(tzinfo=UTC) == clock.now()


async def test_newest_day_is_the_only_day(clock: FakeClock, database: Database, configured: Configured) -> None:
    """On the second day of WeChat's records a window without its newest day would be empty: the day stays pending."""
    clock.instant = datetime(2014, 12, 2, 0, 30, tzinfo=UTC)  # 08:30 in Beijing
    async with _sandbox(clock, World(size=20), faults=Faults(late_yesterday=1.0)) as sandbox:
        result = await run(configured(sandbox), clock)
        assert 61503 in {call.errcode for call in sandbox.calls}
        windows = {(call.begin_date, call.end_date) for call in sandbox.calls if call.path == SUMMARY}
    assert windows == {("2014-12-01", "2014-12-01")}
    assert (result.exit, result.failures, result.outcomes[Outcome.FAILED]) == (75, (), 0)
    assert result.outcomes[Outcome.PENDING] > 0  # those refused with 61503; to the others WeChat gave no row
    assert await stored(database) == {}
