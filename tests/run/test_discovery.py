"""The accounts that authorised a platform and stand in no file: whole runs over the sandbox into a real MongoDB."""

from __future__ import annotations

import json as standard_json
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support import Configured, FakeClock, stored, truth
from yarl import URL

from collector.breakers import MAX_FAILURES
from collector.commands.collect import collect
from collector.commands.plans import plans, target_of
from collector.commands.status import status
from collector.commands.verify import gaps, verify
from collector.commands.work import Job
from collector.config import Selection, Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.console.summary import failed_text
from collector.errors import UsageError
from collector.model.accounts import Account, Component, FromCommand, FromComponent, Rate, Secret
from collector.model.days import ONE_DAY, Window
from collector.model.findings import Verified
from collector.model.results import Failure, Outcome, RunResult
from collector.model.state import AccountState, Authorizer
from collector.run.discovery import known_entries
from collector.runtime import Stop
from collector.sandbox import Faults, Sandbox, World
from collector.secrets import commands
from collector.store.database import Database
from collector.store.leases import live_runs
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, load
from collector.wechat.client import MAX_TRIES

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
TOKEN, LIST, INFO = "api_component_token", "api_get_authorizer_list", "api_get_authorizer_info"
AUTHORIZER_TOKEN = "api_authorizer_token"
STALE = "ticket@@@of-last-week"


@pytest.fixture
def configured(configured: Configured) -> Configured:
    """Make the settings of an agency whose platform discovers accounts.

    `platform` changes the platform's entry, `accounts` are entries of the file; what else is given are `defaults`.
    """

    def make(
        sandbox: Sandbox,
        *,
        platform: Mapping[str, Any] | None = None,
        accounts: tuple[Mapping[str, Any], ...] = (),
        **defaults: str,
    ) -> Settings:
        values = {
            "api": {"hosts": [sandbox.url]},
            "defaults": {"rate_limit": "1000/s", **defaults},
            "components": [_platform(sandbox.world) | dict(platform or {})],
            "accounts": [dict(account) for account in accounts],
        }
        return configured(values)

    return make


def _platform(world: World) -> dict[str, Any]:
    component = world.component
    own = {"secret": component.secret, "verify_ticket": component.verify_ticket}
    return {"name": "agency", "appid": component.appid, "discover": "true", **own}


def _entry(world: World, place: int, **more: Any) -> dict[str, Any]:
    """An account as the file may have it, with its own secret."""
    account = world.accounts[place]
    return {"name": f"own-{place}", "appid": account.appid, "secret": account.secret, **more}


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


async def _run(settings: Settings, clock: FakeClock, *names: str, stop: Stop | None = None) -> RunResult:
    job = Job(target_of(settings, clock), Selection(names))
    return await collect(settings, job, clock=clock, stop=stop or Stop())


def _asked(sandbox: Sandbox) -> Counter[str]:
    """The component calls since the last look."""
    asked = Counter(call.path.rpartition("/")[2] for call in sandbox.calls if "/component/" in call.path)
    sandbox.calls.clear()
    return asked


async def _names(database: Database) -> dict[str, set[str]]:
    """The names that each account's documents bear."""
    appids = await database[USER_DAILY].distinct("account")
    return {appid: set(await database[USER_DAILY].distinct("name", {"account": appid})) for appid in appids}


async def _platforms(database: Database) -> dict[str, str | None]:
    """The platform that each account is remembered of."""
    return {
        appid: state.authorizer.component if state.authorizer else None
        for appid, state in (await load(database)).items()
    }


def _nicknamed(*nicknames: str, **more: Any) -> World:
    """A world whose first accounts have these nicknames."""
    plain = World(size=max(len(nicknames), 1))
    pairs = zip((account.appid for account in plain.accounts), nicknames, strict=True)
    return World(size=plain.size, nick_names=tuple(pairs), **more)


async def test_calls_of_1200_accounts(clock: FakeClock, database: Database, configured: Configured) -> None:
    """1,200 accounts cost one token and three pages a run, and one lookup each, once."""
    world = World(size=1200)
    async with _sandbox(clock, world) as sandbox:
        result = await _run(configured(sandbox, since="2026-11-24"), clock)  # later than all days that are there
        assert _asked(sandbox) == {TOKEN: 1, LIST: 3, INFO: 1200}
        assert (result.exit, result.total, result.token_calls) == (0, 1200, 1204)
        result = await _run(configured(sandbox), clock)
        assert _asked(sandbox) == {TOKEN: 1, LIST: 3, AUTHORIZER_TOKEN: 1200}
    assert (result.exit, result.outcomes[Outcome.OK]) == (0, 1200)
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_run_with_nothing_to_ask(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=3)) as sandbox:
        settings = configured(sandbox, since="2026-11-24")
        await _run(settings, clock)
        sandbox.calls.clear()
        result = await _run(settings, clock)
        assert _asked(sandbox) == {TOKEN: 1, LIST: 1}
    assert (result.exit, result.calls) == (0, 0)


