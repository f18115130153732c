"""Clients that left, in a real MongoDB; discovery against a sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import Configured, FakeClock, run

from collector.commands.forget import find, forget
from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.config import Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import (
    CollectorError,
    ConfigError,
    DatabaseError,
    Fault,
    LeaseHeldError,
    RefusedError,
    UsageError,
)
from collector.model.accounts import Account, BrokenEntry, Component, Rate, Secret
from collector.model.days import Days
from collector.model.forgotten import Departed, Forgotten
from collector.model.parts import Part
from collector.model.state import AccountState, Authorizer, DatasetState
from collector.sandbox import Sandbox, World
from collector.store.database import Database
from collector.store.documents import DELETED_AT_ONCE
from collector.store.leases import lease
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, load, replacement

GONE, SHOP, OTHER = (f"wx00000000000000{number}" for number in ("01", "02", "03"))
COVERED = DatasetState(Days.between(date(2026, 11, 1), date(2026, 11, 23)))
STATES = tuple(
    AccountState(appid, name, datasets={SUMMARY: COVERED, CUMULATE: COVERED})
    for appid, name in ((GONE, "gone"), (SHOP, "shop"), (OTHER, "other"))
)
AGENCY, TWIN = (Component(name, f"wx{name}", discover=True) for name in ("agency", "twin"))
FOUND = Authorizer("agency", "Gone")

Configure = Callable[..., Settings]


@pytest.fixture
def settings(database: Database, mongod: str) -> Settings:
    """A configuration with SHOP in it."""
    mongodb = MongoSettings().model_copy(update={"uri": Secret(mongod), "database": database.name})
    return Settings(mongodb, ApiSettings(), RunSettings(), (Account("shop", SHOP, Secret("s3cret"), Rate(5, 1)),))


async def _store(database: Database, *states: AccountState, days: int = 3) -> None:
    await database[ACCOUNTS].bulk_write([replacement(state, 1) for state in states])
    first = date(2015, 1, 1)
    documents = [
        {"account": state.account, "ref_date": str(first + timedelta(days=day)), "name": state.name}
        for state in states
        for day in range(days)
    ]
    if documents:
        await database[USER_DAILY].insert_many(documents)


async def _stored(database: Database) -> tuple[set[str], set[str]]:
    """Return the accounts that have a state, and those that have documents."""
    return set(await database[ACCOUNTS].distinct("_id")), set(await database[USER_DAILY].distinct("account"))


def _departed(**more: Any) -> Departed:
    return replace(Departed(GONE, "gone", has_state=True, days=3, database=""), **more)


def _without_database(forgotten: Forgotten) -> Forgotten:
    return replace(forgotten, departed=replace(forgotten.departed, database=""))


@pytest.mark.parametrize("who", [GONE, "gone"])
async def test_state_alone(database: Database, settings: Settings, who: str) -> None:
    await _store(database, *STATES)
    forgotten = await forget(settings, who, with_documents=False)
    assert _without_database(forgotten) == Forgotten(_departed(), 0, 3)
    assert forgotten.departed.database.startswith(f"{database.name} on ")
    assert await _stored(database) == ({SHOP, OTHER}, {GONE, SHOP, OTHER})


async def test_documents_too(database: Database, settings: Settings) -> None:
    """In batches; those of other accounts and other tools stay, and the lease is free again."""
    days = DELETED_AT_ONCE + 1
    await _store(database, *STATES, days=days)
    await database[USER_DAILY].insert_one({"account": GONE, "ref_date": datetime(2026, 11, 23, tzinfo=UTC)})
    forgotten = await forget(settings, "gone", with_documents=True)
    assert _without_database(forgotten) == Forgotten(_departed(days=days), days, 0)
    assert await _stored(database) == ({SHOP, OTHER}, {GONE, SHOP, OTHER})
    assert await database[USER_DAILY].count_documents({"account": GONE}) == 1
    async with lease(database, "r1", "run"):
        pass


@pytest.mark.parametrize("left", [0, 2])
async def test_cut_short(database: Database, settings: Settings, left: int) -> None:
    """The state goes last, so that the same command finishes what an earlier one began."""
    await _store(database, STATES[0], days=left)
    forgotten = await forget(settings, "gone", with_documents=True)
    assert (forgotten.days, await _stored(database)) == (left, (set(), set()))


async def test_documents_after_the_state(database: Database, settings: Settings) -> None:
    """The appid still names them."""
    await _store(database, STATES[0])
    await forget(settings, "gone", with_documents=False)
    with pytest.raises(UsageError, match=rf"no state of {GONE} is stored; 3 documents are left, which --with-doc"):
        await forget(settings, GONE, with_documents=False)
    forgotten = await forget(settings, GONE, with_documents=True)
    assert _without_database(forgotten) == Forgotten(_departed(name=GONE, has_state=False), 3, 0)
    with pytest.raises(UsageError, match=f"no state of {GONE} is stored$"):
        await forget(settings, GONE, with_documents=True)


async def test_find_changes_nothing(database: Database, settings: Settings) -> None:
    await _store(database, *STATES)
    before = await _stored(database)
    found = await find(settings, "gone", with_documents=True)
    assert (replace(found, database=""), await _stored(database)) == (_departed(), before)
    assert await database["leases"].count_documents({}) == 0


async def _refusal(database: Database, settings: Settings, who: str, *states: AccountState) -> CollectorError:
    """Return the error, by which nothing was changed; `find` raises the same."""
    await _store(database, *states)
    before = await _stored(database)
    with pytest.raises(CollectorError) as asked:
        await find(settings, who, with_documents=True)
    with pytest.raises(CollectorError) as refused:
        await forget(settings, who, with_documents=True)
    assert await _stored(database) == before
    assert (type(asked.value), str(asked.value)) == (type(refused.value), str(refused.value))
    return refused.value


@pytest.mark.parametrize("who", [SHOP, "shop"])
@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("is_broken", [True, False])
async def test_configured_account(
    database: Database, settings: Settings, who: str, enabled: bool, is_broken: bool
) -> None:
    """Also a disabled one, one of a broken entry, and one that was never collected under its name."""
    account = replace(settings.accounts[0], enabled=enabled)
    settings = replace(settings, accounts=(account,))
    if is_broken:
        broken = BrokenEntry("shop", SHOP, (Fault("f:1", "bad", "Mend it."),), enabled=enabled)
        settings = replace(settings, accounts=(), broken=(broken,))
    error = await _refusal(database, settings, who, STATES[1]._replace(name="renamed"), STATES[0])
    assert isinstance(error, RefusedError)
    assert f"({SHOP}) is still configured: take its entry out" in str(error)


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("gon", "no account has the name or appid 'gon': `collector status` lists"),
        ("wx0000000000000009", "no state of wx0000000000000009 is stored"),
        ("foreign", "no account has the name or appid 'foreign'"),
    ],
)
async def test_unknown_account(database: Database, settings: Settings, who: str, said: str) -> None:
    """A document of another tool is none."""
    await database[ACCOUNTS].insert_one({"_id": "foreign"})
    error = await _refusal(database, settings, who, *STATES)
    assert isinstance(error, UsageError)
    assert said in str(error)


@pytest.mark.parametrize("twin", [STATES[2]._replace(name="gone"), None])
async def test_name_of_two_accounts(database: Database, settings: Settings, twin: AccountState | None) -> None:
    """The other one may be configured, and not collected yet."""
    appid = twin.account if twin else SHOP
    if twin is None:
        settings = replace(settings, accounts=(replace(settings.accounts[0], name="gone"),))
    error = await _refusal(database, settings, "gone", STATES[0], *([twin] if twin else []))
    assert isinstance(error, UsageError)
    assert str(error) == f"several accounts have the name 'gone': choose by the appid, {GONE} or {appid}"


async def test_unread_file(database: Database, settings: Settings) -> None:
    """It may list the account, which an entry of another one doesn't."""
    unread = BrokenEntry("d/one.yaml", None, (Fault("d/one.yaml:1", "no YAML", "Mend it."),))
    another = BrokenEntry("other", OTHER, (Fault("d/two.yaml:1", "no secret", "Add it."),))
    error = await _refusal(database, replace(settings, broken=(another, unread)), "gone", STATES[0])
    assert isinstance(error, ConfigError)
    message = f"no YAML, so it isn't known whether gone ({GONE}) is still configured"
    assert error.faults == (Fault("d/one.yaml:1", message, "Mend it."),)


