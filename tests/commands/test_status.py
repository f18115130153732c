"""The status of accounts by the state in a real MongoDB, and by that of real runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support import FakeClock, run, settings_of

from collector.commands.status import status
from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.config import Selection, Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import Fault
from collector.kinds import WaitKind
from collector.model.accounts import Account, BrokenEntry, Rate, Secret
from collector.model.days import NO_DAYS, ONE_DAY, Days
from collector.model.standings import AccountStatus, Former, Standing, Status
from collector.model.state import AccountState, DatasetState, Trouble, UnusableState
from collector.model.waits import Wait
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, replacement

NEWEST = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
TROUBLE = Trouble("api unauthorized", 48001, "r-i-d", "ask for the right", NOW - ONE_DAY, NOW)

Look = Callable[..., Any]


def _account(name: str, **more: Any) -> Account:
    return Account(name, f"wx-{name}", Secret("s3cret"), Rate(5, 1), **more)


def _back(days: int) -> date:
    return NEWEST - ONE_DAY * days


def _dataset(covered: Days = NO_DAYS, **more: Any) -> DatasetState:
    known: dict[str, Any] = {"covered": covered, "refreshed_to": NEWEST, "last_success": NOW}
    return DatasetState(**(known | more))


def _state(name: str, summary: DatasetState, cumulate: DatasetState, **more: Any) -> AccountState:
    return AccountState(f"wx-{name}", name, datasets={SUMMARY: summary, CUMULATE: cumulate}, **more)


MONTH = Days.between(_back(29), NEWEST)


@pytest.fixture
def look(database: Database, mongod: str) -> Look:
    """The status of `accounts` (all of the enabled ones unless said) with `states` stored."""

    async def looked(
        accounts: Iterable[Account],
        *states: AccountState,
        selected: Iterable[Account] = (),
        tags: Sequence[str] = (),
        broken: tuple[BrokenEntry, ...] = (),
        now: datetime = NOW,
    ) -> Status:
        if states:
            await database[ACCOUNTS].bulk_write([replacement(state, 1) for state in states])
        mongodb = MongoSettings().model_copy(update={"uri": Secret(mongod), "database": database.name})
        settings = Settings(mongodb, ApiSettings(), RunSettings(), tuple(accounts), broken=broken)
        return await status(settings, Selection([account.appid for account in selected], tags), now)

    return looked


async def test_status_of_an_account(look: Look) -> None:
    acme = _account("acme", tags=("retail",), since=_back(29))
    holes = Days.of([_back(3), _back(10)])
    void = Days.of([_back(20)])
    state = _state(
        "acme",
        _dataset(MONTH - holes - void, void=void, last_success=NOW - timedelta(hours=1), last_error=TROUBLE),
        _dataset(MONTH - Days.of([_back(3), _back(5), NEWEST])),
        born=_back(25),
    )
    assert await look([acme], state) == Status(
        NEWEST,
        (
            AccountStatus(
                account="wx-acme",
                name="acme",
                tags=("retail",),
                standing=Standing.FAILING,
                newest={SUMMARY: NEWEST, CUMULATE: _back(1)},
                missing_days=4,  # those 3, 5 and 10 days back, and the newest
                born=_back(25),
                last_success=NOW,
                errors={SUMMARY: TROUBLE},
            ),
        ),
    )


@pytest.mark.parametrize(
    ("summary", "cumulate", "missing", "unresolved"),
    [
        (MONTH - Days.between(_back(1), NEWEST), MONTH, 2, 2),
        (MONTH - Days.between(_back(2), NEWEST), MONTH, 3, 2),  # by then a quiet day is settled
        (MONTH - Days.of([NEWEST]), MONTH - Days.of([NEWEST]), 1, 0),
        (MONTH, MONTH - Days.of([NEWEST]), 1, 0),
        (MONTH - Days.of([_back(29)]), MONTH, 1, 1),  # there is no total before it to compare with
        (MONTH - Days.of([_back(28)]), MONTH, 1, 0),
    ],
)
async def test_unresolved_days(look: Look, summary: Days, cumulate: Days, missing: int, unresolved: int) -> None:
    """Those of the last two, and the oldest one, that summary alone lacks."""
    found = await look([_account("one", since=_back(29))], _state("one", _dataset(summary), _dataset(cumulate)))
    assert [(each.missing_days, each.unresolved_days) for each in found.accounts] == [(missing, unresolved)]


@pytest.mark.parametrize(
    ("totals", "missing", "unresolved", "standing"),
    [
        ({}, 1, 1, Standing.OK),
        ({_back(1): 100, NEWEST: 100}, 1, 1, Standing.OK),
        ({NEWEST: 101}, 1, 1, Standing.OK),
        ({_back(1): 100, NEWEST: 101}, 1, 0, Standing.BEHIND),
    ],
)
async def test_day_whose_total_has_changed_is_missing(
    look: Look, database: Database, totals: dict[date, int], missing: int, unresolved: int, standing: Standing
) -> None:
    """It isn't quiet: summary has yet to give its row, as a run says that asks for it again."""
    for day, total in totals.items():
        await database[USER_DAILY].insert_one(
            {"account": "wx-one", "ref_date": str(day), "name": "one", "cumulate_user": total}
        )
    state = _state("one", _dataset(MONTH - Days.of([NEWEST])), _dataset(MONTH))
    (found,) = (await look([_account("one", since=_back(29))], state)).accounts
    assert (found.missing_days, found.unresolved_days, found.standing) == (missing, unresolved, standing)


