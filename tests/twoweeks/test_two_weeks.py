"""Two weeks of an agency with 300 accounts, played with the real commands on a moved clock.

`days/` has what each command prints.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from chaos.host import Collector, MovedClock, host
from support import Documents, stored, truth
from twoweeks.agency import TAGS, Agency, logged

from collector.model.days import Window
from collector.sandbox import World
from collector.store.database import Database
from collector.store.lease_document import LEASES
from collector.store.runs import RUNS

IMPORT = "config import clients.csv --secrets-dir secrets"
HANDMADE = "accounts:\n  - name: handmade\n    appid: wx0000000000000001\n    secret: ${HANDMADE_SECRET}\n"
FIRST_WANTED = "2026-11-08"
LAST_DAYS = Window(date(2026, 11, 2), date(2026, 11, 21))
LEAVING = 40
SHARDS = ("--shard 1/2", "--shard 2/2")
IP_REFUSED, UNVERIFIED, QUOTA = 40164, 48001, 45009


@pytest.fixture
async def agency(mongod: str, database: Database) -> AsyncIterator[Agency]:
    # Paths that are printed have a name of the same length in each play.
    with tempfile.TemporaryDirectory(prefix="agency-") as name:
        folder, clock = Path(name), MovedClock(Path(name, "clock"))
        socket = mongod.removeprefix("mongodb://").replace("%2F", "/")
        places = {name: "/srv/agency/accounts", database.name: "wechat", socket: "mongodb.internal"}
        await database[RUNS].create_index("began", name="began")  # nothing expires, whatever day it is today
        async with host(clock, cwd=folder) as machine:
            yield Agency(folder, clock, machine, World(size=302), places, database)


async def test_two_weeks(agency: Agency, mongod: str, database: Database) -> None:
    world = agency.world
    await _monday_first_look(agency, mongod, database.name)
    await _tuesday_sheet_mended(agency)
    await _wednesday_secret_reset(agency)
    await _thursday_new_secret(agency)
    await _friday_to_sunday_quota(agency)
    await _monday_late(agency)
    await _tuesday_client_leaves(agency)
    await _wednesday_broken_files(agency)
    await _thursday_second_host(agency)
    await _friday_crash(agency, database)
    await _weekend(agency)
    found = {key: document for key, document in (await stored(database)).items() if key[1] >= FIRST_WANTED}
    assert found == _truth(world)


def _truth(world: World) -> Documents:
    """Return what must be stored of the two weeks: all but the client that left, and the one that never came."""
    documents = truth(world, LAST_DAYS, without=[world.accounts[number].appid for number in (LEAVING, 301)])
    return {key: document for key, document in documents.items() if key[1] >= FIRST_WANTED}


async def _monday_first_look(agency: Agency, mongod: str, database: str) -> None:
    """The sheet has two mistakes; at WeChat, two accounts refuse the IP and one isn't verified."""
    world, sheet = agency.world, agency.sheet
    for number, account in enumerate(world.accounts[:300]):
        sheet.list(account, TAGS[number % len(TAGS)])
    mistyped, short = world.accounts[10:12]
    sheet.rows[mistyped.appid]["AppID"] = mistyped.appid[:-1]
    sheet.rows[short.appid]["AppSecret"] = short.secret[:-1]
    sheet.save()
    async with agency.day(date(2026, 11, 9), "01-first-look", {3: IP_REFUSED, 4: IP_REFUSED, 5: UNVERIFIED}):
        agency.write(
            "accounts.yaml",
            f"mongodb: {{uri: '{mongod}', database: {database}}}\n"
            f"api: {{hosts: ['{agency.wechat.url}'], timeout: 60}}\n"
            "include: accounts.d/*.yaml\n",
        )
        await agency.play("08:30", IMPORT)
        await agency.play("08:31", "config validate")
        await agency.play("08:32", "check")
        await agency.play("08:35", "run --dry-run")
        await agency.play("08:35", "status")
        await agency.play("08:40", "run")
        await agency.play("08:45", "status")
        await agency.play("08:46", "runs")
        await agency.play("08:47", "verify")