@pytest.mark.parametrize(
    ("authorizer", "components"),
    [
        (FOUND, (AGENCY,)),
        (replace(FOUND, mini_program=True), (AGENCY,)),  # it is remembered, so that nobody looks it up again
        (FOUND, (TWIN,)),  # its platform may have been renamed
        (FOUND, (replace(AGENCY, exclude=frozenset({GONE})), TWIN)),
    ],
)
async def test_discovered_account(
    database: Database, settings: Settings, authorizer: Authorizer, components: tuple[Component, ...]
) -> None:
    settings = replace(settings, components=components)
    error = await _refusal(database, settings, "gone", STATES[0]._replace(authorizer=authorizer))
    assert isinstance(error, RefusedError)
    assert f"may be discovered again by the platform {components[-1].name}: put its appid under `excl" in str(error)


@pytest.mark.parametrize(
    ("authorizer", "components"),
    [
        (None, (AGENCY,)),
        (FOUND, ()),
        (FOUND, (replace(AGENCY, discover=False),)),
        (FOUND, (replace(AGENCY, exclude=frozenset({GONE})),)),
    ],
)
async def test_account_that_no_platform_discovers(
    database: Database, settings: Settings, authorizer: Authorizer | None, components: tuple[Component, ...]
) -> None:
    await _store(database, STATES[0]._replace(authorizer=authorizer))
    await forget(replace(settings, components=components), "gone", with_documents=True)
    assert await _stored(database) == (set(), set())


