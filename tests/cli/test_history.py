"""`backfill`, `status`, `verify` and the lease, as a user meets them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import collector, configure, ended_of, started
from support import stored

from collector.model.days import BEIJING
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.leases import lease

WORLD = World(size=12)
BROKEN = WORLD.accounts[0]
TODAY = datetime.now(UTC).astimezone(BEIJING).date()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


async def test_backfill_status_and_verify(folder: Path, mongod: str, database: Database) -> None:
    """Backfill fills history, status shows it, and verify agrees."""
    async with Sandbox(WORLD, faults=Faults(broken={BROKEN.appid: 40125})) as sandbox:
        configure(folder, sandbox, mongod, database)
        (folder / "fast.yaml").write_text("defaults: {rate_limit: 200/s}\n")
        files = ("-c", "accounts.yaml", "-c", "fast.yaml")
        since = TODAY - timedelta(days=40)
        planned = await collector("backfill", "--since", str(since), "--dry-run", *files, cwd=folder)
        assert planned.out.splitlines()[-1] == f"12 accounts, {12 * 2 * 6} data calls. Nothing was asked."
        ended = await collector("backfill", "--since", str(since), *files, cwd=folder)
        assert (ended.code, ended.err) == (3, "")
        assert len(await stored(database)) >= 11 * 38
        shown = await collector("status", "--gaps", *files, cwd=folder)
        assert (shown.code, shown.err) == (0, "")
        assert "the secret was reset or mistyped" in shown.out
        assert shown.out.splitlines()[1].startswith(BROKEN.name)
        facts = (await collector("status", "--json", "--gaps", "--max-age", "3", *files, cwd=folder)).json
        assert facts["totals"]["accounts"] == 12
        assert facts["too_old"] == [BROKEN.name]
        assert (await collector("status", "-q", "--max-age", "3", *files, cwd=folder)).code == 3
        agreed = await collector("verify", *files, cwd=folder)
        assert (agreed.code, agreed.err) == (0, "")
        await database["user_daily"].delete_many({"account": WORLD.accounts[1].appid})
        assert (await collector("verify", "-q", *files, cwd=folder)).code == 3
        repaired = await collector("verify", "--repair", "--json", *files, cwd=folder)
        assert (repaired.code, repaired.json["repaired"]) == (0, True)
        again = await collector("run", "--json", *files, "--account", WORLD.accounts[1].name, cwd=folder)
        assert again.json["days"] >= 38


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--since", str(TODAY + timedelta(days=2))], "lies in the future: name a day that has passed"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "lies after --until 2026-01-01: swap them"),
        (["--since", "yesterday"], "Invalid value for '--since'"),
        (["--since", "2026-02-30"], "'2026-02-30' is not a day: write it as 2026-01-31"),
        ([], "Missing option '--since'"),
    ],
)
async def test_impossible_backfill(
    folder: Path, mongod: str, database: Database, options: list[str], said: str
) -> None:
    async with Sandbox(WORLD) as sandbox:
        configure(folder, sandbox, mongod, database)
    ended = await collector("backfill", *options, cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


async def test_backfill_before_the_first_day(folder: Path, mongod: str, database: Database) -> None:
    """It begins on the first day that WeChat keeps."""
    async with Sandbox(WORLD) as sandbox:
        configure(folder, sandbox, mongod, database)
    ended = await collector("backfill", "--since", "2010-01-01", "--dry-run", "--json", cwd=folder)
    assert "--since 2010-01-01 is moved to 2014-12-01, the oldest day that WeChat keeps" in ended.err
    assert min(window["begin"] for window in ended.json["accounts"][0]["windows"]) == "2014-12-01"


async def test_quiet_run_beside_another(folder: Path, mongod: str, database: Database) -> None:
    """It prints nothing, since nothing failed."""
    async with Sandbox(WORLD) as sandbox:
        configure(folder, sandbox, mongod, database)
    async with lease(database, "20261124T023010Z-aaaaaa", "backfill", on_lost=print):
        ended = await collector("run", "-q", cwd=folder)
    assert (ended.code, ended.out, ended.err) == (11, "", "")


async def test_second_run(folder: Path, mongod: str, database: Database) -> None:
    """It waits, or names the run that is at work."""
    async with Sandbox(World(size=4), latency_s=1.5) as sandbox:
        configure(folder, sandbox, mongod, database)
        first = await started("run", cwd=folder)
        while not sandbox.calls and first.returncode is None:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        waiting = await started("run", "--wait", "--json", cwd=folder)
        refused = await collector("run", "--json", cwd=folder)
        assert (refused.code, refused.out) == (11, "")
        assert refused.err.startswith("collector: another run is at work: run ")
        assert (await ended_of(first)).code == 0
        waited = await ended_of(waiting)
    assert (waited.code, waited.json["status"]) == (0, "ok")
    assert "lease.waiting" in waited.err
