"""State against documents, over a real MongoDB that real runs have filled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from support import FakeClock, run, settings_of, stored, truth

from collector.commands.plans import target_of
from collector.commands.verify import gaps, verify
from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.config import Selection, Settings
from collector.console.verify import as_text
from collector.errors import DatabaseError
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import ONE_DAY, Days, Window
from collector.model.findings import AccountFindings, AccountGaps, Break, Difference, Verified
from collector.model.results import ExitCode
from collector.model.state import AccountState, DatasetState
from collector.sandbox import Sandbox, World
from collector.store.database import Database
from collector.store.leases import lease
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, load

NEWEST = date(2026, 11, 23)
SINCE = NEWEST - 41 * ONE_DAY
ALL_DAYS = Window(SINCE, NEWEST)  # 6 windows of 7 days
WORLD = World(size=3)


class Collected:
    """Three accounts of a sandbox, collected for six weeks."""

    def __init__(self, settings: Settings, clock: FakeClock, database: Database) -> None:
        self.settings = settings
        self.clock = clock
        self.documents = database[USER_DAILY]
        self.states = database[ACCOUNTS]

    @property
    def accounts(self) -> tuple[Account, ...]:
        return self.settings.accounts

    async def verify(self, *accounts: Account, repair: bool = False) -> Verified:
        target = target_of(self.settings, self.clock)
        known = {account.appid: account for account in (*self.accounts, *accounts)}
        settings = replace(self.settings, accounts=tuple(known.values()))
        return await verify(settings, Selection([account.appid for account in accounts]), target, repair=repair)

    async def gaps(self) -> list[AccountGaps]:
        return await gaps(self.settings, Selection(), target_of(self.settings, self.clock))

    async def lose(self, account: Account, days: Days) -> None:
        wanted = {"account": account.appid, "ref_date": {"$in": [str(day) for day in days]}}
        await self.documents.delete_many(wanted)

    def of(self, name: str, days: Days) -> Days:
        """Those of `days` that a dataset of the second account has, as the sandbox knows."""
        fields = {SUMMARY: "net_user", CUMULATE: "cumulate_user"}
        known = truth(WORLD, ALL_DAYS)
        return Days.of(day for day in days if fields[name] in known[self.accounts[1].appid, str(day)])


@pytest.fixture
async def sandbox(clock: FakeClock) -> AsyncIterator[Sandbox]:
    async with Sandbox(WORLD, clock=clock.now) as server:
        yield server


@pytest.fixture
async def collected(sandbox: Sandbox, clock: FakeClock, database: Database, mongod: str, tmp_path: Path) -> Collected:
    settings = settings_of(sandbox, database, mongod, tmp_path, since=SINCE)
    settings = replace(
        settings, accounts=tuple(replace(account, rate_limit=Rate(1000, 1)) for account in settings.accounts)
    )
    assert (await run(settings, clock)).exit == 0
    return Collected(settings, clock, database)


async def _all(collected: Collected) -> list[Any]:
    documents = await collected.documents.find().sort("_id").to_list(None)
    return [documents, await collected.states.find().sort("_id").to_list(None)]


async def test_state_after_a_run_agrees(collected: Collected) -> None:
    assert await collected.verify() == Verified(checked=3, findings=[])


async def test_repair_without_findings(collected: Collected) -> None:
    before = await _all(collected)
    new = replace(collected.accounts[0], appid="wxnew")
    assert await collected.verify(*collected.accounts, new, repair=True) == Verified(4, [], repaired=True)
    assert await _all(collected) == before


async def test_old_dump_is_fetched_again(collected: Collected, database: Database) -> None:
    """Its lost days are found, repaired and fetched again by the next run."""
    broken = collected.accounts[1]
    lost = Days.between(NEWEST - 19 * ONE_DAY, NEWEST)
    await collected.lose(broken, lost)
    before = await _all(collected)
    found = AccountFindings(
        broken.appid,
        broken.name,
        {name: Difference(lost=collected.of(name, lost)) for name in (SUMMARY, CUMULATE)},
    )

    assert await collected.verify() == Verified(3, [found])
    assert (await collected.verify()).exit == 3
    assert await _all(collected) == before

    await run(collected.settings, collected.clock)  # without the repair no run knows that they are gone
    assert (broken.appid, str(NEWEST - 19 * ONE_DAY)) not in await stored(database)

    assert await collected.verify(repair=True) == Verified(3, [found], repaired=True)
    assert await collected.verify() == Verified(3, [])
    assert (await run(collected.settings, collected.clock)).exit == 0
    assert await stored(database) == truth(WORLD, ALL_DAYS)
    assert await collected.verify() == Verified(3, [])


async def test_repair_of_wanted_days(collected: Collected, database: Database) -> None:
    """Days that the account wants anyway set no `history_since`."""
    await collected.documents.delete_many({})
    await collected.verify(repair=True)
    assert {state.history_since for state in (await load(database)).values()} == {None}


async def test_documents_without_an_index(collected: Collected) -> None:
    """They are read in the order of their days."""
    await collected.documents.drop_indexes()
    assert await collected.verify() == Verified(3, [])
    day = str(NEWEST - 6 * ONE_DAY)  # stored before its neighbour in the older window
    await collected.documents.update_one(
        {"account": collected.accounts[1].appid, "ref_date": day}, {"$inc": {"cumulate_user": 5}}
    )
    (found,) = (await collected.verify()).findings
    assert [broken.difference for broken in found.breaks] == [5, -5]


async def test_revised_figures_are_fetched_again(collected: Collected, database: Database) -> None:
    """The last days of a dump are as they were before WeChat revised them."""
    broken = collected.accounts[1]
    dumped = NEWEST - 20 * ONE_DAY
    await collected.lose(broken, Days.between(dumped + ONE_DAY, NEWEST))
    await collected.documents.update_one(
        {"account": broken.appid, "ref_date": str(dumped - 4 * ONE_DAY)}, {"$inc": {"cumulate_user": -1}}
    )
    await collected.verify(repair=True)
    await run(collected.settings, collected.clock)
    assert await stored(database) == truth(WORLD, ALL_DAYS)


async def test_all_documents_lost(collected: Collected, database: Database) -> None:
    """They are fetched again, although nothing else asks for them."""
    accounts = tuple(replace(account, since=None) for account in collected.accounts)
    collected.settings = replace(collected.settings, accounts=accounts)
    await collected.documents.delete_many({})
    await collected.verify(repair=True)
    assert (await run(collected.settings, collected.clock)).exit == 0
    assert await stored(database) == truth(WORLD, ALL_DAYS)


async def test_one_dataset_is_lost(collected: Collected) -> None:
    """One dataset is lost, the other isn't."""
    broken, day = collected.accounts[1], str(NEWEST - 2 * ONE_DAY)
    await collected.documents.update_one({"account": broken.appid, "ref_date": day}, {"$unset": {"sources": 1}})
    assert (await collected.verify()).findings == [
        AccountFindings(broken.appid, broken.name, {SUMMARY: Difference(lost=Days.of([NEWEST - 2 * ONE_DAY]))})
    ]


