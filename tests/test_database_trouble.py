"""Runs with a MongoDB in trouble: the messages, and that nothing is lost. The mongods are real."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import stamina
import structlog
from bson import DatetimeMS, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from mongods import fill, small_disk
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from support import Configured, FakeClock, run, settings_of, stored, truth

from collector import config
from collector.commands.plans import target_of
from collector.commands.verify import verify
from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.config import Selection, Settings
from collector.console.progress import Watch
from collector.model.accounts import Rate, Secret
from collector.model.days import ONE_DAY, Window
from collector.model.results import AccountResult, Outcome
from collector.model.state import AccountState, Day, Update
from collector.runtime import Stop
from collector.sandbox import Sandbox, World
from collector.store.database import Database, open_database, prepare
from collector.store.held import Held
from collector.store.lease_document import LEASES
from collector.store.leases import live_runs
from collector.store.location import Location, location_of
from collector.store.mongod import find_mongod
from collector.store.runs import RUNS
from collector.store.schema import USER_DAILY, VALIDATOR
from collector.store.state import ACCOUNTS
from collector.store.state_document import from_document
from collector.store.views import VIEWS, prepare_views
from collector.store.writer import Writer

NEWEST = date(2026, 11, 23)
LAST_WEEK = Window(NEWEST - 6 * ONE_DAY, NEWEST)
HOST = "127.0.0.1"
READY_S = 30
ROLE = "the user of mongodb.uri may not do this: give it the role readWrite on the database"
DIRECT = "directConnection=true"
QUICK = "heartbeatFrequencyMS=500"
"""PyMongo checks a server again soon after a fail point has made it doubtful."""

AS_IT_IS: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


class Mongod:
    """A mongod in `folder` for one test; with `replicas` a replica set of one, which has retryable writes."""

    def __init__(self, folder: Path, *options: str, replicas: bool = True) -> None:
        self._folder = folder
        self._options = (*options, *(("--replSet", "one", "--oplogSize", "8") if replicas else ()))
        self._replicas = replicas
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server((HOST, 0)) as free:
            self.address = f"{HOST}:{free.getsockname()[1]}"
        self.uri = f"mongodb://{self.address}/?replicaSet=one&{QUICK}" if replicas else f"mongodb://{self.address}/"
        self.admin: MongoClient[dict[str, Any]] = MongoClient(
            f"mongodb://{self.address}/?{DIRECT}", connect=False, serverSelectionTimeoutMS=READY_S * 1000
        )

    def start(self) -> None:
        """Start it unless it runs, and wait until it accepts writes."""
        if self._process and self._process.poll() is None:
            return
        data = self._folder / "db"
        fresh = not data.exists()
        data.mkdir(exist_ok=True)
        command = (
            *(find_mongod(os.environ), "--port", self.address.rpartition(":")[2], "--bind_ip", HOST),
            *("--dbpath", str(data), "--nounixsocket", "--quiet", "--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--setParameter", "enableTestCommands=1", *self._options),
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if fresh and self._replicas:
            members = {"_id": "one", "members": [{"_id": 0, "host": self.address}]}
            self.admin.admin.command("replSetInitiate", members)
        until = time.monotonic() + READY_S
        while not self._takes_writes():
            assert time.monotonic() < until
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL it, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.admin.close()
        self.kill()

    @contextmanager
    def failing(self, *commands: str, times: int | None = None, **how: Any) -> Iterator[None]:
        """Make these commands of the collector fail: the next `times` of them, or all."""
        mode: object = "alwaysOn" if times is None else {"times": times}
        data = {"failCommands": list(commands), "appName": "wechat-collector", **how}
        with self.fail_point("failCommand", mode, data):
            yield

    @contextmanager
    def fail_point(self, name: str, mode: object = "alwaysOn", data: Mapping[str, Any] | None = None) -> Iterator[None]:
        self.admin.admin.command({"configureFailPoint": name, "mode": mode, "data": data or {}})
        try:
            yield
        finally:
            self.admin.admin.command({"configureFailPoint": name, "mode": "off"})

    def _takes_writes(self) -> bool:
        try:
            return bool(self.admin.admin.command("hello")["isWritablePrimary"])
        except PyMongoError:
            return False


class After(Watch):
    """Call `act` once that many accounts are done."""

    def __init__(self, accounts: int, act: Callable[[], object]) -> None:
        self._left = accounts
        self._act = act

    def account(self, result: AccountResult) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()


@pytest.fixture(scope="module")
def server() -> Iterator[Mongod]:
    """A replica set of one. A test that stops it starts it again."""
    with tempfile.TemporaryDirectory(prefix="collector-tests-") as folder:
        mongod = Mongod(Path(folder))
        try:
            mongod.start()
            yield mongod
        finally:
            mongod.close()


@pytest.fixture
async def database(server: Mongod) -> AsyncIterator[Database]:
    """A fresh database on `server`, which runs as the test begins. Fail points don't apply to this client."""
    server.start()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(server.uri)
    name = f"test_{uuid.uuid4().hex}"
    yield client[name]
    await client.drop_database(name)
    client.close()