async def test_authorised_again_between_runs(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A client that authorises again between two runs needs nobody's hand."""
    world = World(size=2)
    again, back = (account.appid for account in world.accounts)
    async with _sandbox(clock, world, faults=Faults(list_gaps=0.5)) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        sandbox.authorise(again)
        sandbox.withdraw(back)
        sandbox.authorise(back)
        clock.instant += ONE_DAY
        result = await _run(settings, clock)
    assert (result.exit, result.failures) == (0, ())
    assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY))


async def test_unusable_state_of_a_discovered_account(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    """It fails its account, and isn't replaced by what discovery finds out."""
    world = World(size=2)
    broken, sound = (account.appid for account in world.accounts)
    document = {"_id": broken, "version": 99}
    await database[ACCOUNTS].insert_one(document)
    async with _sandbox(clock, world) as sandbox:
        result = await _run(configured(sandbox), clock)
    assert (result.exit, [failure.account for failure in result.failures]) == (3, [broken])
    assert await database[ACCOUNTS].find_one({"_id": broken}) == document
    assert {account for account, _ in await stored(database)} == {sound}


async def test_new_account_between_runs(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An account that authorises between two runs is collected by the second."""
    world = World(size=3)
    async with _sandbox(clock, world, authorised=2) as sandbox:
        settings = configured(sandbox)
        assert (await _run(settings, clock)).total == 2
        sandbox.authorise(world.accounts[2].appid)
        _asked(sandbox)
        assert (await _run(settings, clock)).total == 3
        assert _asked(sandbox)[INFO] == 1
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_new_account_before_the_last_round(database: Database, configured: Configured) -> None:
    """A followed run collects it, as a plain run would."""

    class Morning(FakeClock):
        async def sleep(self, delay_s: float) -> None:
            await super().sleep(delay_s)
            if delay_s > 10:
                sandbox.authorise(world.accounts[2].appid)

    world, clock = World(size=3, published_at=time(11)), Morning(datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC))
    async with _sandbox(clock, world, authorised=2) as sandbox:
        settings = configured(sandbox)
        settings = replace(settings, run=settings.run.model_copy(update={"published_at": time(8)}))
        job = Job(target_of(settings, clock), follow_until=clock.now() + timedelta(minutes=5))
        result = await collect(settings, job, clock=clock, stop=Stop())
    assert (result.exit, result.outcomes[Outcome.PENDING]) == (75, 3)
    assert len({account for account, _ in await stored(database)}) == 3


LONG = "鞋" * 100
SHORT = "the list of authorised accounts is incomplete, so new ones may be missing: run again"
FAILED = {"errcode": -1, "errmsg": "system error"}
QUOTA = {"errcode": 45009, "errmsg": "reach max api daily quota limit"}


@pytest.mark.parametrize(
    ("nicknames", "expected"),
    [
        (["Acme 鞋"], ["Acme 鞋"]),
        (["Acme", "Acme"], ["Acme", "Acme ({1})"]),
        ([" \t "], ["{appid}"]),
        ([""], ["{appid}"]),
        (["  Acme\x1b[31m\nshoes\u202e "], ["Acme [31m shoes"]),
        ([LONG], [LONG[:80]]),
        ([LONG, LONG + "!"], [LONG[:80], LONG[:80] + " ({1})"]),
        (["own-0"], ["own-0 ({0})"]),  # a configured account has that name
    ],
)
async def test_readable_unique_names(
    clock: FakeClock, database: Database, configured: Configured, nicknames: list[str], expected: list[str]
) -> None:
    world = _nicknamed(*nicknames)
    ends = [account.appid[-4:] for account in world.accounts]
    own = World(seed=9, size=1)  # of whom this WeChat knows nothing
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox, accounts=(_entry(own, 0),)), clock)
    assert await _names(database) == {
        account.appid: {name.format(*ends, appid=account.appid)}
        for account, name in zip(world.accounts, expected, strict=True)
    }


async def test_first_account_keeps_its_name(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An account keeps its nickname as its name when another one takes the same."""
    world = _nicknamed("Acme", "Acme")
    first, second = (account.appid for account in world.accounts)
    async with _sandbox(clock, world, authorised=1) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        assert await _names(database) == {first: {"Acme"}}
        sandbox.authorise(second)
        await _run(settings, clock)
    names = {first: "Acme", second: f"Acme ({second[-4:]})"}
    assert await _names(database) == {appid: {name} for appid, name in names.items()}
    assert {appid: state.name for appid, state in (await load(database)).items()} == names


async def test_configured_name_wins(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = _nicknamed("Acme")
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox), clock)
        await _run(configured(sandbox, accounts=(_entry(world, 0),)), clock)
    assert await _names(database) == {world.accounts[0].appid: {"own-0"}}


@contextmanager
def _interposed(sandbox: Sandbox, call: str, answer: Callable[[str], dict[str, Any]]) -> Iterator[None]:
    """The sandbox, but for one of the component's calls: `answer` gives its answer about an appid, or in all."""

    def answered(url: URL, json: Mapping[str, Any], **_: Any) -> CallbackResult:
        # As WeChat writes it: unlike orjson, with which the sandbox answers, it was seen to send halves of characters.
        body = standard_json.dumps(answer(json.get("authorizer_appid", "")))
        return CallbackResult(body=body)

    paths = [f"/cgi-bin/component/{path}" for path in (TOKEN, LIST, INFO, AUTHORIZER_TOKEN) if path != call]
    paths += ["/cgi-bin/stable_token", "/datacube/"]
    with aioresponses(passthrough=[sandbox.url + path for path in paths]) as web:
        web.post(re.compile(re.escape(f"{sandbox.url}/cgi-bin/component/{call}")), callback=answered, repeat=True)
        yield


async def test_nickname_with_half_a_character(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A nickname with half a character is stored and shown without it."""
    world = World(size=1)
    async with _sandbox(clock, world) as sandbox:
        with _interposed(sandbox, INFO, lambda _: {"authorizer_info": {"nick_name": "Acme\ud83d"}}):
            result = await _run(configured(sandbox), clock)
    assert (result.exit, result.error) == (0, None)
    assert await _names(database) == {world.accounts[0].appid: {"Acme"}}


async def test_mini_programs_are_left_out(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=3, mini_programs=4)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        result = await _run(settings, clock)
        assert _asked(sandbox)[INFO] == 7
        assert (result.exit, result.total) == (0, 3)
        clock.instant += ONE_DAY
        assert (await _run(settings, clock)).total == 3
        assert INFO not in _asked(sandbox)
        assert {call.appid for call in sandbox.calls}.isdisjoint(world.mini_program_appids)
    assert (await stored(database)).keys() == truth(world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY)).keys()


async def test_excluded_accounts(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Excluded accounts are neither looked up nor collected."""
    world = World(size=3)
    excluded = world.accounts[1].appid
    async with _sandbox(clock, world) as sandbox:
        result = await _run(configured(sandbox, platform={"exclude": [excluded]}), clock)
        assert _asked(sandbox)[INFO] == 2
        assert (result.exit, result.total) == (0, 2)
        assert await stored(database) == truth(world, LAST_WEEK, without=[excluded])
        assert (await _run(configured(sandbox), clock)).total == 3
        assert (await _run(configured(sandbox, platform={"exclude": [excluded]}), clock)).total == 2
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_configured_account_wins(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The one by its own secret and name, the other not at all."""
    world = World(size=3)
    own, off, found = (account.appid for account in world.accounts)
    async with _sandbox(clock, world) as sandbox:
        accounts = (_entry(world, 0, tags=["retail"]), _entry(world, 1, enabled="false"))
        result = await _run(configured(sandbox, accounts=accounts), clock)
        assert _asked(sandbox) == {TOKEN: 1, LIST: 1, INFO: 1, AUTHORIZER_TOKEN: 1}
    assert (result.exit, result.total) == (0, 2)
    assert await _names(database) == {own: {"own-0"}, found: {"client-00002"}}
    states = await load(database)
    assert states.keys() == {own, found}
    assert (states[own].tags, states[own].authorizer) == (("retail",), None)
    assert off not in states


async def test_entry_is_removed(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An entry that goes from the file leaves the account to the platform."""
    world = World(size=1)
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox, accounts=(_entry(world, 0),)), clock)
        result = await _run(configured(sandbox), clock)
    assert (result.exit, result.total) == (0, 1)
    assert await _names(database) == {world.accounts[0].appid: {"client-00000"}}
    assert await stored(database) == truth(world, LAST_WEEK)


async def test_defaults_apply(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=2)
    since = NEWEST - 13 * ONE_DAY
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, since=str(since), daily_calls="50", token="classic")
        result = await _run(settings, clock)
    assert result.exit == 0
    assert await stored(database) == truth(world, Window(since, NEWEST))
    assert known_entries(settings, await load(database)) == tuple(
        Account(
            account.name,
            account.appid,
            None,
            Rate(1000, 1),
            token=FromComponent("agency"),
            since=since,
            daily_calls=50,
        )
        for account in sorted(world.accounts, key=lambda each: each.appid)
    )


