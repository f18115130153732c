"""The agency on a host with a local database: root and the service's user, and a full disk."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator
from datetime import date

import pytest
from chaos.host import Host, MovedClock, host
from mongods import IS_ROOT, NOBODY, fill, open_folder, small_disk
from pymongo import MongoClient
from twoweeks.agency import TAGS, Agency, logged

from collector.sandbox import World
from collector.store.lease_document import LEASES

AS_SERVICE = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),  # to read this checkout, wherever it is
)


@pytest.fixture
async def agency() -> AsyncIterator[Agency]:
    """An agency whose database is in the folder `data`, empty and the service's."""
    with open_folder() as folder:
        clock = MovedClock(folder / "clock")
        async with host(clock, cwd=folder) as machine:
            agency = Agency(folder, clock, machine, World(size=300), {str(folder): "/srv/agency/accounts"})
            for number, account in enumerate(agency.world.accounts):
                agency.sheet.list(account, TAGS[number % len(TAGS)])
            agency.sheet.save()
            yield agency


@pytest.fixture
async def service(agency: Agency) -> AsyncIterator[Host]:
    """The same host, on which commands are those of the service's user."""
    async with host(agency.clock, cwd=agency.folder, through=AS_SERVICE) as machine:
        yield machine


def _configure(agency: Agency) -> None:
    agency.write(
        "accounts.yaml",
        "mongodb: {data_dir: data}\n"
        f"api: {{hosts: ['{agency.wechat.url}'], timeout: 60}}\n"
        "include: accounts.d/*.yaml\n",
    )


@pytest.mark.skipif(not (IS_ROOT and shutil.which("setpriv")), reason="root alone can be another user")
async def test_root_and_service(agency: Agency, service: Host) -> None:
    data = agency.folder / "data"
    data.mkdir(mode=0o700)
    os.chown(data, NOBODY, NOBODY)
    async with agency.day(date(2026, 11, 23), "15-root-and-service", {}):
        _configure(agency)
        await agency.play("08:00", "config import clients.csv --group nogroup")
        await agency.play("08:10", "run")
        agency.note("as the service's user:")
        await agency.play("08:20", "status", host=service)
        await agency.play("08:20", "run", host=service)
        await agency.play("08:25", "verify", host=service)
        agency.note("as root:")
        await agency.play("08:30", "status")
        await agency.play("08:31", "run")
        await agency.play("08:32", "db")
        agency.note("as the service's user:")
        await agency.play("08:33", "verify", host=service)


async def test_full_disk(agency: Agency) -> None:
    ballast = agency.folder / "data" / "ballast"
    # On a disk this small, mongod has no journal made in advance, which would outlast the day.
    with small_disk(agency.folder / "data"):
        async with (
            host(agency.clock, cwd=agency.folder) as terminal,
            agency.day(date(2026, 11, 24), "16-full-disk", {}),
        ):
            _configure(agency)
            await agency.play("08:00", "config import clients.csv")
            agency.note("the disk fills up while a run is at work:")
            await agency.at("08:20")
            agency.wechat.latency_s = 0.5
            run = await agency.begin("run")
            await logged("run.begun", run)
            fill(ballast)
            agency.wechat.latency_s = 0
            await agency.end("08:20", "run", run, counts_vary=True)
            await agency.play("09:20", "run")
            agency.note("room is made, and the lease of the run that failed has ended")
            ballast.unlink()
            await agency.at("09:30")
            db = await agency.begin("db", host=terminal)
            await logged("is up", db)
            address = db.output.read_text().strip()
            with MongoClient[dict[str, object]](address) as client:
                client.get_default_database()[LEASES].delete_many({})
            await agency.play("10:20", "run")
            db.signal(signal.SIGINT)
            agency.note("meanwhile, in another terminal:")
            agency.transcript.places[address] = "mongodb://SOCKET/wechat"
            await agency.end("09:30", "db", db)