@pytest.fixture
def mongod(server: Mongod) -> str:
    """The server that gets into trouble, in the place of the session's."""
    return server.uri


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The waits are real ones, shorter than those of users."""
    monkeypatch.setattr("collector.store.database.SELECTION_TIMEOUT_MS", 500)
    _set_outage(monkeypatch, 15.0)
    with stamina.set_testing(False):
        yield


def _set_outage(monkeypatch: pytest.MonkeyPatch, outage_s: float) -> None:
    monkeypatch.setattr("collector.store.database.OUTAGE_S", outage_s)


def _unhurried(settings: Settings) -> Settings:
    """Return the settings with a rate that doesn't slow the test down."""
    return replace(settings, accounts=tuple(replace(each, rate_limit=Rate(1000, 1)) for each in settings.accounts))


def _sandbox(clock: FakeClock, size: int = 3, **options: Any) -> Sandbox:
    return Sandbox(World(size=size), clock=clock.now, **options)


async def _claims(database: Database) -> dict[tuple[str, str], set[str]]:
    """Return the days, by account and dataset, that the state calls covered and that aren't stored."""
    documents = await stored(database)
    claims = {}
    async for found in database[ACCOUNTS].find({"_id": {"$regex": "^wx"}}):
        state = from_document(found)
        for dataset, field in ((SUMMARY, "sources"), (CUMULATE, "cumulate_user")):
            covered = {str(day) for day in state.dataset(dataset).covered}
            there = {day for (appid, day), each in documents.items() if appid == state.account and field in each}
            claims[state.account, dataset] = covered - there
    return {key: days for key, days in claims.items() if days}


async def _free_the_lease(database: Database) -> None:
    """Delete the lease, which expires by itself a minute after a run has lost MongoDB."""
    await database[LEASES].delete_many({})


def _is_unreachable(said: str | None, server: Mongod) -> bool:
    """Return True for the message that MongoDB can't be reached. Its reason varies with the moment."""
    remedy = "check mongodb.uri and that MongoDB runs there, or leave mongodb.uri out to use a local mongod"
    return bool(re.fullmatch(rf"MongoDB can't be reached \({server.address}: [^()]+\): {remedy}", said or ""))


# MongoDB goes away


async def test_primary_gone_for_a_while(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured
) -> None:
    """It is waited for, and everything is stored."""
    restarts: list[asyncio.Task[None]] = []

    def go_down() -> None:
        server.kill()
        restarts.append(asyncio.create_task(asyncio.to_thread(come_back)))

    def come_back() -> None:
        time.sleep(1)  # longer than a server is looked for
        server.start()

    with structlog.testing.capture_logs() as logs:
        async with _sandbox(clock, 60) as sandbox:
            result = await run(configured(sandbox, workers=4), clock, watch=After(5, go_down))
            await asyncio.gather(*restarts)
    assert (result.error, result.exit, result.failures) == (None, 0, ())
    assert "mongodb.away" in {log["event"] for log in logs}
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)
    assert await _claims(database) == {}