async def test_withdrawn_and_back(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An account that withdrew is left out and comes back when it authorises again."""
    world = World(size=3)
    gone = world.accounts[1]
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        before = await stored(database)
        sandbox.withdraw(gone.appid)
        with capture_logs() as logs:
            result = await _run(settings, clock)
        assert (result.exit, result.total) == (0, 2)
        assert await stored(database) == before
        assert [(log["log_level"], log["account"]) for log in logs if log["event"] == "authorizer.left"] == [
            ("warning", gone.name)
        ]
        with capture_logs() as logs:
            await _run(settings, clock)
        assert "authorizer.left" not in {log["event"] for log in logs}
        clock.instant += ONE_DAY
        sandbox.authorise(gone.appid)
        _asked(sandbox)
        result = await _run(settings, clock)
        assert (result.exit, result.total, _asked(sandbox)[INFO]) == (0, 3, 1)
    assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY))


async def test_withdrawn_in_status(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        sandbox.withdraw(world.accounts[0].appid)
        await _run(settings, clock)
    found = await status(settings, Selection(), clock.now())
    assert [each.name for each in found.accounts] == ["client-00001"]
    assert [each.name for each in found.no_longer_configured] == ["client-00000"]


async def test_back_under_another_name(clock: FakeClock, database: Database, configured: Configured) -> None:
    before, after = _nicknamed("Acme", "Other"), _nicknamed("Acme Shoes", "Other")
    renamed, other = (account.appid for account in before.accounts)
    async with _sandbox(clock, before) as sandbox:
        await _run(configured(sandbox), clock)
        sandbox.withdraw(renamed)
        await _run(configured(sandbox), clock)
    async with _sandbox(clock, after) as sandbox:
        await _run(configured(sandbox), clock)
    assert await _names(database) == {renamed: {"Acme Shoes"}, other: {"Other"}}


@pytest.mark.parametrize("ends_at", [0, 2])
async def test_list_ends_early(clock: FakeClock, database: Database, configured: Configured, ends_at: int) -> None:
    world = World(size=4)
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox), clock)
    clock.instant += ONE_DAY
    async with _sandbox(clock, world, faults=Faults(list_ends_at=ends_at)) as sandbox:
        result = await _run(configured(sandbox), clock)
    assert (result.exit, result.outcomes[Outcome.OK]) == (3, 4)
    assert result.failures == (
        Failure(
            world.component.appid,
            "agency",
            None,
            f"the list ended after {ends_at} accounts",
            hint="the list of authorised accounts is incomplete, so new ones may be missing: run again",
            accounts=0,
        ),
    )
    assert await _platforms(database) == {account.appid: "agency" for account in world.accounts}
    assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY))
    assert failed_text(result) == (
        "Failed:\n"
        "  The platform: the list of authorised accounts is incomplete, so new ones may be missing: run again\n"
        "    agency"
    )


async def test_list_shrinks_once(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Accounts that withdrew are dropped, the others are collected at no further call, and the list has failed."""
    world = World(size=20)
    gone = world.accounts[7].appid
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        clock.instant += ONE_DAY
        sandbox.withdraw(gone)
        sandbox.shrink_list(1)
        _asked(sandbox)
        result = await _run(settings, clock)
        assert _asked(sandbox) == {TOKEN: 1, LIST: 1, INFO: 19, AUTHORIZER_TOKEN: 19}
        assert (result.exit, result.outcomes[Outcome.OK]) == (3, 19)
        assert [(failure.name, failure.errmsg, failure.hint, failure.accounts) for failure in result.failures] == [
            ("agency", "the list lacks 18 accounts that authorised the platform", SHORT, 0)
        ]
        result = await _run(settings, clock)
        assert (result.exit, result.total, INFO in _asked(sandbox)) == (0, 19, False)
    assert [appid for appid, platform in (await _platforms(database)).items() if not platform] == [gone]
    days = await stored(database)
    assert {account for account, day in days if day == str(NEWEST + ONE_DAY)} == world.account_of.keys() - {gone}


async def test_empty_list(clock: FakeClock, database: Database, configured: Configured) -> None:
    """It proves nothing: who is still authorised is collected."""
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        clock.instant += ONE_DAY
        sandbox.shrink_list(0)
        result = await _run(settings, clock)
    assert (result.exit, result.outcomes[Outcome.OK]) == (3, 2)
    assert [failure.errmsg for failure in result.failures] == ["the list lacks 2 accounts that authorised the platform"]
    assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY))