async def test_unknown_days_become_covered(collected: Collected) -> None:
    """Repair takes stored days into the state."""
    broken = collected.accounts[1]
    states = await collected.states.find({}, {"epoch": False}).sort("_id").to_list(None)
    unknown = Days.between(SINCE, SINCE + 6 * ONE_DAY)
    begin = str(SINCE + 7 * ONE_DAY)
    await collected.states.update_one({"_id": broken.appid}, {"$set": {f"{CUMULATE}.covered.0.begin": begin}})
    found = AccountFindings(broken.appid, broken.name, {CUMULATE: Difference(unknown=unknown)})
    assert await collected.verify() == Verified(3, [found])
    assert await collected.verify(repair=True) == Verified(3, [found], repaired=True)
    assert await collected.states.find({}, {"epoch": False}).sort("_id").to_list(None) == states


async def test_next_run_heals_what_a_killed_one_left(collected: Collected, database: Database) -> None:
    """It asks for stored days that the state lacks, where the account wants them; lost days it doesn't know of."""
    broken = collected.accounts[1]
    covered = {f"{CUMULATE}.covered.0.end": str(NEWEST - 3 * ONE_DAY)}
    await collected.states.update_one({"_id": broken.appid}, {"$set": covered})
    verified = await collected.verify()
    assert ([found.heals for found in verified.findings], verified.exit) == ([True], ExitCode.PARTIAL)
    assert as_text(verified).splitlines()[-1] == (
        "3 accounts verified, 1 with days that aren't in the state yet, as after a run that was killed. The next "
        "`collector run` heals that; `collector verify --repair` does so at once."
    )
    assert (await run(collected.settings, collected.clock)).exit == 0
    assert await collected.verify() == Verified(3, [])
    await collected.lose(broken, Days.between(NEWEST, NEWEST))
    assert [found.heals for found in (await collected.verify()).findings] == [False]