async def test_primary_gone_for_good(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the run, and the next run fetches what is missing."""
    _set_outage(monkeypatch, 0.5)
    async with _sandbox(clock, 60) as sandbox:
        settings = configured(sandbox, workers=4)
        result = await run(settings, clock, watch=After(30, server.kill))
        server.start()
        assert _is_unreachable(result.error, server), result.error
        assert (result.exit, result.status) == (1, "failed")
        found, expected = await stored(database), truth(sandbox.world, LAST_WEEK)
        assert 0 < len(found) < len(expected)
        assert found == {key: expected[key] for key in found}
        assert await _claims(database) == {}
        assert result.outcomes[Outcome.OK] <= len({account for account, _ in found})
        await _free_the_lease(database)
        assert (await run(settings, clock)).exit == 0
    assert expected.items() <= (await stored(database)).items()  # a second run may ask beyond the first, quiet day


PASSING: dict[str, dict[str, Any]] = {
    "not primary": {"errorCode": 10107},
    "primary stepped down": {"errorCode": 189},
    "shutting down": {"errorCode": 91},
    "interrupted by an election": {"errorCode": 11602},
    "connection closed": {"closeConnection": True},
    "majority late": {"writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"}},
    "too few members": {"writeConcernError": {"code": 100, "errmsg": "Not enough data-bearing nodes"}},
    "mongos finds no primary": {"errorCode": 133},
    "mongos lost the shard": {"errorCode": 6},
    "mongos got no answer": {"errorCode": 89},
    "mongos over its time limit": {"errorCode": 262},
}
WRITES = [pytest.param(name) for name in PASSING]


@pytest.mark.parametrize("trouble", WRITES)
async def test_write_is_retried(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured, trouble: str
) -> None:
    """The trouble lasts longer than the one retry that PyMongo makes by itself."""
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        await _prepared(server, database)
        namespace = f"{database.name}.{USER_DAILY}"
        with server.failing("update", times=2, namespace=namespace, **PASSING[trouble]):
            result = await run(settings, clock)
    assert (result.error, result.exit, result.failures) == (None, 0, ())
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)
    assert await _claims(database) == {}


@pytest.mark.parametrize("trouble", ["not primary", "connection closed"])
async def test_read_in_mid_run_is_retried(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured, trouble: str
) -> None:
    """The first day of the week may be quiet, so the day before it is read from its stored document."""
    async with _sandbox(clock, 40) as sandbox:
        namespace = f"{database.name}.{USER_DAILY}"
        with server.failing("find", times=3, namespace=namespace, **PASSING[trouble]):
            result = await run(configured(sandbox, workers=1), clock)
    assert (result.error, result.exit, result.failures) == (None, 0, ())
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)


@pytest.mark.parametrize(
    ("command", "collection", "trouble"),
    [
        ("findAndModify", LEASES, "primary stepped down"),
        ("findAndModify", LEASES, "majority late"),
        ("createIndexes", USER_DAILY, "primary stepped down"),
        ("create", "user_daily_flat", "primary stepped down"),
        ("createIndexes", USER_DAILY, "majority late"),
        ("listIndexes", RUNS, "primary stepped down"),
        ("createIndexes", RUNS, "primary stepped down"),
        ("update", RUNS, "majority late"),
        ("find", ACCOUNTS, "primary stepped down"),
    ],
)
async def test_start_is_retried(  # noqa: PLR0917 - three of them are the test's parameters
    server: Mongod,
    clock: FakeClock,
    configured: Configured,
    database: Database,
    command: str,
    collection: str,
    trouble: str,
) -> None:
    """An outage while a run begins is like any other once MongoDB has answered; the ledger has one whole entry."""
    async with _sandbox(clock) as sandbox:
        namespace = f"{database.name}.{collection}"
        with server.failing(command, times=3, namespace=namespace, **PASSING[trouble]):
            result = await run(configured(sandbox), clock)
    assert (result.error, result.exit) == (None, 0)
    assert [entry["status"] async for entry in database[RUNS].find()] == ["ok"]


async def test_end_of_a_run_is_retried(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured
) -> None:
    namespace = f"{database.name}.{RUNS}"
    async with _sandbox(clock) as sandbox:
        with ExitStack() as stack:
            failing = server.failing("update", times=3, namespace=namespace, errorCode=189)
            result = await run(configured(sandbox), clock, watch=After(3, lambda: stack.enter_context(failing)))
    assert result.exit == 0
    assert [entry["status"] async for entry in database[RUNS].find()] == ["ok"]


async def test_server_that_starts_late(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured
) -> None:
    """A run that begins before MongoDB does waits for it."""
    server.kill()

    def start() -> None:
        time.sleep(1)  # longer than a server is looked for
        server.start()

    async with _sandbox(clock) as sandbox:
        result, _ = await asyncio.gather(run(configured(sandbox), clock), asyncio.to_thread(start))
    assert (result.error, result.exit) == (None, 0)


# Indexes


async def test_long_index_build(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, however long it takes, and that is told once."""
    monkeypatch.setattr("collector.store.database.SOCKET_TIMEOUT_MS", 300)
    _set_outage(monkeypatch, 0.3)
    await database[USER_DAILY].insert_one({"account": "wxother", "ref_date": str(NEWEST), "name": "other"})

    async def build() -> None:
        with server.fail_point("hangAfterStartingIndexBuild"):
            await asyncio.sleep(2)  # several times longer than the time-outs

    with structlog.testing.capture_logs() as logs:
        async with _sandbox(clock) as sandbox:
            building = asyncio.create_task(build())
            result = await run(configured(sandbox), clock)
            await building
    assert (result.error, result.exit) == (None, 0)
    assert [log["what"] for log in logs if log["event"] == "database.indexing"] == [
        "MongoDB builds the index account_1_ref_date_1 of user_daily: the run goes on when it is ready"
    ]
    assert "account_1_ref_date_1" in await database[USER_DAILY].index_information()


async def test_stop_during_an_index_build(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the build then, and the lease is free."""
    monkeypatch.setattr("collector.store.database.SOCKET_TIMEOUT_MS", 300)
    await database[USER_DAILY].insert_one({"account": "wxother", "ref_date": str(NEWEST), "name": "other"})
    stop = Stop()

    async def stop_when_told() -> None:
        async with asyncio.timeout(READY_S):
            while not any(log["event"] == "database.indexing" for log in logs):  # noqa: ASYNC110 - logs set no event
                await asyncio.sleep(0.01)
        stop.set(15)

    with server.fail_point("hangAfterStartingIndexBuild"), structlog.testing.capture_logs() as logs:
        async with _sandbox(clock) as sandbox:
            result, _ = await asyncio.gather(run(configured(sandbox), clock, stop), stop_when_told())
    assert (result.exit, sandbox.calls) == (143, [])
    assert await live_runs(database) == []


async def test_secondary_is_never_asked(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured
) -> None:
    """A read preference in the URI, which no member here could satisfy, doesn't apply: a secondary may lag behind."""
    async with _sandbox(clock, 40) as sandbox:
        settings = configured(sandbox)
        uri = Secret(f"{server.uri}&readPreference=secondary")
        settings = replace(settings, mongodb=settings.mongodb.model_copy(update={"uri": uri}))
        result = await run(settings, clock)
        verified = await verify(settings, Selection(), target_of(settings, clock), repair=False)
    assert (result.error, result.exit, verified.findings) == (None, 0, [])
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)


async def test_rename_is_retried(server: Mongod, clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        first, *others = settings.accounts
        renamed = replace(settings, accounts=(replace(first, name="新名"), *others))
        namespace = f"{database.name}.{USER_DAILY}"
        with server.failing("update", times=3, namespace=namespace, errorCode=189):
            result = await run(renamed, clock)
    assert (result.error, result.exit) == (None, 0)
    names = {each["name"] for (account, _), each in (await stored(database)).items() if account == first.appid}
    assert names == {"新名"}


@pytest.mark.parametrize("code", [9, 14, 238, 17276])
async def test_server_that_lacks_pipelines(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured, code: int
) -> None:
    """The message names the lack, and servers with it, before anything is asked."""
    async with _sandbox(clock) as sandbox:
        with server.failing("findAndModify", namespace=f"{database.name}.{LEASES}", errorCode=code):
            result = await run(configured(sandbox), clock)
    assert (result.exit, sandbox.calls) == (1, [])
    assert result.error == (
        "the server of mongodb.uri lacks what the collector needs, update pipelines and $$NOW (Failing command via "
        "'failCommand' failpoint). Use MongoDB 5.0 or later: Amazon DocumentDB and older Azure Cosmos DB don't suffice "
        "(see docs/mongodb.md)"
    )


# The disk


async def test_full_disk(server: Mongod, clock: FakeClock, database: Database, configured: Configured) -> None:
    """The message names it, and the next run fetches what is missing."""
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        with server.failing("update", namespace=f"{database.name}.{USER_DAILY}", errorCode=14031):
            result = await run(settings, clock)
        assert (result.exit, result.days, result.outcomes[Outcome.OK]) == (1, 0, 0)
        assert result.error == "MongoDB's disk is full: make room on it, then run again"
        assert (await stored(database), await _claims(database)) == ({}, {})
        assert (await run(settings, clock)).exit == 0
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)


async def test_server_error_on_each_document(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured
) -> None:
    """A server's trouble isn't blamed on the documents, though each write reports it."""
    async with _sandbox(clock, 60) as sandbox:
        settings = configured(sandbox, workers=4)
        with ExitStack() as trouble:
            fail = partial(trouble.enter_context, server.fail_point("failAllUpdates"))
            result = await run(settings, clock, watch=After(5, fail))
        await _free_the_lease(database)
        assert await _claims(database) == {}
        assert (await run(settings, clock)).exit == 0
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)
    assert result.exit in (1, 3)  # it may end the run, or fail the accounts
    assert "look at the document" not in str(result.failures)


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk as small as that is mounted by root alone")
async def test_disk_that_really_runs_full(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_outage(monkeypatch, 0.5)
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk), closing(Mongod(disk)) as mongod:
        mongod.start()
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(mongod.uri)
        database = client["wechat"]
        ballast = disk / "ballast"
        async with _sandbox(clock, 60) as sandbox:
            settings = _unhurried(settings_of(sandbox, database, mongod.uri, tmp_path, workers=4))
            result = await run(settings, clock, watch=After(5, lambda: fill(ballast)))
            assert _is_unreachable(result.error, mongod), result.error
            assert result.exit == 1
            ballast.unlink()
            mongod.kill()
            mongod.start()
            assert await _claims(database) == {}
            await _free_the_lease(database)
            assert (await run(settings, clock)).exit == 0
        assert await stored(database) == truth(sandbox.world, LAST_WEEK)
        client.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="a disk as small as that is mounted by root alone")
