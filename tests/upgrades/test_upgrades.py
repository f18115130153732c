"""Databases of older versions: they are read as they were left, and healthy runs bring all that is true."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from chaos.compare import REACH_DAYS
from support import Documents, FakeClock, run, stored, truth
from upgrades import world_5aa28a5 as pretend
from upgrades.dump import read, restore
from upgrades.world_5aa28a5 import FINAL_WORLD, FOUND_ROLES, LAST_INSTANT, LATER, WORLD, Role

from collector import config
from collector.commands.collect import target_of
from collector.commands.verify import verify
from collector.config import Selection, Settings
from collector.model.accounts import Secret
from collector.model.days import ONE_DAY, Window
from collector.model.state import AccountState
from collector.sandbox import Sandbox
from collector.sandbox.publication import newest_published
from collector.store.database import USER_DAILY, Database
from collector.store.leases import LEASES
from collector.store.runs import RUNS
from collector.store.state import ACCOUNTS, load

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
"""How many accounts of the dump are of which kind; one may be of several."""

RUNS_LEFT = {"ok": 1, "pending": 1, "partial": 7, "stopped": 1, "crashed": 1, "running": 1}
"""How many runs ended in which way; the one that still seems to be running was killed."""


@pytest.fixture
async def restored(database: Database) -> Database:
    """A database as version 5aa28a5 left it."""
    await restore(database, FOLDER)
    return database


async def test_every_state_is_read(restored: Database) -> None:
    states = await load(restored)
    assert states.keys() == {document["_id"] for document in read(FOLDER, ACCOUNTS)}
    assert Counter(kind for state in states.values() for kind in _kinds(state)) == KINDS


async def test_dump_has_quiet_days_and_runs(restored: Database) -> None:
    assert len(await restored[USER_DAILY].distinct("account", {"sources": []})) == 164
    assert Counter([entry["status"] async for entry in restored[RUNS].find()]) == RUNS_LEFT


async def test_healthy_runs_bring_the_truth(restored: Database, mongod: str, tmp_path: Path) -> None:
    clock = FakeClock(LATER.astimezone(UTC))
    # The killed run's lease has run out, even where the host's clock is behind that of the dump's host.
    await restored[LEASES].update_many({}, {"$set": {"expires": datetime(1970, 1, 1, tzinfo=UTC)}})
    async with Sandbox(FINAL_WORLD, clock=clock.now, authorised=0) as sandbox:
        for appid in pretend.appids(*FOUND_ROLES):
            sandbox.authorise(appid)
        settings = _settings(sandbox, restored, mongod, tmp_path)
        # A quiet day that follows one whose stored total is provisional may stay pending until the second run.
        results = [await run(settings, clock), await run(settings, clock)]
    for result in results:
        assert (result.failures, result.notices, result.error) == ((), (), None)
        assert result.total == result.got_through == len(WORLD.accounts)
    assert list(_untrue(await stored(restored))) == []
    assert (await verify(settings, Selection(), target_of(settings, clock), repair=False)).findings == []
    assert await restored[RUNS].count_documents({"status": "running"}) == 0


def _kinds(state: AccountState) -> Iterator[str]:
    """The kinds that an account is of, as its state says."""
    datasets = state.datasets.values()
    for kind in ("covered", "void", "empty", "looked"):
        if any(getattr(dataset, kind) for dataset in datasets):
            yield kind
    if any(dataset.not_before and dataset.not_before > LAST_INSTANT for dataset in datasets):
        yield "waiting"
    yield from {f"failing with {dataset.last_error.errcode}" for dataset in datasets if dataset.last_error}
    if state.authorizer:
        yield "mini program" if state.authorizer.mini_program else "discovered"
    if state.history_since:
        yield "backfilled"
    if state.born:
        yield "born"


def _settings(sandbox: Sandbox, database: Database, uri: str, folder: Path) -> Settings:
    """The settings of an agency that collects all accounts, written and read as a user's are."""
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(json.dumps(pretend.configuration(sandbox.url)))  # JSON is YAML
    settings = config.load([file], {}, LATER)
    mongodb = settings.mongodb.model_copy(update={"uri": Secret(uri), "database": database.name})
    return replace(settings, mongodb=mongodb)


def _untrue(found: Documents) -> Iterator[str]:
    """The documents that lack something, or hold what isn't true.

    All that is true since the first day wanted must be there; what a window brought from before it may be.
    """
    newest = newest_published(LATER, FINAL_WORLD.published_at)
    by_first_day: dict[date, set[str]] = {}
    for role in Role:
        by_first_day.setdefault(pretend.BACKFILLED.get(role, pretend.SINCE), set()).update(pretend.appids(role))
    for since, appids in by_first_day.items():
        others = WORLD.account_of.keys() - appids
        least = truth(FINAL_WORLD, Window(since, newest), without=others)
        most = truth(FINAL_WORLD, Window(since - ONE_DAY * (REACH_DAYS + 1), newest), without=others)
        mine = {key: document for key, document in found.items() if key[0] in appids}
        for account, day in sorted(least.keys() | mine.keys()):
            there, allowed = mine.get((account, day), {}), dict(most.get((account, day), {}))
            if allowed:
                allowed["name"] = WORLD.nick_name(account)
            wanted = least.get((account, day), {}).keys()
            if not wanted <= there.keys() or not there.items() <= allowed.items():
                yield f"{account} {day}: {there} instead of {allowed}"
