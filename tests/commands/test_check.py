"""Whole checks over the sandbox's real HTTP, beside a real MongoDB that they leave as it is."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import Configured, FakeClock, RecordingWatch, SpoiltWorld, run

from collector.breakers import MAX_FAILURES
from collector.commands.check import check
from collector.config import Selection
from collector.console import check as checked
from collector.errors import DatabaseError, UnreachableError, UsageError
from collector.kinds import WaitKind
from collector.model.accounts import Component, FromCommand, FromUrl, Secret
from collector.model.checks import AccountCheck, DatasetCheck, Verdict
from collector.model.days import ONE_DAY, Days
from collector.model.results import Failure, Notice, Outcome
from collector.model.state import AccountState, DatasetState
from collector.model.waits import Wait
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import Database
from collector.store.state import ACCOUNTS, replacement
from collector.wechat.api import AccountApi
from collector.wechat.client import MAX_TRIES

NEWEST = date(2026, 11, 23)
SUMMARY, CUMULATE = "user_summary", "user_cumulate"
DATA_PATHS = ("/datacube/getusersummary", "/datacube/getusercumulate")
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
"""The end of the Beijing day on which the tests' clock stands."""


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


def _component(world: World, **more: Any) -> Component:
    known = {"secret": Secret(world.component.secret), "verify_ticket": Secret(world.component.verify_ticket)}
    return Component("agency", world.component.appid, **(known | more))