async def test_all_withdrew(clock: FakeClock, database: Database, configured: Configured) -> None:
    """The accounts are dropped, and a platform without any is a usage error."""
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        for account in world.accounts:
            sandbox.withdraw(account.appid)
        with pytest.raises(UsageError):
            await _run(settings, clock)
    assert set((await _platforms(database)).values()) == {None}


@pytest.mark.parametrize(("answer", "most"), [(FAILED, 3), (QUOTA, 1)])
async def test_breaker_of_missing_accounts(
    clock: FakeClock,
    database: Database,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any],
    most: int,
) -> None:
    """A platform in trouble isn't asked about every account that its list lacks, and all are kept."""
    monkeypatch.setattr("collector.run.lookup.MAX_LOOKUPS", 1)
    async with _sandbox(clock, World(size=20)) as sandbox:
        settings = configured(sandbox, since="2026-11-24")  # there is nothing to ask
        await _run(settings, clock)
        sandbox.shrink_list(1)
        with _interposed(sandbox, INFO, lambda appid: answer):
            result = await _run(settings, clock)
    assert result.token_calls == 2 + most * (MAX_TRIES if answer is FAILED else 1)
    assert [each.errmsg for each in result.failures] == (["system error"] if answer is FAILED else [])
    assert [each.kind for each in result.notices] == ([] if answer is FAILED else ["platform_quota"])
    assert (result.total, set((await _platforms(database)).values())) == (20, {"agency"})