async def _tuesday_sheet_mended(agency: Agency) -> None:
    """Rows are mended in the sheet, one client has allowed the IP, and history is wanted for a tag."""
    for account in agency.world.accounts[10:12]:
        agency.sheet.rows[account.appid]["AppID"] = account.appid
        agency.sheet.rows[account.appid]["AppSecret"] = account.secret
    agency.sheet.save()
    async with agency.day(date(2026, 11, 10), "02-sheet-mended", {3: IP_REFUSED, 5: UNVERIFIED}):
        await agency.play("08:10", IMPORT)
        await agency.play("08:11", f"{IMPORT} --update")
        await agency.play("08:12", f"{IMPORT} --update --yes")
        await agency.play("08:13", IMPORT)
        await agency.play("08:20", "run")
        await agency.play("08:30", "status --failing")
        await agency.play("09:00", f"backfill --since 2026-10-20 --tag {TAGS[1]}")
        await agency.play("09:05", f"status --tag {TAGS[1]} --missing")


async def _wednesday_secret_reset(agency: Agency) -> None:
    """A client resets a secret; all others are well."""
    agency.reset_secret(20)
    async with agency.day(date(2026, 11, 11), "03-secret-reset", {}):
        await agency.play("08:20", "run")
        await agency.play("09:20", "run -q")
        await agency.play("09:30", "status --failing")
        await agency.play("09:31", "check --account client-00020 --account client-00021")


async def _thursday_new_secret(agency: Agency) -> None:
    """The new secret comes with the sheet, and so does a new client."""
    agency.sheet.rows[agency.world.accounts[20].appid]["AppSecret"] = agency.reset_secret(20).secret
    agency.sheet.list(agency.world.accounts[300], TAGS[0])
    agency.sheet.save()
    async with agency.day(date(2026, 11, 12), "04-new-secret", {}):
        await agency.play("08:10", f"{IMPORT} --update --yes")
        await agency.play("08:20", "run")
        await agency.play("09:20", "run -q")
        await agency.play("09:30", "status")


async def _friday_to_sunday_quota(agency: Agency) -> None:
    """Another system uses up an account's quota, three days running."""
    async with agency.day(date(2026, 11, 13), "05-quota", {30: QUOTA}):
        await agency.play("08:20", "run")
        await agency.play("09:20", "run")
        await agency.play("09:30", "status --waiting")
        await agency.play("09:31", "run --dry-run --account client-00030")
    async with agency.day(date(2026, 11, 14), "06-quota-again", {30: QUOTA}):
        await agency.play("08:20", "run")
        await agency.play("08:30", "check --account client-00030")
    async with agency.day(date(2026, 11, 15), "07-quota-for-three-days", {30: QUOTA}):
        await agency.play("08:20", "run")
        await agency.play("08:30", "status --failing --waiting")
        await agency.play("08:31", "run -q")


async def _monday_late(agency: Agency) -> None:
    """WeChat is late with the newest day of some accounts."""
    async with agency.day(date(2026, 11, 16), "08-late", {}, late_yesterday=0.02):
        await agency.at("08:20")
        following = await agency.begin("run --follow")
        await logged("run.pauses", following)
        following.signal(signal.SIGTERM)
        await agency.end("08:20", "run --follow", following)
        await agency.play("08:25", "run")
        await agency.play("08:30", "status --missing")
        await agency.play("12:20", "run --follow")
        await agency.play("12:25", "status")


async def _tuesday_client_leaves(agency: Agency) -> None:
    """A client leaves: out of the sheet, out of the configuration, out of the database."""
    gone = agency.sheet.rows.pop(agency.world.accounts[LEAVING].appid)
    agency.sheet.save()
    async with agency.day(date(2026, 11, 17), "09-client-leaves", {}):
        await agency.play("08:10", f"{IMPORT} --update --yes")
        await agency.play("08:20", "run")
        await agency.play("08:30", "status")
        await agency.play("08:31", "forget client-00040 --yes")
        agency.note("rm accounts.d/wx….yaml secrets/wx… of client-00040")
        for folder in ("accounts.d", "secrets"):
            for file in (agency.folder / folder).glob(f"{gone['AppID']}*"):
                file.unlink()
        await agency.play("08:40", "status")
        await agency.play("08:41", "forget client-00040")
        await agency.play("08:42", "forget client-00040 --yes")
        await agency.play("08:43", "forget client-00040 --yes")
        await agency.play("08:44", f"forget {gone['AppID']} --with-documents --yes")