async def test_older_young_day_whose_total_has_changed(look: Look, database: Database) -> None:
    """Its total is compared with one of the day before, which isn't young."""
    for day, total in ((_back(2), 100), (_back(1), 101)):
        await database[USER_DAILY].insert_one(
            {"account": "wx-one", "ref_date": str(day), "name": "one", "cumulate_user": total}
        )
    state = _state("one", _dataset(MONTH - Days.of([_back(1)])), _dataset(MONTH))
    (found,) = (await look([_account("one", since=_back(29))], state)).accounts
    assert (found.missing_days, found.unresolved_days) == (1, 0)


async def test_waits(look: Look) -> None:
    """Those of datasets that lack something: the others wait for nothing."""
    wait = Wait(WaitKind.QUOTA, NOW + timedelta(hours=1), 45009)
    state = _state("acme", _dataset(MONTH - Days.of([_back(3)]), wait=wait), _dataset(MONTH, wait=wait))
    found = await look([_account("acme", since=_back(29))], state)
    assert found.accounts[0].waits == {SUMMARY: wait}


async def test_account_without_a_state(look: Look) -> None:
    """It was never collected and lacks all wanted days."""
    nothing = {SUMMARY: None, CUMULATE: None}
    found = await look([_account("new"), _account("old", since=date(2014, 12, 1))])
    assert found.accounts == (
        AccountStatus("wx-old", "old", (), Standing.NEVER_COLLECTED, nothing, missing_days=4376),
        AccountStatus("wx-new", "new", (), Standing.NEVER_COLLECTED, nothing, missing_days=7),
    )


@pytest.mark.parametrize(
    ("summary", "cumulate", "expected"),
    [
        (_dataset(MONTH), _dataset(MONTH), Standing.OK),
        (_dataset(MONTH - Days.of([_back(9)])), _dataset(MONTH), Standing.OK),
        (_dataset(MONTH), _dataset(MONTH - Days.of([NEWEST])), Standing.BEHIND),
        (_dataset(MONTH - Days.between(_back(1), NEWEST)), _dataset(MONTH), Standing.OK),  # quiet days, most likely
        (_dataset(MONTH - Days.between(_back(2), NEWEST)), _dataset(MONTH), Standing.BEHIND),
        (_dataset(), _dataset(MONTH), Standing.BEHIND),
        (_dataset(MONTH, last_error=TROUBLE), _dataset(MONTH), Standing.FAILING),
        (_dataset(MONTH), _dataset(MONTH, last_error=TROUBLE), Standing.FAILING),
        (DatasetState(last_error=TROUBLE), DatasetState(), Standing.FAILING),
        (
            DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW)),
            DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW)),
            Standing.NEVER_COLLECTED,
        ),
        (_dataset(), _dataset(), Standing.SILENT),
        (_dataset(), _dataset(Days.of([_back(14)])), Standing.SILENT),
        (_dataset(), _dataset(Days.of([_back(13)])), Standing.BEHIND),
        (_dataset(), _dataset(last_error=TROUBLE), Standing.FAILING),
    ],
)
async def test_standing_of_an_account(
    look: Look, summary: DatasetState, cumulate: DatasetState, expected: Standing
) -> None:
    found = await look([_account("one")], _state("one", summary, cumulate))
    assert [account.standing for account in found.accounts] == [expected]


