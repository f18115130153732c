"""`backfill`, `status`, `verify` and the lease, as a user meets them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from command import Ended, collector, configure, ended_of, on_a_terminal, started
from support import stored

from collector.completeness.datasets import DATASETS
from collector.model.days import BEIJING, Days
from collector.model.state import AccountState, DatasetState
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.leases import lease
from collector.store.state import ACCOUNTS
from collector.store.state_document import to_document

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
        assert shown.out.partition("\n")[0].endswith(": partial, 1 of 12 failed")
        assert shown.out.splitlines()[3].startswith(BROKEN.name)
        facts = (await collector("status", "--json", "--gaps", "--max-age", "3", *files, cwd=folder)).json
        assert facts["totals"]["accounts"] == 12
        assert facts["too_old"] == [BROKEN.name]
        assert (await collector("status", "-q", "--max-age", "3", *files, cwd=folder)).code == 3
        narrowed = (await collector("status", "--json", "--failing", "--max-run-age", "1", *files, cwd=folder)).json
        assert [account["name"] for account in narrowed["accounts"]] == [BROKEN.name]
        assert (narrowed["last_run"]["status"], narrowed["run_too_old"]) == ("partial", False)
        assert (BROKEN.appid in facts["gaps"], "gaps" in narrowed) == (True, False)
        nobody = (await collector("status", "--json", "--gaps", "--waiting", *files, cwd=folder)).json
        assert (nobody["accounts"], nobody["gaps"]) == ([], {})
        others = await collector("status", "--waiting", "--missing", "--account", WORLD.accounts[1].name, cwd=folder)
        assert (others.code, WORLD.accounts[1].name in others.out) == (0, False)
        (entry,) = (await collector("runs", "--json", "-c", "accounts.yaml", cwd=folder)).json["runs"]
        assert (entry["command"], entry["status"], entry["exit"]) == ("backfill", "partial", 3)
        one = await collector("runs", entry["run"], "-c", "accounts.yaml", cwd=folder)
        in_full = await collector("runs", entry["run"], "-v", "-c", "accounts.yaml", cwd=folder)
        assert "the secret was reset or mistyped" in one.out
        assert (BROKEN.appid in one.out, BROKEN.appid in in_full.out) == (False, True)
        unknown = await collector("runs", "20990101T000000Z-000000", "-c", "accounts.yaml", cwd=folder)
        assert (unknown.code, unknown.out) == (2, "")
        assert "`collector runs` lists them" in unknown.err
        agreed = await collector("verify", *files, cwd=folder)
        assert (agreed.code, agreed.err) == (0, "")
        await database["user_daily"].delete_many({"account": WORLD.accounts[1].appid})
        differing = await collector("verify", "-q", *files, cwd=folder)
        assert (differing.code, differing.out.startswith("State and documents differ")) == (3, True)
        repaired = await collector("verify", "--repair", "--json", *files, cwd=folder)
        assert (repaired.code, repaired.json["repaired"]) == (0, True)
        again = await collector("run", "--json", *files, "--account", WORLD.accounts[1].name, cwd=folder)
        assert again.json["days"] >= 38


async def test_age_of_the_last_run(folder: Path, mongod: str, database: Database) -> None:
    """With -q a monitor gets one line and exit 3."""
    async with Sandbox(WORLD) as sandbox:
        configure(folder, sandbox, mongod, database)
        none_yet = await collector("status", "-q", "--max-run-age", "26", cwd=folder)
        await collector("run", "--account", WORLD.accounts[0].name, cwd=folder)
    assert (none_yet.code, none_yet.out) == (3, "No run was completed in the last 26 hours.\n")
    assert await collector("status", "-q", "--max-run-age", "26", cwd=folder) == Ended(0, "", "")


async def test_colours_of_a_terminal(folder: Path, mongod: str, database: Database) -> None:
    """None in a pipe, and none where NO_COLOR is set."""
    async with Sandbox(WORLD) as sandbox:
        configure(folder, sandbox, mongod, database)
        await collector("run", cwd=folder)
    for no_color, expected in (("", True), ("1", False)):
        shown = await on_a_terminal("status", cwd=folder, NO_COLOR=no_color)
        assert ("\x1b[32mLast run: " in shown.out) is expected
    assert "\x1b" not in (await collector("status", cwd=folder)).out


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
    assert ended.json["accounts"][0]["history"]["begin"] == "2014-12-01"


async def test_quiet_run_beside_another(folder: Path, mongod: str, database: Database) -> None:
    """It prints nothing, since nothing failed."""
    async with Sandbox(WORLD) as sandbox:
        configure(folder, sandbox, mongod, database)
    async with lease(database, "20261124T023010Z-aaaaaa", "backfill"):
        ended = await collector("run", "-q", cwd=folder)
    assert (ended.code, ended.out, ended.err) == (11, "", "")


async def test_second_run(folder: Path, mongod: str, database: Database) -> None:
    """It waits, or names the run that is at work."""
    async with Sandbox(World(size=4), latency_s=5) as sandbox:
        configure(folder, sandbox, mongod, database)
        first = await started("run", cwd=folder)
        while not sandbox.calls and first.returncode is None:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        waiting = await started("run", "--wait", "--json", cwd=folder)
        refused = await collector("run", "--json", cwd=folder)
        assert (refused.code, refused.out) == (11, "")
        assert refused.err.startswith("collector: another run is at work: run ")
        assert waiting.stderr
        assert b"lease.waiting" in await waiting.stderr.readline()
        sandbox.latency_s = 0  # only now, so that the first run outlasts the start of the others on a busy machine, too
        assert (await ended_of(first)).code == 0
        waited = await ended_of(waiting)
    assert (waited.code, waited.json["status"]) == (0, "ok")


MEASURED = """
import atexit, sys
from pathlib import Path
from collector.cli.app import main
# The peak of this program alone: that of `getrusage` may be that of the program that started it.
status = Path("/proc/self/status")
atexit.register(lambda: sys.stderr.writelines(line for line in status.open() if line.startswith("VmHWM:")))
main()
"""


async def _planned(folder: Path, *options: str) -> tuple[str, float]:
    """Return what a backfill over twelve years plans, and the MiB that it takes at most."""
    command = (sys.executable, "-c", MEASURED, "backfill", "--since", "2014-12-01", "--dry-run", *options)
    with (folder / "out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=out, stderr=subprocess.PIPE)
        _, said = await process.communicate()
    assert process.returncode == 0, said
    return (folder / "out").read_text(), int(said.split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_long_dry_run(tmp_path: Path, mongod: str, database: Database) -> None:
    """10,000 accounts of twelve years, half of them new, are planned and printed one by one."""
    accounts = [{"name": f"a-{number}", "appid": f"wx{number:016x}", "secret": "x" * 32} for number in range(10_000)]
    file = tmp_path / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"mongodb": {"uri": mongod, "database": database.name}, "accounts": accounts}))
    known = DatasetState(covered=Days.between(date(2016, 1, 1), date(2026, 1, 31)), refreshed_to=date(2026, 1, 31))
    await database[ACCOUNTS].insert_many(
        to_document(AccountState(account["appid"], account["name"], datasets=dict.fromkeys(DATASETS, known)))
        for account in accounts[5000:]
    )
    text, text_mib = await _planned(tmp_path)
    printed, json_mib = await _planned(tmp_path, "--json")
    assert max(text_mib, json_mib) < 200
    plan = json.loads(printed)
    calls = [account["calls"] for account in plan["accounts"]]
    assert (plan["calls"], len(calls)) == (sum(calls), 10_000)
    assert text.splitlines()[-1] == f"10,000 accounts, {plan['calls']:,} data calls. Nothing was asked."
    new, half = (plan["accounts"][place]["history"] for place in (0, -1))
    (week,) = plan["accounts"][0]["windows"]
    day_before = date.fromisoformat(week["begin"]) - timedelta(days=1)
    assert new == {
        "begin": "2014-12-01",
        "end": str(day_before),
        "windows": (windows := ((day_before - date(2014, 12, 1)).days + 7) // 7),
        "calls": 2 * windows,
    }
    assert half == {"begin": "2014-12-01", "end": "2015-12-31", "windows": 57, "calls": 114}