async def test_days_that_no_run_wants(collected: Collected) -> None:
    """A backfill that was killed may have left them: it can be repeated."""
    broken = collected.accounts[1]
    await collected.states.update_one({"_id": broken.appid}, {"$unset": {SUMMARY: True, CUMULATE: True}})
    accounts = tuple(replace(account, since=None) for account in collected.settings.accounts)
    settings = replace(collected.settings, accounts=accounts)
    verified = await verify(settings, Selection(), target_of(settings, collected.clock), repair=False)
    assert [found.heals for found in verified.findings] == [False]
    assert as_text(verified).endswith("After a run that was killed, the same command again heals it as well.")


async def test_run_at_work_explains_unknown_days(collected: Collected, database: Database) -> None:
    """Unknown days may be the run's."""
    await collected.states.delete_one({"_id": collected.accounts[1].appid})
    async with lease(database, "20261124T023010Z-aaaaaa", "run"):
        verified = await collected.verify()
    assert (verified.exit, verified.at_work) == (ExitCode.PARTIAL, True)
    assert as_text(verified).splitlines()[-1] == (
        "3 accounts verified, 1 to repair. But a run is at work and its newest days aren't in the state yet: "
        "verify again when it has ended."
    )
    assert not (await collected.verify()).at_work


@pytest.mark.parametrize("ends", [False, True])
async def test_run_at_work_for_a_while(
    collected: Collected, database: Database, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """Once the command has begun, and before it looks at accounts, it counts documents that belong to none."""
    counting = AsyncIOMotorCollection.count_documents
    async with AsyncExitStack() as stack:
        held = lease(database, "20261124T023010Z-aaaaaa", "run")

        async def count(self: Any, *asked: Any) -> int:
            await (stack.aclose() if ends else stack.enter_async_context(held))
            return int(await counting(self, *asked))

        monkeypatch.setattr(AsyncIOMotorCollection, "count_documents", count)
        if ends:
            await stack.enter_async_context(held)
        assert (await collected.verify()).at_work


async def test_lost_state_is_replaced(collected: Collected, database: Database) -> None:
    """So that a run that finds it renamed in the configuration renames them."""
    broken = collected.accounts[1]
    await collected.states.delete_one({"_id": broken.appid})
    renamed = tuple(replace(account, name=f"new-{account.name}") for account in collected.accounts)
    collected.settings = replace(collected.settings, accounts=renamed)
    assert [found.name for found in (await collected.verify(repair=True)).findings] == [f"new-{broken.name}"]
    state = (await load(database))[broken.appid]
    assert (state.name, state.dataset(CUMULATE).covered) == (
        broken.name,
        collected.of(CUMULATE, Days.joined([ALL_DAYS])),
    )


DAMAGES: list[dict[str, Any]] = [
    {"$set": {"version": 0}},
    {"$unset": {"version": 1}},
    {"$set": {"user_cumulate.covered": "all of them"}},
    {"$set": {"user_cumulate.covered.0.end": "2026-02-30"}},
    {"$set": {"user_summary": "garbage"}},
    {"$set": {"user_summary.calls": [], "born": 5, "tags": None}},
    {"$unset": {"user_cumulate.empty": 1, "name": 1}},
]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
async def test_damaged_state_is_replaced(damage: dict[str, Any], collected: Collected, database: Database) -> None:
    """A run fails the account and leaves it unchanged; repair replaces it."""
    broken = collected.accounts[1]
    await collected.states.update_one({"_id": broken.appid}, damage)
    before = await collected.states.find_one({"_id": broken.appid})
    result = await run(collected.settings, collected.clock)
    assert (result.exit, [failure.account for failure in result.failures]) == (3, [broken.appid])

    verified = await collected.verify()
    assert (verified.exit, [(found.account, found.damaged) for found in verified.findings]) == (
        3,
        [(broken.appid, True)],
    )
    assert await collected.states.find_one({"_id": broken.appid}) == before

    assert (await collected.verify(repair=True)).exit == 0
    assert await collected.verify() == Verified(3, [])
    assert (await run(collected.settings, collected.clock)).exit == 0
    assert await stored(database) == truth(WORLD, ALL_DAYS)


async def test_repair_keeps_nothing_of_damage(collected: Collected, database: Database) -> None:
    """A damaged state is made anew from the documents alone, without the parts that could still be read."""
    broken = collected.accounts[1]
    covered = {name: state.covered for name, state in (await load(database))[broken.appid].datasets.items()}
    void = {"begin": "2026-01-01", "end": "2026-02-01"}
    instant = datetime(2026, 11, 24, 16, tzinfo=UTC)
    known = {"born": "2026-01-01", f"{SUMMARY}.void": [void], f"{SUMMARY}.not_before": instant}
    await collected.states.update_one({"_id": broken.appid}, {"$set": {**known, "history_since": 7}})
    await collected.verify(repair=True)
    assert (await load(database))[broken.appid] == AccountState(
        broken.appid,
        broken.name,
        tags=broken.tags,
        datasets={name: DatasetState(covered=days) for name, days in covered.items()},
    )


async def test_newer_state_is_never_repaired(collected: Collected) -> None:
    """It may know more than this version can tell."""
    newer = collected.accounts[1]
    await collected.states.update_one({"_id": newer.appid}, {"$set": {"version": 99}})
    before = await _all(collected)
    found = AccountFindings(newer.appid, newer.name, newer=True)
    verified = await collected.verify(repair=True)
    assert (verified, verified.exit) == (Verified(3, [found], repaired=True), 3)
    assert await _all(collected) == before


async def test_damaged_state_of_another_account(collected: Collected, database: Database) -> None:
    """It is verified with all accounts, or by its appid."""
    await collected.states.insert_one({"_id": "wxgone", "version": "?"})
    await collected.documents.insert_one(
        {"account": "wxgone", "ref_date": "2026-11-01", "name": "gone", "cumulate_user": 7}
    )
    unknown = {CUMULATE: Difference(unknown=Days.of([date(2026, 11, 1)]))}
    found = AccountFindings("wxgone", "gone", unknown, damaged=True)
    assert await collected.verify() == Verified(4, [found])
    assert await collected.verify(collected.accounts[0], repair=True) == Verified(1, [], repaired=True)
    target = target_of(collected.settings, collected.clock)
    assert await verify(collected.settings, Selection(["wxgone"]), target, repair=True) == Verified(
        1, [found], repaired=True
    )
    assert (await load(database))["wxgone"].name == "gone"


async def test_only_selected_accounts(collected: Collected) -> None:
    await collected.documents.delete_many({})
    before = await collected.states.find({"_id": {"$ne": collected.accounts[0].appid}}).sort("_id").to_list(None)
    verified = await collected.verify(collected.accounts[0], repair=True)
    assert [found.account for found in verified.findings] == [collected.accounts[0].appid]
    assert (
        await collected.states.find({"_id": {"$ne": collected.accounts[0].appid}}).sort("_id").to_list(None) == before
    )


async def test_foreign_documents_are_counted(collected: Collected, database: Database) -> None:
    """They are counted and left alone."""
    await database.command("collMod", USER_DAILY, validator={})
    appid = collected.accounts[1].appid
    await collected.documents.insert_many(
        [
            {"ref_date": "2026-11-01"},
            {"account": None, "ref_date": "2026-11-02"},
            {"account": 7, "ref_date": "2026-11-01"},
            {"account": "wxother", "day": 5},
            {"account": appid, "ref_date": datetime(2026, 11, 1, tzinfo=UTC), "cumulate_user": 7},
            {"account": appid, "ref_date": "yesterday", "cumulate_user": {"a": [1]}, "sources": "many"},
            {"account": appid, "ref_date": 3, "name": 9},
            {"account": appid},
            {"account": appid, "ref_date": "9999-12-31", "cumulate_user": 7},
        ]
    )
    await collected.states.insert_one({"_id": 5, "owner": "another tool"})
    before = await _all(collected)
    found = AccountFindings(appid, collected.accounts[1].name, foreign=5)
    assert await collected.verify(repair=True) == Verified(3, [found], foreign=8, repaired=True)
    assert await _all(collected) == before


async def test_breaks_are_no_failure(collected: Collected) -> None:
    """They are listed with days and difference, and are no failure."""
    broken, day = collected.accounts[1], NEWEST - 10 * ONE_DAY
    await collected.documents.update_one(
        {"account": broken.appid, "ref_date": str(day)}, {"$inc": {"cumulate_user": 5}}
    )
    totals = {other: WORLD.cumulate(broken.appid, other) or 0 for other in (day, day + ONE_DAY)}
    expected = (
        Break(day, totals[day], totals[day] + 5),
        Break(day + ONE_DAY, totals[day + ONE_DAY] + 5, totals[day + ONE_DAY]),
    )
    verified = await collected.verify()
    assert verified == Verified(3, [AccountFindings(broken.appid, broken.name, breaks=expected)])
    assert verified.exit == 0
    assert [(each.before, each.difference) for each in expected] == [(day - ONE_DAY, 5), (day, -5)]
    assert [(found.account, found.breaks) for found in await collected.gaps() if found.breaks] == [
        (broken.appid, expected)
    ]


async def test_gaps_of_stored_days(collected: Collected) -> None:
    """Wanted days that are neither stored nor void."""
    broken, quiet_newest = collected.accounts[2], Days.of([NEWEST])  # summary may still come
    assert await collected.gaps() == [
        AccountGaps(broken.appid, broken.name, {SUMMARY: quiet_newest}, unresolved=quiet_newest)
    ]
    lost = Days.between(NEWEST - 20 * ONE_DAY, NEWEST - 15 * ONE_DAY)
    void = Days.between(NEWEST - 20 * ONE_DAY, NEWEST - 19 * ONE_DAY)
    await collected.lose(broken, lost)
    spans = [{"begin": str(window.begin), "end": str(window.end)} for window in void.ranges]
    await collected.states.update_one(
        {"_id": broken.appid}, {"$set": {f"{SUMMARY}.void": spans, f"{CUMULATE}.void": spans}}
    )
    missing = {SUMMARY: (lost - void) | quiet_newest, CUMULATE: lost - void}
    assert await collected.gaps() == [
        AccountGaps(broken.appid, broken.name, missing, {SUMMARY: void, CUMULATE: void}, (), 4, quiet_newest)
    ]


async def test_gaps_of_a_new_account(
    collected: Collected,
) -> None:
    """It lacks the last week, up to the newest day."""
    new = replace(collected.accounts[0], appid="wxnew", name="new", since=None)
    target = target_of(collected.settings, collected.clock)
    week = Days.between(NEWEST - 6 * ONE_DAY, NEWEST)
    assert await gaps(replace(collected.settings, accounts=(new,)), Selection(), target) == [
        AccountGaps("wxnew", "new", {SUMMARY: week, CUMULATE: week})
    ]


@pytest.mark.usefixtures("_impatient")
async def test_database_out_of_reach(collected: Collected) -> None:
    settings = replace(
        collected.settings,
        mongodb=collected.settings.mongodb.model_copy(update={"uri": Secret("mongodb://127.0.0.1:1")}),
    )
    with pytest.raises(DatabaseError, match="can't be reached"):
        await verify(settings, Selection(), target_of(settings, collected.clock), repair=False)


async def test_repair_of_a_discovered_account(collected: Collected, database: Database) -> None:
    """Whose it is isn't in the documents, so the next run's discovery finds that out again."""
    appid = collected.accounts[0].appid
    about = {"component": "agency", "nick_name": "Acme", "mini_program": False}
    await collected.states.update_one({"_id": appid}, {"$set": {"version": 0, "authorizer": about}})
    (found,) = (await collected.verify(repair=True)).findings
    assert found.damaged
    assert await collected.verify() == Verified(3, [])
    assert (await load(database))[appid].authorizer is None