async def test_days_never_asked_for(look: Look) -> None:
    """An account that no run has asked about for weeks is behind, not silent."""
    dataset = _dataset(MONTH, last_success=NOW)
    found = await look([_account("one")], _state("one", dataset, dataset), now=NOW + timedelta(days=30))
    assert (found.newest_published, found.accounts[0].standing) == (_back(-30), Standing.BEHIND)


async def test_silent_account_on_the_next_day(look: Look) -> None:
    """It stays silent until the newest day has been asked for."""
    asked_yesterday = _state("one", _dataset(), _dataset(Days.of([_back(14)])))
    found = await look([_account("one")], asked_yesterday, now=NOW + ONE_DAY)
    assert found.accounts[0].standing is Standing.SILENT


@pytest.mark.parametrize(
    ("summary", "cumulate", "never"),
    [
        (_dataset(), _dataset(), True),
        (_dataset(), _dataset(Days.of([_back(30)])), False),
        (_dataset(Days.of([_back(30)])), _dataset(), False),
        (DatasetState(), DatasetState(), False),  # never asked
        (_dataset(last_error=TROUBLE), _dataset(), False),
    ],
)
async def test_account_that_never_had_a_row(
    look: Look, summary: DatasetState, cumulate: DatasetState, never: bool
) -> None:
    """Of neither dataset, though it was asked and nothing failed."""
    found = await look([_account("one")], _state("one", summary, cumulate))
    assert [account.never_had_a_row for account in found.accounts] == [never]


async def test_history_counts_as_missing(look: Look) -> None:
    """The days of a backfill count as missing."""
    state = _state("one", _dataset(MONTH), _dataset(MONTH), history_since=_back(129))
    assert (await look([_account("one")], state)).accounts[0].missing_days == 100


async def test_newest_day_before_publication(look: Look) -> None:
    """The day before is the newest."""
    found = await look([_account("one")], now=NOW - timedelta(hours=3))
    assert found.newest_published == _back(1)


async def test_worst_account_comes_first(look: Look) -> None:
    states = [
        _state("asleep", _dataset(), _dataset()),
        _state("fine", _dataset(MONTH), _dataset(MONTH)),
        _state("holes", _dataset(MONTH - Days.of([_back(9)])), _dataset(MONTH)),
        _state("refused", _dataset(MONTH, last_error=TROUBLE), _dataset(MONTH)),
    ]
    found = await look([_account(name) for name in ("asleep", "fine", "holes", "new", "refused")], *states)
    assert [account.name for account in found.accounts] == ["refused", "new", "holes", "fine", "asleep"]


async def test_former_and_disabled_accounts(look: Look, database: Database) -> None:
    """Former accounts are listed apart, disabled ones counted; where accounts are selected, no others are named."""
    shop, off, other = _account("shop"), _account("off", enabled=False), _account("other")
    states = [_state(name, _dataset(MONTH), _dataset(MONTH)) for name in ("shop", "off", "other", "gone-b", "gone-a")]
    await database[ACCOUNTS].insert_one({"_id": "wx-damaged"})
    found = await look([shop, off, other], *states)
    selected = await look([shop, off, other], selected=[shop])
    newest = {SUMMARY: NEWEST, CUMULATE: NEWEST}
    shown = [AccountStatus(f"wx-{name}", name, (), Standing.OK, newest, 0, None, NOW) for name in ("other", "shop")]
    former = (Former("wx-gone-a", "gone-a", newest, NOW), Former("wx-gone-b", "gone-b", newest, NOW))
    assert found == Status(NEWEST, tuple(shown), former, (UnusableState("wx-damaged"),), disabled=1)
    assert selected == Status(NEWEST, (shown[1],), disabled=1)


