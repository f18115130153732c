"""The commands on a local database: which of them create it, whose it is, and its name in each result."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from command import collector, configure, ended_of, started
from mongods import IS_ROOT, NOBODY, mongods
from pymongo import MongoClient

from collector.sandbox import Sandbox, World
from collector.store.database import Database

WORLD = World(size=2)
READING = ("status", "verify --repair", "run --dry-run", "runs", "forget wx0123456789abcdef --yes", "db")
RESULTS = ("run", "run --dry-run", "status", "verify", "check", "runs")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(WORLD) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A folder whose `accounts.yaml` names a folder for the local database beside it."""
    file = tmp_path / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(f"mongodb: {{data_dir: data}}\n{sandbox.config_yaml()}")
    return tmp_path


def everything(folder: Path) -> list[tuple[Path, int]]:
    return [(path, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]


@pytest.mark.parametrize("command", READING)
async def test_reading_creates_nothing(folder: Path, command: str) -> None:
    before = everything(folder)
    ended = await collector(*command.split(), cwd=folder)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"collector: no database in {folder}/data yet: ")
    assert everything(folder) == before


async def test_check_before_the_first_run(folder: Path) -> None:
    """It needs no database to try the accounts."""
    before = everything(folder)
    ended = await collector("check", cwd=folder)
    assert (ended.code, ended.err, everything(folder)) == (0, "", before)


async def test_results_name_a_local_database(folder: Path) -> None:
    for command in ("run", "status"):
        assert f"\nDatabase: local, {folder}/data\n" in (await collector(command, cwd=folder)).out


async def test_results_name_a_mongodb(tmp_path: Path, sandbox: Sandbox, mongod: str, database: Database) -> None:
    configure(tmp_path, sandbox, mongod, database)
    socket = mongod.removeprefix("mongodb://").replace("%2F", "/")
    for command in RESULTS:
        ended = await collector(*command.split(), "--json", cwd=tmp_path)
        assert ended.json["database"] == f"{database.name} on {socket}", command


async def test_failed_run_names_its_database(folder: Path) -> None:
    ended = await collector("run", "--json", cwd=folder, COLLECTOR_MONGOD="/nowhere")
    assert (ended.code, ended.json["database"]) == (1, f"local, {folder}/data")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
async def test_db_keeps_it_up(folder: Path, number: int, code: int) -> None:
    """PyMongo gets in meanwhile, a second one prints the same address, and the first stops it as it ends."""
    await collector("run", cwd=folder)
    keeper = await started("db", cwd=folder)
    assert keeper.stdout
    address = (await keeper.stdout.readline()).decode().strip()
    client: MongoClient[dict[str, object]] = MongoClient(address)
    assert client.get_default_database()["user_daily"].distinct("name") == [each.name for each in WORLD.accounts]
    client.close()
    again = await collector("db", cwd=folder)
    assert (again.code, again.out.strip()) == (0, address)
    assert again.err.startswith(f"collector: local, {folder}/data is in use, ")
    keeper.send_signal(number)
    ended = await ended_of(keeper)
    assert (ended.code, ended.err) == (code, f"collector: local, {folder}/data is up until Ctrl-C\n")
    assert mongods(folder / "data" / "mongod") == []


async def test_db_of_a_mongodb_of_ones_own(folder: Path) -> None:
    (folder / "own.yaml").write_text("mongodb: {uri: 'mongodb://user:pa55word@mongodb.internal'}\n")
    ended = await collector("db", "-c", "accounts.yaml", "-c", "own.yaml", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "collector: mongodb.uri names a MongoDB of your own: connect to that\n"


@pytest.fixture
def of_another_user(folder: Path) -> Callable[[], None]:
    def give() -> None:
        for path in (folder / "data", *(folder / "data").rglob("*")):
            os.chown(path, NOBODY, NOBODY)

    return give


@pytest.mark.skipif(not IS_ROOT, reason="root alone can give files away")
async def test_database_of_another_user(folder: Path, of_another_user: Callable[[], None]) -> None:
    """Each command is refused with the line that works, and leaves all files as they are."""
    await collector("run", cwd=folder)
    of_another_user()
    before = everything(folder)
    for command in ("status", "run", "db"):
        ended = await collector(*command.split(), cwd=folder)
        line = f"runuser -u nobody -- {sys.executable} -m collector {command}"
        assert (ended.code, ended.err) == (
            1,
            f"collector: {folder}/data/mongod belongs to the user nobody: run `{line}`\n",
        )
    assert everything(folder) == before
