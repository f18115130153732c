"""Two weeks of an agency with 300 accounts, played with the real commands on a moved clock.

`days/` has what each command prints.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from chaos.host import MovedClock, host
from twoweeks.agency import TAGS, Agency, Sheet, errcodes

from collector.sandbox import World
from collector.store.database import Database


@pytest.fixture
async def agency(mongod: str, database: Database) -> AsyncIterator[Agency]:
    # Paths that are printed have a name of the same length in each play.
    with tempfile.TemporaryDirectory(prefix="agency-") as name:
        folder, clock = Path(name), MovedClock(Path(name, "clock"))
        socket = mongod.removeprefix("mongodb://").replace("%2F", "/")
        places = {name: "/etc/collector", database.name: "wechat", socket: "mongodb.internal"}
        async with host(clock, cwd=folder) as machine:
            yield Agency(folder, clock, machine, World(size=300), places)


async def test_two_weeks(agency: Agency, mongod: str, database: Database) -> None:
    world = agency.world
    sheet = Sheet(agency.folder / "clients.csv")
    for number, account in enumerate(world.accounts[:300]):
        sheet.list(account, TAGS[number % len(TAGS)])

    broken = errcodes(world, {3: 40164, 4: 40164, 5: 48001})
    async with agency.day(date(2026, 11, 9), "01-first-look", broken=broken) as day:
        agency.write(
            "accounts.yaml",
            f"mongodb: {{uri: '{mongod}', database: {database.name}}}\n"
            f"api: {{hosts: ['{day.wechat.url}']}}\n"
            "include: accounts.d/*.yaml\n",
        )
        agency.folder.joinpath("accounts.d").mkdir()
        mistyped, short = world.accounts[10:12]
        sheet.rows[mistyped.appid]["AppID"] = mistyped.appid[:-1]
        sheet.rows[short.appid]["AppSecret"] = short.secret[:-1]
        sheet.save()
        await day.play("08:30", "config import clients.csv --secrets-dir secrets")
        await day.play("08:31", "config validate")
        await day.play("08:32", "check")
        await day.play("08:35", "run --dry-run")
        await day.play("08:40", "run")
        await day.play("08:45", "status --failing")
        await day.play("08:46", "status")
        await day.play("08:50", "verify")
        await day.play("08:50", "runs")