async def test_former_accounts_by_name(look: Look) -> None:
    """Only those that were collected: a platform may have listed others, too."""
    states = [
        _state(appid, _dataset(MONTH), _dataset(MONTH))._replace(name=name) for appid, name in (("1", "b"), ("2", "a"))
    ]
    found = await look([_account("one")], *states, AccountState("wx-3", "c"))
    assert [former.name for former in found.no_longer_configured] == ["a", "b"]
    tagged = await look([_account("one", tags=("x",)), _account("two")], tags=["x"])
    assert ([account.name for account in tagged.accounts], tagged.no_longer_configured) == (["one"], ())


async def test_entry_without_an_appid(look: Look) -> None:
    """It may be that of any account, so nobody is a former one; what it lacks isn't known."""
    unread = BrokenEntry("d/one.yaml", None, (Fault("d/one.yaml:1", "no YAML", "Mend it."),))
    found = await look([], _state("1", _dataset(MONTH), _dataset(MONTH)), broken=(unread,))
    (entry,) = found.accounts
    assert (entry.account, entry.standing, entry.missing_days) == (None, Standing.FAILING, 0)
    assert found.no_longer_configured == ()


async def test_renamed_account_has_its_new_name(look: Look) -> None:
    """It has the configured name."""
    state = _state("one", _dataset(MONTH), _dataset(MONTH))._replace(name="before")
    found = await look([_account("one")], state)
    assert ([account.name for account in found.accounts], found.no_longer_configured) == (["one"], ())


async def test_state_is_read_in_one_query(look: Look, database: Database) -> None:
    """The state is read once, and nothing is written."""
    state = _state("one", _dataset(MONTH), _dataset(MONTH))
    await look([_account("one")], state)
    await database.command("profile", 2)
    await look([_account("one")])
    await database.command("profile", 0)
    entries = [entry async for entry in database["system.profile"].find({"op": {"$ne": "command"}})]
    assert [entry["op"] for entry in entries if entry["ns"].endswith(f".{ACCOUNTS}")] == ["query"]
    assert {entry["op"] for entry in entries} == {"query"}


async def test_empty_database_stays_empty(look: Look, database: Database) -> None:
    await look([_account("one")])
    assert await database.list_collection_names() == []


async def test_unusable_state_is_failing(look: Look, database: Database) -> None:
    """Its account is named with the remedy, and so is the appid of an account that isn't configured."""
    await database[ACCOUNTS].insert_many([{"_id": f"wx-{name}", "version": 99} for name in ("one", "gone")])
    found = await look([_account("one"), _account("two")], _state("two", _dataset(MONTH), _dataset(MONTH)))
    (one, two), gone = found.accounts, UnusableState("wx-gone", is_newer=True)
    assert (one.standing, one.newest, two.standing) == (Standing.FAILING, {SUMMARY: None, CUMULATE: None}, Standing.OK)
    assert one.last_error == Trouble(gone.reason, None, None, "upgrade the collector on this host", NOW, NOW)
    assert (found.unusable, found.no_longer_configured) == ((gone,), ())


async def test_status_after_a_run(clock: FakeClock, database: Database, mongod: str, tmp_path: Path) -> None:
    world = World(size=4)
    refused = world.accounts[1]
    async with Sandbox(world, clock=clock.now, faults=Faults(broken={refused.appid: 40125})) as sandbox:
        settings = settings_of(sandbox, database, mongod, tmp_path)
        await run(settings, clock)
        clock.instant += ONE_DAY
        await run(settings, clock)
    found = await status(settings, Selection(), clock.now())
    assert found.runs is not None
    assert found.runs.last == found.runs.completed
    assert (found.runs.at, found.runs.last and found.runs.last.status) == (clock.now(), "partial")
    first, *others = found.accounts
    error = first.last_error
    assert (first.name, first.standing, first.missing_days) == (refused.name, Standing.FAILING, 7)
    assert error is not None
    assert (error.errcode, error.since, error.at) == (40125, clock.now() - ONE_DAY, clock.now())
    assert [(account.standing, account.last_success) for account in others] == [(Standing.OK, clock.now())] * 3