@pytest.mark.parametrize("info", [{"nick_name": None}, FAILED | {"errcode": 48001}], ids=["odd", "refused"])
async def test_odd_answer_keeps_an_account(
    clock: FakeClock, database: Database, configured: Configured, info: dict[str, Any]
) -> None:
    """Nothing but 61003 means that an account has left."""
    answer = info if "errcode" in info else {"authorizer_info": info}
    async with _sandbox(clock, World(size=3)) as sandbox:
        settings = configured(sandbox, since="2026-11-24")  # there is nothing to ask
        await _run(settings, clock)
        sandbox.shrink_list(1)
        with _interposed(sandbox, INFO, lambda appid: answer):
            result = await _run(settings, clock)
    assert [failure.name for failure in result.failures] == ["agency"]
    assert set((await _platforms(database)).values()) == {"agency"}


async def test_missing_and_not_collected(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Mini programs, excluded and configured accounts aren't asked about when the list lacks them."""
    world = World(size=3, mini_programs=2)
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox), clock)
        sandbox.shrink_list(0)
        _asked(sandbox)
        excluded = {"exclude": [world.accounts[1].appid]}
        await _run(configured(sandbox, platform=excluded, accounts=(_entry(world, 0),)), clock)
        assert _asked(sandbox)[INFO] == 1
        result = await _run(configured(sandbox), clock)
        assert (result.total, _asked(sandbox)[INFO]) == (3, 0)


@pytest.mark.parametrize(("others", "expected"), [(0, 1), (1, 3)])
async def test_stale_platform(
    clock: FakeClock, database: Database, configured: Configured, others: int, expected: int
) -> None:
    """When the platform is stale its remembered accounts fail together."""
    world, own = World(size=3), World(size=4)
    async with _sandbox(clock, own, authorised=3) as sandbox:
        await _run(configured(sandbox), clock)
        clock.instant += ONE_DAY
        sandbox.renew_ticket()
        accounts = tuple(_entry(own, 3) for _ in range(others))
        result = await _run(configured(sandbox, accounts=accounts), clock)
    (failure,) = result.failures
    assert (failure.account, failure.name, failure.errcode, failure.accounts, failure.windows) == (
        world.component.appid,
        "agency",
        61005,
        3,
        3,
    )
    assert (result.exit, result.outcomes[Outcome.FAILED], result.outcomes[Outcome.OK]) == (expected, 3, others)
    assert failed_text(result).splitlines()[:2] == ["Failed: 3", f"  3 accounts: {failure.hint}"]
    assert set((await _platforms(database)).values()) == {"agency"} | ({None} if others else set())


async def test_unreadable_list(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A list that can't be read fails the remembered accounts together."""
    world = World(size=3)
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox), clock)
        clock.instant += ONE_DAY
        with _interposed(sandbox, LIST, lambda _: {"errcode": -1, "errmsg": "system error"}):
            result = await _run(configured(sandbox), clock)
    assert [(failure.name, failure.errcode, failure.accounts) for failure in result.failures] == [("agency", -1, 3)]
    assert (result.exit, result.outcomes[Outcome.FAILED]) == (1, 3)
    assert set((await _platforms(database)).values()) == {"agency"}