async def test_disk_of_the_local_mongod_runs_full(clock: FakeClock, tmp_path: Path) -> None:
    """The error names the folder and what is free; once there is room the next run fetches what is missing."""
    disk = tmp_path / "disk"
    full = f"the disk of {disk} is full (0 MB free), so the local mongod"
    with small_disk(disk):
        async with _sandbox(clock, 60) as sandbox:
            file = tmp_path / "accounts.yaml"
            file.write_text(f"mongodb: {{data_dir: {disk}}}\n{sandbox.config_yaml()}")
            settings = _unhurried(config.load([file], {}, clock.now()))
            settings = replace(settings, run=settings.run.model_copy(update={"workers": 4}))
            with stamina.set_testing(False):
                result = await run(settings, clock, watch=After(5, lambda: fill(disk / "ballast")))
            assert (result.exit, result.error) == (1, f"{full} has ended: make room on it, then run again")
            result = await run(settings, clock)
            assert (result.exit, result.error) == (1, f"{full} can't start: make room on it")
            (disk / "ballast").unlink()
            async with open_database(await location_of(settings.mongodb)) as database:
                await _free_the_lease(database)
            assert (await run(settings, clock)).exit == 0
            async with open_database(await location_of(settings.mongodb)) as database:
                assert await stored(database) == truth(sandbox.world, LAST_WEEK)