async def test_documents_alone_of_an_account_that_nothing_else_is_known_of(
    database: Database, settings: Settings
) -> None:
    """No platform has listed it."""
    await database[USER_DAILY].insert_one({"account": GONE, "ref_date": "2026-11-23"})
    forgotten = await forget(replace(settings, components=(AGENCY,)), GONE, with_documents=True)
    assert (forgotten.days, forgotten.days_left) == (1, 0)


async def test_unusable_state(database: Database, settings: Settings) -> None:
    """A damaged one can be forgotten by its appid, unless a platform may have discovered it; a newer one can't."""
    await database[ACCOUNTS].insert_many([{"_id": GONE}, {"_id": OTHER, "version": 99}])
    discovering = replace(settings, components=(AGENCY,))
    assert isinstance(await _refusal(database, discovering, GONE, STATES[1]), RefusedError)
    assert "upgrade the collector" in str(await _refusal(database, settings, OTHER, STATES[1]._replace(account="wx9")))
    forgotten = await forget(settings, GONE, with_documents=False)
    assert (forgotten.departed.name, await _stored(database)) == (GONE, ({OTHER, SHOP, "wx9"}, {SHOP, "wx9"}))


@pytest.mark.parametrize(
    ("part", "is_held"),
    [(Part(), True), (Part(appids=frozenset({GONE})), True), (Part(appids=frozenset({SHOP})), False)],
)
async def test_run_at_work(database: Database, settings: Settings, part: Part, is_held: bool) -> None:
    """It keeps out the command if the account is in its part."""
    await _store(database, STATES[0])
    async with lease(database, "r1", "run", part):
        if is_held:
            with pytest.raises(LeaseHeldError):
                await forget(settings, "gone", with_documents=True)
        else:
            await forget(settings, "gone", with_documents=True)
    assert await _stored(database) == (({GONE}, {GONE}) if is_held else (set(), set()))


async def test_account_discovered_meanwhile(database: Database, settings: Settings) -> None:
    """By the run that the command waited for."""
    await _store(database, STATES[0])
    settings = replace(settings, components=(AGENCY,))
    with capture_logs() as logs:
        async with lease(database, "r1", "run") as held:
            waiting = asyncio.create_task(forget(settings, "gone", with_documents=True, wait_s=60))
            while not any(entry["event"] == "lease.waiting" for entry in logs):  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.01)
            await database[ACCOUNTS].bulk_write([replacement(STATES[0]._replace(authorizer=FOUND), held.epoch)])
    with pytest.raises(RefusedError, match="may be discovered again"):
        await waiting
    assert await _stored(database) == ({GONE}, {GONE})


async def test_state_of_a_later_run(database: Database, settings: Settings) -> None:
    """It stays, and repeating the command deletes it."""
    await _store(database, STATES[0])
    await database[ACCOUNTS].bulk_write([replacement(STATES[0], 2**60)])
    with pytest.raises(DatabaseError, match="another run has taken over"):
        await forget(settings, "gone", with_documents=True)
    assert await _stored(database) == ({GONE}, set())
    await forget(settings, "gone", with_documents=True)
    assert await _stored(database) == (set(), set())


async def test_later_runs(clock: FakeClock, database: Database, configured: Configured) -> None:
    """They don't bring the account back."""
    world = World(size=2)
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        gone, *others = settings.accounts
        settings = replace(settings, accounts=tuple(others))
        await forget(settings, gone.name, with_documents=True)
        clock.instant += timedelta(days=1)
        await run(settings, clock)
    assert await _stored(database) == ({others[0].appid}, {others[0].appid})


async def test_withdrawn_account(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Once a run has noticed, the account can be forgotten, and discovery doesn't bring it back."""
    world = World(size=2)
    gone, stays = (account.appid for account in world.accounts)
    component = world.component
    own = {"secret": component.secret, "verify_ticket": component.verify_ticket, "discover": "true"}
    async with Sandbox(world, clock=clock.now) as sandbox:
        source = {
            "api": {"hosts": [sandbox.url]},
            "defaults": {"rate_limit": "1000/s"},
            "components": [{"name": "agency", "appid": component.appid, **own}],
        }
        settings = configured(source)
        await run(settings, clock)
        with pytest.raises(RefusedError):
            await forget(settings, gone, with_documents=True)
        sandbox.withdraw(gone)
        await run(settings, clock)
        await forget(settings, gone, with_documents=True)
        await run(settings, clock)
    assert await _stored(database) == ({stays}, {stays})
    assert {*await load(database)} == {stays}