async def test_first_run_with_a_stale_platform(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock, World(size=3)) as sandbox:
        settings = configured(sandbox, platform={"verify_ticket": STALE})
        for names in ((), ("client-00001",)):
            result = await _run(settings, clock, *names)
            assert (result.exit, result.status, result.total) == (1, "failed", 0)
            assert [(failure.name, failure.errcode, failure.accounts) for failure in result.failures] == [
                ("agency", 61006, 0)
            ]
    assert [entry["exit"] async for entry in database["runs"].find()] == [1, 1]


async def test_platform_without_accounts(clock: FakeClock, configured: Configured) -> None:
    """A platform that nobody has authorised is a usage error that says so."""
    async with _sandbox(clock, World(size=3), authorised=0) as sandbox:
        with pytest.raises(UsageError, match="no official account has authorised the platforms yet"):
            await _run(configured(sandbox), clock)


@pytest.mark.parametrize(("answer", "most"), [(FAILED, 3), (QUOTA, 1)])
async def test_breaker_of_lookups(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], most: int
) -> None:
    """A platform in trouble isn't asked about every new account."""
    monkeypatch.setattr("collector.run.lookup.MAX_LOOKUPS", 1)
    world = World(size=20)
    async with _sandbox(clock, world) as sandbox:
        with _interposed(sandbox, INFO, lambda appid: answer):
            result = await _run(configured(sandbox), clock)
        tries = MAX_TRIES if answer is FAILED else 1
    assert result.token_calls == 2 + most * tries
    assert [each.errmsg for each in result.failures] == (
        ["system error (20 new accounts not known yet)"] if answer is FAILED else []
    )