# Rights


@pytest.fixture(scope="module")
def guarded() -> Iterator[Mongod]:
    """A mongod with users: `reader` may read the database `wechat`, `writer` has readWrite on it."""
    with (
        tempfile.TemporaryDirectory(prefix="collector-tests-") as folder,
        closing(Mongod(Path(folder), "--auth", replicas=False)) as mongod,
    ):
        mongod.start()
        mongod.admin.admin.command("createUser", "root", pwd="toor", roles=["root"])
        mongod.admin.close()
        mongod.admin = MongoClient(f"mongodb://root:toor@{mongod.address}/?{DIRECT}")
        for user, role in (("reader", "read"), ("writer", "readWrite")):
            roles = [{"role": role, "db": "wechat"}]
            mongod.admin.admin.command("createUser", user, pwd="pa55word", roles=roles)
        yield mongod


@pytest.fixture
async def theirs(guarded: Mongod) -> AsyncIterator[Database]:
    """The database `wechat` of `guarded`, as its administrator sees it."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(f"mongodb://root:toor@{guarded.address}/")
    yield client["wechat"]
    await client.drop_database("wechat")
    client.close()


async def _run_as(user: str, guarded: Mongod, sandbox: Sandbox, theirs: Database, folder: Path, **options: Any) -> Any:
    uri = f"mongodb://{user}{guarded.address}/?authSource=admin" if user else f"mongodb://{guarded.address}/"
    settings = _unhurried(settings_of(sandbox, theirs, uri, folder, workers=2))
    return await run(settings, **options)


async def test_read_only_user(guarded: Mongod, theirs: Database, clock: FakeClock, tmp_path: Path) -> None:
    """The message names the role before anything is asked."""
    async with _sandbox(clock) as sandbox:
        result = await _run_as("reader:pa55word@", guarded, sandbox, theirs, tmp_path, clock=clock)
        assert sandbox.calls == []
    assert (result.error, result.exit) == (ROLE, 1)
    assert await theirs.list_collection_names() == []


async def test_read_write_role_suffices(guarded: Mongod, theirs: Database, clock: FakeClock, tmp_path: Path) -> None:
    async with _sandbox(clock) as sandbox:
        result = await _run_as("writer:pa55word@", guarded, sandbox, theirs, tmp_path, clock=clock)
    assert (result.error, result.exit) == (None, 0)
    assert await stored(theirs) == truth(sandbox.world, LAST_WEEK)
    assert (await theirs[USER_DAILY].options())["validator"] == VALIDATOR
    assert "account_1_ref_date_1" in await theirs[USER_DAILY].index_information()


async def test_read_write_role_suffices_for_views(guarded: Mongod, theirs: Database) -> None:
    """It does, too, for one that an older version has left."""
    await theirs.create_collection("user_daily_flat", viewOn=USER_DAILY, pipeline=[{"$unset": "sources"}])
    uri = Secret(f"mongodb://writer:pa55word@{guarded.address}/?authSource=admin")
    async with open_database(Location("wechat", uri)) as database:
        await prepare_views(database)
    for view, pipeline in VIEWS.items():
        assert (await theirs[view].options())["pipeline"] == pipeline


@pytest.mark.parametrize("command", ["listCollections", "create"])
async def test_making_of_views_is_retried(server: Mongod, database: Database, command: str) -> None:
    async with open_database(Location(database.name, Secret(server.uri))) as opened:
        with server.failing(command, times=2, **PASSING["mongos finds no primary"]):
            await prepare_views(opened)
    assert set(await database.list_collection_names()) >= set(VIEWS)


async def test_views_that_mongodb_refuses(
    server: Mongod, clock: FakeClock, database: Database, configured: Configured
) -> None:
    """That is only logged, and everything is stored."""
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        await _prepared(server, database)
        with server.failing("create", errorCode=13), structlog.testing.capture_logs() as logs:
            result = await run(settings, clock)
    assert (result.error, result.exit) == (None, 0)
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)
    assert [log["what"].partition(" (")[0] for log in logs if log["event"] == "database.differs"] == [
        f"MongoDB refused to make the view {name}" for name in VIEWS
    ]


async def test_wrong_password(guarded: Mongod, theirs: Database, clock: FakeClock, tmp_path: Path) -> None:
    async with _sandbox(clock) as sandbox:
        result = await _run_as("writer:wrong-one@", guarded, sandbox, theirs, tmp_path, clock=clock)
        assert sandbox.calls == []
    assert (result.error, result.exit) == ("MongoDB refused the user or the password of mongodb.uri: correct them", 1)


async def test_address_without_a_user(guarded: Mongod, theirs: Database, clock: FakeClock, tmp_path: Path) -> None:
    async with _sandbox(clock) as sandbox:
        result = await _run_as("", guarded, sandbox, theirs, tmp_path, clock=clock)
    assert result.exit == 1
    assert result.error == "mongodb.uri names no user, and this MongoDB asks for one: mongodb://USER:PASSWORD@HOST/…"


async def test_role_revoked_in_mid_run(guarded: Mongod, theirs: Database, clock: FakeClock, tmp_path: Path) -> None:
    """The message names the role, and nothing is lost."""
    roles = [{"role": "readWrite", "db": "wechat"}]

    def revoke() -> None:
        guarded.admin.admin.command("revokeRolesFromUser", "writer", roles=roles)

    async with _sandbox(clock, 60) as sandbox:
        result = await _run_as(
            "writer:pa55word@", guarded, sandbox, theirs, tmp_path, clock=clock, watch=After(5, revoke)
        )
        guarded.admin.admin.command("grantRolesToUser", "writer", roles=roles)
        assert (result.error, result.exit) == (ROLE, 1)
        assert await _claims(theirs) == {}
        await _free_the_lease(theirs)
        result = await _run_as("writer:pa55word@", guarded, sandbox, theirs, tmp_path, clock=clock)
    assert result.exit == 0
    assert await stored(theirs) == truth(sandbox.world, LAST_WEEK)


# Documents that MongoDB refuses


async def test_days_that_a_validator_rejects(clock: FakeClock, database: Database, configured: Configured) -> None:
    """They stay missing, and everything else is stored."""
    day = NEWEST - 3 * ONE_DAY
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        bad, *good = (account.appid for account in settings.accounts)
        either = [{"account": {"$ne": bad}}, {"ref_date": {"$ne": str(day)}}]
        await database.create_collection(USER_DAILY, validator={"$or": either})
        result = await run(settings, clock)
        (failure,) = result.failures
        assert (failure.account, failure.dataset, failure.errmsg, failure.hint) == (
            bad,
            None,
            f"MongoDB rejected {day}: Document failed validation",
            "look at the document and at the validator of user_daily",
        )
        assert (result.exit, result.outcomes[Outcome.OK], result.outcomes[Outcome.FAILED]) == (3, 2, 1)
        expected = truth(sandbox.world, LAST_WEEK)
        assert await stored(database) == {key: expected[key] for key in expected if key != (bad, str(day))}
        assert {state["_id"] async for state in database[ACCOUNTS].find()} == set(good)
        await database.command("collMod", USER_DAILY, validator={})
        assert (await run(settings, clock)).exit == 0
    assert await stored(database) == expected


async def test_state_that_a_validator_rejects(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        refused = settings.accounts[0].appid
        await database.create_collection(ACCOUNTS, validator={"_id": {"$ne": refused}})
        result = await run(settings, clock)
    assert await stored(database) == truth(sandbox.world, LAST_WEEK)
    assert [failure.account for failure in result.failures] == [refused]
    assert result.exit == 3


async def test_name_that_a_validator_rejects(clock: FakeClock, database: Database, configured: Configured) -> None:
    """An old document that the validator would refuse stops no other account."""
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        first, *others = settings.accounts
        await run(settings, clock)
        old = {"account": first.appid, "ref_date": "2020-01-01", "cumulate_user": "many"}
        await database[USER_DAILY].insert_one(old, bypass_document_validation=True)
        clock.instant += ONE_DAY
        result = await run(replace(settings, accounts=(replace(first, name="新名"), *others)), clock)
    assert result.error is None
    found = await stored(database)
    assert {account.appid for account in others} <= {account for account, day in found if day == str(NEWEST + ONE_DAY)}


# Others in the same database


async def test_two_writers_of_the_same_days(database: Database) -> None:
    await prepare(database)
    now = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
    quiet = {"new_user": 0, "cancel_user": 0, "net_user": 0, "sources": []}

    def update(number: int) -> Update:
        account = f"wx{number:016x}"
        days = [
            Day(account, "acme", NEWEST - back * ONE_DAY, {CUMULATE: {"cumulate_user": back}}, now, {SUMMARY: quiet})
            for back in range(7)
        ]
        return Update(days, AccountState(account, "acme"))

    async def write() -> Writer:
        async with Writer(database, Held(1)) as writer:
            for number in range(200):
                await writer.put(update(number))
        return writer

    for writer in await asyncio.gather(*(write() for _ in range(4))):
        assert (writer.rejected, writer.days) == ({}, 1400)
    assert await database[USER_DAILY].count_documents({}) == 1400
    assert await database[USER_DAILY].count_documents({"sources": [], "cumulate_user": {"$gte": 0}}) == 1400


async def test_two_runs_over_the_same_days(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Somebody deletes the lease, so that a second run begins beside the first, and may take over its accounts."""
    async with _sandbox(clock, 100) as sandbox:
        settings = configured(sandbox)
        second: list[asyncio.Task[Any]] = []

        async def follow() -> Any:
            await _free_the_lease(database)
            return await run(settings, clock)

        first = await run(settings, clock, watch=After(1, lambda: second.append(asyncio.create_task(follow()))))
        result = await second[0]
    assert (result.error, result.exit, result.failures) == (None, 0, ())
    assert first.error is None or "another run has taken over its accounts" in first.error
    found, expected = await stored(database), truth(sandbox.world, LAST_WEEK)
    assert {key: found[key] for key in expected} == expected
    # The second run asks some days alone, and with them, at no cost, the days before the week.
    more = truth(sandbox.world, Window(LAST_WEEK.begin - 8 * ONE_DAY, NEWEST))
    assert all(document.items() <= more[key].items() for key, document in found.items())
    assert await _claims(database) == {}