async def _wednesday_broken_files(agency: Agency) -> None:
    """The sheet is cut off, and files written by hand have mistakes."""
    agency.sheet.save(rows=200)
    agency.write("accounts.d/by-hand.yaml", HANDMADE)
    agency.write("accounts.d/torn.yaml", "accounts:\n  - {name: torn, appid: wx0000000000000002\n")
    async with agency.day(date(2026, 11, 18), "10-broken-files", {}):
        await agency.play("08:10", f"{IMPORT} --update")
        await agency.play("08:11", "config validate")
        await agency.play("08:20", "run")
        await agency.play("08:30", "status --failing")
        await agency.play("08:31", "run --account handmade")
        for name in ("by-hand", "torn"):
            (agency.folder / f"accounts.d/{name}.yaml").unlink()
        agency.note("rm accounts.d/by-hand.yaml accounts.d/torn.yaml")
        await agency.play("08:40", "forget handmade --with-documents --yes")


async def _thursday_second_host(agency: Agency) -> None:
    """A second host runs at the same time, in shards, and with a wrong clock."""
    clock = MovedClock(agency.folder / "second")
    async with host(clock, cwd=agency.folder) as second, agency.day(date(2026, 11, 19), "11-second-host", {}):
        await agency.at("08:20")
        clock.set(agency.clock.now())
        first = await _begun(agency)
        first.signal(signal.SIGSTOP)
        agency.note("the first host is at work; on the second one:")
        for command in ("run", "run -q", "status --failing"):
            await agency.end("08:20", command, await agency.begin(command, host=second))
        first.signal(signal.SIGCONT)
        agency.note("on the first one:")
        await agency.end("08:20", "run", first)
        await agency.at("12:20")
        clock.set(agency.clock.now() + timedelta(minutes=1))
        agency.note("both at once, each for its shard:")
        halves = {
            each: await agency.begin(f"run {each}", host=at)
            for each, at in zip(SHARDS, (agency.host, second), strict=True)
        }
        for shard, half in halves.items():
            await agency.end("12:20", f"run {shard}", half)
        await agency.at("12:30")
        clock.set(agency.clock.now() + timedelta(hours=3))
        agency.note("on the second host, whose clock is 3 hours ahead:")
        await agency.end("12:30", "run", await agency.begin("run", host=second))


async def _friday_crash(agency: Agency, database: Database) -> None:
    """A run is killed; the next one does the rest."""
    async with agency.day(date(2026, 11, 20), "12-crash", {}):
        await agency.at("08:20")
        killed = await _begun(agency)
        killed.signal(signal.SIGKILL)
        await agency.end("08:20", "run", killed)
        await agency.play("08:20", "run")
        await database[LEASES].delete_many({})
        agency.note("two minutes later")
        await agency.play("08:22", "status --failing")
        await agency.play("08:22", "verify")
        await agency.play("08:23", "run")
        await agency.play("08:30", "runs --last 3")


async def _weekend(agency: Agency) -> None:
    """A stop and a healthy day."""
    async with agency.day(date(2026, 11, 21), "13-stopped", {}):
        await agency.at("08:20")
        stopped = await agency.begin("run")
        await _asks(agency, stopped)
        stopped.signal(signal.SIGTERM)
        await agency.end("08:20", "run", stopped, counts_vary=True)
        await agency.play("08:25", "run", counts_vary=True)
    async with agency.day(date(2026, 11, 22), "14-healthy", {}):
        await agency.play("08:20", "run")
        await agency.play("08:30", "status --max-run-age 25 --max-age 2 -q")
        await agency.play_on_terminal("08:31", "status")
        await agency.play_on_terminal("08:32", "status --failing")
        await agency.play("08:33", "verify")
        await agency.play_on_terminal("08:34", "runs")


async def _begun(agency: Agency) -> Collector:
    """Start a run, and return it before anything is stored."""
    agency.wechat.latency_s = 0.5
    collector = await agency.begin("run")
    await logged("run.begun", collector)
    agency.wechat.latency_s = 0
    return collector


async def _asks(agency: Agency, collector: Collector) -> None:
    """Wait until a run is in the middle of its calls."""
    begun = len(agency.wechat.calls)
    while len(agency.wechat.calls) < begun + 300:
        assert not collector.ended.done()
        await asyncio.sleep(0.005)