async def test_postponed_platforms_fail(
    clock: FakeClock, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A platform whose command isn't run, since it took too long for others, fails like those."""
    monkeypatch.setattr(commands, "COMMAND_S", 0.05)
    async with _sandbox(clock, World(size=1)) as sandbox:
        settings = configured(sandbox)
        (agency,) = settings.components
        components = tuple(
            replace(agency, name=f"agency-{place}", appid=f"wx{place:016d}", secret=FromCommand(("sleep", "60")))
            for place in range(MAX_FAILURES + 2)
        )
        result = await _run(replace(settings, components=components), clock)
    assert [failure.errmsg for failure in result.failures] == ["the command sleep took longer than 0.05 s"] * 5


async def test_quota_of_lookups(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A used-up quota of lookups is a wait; the accounts are found later."""
    world = World(size=3)
    silent = world.accounts[1].appid
    answers: dict[str, Any] = {
        account.appid: {"authorizer_info": {"nick_name": account.name}} for account in world.accounts
    }
    answers[silent] = {"errcode": 45009, "errmsg": "reach max api daily quota limit rid: 00000001-00000002-00000003"}
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        with _interposed(sandbox, INFO, answers.__getitem__):
            result = await _run(settings, clock)
        assert (result.exit, result.total, result.failures) == (0, 2, ())
        assert [(each.account, each.name, each.kind) for each in result.notices] == [
            (world.component.appid, "agency", "platform_quota")
        ]
        assert await stored(database) == truth(world, LAST_WEEK, without=[silent])
        _asked(sandbox)
        assert (await _run(settings, clock)).exit == 0
        assert _asked(sandbox)[INFO] == 1
    assert await stored(database) == truth(world, LAST_WEEK)


@pytest.mark.parametrize("info", [{}, {"nick_name": None}, {"nick_name": 7}])
async def test_answer_without_a_nickname(clock: FakeClock, configured: Configured, info: dict[str, Any]) -> None:
    world = World(size=2)
    answers: dict[str, Any] = {
        account.appid: {"authorizer_info": {"nick_name": account.name}} for account in world.accounts
    }
    answers[world.accounts[0].appid] = {"authorizer_info": info}
    async with _sandbox(clock, world) as sandbox:
        with _interposed(sandbox, INFO, answers.__getitem__):
            result = await _run(configured(sandbox), clock)
    assert (result.exit, result.total) == (3, 1)
    assert [failure.errmsg for failure in result.failures] == [
        "the answer about an authorised account has no nick_name"
    ]


async def test_configured_account_by_name(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=3)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, accounts=(_entry(world, 0),))
        for name in ("own-0", world.accounts[0].appid):
            result = await _run(settings, clock, name)
            assert (result.exit, result.total, _asked(sandbox)) == (0, 1, {})
    assert (await load(database)).keys() == {world.accounts[0].appid}


async def test_discovered_account_by_name(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=3)
    one, two = world.accounts[1:]
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox, accounts=(_entry(world, 0),))
        assert (await _run(settings, clock, one.name)).total == 1
        assert (await _run(settings, clock, two.appid, "own-0")).total == 2
    assert {appid for appid, _ in await stored(database)} == {account.appid for account in world.accounts}


async def test_unknown_name(clock: FakeClock, database: Database, configured: Configured) -> None:
    """A name that nobody has is a usage error, which leaves no lease and no open run."""
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        with pytest.raises(UsageError, match=r"has the name or appid 'cleint-00001' \(did you mean client-0000"):
            await _run(settings, clock, "cleint-00001")
        assert await live_runs(database) == []
        (entry,) = await database["runs"].find().to_list(None)
        assert (entry["status"], entry["exit"], "ended" in entry) == ("failed", 1, True)
        assert "cleint-00001" in entry["error"]
        assert await stored(database) == {}
        _asked(sandbox)
        assert (await _run(settings, clock)).exit == 0
        assert INFO not in _asked(sandbox)  # what was found out by then is remembered


async def test_other_commands_ask_nothing(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Status, verify and a dry run show the discovered accounts and ask nothing."""
    world = World(size=2, mini_programs=2)
    async with _sandbox(clock, world) as sandbox:
        settings = configured(sandbox)
        await _run(settings, clock)
        before = {name: await database[name].find().to_list(None) for name in ("accounts", "user_daily")}
        sandbox.calls.clear()
        target = target_of(settings, clock)
        found = await status(settings, Selection(), clock.now())
        compared = await verify(settings, Selection(), target, repair=False)
        planned = await plans(settings, Selection(), replace(target, since=NEWEST - 13 * ONE_DAY), clock)
        lacking = await gaps(settings, Selection(), replace(target, since=NEWEST - 13 * ONE_DAY))
        one = await plans(settings, Selection([world.accounts[1].name]), target, clock)
        assert sandbox.calls == []
    names = ["client-00000", "client-00001"]
    assert sorted(each.name for each in found.accounts) == names
    assert (found.no_longer_configured, found.disabled) == ((), 0)
    assert compared == Verified(2, [], foreign=0, repaired=False)
    assert sorted(account.name for account, plan in planned.of_accounts if plan.history) == names
    assert sorted(each.name for each in lacking) == names
    assert [account.name for account, _ in one.of_accounts] == ["client-00001"]
    assert {name: await database[name].find().to_list(None) for name in before} == before


async def test_dry_run_before_the_first_run(clock: FakeClock, configured: Configured) -> None:
    async with _sandbox(clock, World(size=2)) as sandbox:
        settings = configured(sandbox)
        with pytest.raises(UsageError):
            await plans(settings, Selection(), target_of(settings, clock), clock)
        assert sandbox.calls == []


async def test_renamed_platform(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=2, mini_programs=1)
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox), clock)
        _asked(sandbox)
        clock.instant += ONE_DAY
        result = await _run(configured(sandbox, platform={"name": "house"}), clock)
        assert _asked(sandbox) == {TOKEN: 1, LIST: 1, AUTHORIZER_TOKEN: 2}
    assert (result.exit, result.total) == (0, 2)
    assert set((await _platforms(database)).values()) == {"house"}


def _two(settings: Settings, *, west: Mapping[str, Any] | None = None, **east: Any) -> Settings:
    """Two platforms that the same accounts have authorised."""
    (one,) = settings.components
    other = replace(one, name="west", **(west or {}))
    return replace(settings, components=(replace(one, name="east", **east), other))