def _data_calls(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(call.appid for call in sandbox.calls if call.path in DATA_PATHS)


async def _everything(database: Database) -> dict[str, list[Any]]:
    return {name: await database[name].find().to_list(None) for name in await database.list_collection_names()}


async def _waiting(database: Database, states: Iterable[AccountState]) -> None:
    await database[ACCOUNTS].bulk_write([replacement(state, 1) for state in states])


async def test_an_empty_database_stays_empty(clock: FakeClock, configured: Configured, database: Database) -> None:
    world = World(size=3, mini_programs=1)
    async with _sandbox(clock, world) as sandbox:
        settings = replace(configured(sandbox), components=(_component(world, discover=True),), accounts=())
        checks = await check(settings, Selection(), clock=clock)
    assert (checks.result.exit, len(checks.accounts)) == (0, 3)
    assert await database.list_collection_names() == []


async def test_unusable_state_isnt_asked(clock: FakeClock, configured: Configured, database: Database) -> None:
    """Its waits aren't known, and a run would fail the account as well."""
    async with _sandbox(clock, World(size=2)) as sandbox:
        settings = configured(sandbox)
        broken, sound = (account.appid for account in settings.accounts)
        await database[ACCOUNTS].insert_one({"_id": broken, "version": 0})
        checks = await check(settings, Selection(), clock=clock)
        assert set(_data_calls(sandbox)) - {None} == {sound}
    assert checks.result.exit == 3
    assert [(failure.account, failure.hint[-18:]) for failure in checks.result.failures] == [(broken, broken)]


async def test_writes_nothing(clock: FakeClock, configured: Configured, database: Database) -> None:
    world = World(size=4)
    async with _sandbox(clock, world, faults=Faults(broken={world.accounts[0].appid: 40125})) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        before = await _everything(database)
        clock.instant += ONE_DAY
        assert (await check(settings, Selection(), clock=clock)).result.exit == 3
    assert before.keys() >= {"user_daily", "accounts", "runs", "leases"}
    assert await _everything(database) == before


async def test_sound_account(clock: FakeClock, configured: Configured) -> None:
    """A sound account costs two data calls, and shows the quota that is left."""
    world = World(size=3, sparse=False)
    async with _sandbox(clock, world, limits=Limits(daily=10)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        calls = Counter((call.appid, call.path, call.begin_date, call.end_date) for call in sandbox.calls)
    assert checks.accounts == tuple(
        AccountCheck(
            account.appid,
            account.name,
            Outcome.OK,
            Verdict.OK,
            {SUMMARY: DatasetCheck(Verdict.OK, 9), CUMULATE: DatasetCheck(Verdict.OK, 9)},
            host=sandbox.url,
        )
        for account in world.accounts
    )
    assert (checks.newest_published, checks.result.exit) == (NEWEST, 0)
    assert (checks.result.calls, checks.result.token_calls) == (6, 9)
    week = ("2026-11-17", "2026-11-23")
    assert calls == {
        (account.appid, path, *days): count
        for account in world.accounts
        for path, days, count in (
            ("/cgi-bin/stable_token", (None, None), 1),
            *((path, week, 1) for path in DATA_PATHS),
            ("/cgi-bin/openapi/quota/get", (None, None), 2),
        )
    }


@pytest.mark.parametrize("rate", [0.5, 1.0])
@pytest.mark.parametrize(
    "fault",
    [
        *("system_error", "http_5xx", "reset", "cut_body", "html", "list_null"),
        *("token_revoked", "token_stuck", "daily_quota", "minute_quota"),
    ],
)
async def test_at_most_three_data_calls(clock: FakeClock, configured: Configured, fault: str, rate: float) -> None:
    """Whatever breaks, an account costs at most three data calls."""
    rates: dict[str, Any] = {fault: rate}
    async with _sandbox(clock, World(size=12), faults=Faults(seed=3, **rates)) as sandbox:
        with capture_logs() as logs, suppress(UnreachableError):  # some break the calls for tokens as well
            await check(configured(sandbox), Selection(), clock=clock)
        calls = _data_calls(sandbox)
    assert max(calls.values(), default=0) <= 3
    assert "account.crashed" not in {log["event"] for log in logs}


async def test_exhausted_minute_quota(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=2), limits=Limits(minute=0)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert set(_data_calls(sandbox).values()) == {3}
    assert checks.result.exit == 1


async def test_failing_dataset_leaves_a_call(clock: FakeClock, configured: Configured) -> None:
    world = World(size=1)
    account = world.accounts[0]
    async with _sandbox(clock, world, faults=Faults(broken_data={account.appid: -1})) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        calls = Counter(call.path for call in sandbox.calls if call.path in DATA_PATHS)
    assert calls == dict(zip(DATA_PATHS, (2, 1), strict=True))
    hint = (
        "WeChat, or a proxy before it, is in trouble or asks for fewer calls: run it again with -vv to log the error "
        "of each call"
    )
    assert checks.accounts[0].failures == (
        Failure(account.appid, account.name, SUMMARY, "no answer in 2 calls", hint=hint),
        Failure(account.appid, account.name, CUMULATE, "no answer in 1 call", hint=hint),
    )


async def test_one_retry(clock: FakeClock, configured: Configured) -> None:
    """By chance half of the calls fail, so one account in eight needs just the one repetition that it may have."""
    async with _sandbox(clock, World(size=60), faults=Faults(seed=2, list_null=0.5)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        calls = _data_calls(sandbox)
    outcomes = Counter((each.outcome, calls[each.account]) for each in checks.accounts)
    assert outcomes[Outcome.OK, 3] > 0
    assert outcomes.keys() <= {(Outcome.OK, 2), (Outcome.OK, 3), (Outcome.FAILED, 2), (Outcome.FAILED, 3)}


async def test_token_refused_twice(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=1), faults=Faults(token_revoked=1.0)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    assert {failure.errcode for failure in checks.accounts[0].failures} == {40001}
    assert all("another system is rotating" in failure.hint for failure in checks.accounts[0].failures)


async def test_stuck_token_is_not_forced(clock: FakeClock, configured: Configured) -> None:
    """A check can't count it for the runs to come."""
    async with _sandbox(clock, World(size=1), faults=Faults(token_stuck=1.0)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert len([call for call in sandbox.calls if call.path == "/cgi-bin/stable_token"]) == 3
    assert {failure.errcode for failure in checks.accounts[0].failures} == {40001}


async def test_unrenewable_token_fails_the_account(clock: FakeClock, configured: Configured, tmp_path: Path) -> None:
    """A refused token that its source doesn't give again is one failure of the account."""
    async with _sandbox(clock, World(size=1)) as sandbox:
        settings = configured(sandbox)
        token = FromCommand(("sh", "-c", f"mkdir {tmp_path}/given && echo a-token"))  # it works once
        one = replace(settings, accounts=(replace(settings.accounts[0], token=token),))
        checks = await check(one, Selection(), clock=clock)
        assert len([call for call in sandbox.calls if call.path in DATA_PATHS]) == 2
    (failure,) = checks.accounts[0].failures
    assert failure.dataset is None
    assert failure.errmsg.startswith("the command sh failed with exit code 1")


@pytest.mark.parametrize(("broken", "expected"), [(0, 0), (1, 3), (3, 1)])
async def test_exit_codes(clock: FakeClock, configured: Configured, broken: int, expected: int) -> None:
    """0 where all is well, 3 where some failed, 1 where no account got through."""
    world = World(size=3)
    faults = Faults(broken={account.appid: 40125 for account in world.accounts[:broken]})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    assert checks.result.exit == expected


async def test_lacking_both_rights_fails_the_account(clock: FakeClock, configured: Configured) -> None:
    world = World(size=1)
    async with _sandbox(clock, world, faults=Faults(broken={world.accounts[0].appid: 48001})) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    assert checks.result.exit == 1
    assert [failure.dataset for failure in checks.result.failures] == [SUMMARY, CUMULATE]
    assert checks.accounts[0].token is Verdict.OK


async def test_waiting_account_is_not_asked(clock: FakeClock, configured: Configured, database: Database) -> None:
    world = World(size=1)
    account = world.accounts[0]
    collected = DatasetState(
        Days.between(NEWEST - 6 * ONE_DAY, NEWEST), refreshed_to=NEWEST, wait=Wait(WaitKind.NOT_BEFORE, MIDNIGHT)
    )
    datasets = dict.fromkeys((SUMMARY, CUMULATE), collected)
    await _waiting(database, [AccountState(account.appid, account.name, datasets=datasets)])
    async with _sandbox(clock, world) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert sandbox.calls == []
    assert checks.accounts == (
        AccountCheck(
            account.appid,
            account.name,
            Outcome.OK,
            Verdict.NOT_ASKED,
            {SUMMARY: DatasetCheck(), CUMULATE: DatasetCheck()},
            notices=(Notice(account.appid, account.name, WaitKind.NOT_BEFORE, MIDNIGHT),),
        ),
    )
    assert checks.result.exit == 0


async def test_waiting_dataset_spares_the_other(clock: FakeClock, configured: Configured, database: Database) -> None:
    world = World(size=1)
    account = world.accounts[0]
    datasets = {
        SUMMARY: DatasetState(wait=Wait(WaitKind.NOT_BEFORE, MIDNIGHT)),
        CUMULATE: DatasetState(wait=Wait(WaitKind.NOT_BEFORE, clock.now())),
    }
    await _waiting(database, [AccountState(account.appid, account.name, datasets=datasets)])
    async with _sandbox(clock, world, limits=Limits(daily=5)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert [call.path for call in sandbox.calls if call.path in DATA_PATHS] == [DATA_PATHS[1]]
    assert checks.accounts[0].datasets == {SUMMARY: DatasetCheck(), CUMULATE: DatasetCheck(Verdict.OK, 4)}
    assert [notice.kind for notice in checks.accounts[0].notices] == ["not_before"]


async def test_used_up_daily_calls(clock: FakeClock, configured: Configured, database: Database) -> None:
    world = World(size=1)
    account = world.accounts[0]
    datasets = {name: DatasetState(calls_on=date(2026, 11, 24), calls=4) for name in (SUMMARY, CUMULATE)}
    await _waiting(database, [AccountState(account.appid, account.name, datasets=datasets)])
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        frugal = replace(settings, accounts=(replace(settings.accounts[0], daily_calls=4),))
        checks = await check(frugal, Selection(), clock=clock)
        assert sandbox.calls == []
    assert checks.accounts[0].notices == (Notice(account.appid, account.name, WaitKind.DAILY_CALLS, MIDNIGHT),)


async def test_last_daily_call_has_no_retry(clock: FakeClock, configured: Configured, database: Database) -> None:
    world = World(size=1)
    account = world.accounts[0]
    datasets = {name: DatasetState(calls_on=date(2026, 11, 24), calls=3) for name in (SUMMARY, CUMULATE)}
    await _waiting(database, [AccountState(account.appid, account.name, datasets=datasets)])
    async with _sandbox(clock, world, faults=Faults(broken_data={account.appid: -1})) as sandbox:
        settings = configured(sandbox)
        frugal = replace(settings, accounts=(replace(settings.accounts[0], daily_calls=4),))
        checks = await check(frugal, Selection(), clock=clock)
        assert Counter(call.path for call in sandbox.calls if call.path in DATA_PATHS) == dict.fromkeys(DATA_PATHS, 1)
    assert [notice.kind for notice in checks.accounts[0].notices] == ["daily_calls"]


@pytest.mark.parametrize(
    ("errcode", "kind", "until"),
    [
        (89506, WaitKind.IP_REFUSED, timedelta(hours=24)),
        (89507, WaitKind.IP_REFUSED, timedelta(hours=1)),
        (89503, WaitKind.IP_UNCONFIRMED, None),
    ],
)
async def test_ip_refused_by_the_admin(
    clock: FakeClock, configured: Configured, errcode: int, kind: WaitKind, until: timedelta | None
) -> None:
    """An IP that the admin refused, or hasn't confirmed, is a notice and ends the account's calls."""
    world = World(size=1)
    account = world.accounts[0]
    async with _sandbox(clock, world, faults=Faults(broken_data={account.appid: errcode})) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert [call.path for call in sandbox.calls] == ["/cgi-bin/stable_token", DATA_PATHS[0]]
    notice = Notice(account.appid, account.name, kind, clock.now() + until if until else None)
    assert (checks.accounts[0].notices, checks.result.exit) == ((notice,), 0)


async def test_used_up_quota_is_a_notice(clock: FakeClock, configured: Configured) -> None:
    world = World(size=1)
    account = world.accounts[0]
    async with _sandbox(clock, world, limits=Limits(daily=0)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert _data_calls(sandbox) == {account.appid: 2}
    assert checks.accounts[0].datasets == dict.fromkeys((SUMMARY, CUMULATE), DatasetCheck(Verdict.NOT_ASKED, 0))
    assert checks.accounts[0].notices == (Notice(account.appid, account.name, WaitKind.QUOTA, MIDNIGHT),)
    assert checks.result.exit == 0


async def test_unknown_name_is_a_usage_error(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=2)) as sandbox:
        settings = configured(sandbox)
        with pytest.raises(UsageError, match="did you mean client-00001"):
            await check(settings, Selection(["cleint-00001"]), clock=clock)
        assert sandbox.calls == []


async def test_failover_host_is_named(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=3)) as sandbox:
        settings = configured(sandbox)
        api = settings.api.model_copy(update={"hosts": ("http://127.0.0.1:1", sandbox.url)})
        checks = await check(replace(settings, api=api), Selection(), clock=clock)
    assert (checks.result.exit, {each.host for each in checks.accounts}) == (0, {sandbox.url})


async def test_unpublished_newest_day_is_late(clock: FakeClock, configured: Configured) -> None:
    clock.instant = clock.instant.replace(hour=0, minute=30)  # 08:30 in Beijing
    async with _sandbox(clock, World(size=20), faults=Faults(late_yesterday=1.0)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        assert {call.errcode for call in sandbox.calls} == {0, 61503}  # some say it, others leave the day out
    assert (checks.result.exit, checks.result.failures) == (0, ())
    assert {(each.late, each.datasets[CUMULATE].verdict) for each in checks.accounts} == {(True, Verdict.EMPTY)}
    assert "20 accounts: 20 late; the newest" in checked.as_text(checks)


async def test_account_that_never_had_a_row(clock: FakeClock, configured: Configured, database: Database) -> None:
    """Neither now nor in any run; the newest day alone proves nothing."""
    world = World(size=3, births=(date(2027, 6, 1), date(2027, 6, 1)), published_at=time(20))  # the newest day is late
    known = DatasetState(covered=Days.of([date(2026, 1, 1)]))
    stopped = AccountState(world.accounts[1].appid, world.accounts[1].name, datasets={SUMMARY: known})
    await database[ACCOUNTS].bulk_write([replacement(stopped, 1)])
    async with _sandbox(clock, world) as sandbox:
        checks = await check(configured(sandbox, published_at=time(8)), Selection(), clock=clock)
    assert {each.name: each.never_had_a_row for each in checks.accounts} == {
        account.name: account is world.accounts[0] for account in world.accounts
    }
    assert [each.late for each in checks.accounts] == [True] * 3


async def test_malformed_day_fails_its_dataset(clock: FakeClock, configured: Configured) -> None:
    """Even if it isn't the newest one: a run would fail on it."""
    spoilt = date(2026, 11, 20)
    async with Sandbox(SpoiltWorld(size=1, sparse=False, spoilt=[spoilt]), clock=clock.now) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    (account,) = checks.accounts
    assert [each.verdict for each in account.datasets.values()] == [Verdict.FAILED, Verdict.OK]
    assert account.failures[0].errmsg.startswith("2026-11-20: a row has no whole number")


async def test_unreachable_wechat_ends_early(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=300)) as sandbox:
        settings = configured(sandbox, workers=8)
    hosts = ("http://127.0.0.1:1", "http://127.0.0.1:2")
    unreachable = replace(settings, api=settings.api.model_copy(update={"hosts": hosts}))
    tried = RecordingWatch()
    with pytest.raises(UnreachableError, match=re.escape(", ".join(hosts))):
        await check(unreachable, Selection(), clock=clock, watch=tried)
    assert 16 <= len(tried.results) < 32


async def test_unreachable_wechat_with_outside_tokens(clock: FakeClock, configured: Configured) -> None:
    """Data calls count as well where tokens come from elsewhere."""
    async with _sandbox(clock, World(size=3)) as sandbox:
        settings = configured(sandbox)
    token = FromCommand((sys.executable, "-c", "print('a-token')"))
    accounts = tuple(replace(account, token=token) for account in settings.accounts)
    api = settings.api.model_copy(update={"hosts": ("http://127.0.0.1:1",)})
    with pytest.raises(UnreachableError, match="3 accounts tried http"):
        await check(replace(settings, api=api, accounts=accounts), Selection(), clock=clock)


async def test_unresponsive_token_server(clock: FakeClock, configured: Configured) -> None:
    """A check waits for no token server: each of its accounts fails, those too that it wasn't asked for."""
    async with _sandbox(clock, World(size=6)) as sandbox:
        settings = configured(sandbox, workers=1)
        token = FromUrl(Secret("http://127.0.0.1:1/{appid}"))
        accounts = tuple(replace(account, token=token) for account in settings.accounts)
        checks = await check(replace(settings, accounts=accounts), Selection(), clock=clock)
    assert [each.token for each in checks.accounts] == [Verdict.FAILED] * 6
    assert {failure.errmsg for each in checks.accounts for failure in each.failures} == {
        "the server http://127.0.0.1:1 gives no answer (no connection)"
    }
    assert checks.result.token_calls == MAX_FAILURES * MAX_TRIES


@pytest.mark.usefixtures("_impatient")
async def test_unreachable_database_ends_the_check(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=1)) as sandbox:
        settings = configured(sandbox)
        mongodb = settings.mongodb.model_copy(update={"uri": Secret("mongodb://127.0.0.1:1")})
        with pytest.raises(DatabaseError, match="MongoDB can't be reached"):
            await check(replace(settings, mongodb=mongodb), Selection(), clock=clock)
        assert sandbox.calls == []


async def test_crash_stops_one_account(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(size=3)
    broken = world.accounts[1]
    log_in = AccountApi.log_in

    async def failing(self: AccountApi) -> None:
        if self.account.appid == broken.appid:
            raise KeyError("a mistake")
        await log_in(self)

    monkeypatch.setattr(AccountApi, "log_in", failing)
    async with _sandbox(clock, world) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    assert [(each.name, each.outcome) for each in checks.accounts] == [
        ("client-00001", Outcome.FAILED),
        ("client-00000", Outcome.OK),
        ("client-00002", Outcome.OK),
    ]
    assert [failure.errmsg for failure in checks.result.failures] == ["the collector failed on this account (KeyError)"]
    assert checks.result.exit == 3
