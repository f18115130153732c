"""Databases of older versions: their states are read unchanged, and healthy runs complete their documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from chaos.compare import REACH_DAYS
from support import Configured, Documents, FakeClock, run, stored, truth
from upgrades import world_5aa28a5 as pretend
from upgrades.dump import read, restore
from upgrades.world_5aa28a5 import FINAL_WORLD, FOUND_ROLES, LAST_INSTANT, LATER, WORLD, Role

from collector.commands.plans import target_of
from collector.commands.verify import verify
from collector.config import Selection
from collector.model.days import ONE_DAY, Window
from collector.model.state import AccountState
from collector.sandbox import Sandbox
from collector.sandbox.publication import newest_published
from collector.store import state_document as state_module
from collector.store.database import Database
from collector.store.lease_document import LEASES
from collector.store.runs import RUNS
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, load, replacement

FOLDER = Path(__file__).parent / "5aa28a5"

KINDS = {
    "covered": 195,
    "void": 98,
    "empty": 41,
    "looked": 6,
    "waiting": 16,
    "failing with 40125": 5,
    "failing with 40164": 6,
    "failing with 48001": 5,
    "failing with 50002": 2,
    "failing with None": 3,
    "discovered": 19,
    "mini program": 1,
    "backfilled": 20,
    "born": 8,
}
"""Numbers of accounts in the dump by kind; an account may be of several."""

RUNS_LEFT = {"ok": 1, "pending": 1, "partial": 7, "stopped": 1, "crashed": 1, "running": 1}
"""Numbers of runs in the dump by status; the one that still seems to be running was killed."""


@pytest.fixture
async def restored(database: Database) -> Database:
    """A database as version 5aa28a5 left it."""
    await restore(database, FOLDER)
    return database


async def test_every_state_is_read(restored: Database) -> None:
    """Each account's state is written as it was read: no field of the old documents is lost."""
    before = await _accounts(restored)
    states = await load(restored)
    await restored[ACCOUNTS].bulk_write([replacement(state, 1) for state in states.values()])
    assert await _accounts(restored) == {appid: document | {"epoch": 1} for appid, document in before.items()}
    assert before.keys() == states.keys() == {document["_id"] for document in read(FOLDER, ACCOUNTS)}
    assert Counter(kind for state in states.values() for kind in _kinds(state)) == KINDS


async def test_old_states_are_upgraded(restored: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each old document passes the upgrades as it is read, and is stored as the new version has it."""
    before = await _accounts(restored)
    monkeypatch.setattr(state_module, "VERSION", 2)
    monkeypatch.setattr(state_module, "UPGRADES", {1: lambda document: document | {"upgraded": document["_id"]}})
    states = await load(restored)
    await restored[ACCOUNTS].bulk_write([replacement(state, 1) for state in states.values()])
    assert await _accounts(restored) == {
        appid: document | {"version": 2, "upgraded": appid, "epoch": 1} for appid, document in before.items()
    }


async def _accounts(database: Database) -> dict[str, Any]:
    return {document["_id"]: document async for document in database[ACCOUNTS].find()}


async def test_dump_has_quiet_days_and_runs(restored: Database) -> None:
    assert len(await restored[USER_DAILY].distinct("account", {"sources": []})) == 164
    assert Counter([entry["status"] async for entry in restored[RUNS].find()]) == RUNS_LEFT


async def test_a_healthy_run_brings_the_truth(restored: Database, configured: Configured) -> None:
    clock = FakeClock(LATER.astimezone(UTC))
    # The killed run's lease has run out, even where the host's clock is behind that of the dump's host.
    await restored[LEASES].update_many({}, {"$set": {"expires": datetime(1970, 1, 1, tzinfo=UTC)}})
    async with Sandbox(FINAL_WORLD, clock=clock.now, authorised=0) as sandbox:
        for appid in pretend.appids(*FOUND_ROLES):
            sandbox.authorise(appid)
        settings = configured(pretend.configuration(sandbox.url))
        result = await run(settings, clock)
    assert (result.failures, result.notices, result.error) == ((), (), None)
    assert result.total == result.got_through == len(WORLD.accounts)
    assert list(_untrue(await stored(restored))) == []
    assert (await verify(settings, Selection(), target_of(settings, clock), repair=False)).findings == []
    assert await restored[RUNS].count_documents({"status": "running"}) == 0


def _kinds(state: AccountState) -> Iterator[str]:
    """Return the kinds of an account, by its state."""
    datasets = state.datasets.values()
    for kind in ("covered", "void", "empty", "looked"):
        if any(getattr(dataset, kind) for dataset in datasets):
            yield kind
    if any(each.wait and each.wait.until and each.wait.until > LAST_INSTANT for each in datasets):
        yield "waiting"
    yield from {f"failing with {dataset.last_error.errcode}" for dataset in datasets if dataset.last_error}
    if state.authorizer:
        yield "mini program" if state.authorizer.mini_program else "discovered"
    if state.history_since:
        yield "backfilled"
    if state.born:
        yield "born"


def _untrue(found: Documents) -> Iterator[str]:
    """Return a line for each document that lacks something, or holds what isn't true."""
    newest = newest_published(LATER, FINAL_WORLD.published_at)
    for since, appids in _appids_by_first_day().items():
        others = WORLD.account_of.keys() - appids
        # Everything since the first wanted day must be there; what a window brought from before it may be, in part.
        required = truth(FINAL_WORLD, Window(since, newest), without=others)
        allowed = truth(FINAL_WORLD, Window(since - ONE_DAY * (REACH_DAYS + 1), newest), without=others)
        mine = {key: document for key, document in found.items() if key[0] in appids}
        for key in sorted(required.keys() | mine.keys()):
            document, whole = mine.get(key, {}), allowed.get(key, {})
            if whole:
                whole = whole | {"name": WORLD.nick_name(key[0])}  # discovered accounts are named by their platform
            if not required.get(key, {}).keys() <= document.keys() or not document.items() <= whole.items():
                yield f"{key[0]} {key[1]}: {document} instead of {whole}"


def _appids_by_first_day() -> Mapping[date, set[str]]:
    found: dict[date, set[str]] = {}
    for role in Role:
        found.setdefault(pretend.BACKFILLED.get(role, pretend.SINCE), set()).update(pretend.appids(role))
    return found