async def test_documents_of_other_tools(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        ours, other, _ = (account.appid for account in settings.accounts)
        foreign: list[dict[str, Any]] = [
            {"_id": 1, "something": "else"},
            {"_id": 2, "account": 7, "ref_date": str(NEWEST)},
            {"_id": 3, "account": ours, "ref_date": datetime(2026, 11, 23)},  # noqa: DTZ001 - as others write it
            {"_id": 4, "account": ours, "ref_date": "23.11.2026", "name": "theirs", "cumulate_user": "many"},
            {"_id": 5, "account": "wxffffffffffffffff", "ref_date": str(NEWEST), "cumulate_user": -1},
            {"_id": 6, "ref_date": str(NEWEST)},
            {"_id": 7, "account": other, "ref_date": "2026-11-16", "cumulate_user": "many", "sources": 5},
        ]
        await database[USER_DAILY].insert_many(foreign)
        more = {"note": "ours", "tags": {"a.b": 1}}
        await database[USER_DAILY].insert_one({"account": ours, "ref_date": str(NEWEST), **more})
        for _ in range(2):
            result = await run(settings, clock)
            assert (result.error, result.exit, result.failures) == (None, 0, ())
            clock.instant += ONE_DAY
    for each in (foreign[4], foreign[6]):  # they have the collector's form
        each["date"] = datetime.fromisoformat(each["ref_date"])
    assert [each async for each in database[USER_DAILY].find({"_id": {"$lt": 10}}).sort("_id")] == foreign
    left_out = {"_id": False, "fetched_at": False}
    found = {
        (each["account"], each["ref_date"]): each
        async for each in database[USER_DAILY].find({"account": {"$type": "string"}}, left_out)
    }
    expected = truth(sandbox.world, Window(LAST_WEEK.begin, NEWEST + ONE_DAY))
    expected[ours, str(NEWEST)] |= more
    assert {key: found[key] for key in expected} == expected


async def test_date_beyond_python_in_a_document(clock: FakeClock, database: Database, configured: Configured) -> None:
    """Another tool may have put any date into our documents; PyMongo can't read some of them."""
    async with _sandbox(clock, 40) as sandbox:
        settings = configured(sandbox)
        far = DatetimeMS(300_000_000_000_000)
        for account in settings.accounts:
            for day in (LAST_WEEK.begin, LAST_WEEK.begin - ONE_DAY):
                await database[USER_DAILY].insert_one({"account": account.appid, "ref_date": str(day), "until": far})
        with structlog.testing.capture_logs():
            result = await run(settings, clock)
    assert (result.error, result.exit, result.failures) == (None, 0, ())


@pytest.mark.parametrize(
    "twice", [{"account": "wx0123456789abcdef", "ref_date": "2026-11-23", "name": "acme"}, {"something": "else"}]
)
async def test_duplicates_in_the_way_of_the_index(
    clock: FakeClock, database: Database, configured: Configured, twice: dict[str, str]
) -> None:
    """One day twice; or documents of others without an account, which are equal to the index."""
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        await database[USER_DAILY].insert_many([dict(twice), dict(twice)])
        result = await run(settings, clock)
        assert sandbox.calls == []
    assert result.exit == 1
    assert await database[USER_DAILY].count_documents({}) == 2
    assert result.error == (
        f"two documents of user_daily have the same account and ref_date ({twice.get('account')}, "
        f"{twice.get('ref_date')}), so its unique index can't be made: delete one of them, or name a database of the "
        "collector's own in mongodb.database"
    )


async def test_index_that_differs(clock: FakeClock, database: Database, configured: Configured) -> None:
    await database[USER_DAILY].create_index([("account", 1), ("ref_date", 1)])
    async with _sandbox(clock) as sandbox:
        result = await run(configured(sandbox), clock)
    assert result.exit == 1
    assert result.error == (
        "the index account_1_ref_date_1 of user_daily isn't unique, or has other options: drop it, and the next run "
        "makes it anew"
    )


async def test_states_of_other_tools(clock: FakeClock, database: Database, configured: Configured) -> None:
    foreign: list[dict[str, Any]] = [
        {"_id": 7, "balance": 1},
        {"_id": ObjectId(), "name": "another tool's", "version": 1},
        {"_id": {"tenant": 1}, "until": DatetimeMS(300_000_000_000_000)},
    ]
    await database[ACCOUNTS].insert_many(foreign)
    raw = database.get_collection(ACCOUNTS, codec_options=AS_IT_IS)
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        for _ in range(2):
            result = await run(settings, clock)
            assert (result.error, result.exit) == (None, 0)
    assert [each async for each in raw.find({"_id": {"$not": {"$type": "string"}}})] == foreign


async def test_state_of_another_tool_with_a_text_id(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    foreign = {"_id": "alice@example.com", "balance": 7}
    await database[ACCOUNTS].insert_one(dict(foreign))
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        result = await run(settings, clock)
        await verify(settings, Selection(), target_of(settings, clock), repair=True)
    assert await database[ACCOUNTS].find_one({"_id": foreign["_id"]}) == foreign
    assert (result.error, result.exit) == (None, 0)


async def test_date_beyond_python_in_a_state(clock: FakeClock, database: Database, configured: Configured) -> None:
    """It is damage, and no crash."""
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        far = {"$set": {"user_summary.last_success": DatetimeMS(300_000_000_000_000)}}
        await database[ACCOUNTS].update_one({"_id": settings.accounts[0].appid}, far)
        result = await run(settings, clock)
    assert (result.exit, [failure.account for failure in result.failures]) == (3, [settings.accounts[0].appid])


async def test_runs_of_other_tools(clock: FakeClock, database: Database, configured: Configured) -> None:
    foreign = {"_id": 7, "job": "another tool's"}
    await database["runs"].insert_one(dict(foreign))
    async with _sandbox(clock) as sandbox:
        await run(configured(sandbox), clock)
    assert await database["runs"].find_one({"_id": 7}) == foreign


async def test_name_in_a_document_of_another_tool(clock: FakeClock, database: Database, configured: Configured) -> None:
    async with _sandbox(clock) as sandbox:
        settings = configured(sandbox)
        first, *others = settings.accounts
        foreign = {"_id": 7, "account": first.appid, "ref_date": datetime(2026, 11, 23), "name": "theirs"}  # noqa: DTZ001
        await database[USER_DAILY].insert_one(dict(foreign))
        await run(settings, clock)
        await run(replace(settings, accounts=(replace(first, name="新名"), *others)), clock)
    assert await database[USER_DAILY].find_one({"_id": 7}) == foreign


async def _prepared(server: Mongod, database: Database) -> None:
    """Create the collections, so that the trouble meets the run's own writes."""
    async with open_database(Location(database.name, Secret(server.uri))) as opened:
        await prepare(opened)