async def test_account_of_two_platforms(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An account that two platforms list is collected once by the first for good."""
    world = World(size=3)
    async with _sandbox(clock, world) as sandbox:
        settings = _two(configured(sandbox))
        result = await _run(settings, clock)
        assert _asked(sandbox) == {TOKEN: 2, LIST: 2, INFO: 3, AUTHORIZER_TOKEN: 3}
        assert (result.exit, result.total) == (0, 3)
        assert set((await _platforms(database)).values()) == {"east"}
        clock.instant += ONE_DAY
        result = await _run(replace(settings, components=settings.components[::-1]), clock)
        assert (result.exit, result.total, _asked(sandbox)[INFO]) == (0, 3, 0)
    assert set((await _platforms(database)).values()) == {"east"}
    assert await stored(database) == truth(world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY))


@pytest.mark.parametrize("east", [{"verify_ticket": Secret(STALE)}, {"exclude": "all"}], ids=["fails", "excludes it"])
async def test_account_changes_platform(
    clock: FakeClock, database: Database, configured: Configured, east: dict[str, Any]
) -> None:
    """An account goes over to the other platform that lists it when its own."""
    world = World(size=3)
    if "exclude" in east:
        east = {"exclude": frozenset(account.appid for account in world.accounts)}
    async with _sandbox(clock, world) as sandbox:
        await _run(_two(configured(sandbox)), clock)
        _asked(sandbox)
        clock.instant += ONE_DAY
        result = await _run(_two(configured(sandbox), **east), clock)
        assert INFO not in _asked(sandbox)
    assert result.outcomes[Outcome.OK] == 3
    assert [failure.accounts for failure in result.failures] == ([] if "exclude" in east else [0])
    assert set((await _platforms(database)).values()) == {"west"}


async def test_discover_is_switched_off(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=2)
    async with _sandbox(clock, world) as sandbox:
        await _run(configured(sandbox), clock)
        off = configured(sandbox, platform={"discover": "false"}, accounts=(_entry(world, 0),))
        clock.instant += ONE_DAY
        assert (await _run(off, clock)).total == 1
        assert {account for account, day in await stored(database) if day == str(NEWEST)} == {
            account.appid for account in world.accounts
        }
        assert (await _run(configured(sandbox), clock)).total == 2


@pytest.mark.parametrize("call", [TOKEN, LIST, INFO])
async def test_stop_during_discovery(clock: FakeClock, database: Database, configured: Configured, call: str) -> None:
    """The signal comes while the call is answered; the calls that are due then aren't made any more."""
    stop = Stop()
    world = World(size=60)
    came: list[str] = []

    def now() -> datetime:  # the sandbox asks for the time once for each request
        came.append("")
        if len(came) == {TOKEN: 1, LIST: 2, INFO: 3}[call]:
            stop.set(signal.SIGTERM)
        return clock.now()

    async with Sandbox(world, clock=now) as sandbox:
        result = await _run(configured(sandbox), clock, stop=stop)
        asked = _asked(sandbox)
    assert (result.exit, result.status, result.error, result.failures) == (143, "stopped", None, ())
    assert list(asked) == ([TOKEN, LIST, INFO] if call == INFO else [TOKEN, LIST])  # the list is why there is a token
    assert asked[INFO] <= 16
    assert await database[ACCOUNTS].count_documents({}) == 0
    assert await live_runs(database) == []
    (entry,) = await database["runs"].find().to_list(None)
    assert (entry["status"], entry["exit"], entry["stop_signal"], "ended" in entry) == ("stopped", 143, 15, True)


_APPIDS = st.integers(0, 20).map(lambda number: f"wx{number:012x}{number % 3:04x}")  # many of them end alike
_TEXTS = st.one_of(
    st.text(max_size=3),
    st.sampled_from(["Acme", "Acme ", "Acme (0001)", "Acme (0002)", "", "\ud83d", LONG, LONG + "!"]),
    _APPIDS,
    _APPIDS.map(lambda appid: f"{appid} (2)"),
)


@given(
    found=st.dictionaries(_APPIDS, _TEXTS, max_size=12),
    configured_names=st.dictionaries(_APPIDS, _TEXTS, max_size=4),
)
@example(found={"wx0000000000010001": "Acme", "wx0000000000020001": "Acme"}, configured_names={})
def test_names_are_unique(found: dict[str, str], configured_names: dict[str, str]) -> None:
    """No name is another account's name or appid, and who stays the same keeps its name."""
    own = [Account(name, appid, Secret("s3cret"), Rate(5, 1)) for appid, name in configured_names.items()]
    distinct = {account.name: account for account in own}
    states = {
        appid: AccountState(appid, "before", authorizer=Authorizer("agency", nick)) for appid, nick in found.items()
    }
    settings = Settings(
        *(MongoSettings(), ApiSettings(), RunSettings(), tuple(distinct.values())),
        components=(Component("agency", "wxc0", discover=True),),
    )
    accounts = known_entries(settings, states)
    assert accounts[: len(distinct)] == settings.accounts
    discovered = accounts[len(distinct) :]
    assert {account.appid for account in discovered} == found.keys() - {account.appid for account in settings.accounts}
    keys = [key for account in accounts for key in {account.name, account.appid}]
    discovered_names = [account.name for account in discovered]
    assert len({*discovered_names}) == len(discovered_names)
    assert {*discovered_names}.isdisjoint(account.name for account in settings.accounts)
    for account in discovered:
        assert keys.count(account.name) == 1
        assert account.name.isprintable()
        assert account.name == account.name.strip() != ""
        assert len(account.name) <= 100
    turned = dict(reversed(states.items()))
    assert {*known_entries(settings, turned)} == {*accounts}
