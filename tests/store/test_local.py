"""The embedded mongod, tried with a real one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from collector.errors import DatabaseError
from collector.store.local import local_mongod

MONGODB_OF_YOURS = "or set `mongodb.uri` to a MongoDB that you have"

USER = """
import asyncio, sys
from pathlib import Path
from collector.store.local import local_mongod

async def use():
    async with local_mongod(Path(sys.argv[1])) as uri:
        print(uri, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(use())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    for pid in mongods(tmp_path):  # a test that failed may leave one
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def client_of(uri: str) -> AsyncIterator[AsyncIOMotorClient[dict[str, object]]]:
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(uri, serverSelectionTimeoutMS=5000)
    try:
        yield client
    finally:
        client.close()


async def answers(uri: str) -> bool:
    async with client_of(uri) as client:
        return bool((await client.admin.command("ping"))["ok"])


@asynccontextmanager
async def other_process(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Another command that uses the server of `home`, and the URI that it was given. It leaves when asked to."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", USER, home, stdin=pipe, stdout=pipe)
    assert process.stdout
    try:
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        await process.communicate()


def mongods(home: Path) -> list[int]:
    """The ids of the processes whose command line names `home`; zombies have none."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], check=True, capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if f"--dbpath {home}" in line]


def stopped(home: Path) -> bool:
    """Whether no server has the data, and nothing is left of its socket."""
    with (home / "db" / "mongod.lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return not (home / "socket").exists()


def socket_of(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("mongodb://")))


def program(path: Path, *lines: str) -> dict[str, str]:
    """An environment in which the mongod is a shell script of `lines`."""
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o755)
    return {"COLLECTOR_MONGOD": str(path)}


async def error_of(home: Path, environ: dict[str, str]) -> str:
    with pytest.raises(DatabaseError) as caught:
        async with local_mongod(home, environ):
            pass
    return str(caught.value)


async def turns_until(happened: Callable[[], bool]) -> None:
    """Let the other tasks of the loop go on until it `happened`."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - files set no event
            await asyncio.sleep(0)


# One user.


async def test_it_answers_as_long_as_the_context_lasts_and_keeps_its_data(home: Path):
    async with local_mongod(home) as uri, client_of(uri) as client:
        await client.shop.sales.insert_one({"_id": "first"})
    assert stopped(home)
    assert not socket_of(uri).parent.exists()

    async with local_mongod(home) as uri, client_of(uri) as client:
        assert await client.shop.sales.find().to_list() == [{"_id": "first"}]
    assert stopped(home)


async def test_its_owner_alone_can_reach_it(home: Path):
    async with local_mongod(home) as uri:
        paths = (home, home / "db", socket_of(uri).parent, socket_of(uri))
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o700, 0o700, 0o600]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_it_listens_on_no_tcp_port_and_on_one_socket(home: Path):
    async with local_mongod(home) as uri:
        (pid,) = mongods(home)
        own = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
        tcp = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
        unix = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
        assert [row for row in tcp if f"socket:[{row[9]}]" in own] == []
        assert {row[7] for row in unix if f"socket:[{row[6]}]" in own} == {str(socket_of(uri))}


async def test_ctrl_c_does_not_reach_it(home: Path):
    """It has a session of its own."""
    async with local_mongod(home):
        (pid,) = mongods(home)
        assert os.getsid(pid) != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_it_knows_no_secret_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACME_SECRET", "f00d")
    async with local_mongod(home):
        (pid,) = mongods(home)
        assert Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0") == f"PATH={os.environ['PATH']}".encode()


async def test_it_stops_when_its_user_fails(home: Path):
    with pytest.raises(ZeroDivisionError):
        async with local_mongod(home):
            raise ZeroDivisionError
    assert stopped(home)


async def test_one_log_is_kept_of_the_start_before(home: Path):
    (home / "db").mkdir(parents=True)
    (home / "mongod.log").write_text("the one before")
    (home / "mongod.log.old").write_text("an older one")
    async with local_mongod(home):
        pass
    assert (home / "mongod.log.old").read_text() == "the one before"
    assert sorted(path.name for path in home.glob("mongod.log*")) == ["mongod.log", "mongod.log.old"]


async def test_systemd_says_where_data_and_socket_are(tmp_path: Path):
    state, runtime = tmp_path / "state", Path(tempfile.mkdtemp(prefix="run-"))
    environ = {**os.environ, "STATE_DIRECTORY": f"{state}:/var/lib/other", "RUNTIME_DIRECTORY": str(runtime)}
    async with local_mongod(None, environ) as uri:
        assert (state / "mongod" / "db").is_dir()
        assert socket_of(uri).parent.parent == runtime
    runtime.rmdir()


async def test_a_long_runtime_directory_is_passed_over(home: Path, tmp_path: Path):
    """The path of a socket has room for about 100 bytes."""
    environ = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / ("long" * 20))}
    async with local_mongod(home, environ) as uri:
        assert socket_of(uri).parent.parent == Path("/tmp")


# Several users.


async def test_a_second_user_shares_it_and_the_last_stops_it(home: Path):
    async with other_process(home) as (other, uri):
        pids = mongods(home)
        async with local_mongod(home) as shared:
            await other.communicate()
            assert (shared, mongods(home), await answers(shared)) == (uri, pids, True)
    assert (other.returncode, stopped(home)) == (0, True)


async def test_an_orphan_is_used_and_stopped(home: Path):
    async with other_process(home) as (other, uri):
        other.kill()
    pids = mongods(home)
    async with local_mongod(home) as adopted:
        assert (adopted, mongods(home), await answers(adopted)) == (uri, pids, True)
    assert (len(pids), stopped(home)) == (1, True)


async def test_an_orphan_is_used_before_it_answers(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever started it was killed while it still read its data."""
    async with other_process(home) as (other, uri):
        other.kill()
    socket_of(uri).rename(home / "not yet")
    using = asyncio.create_task(use(home, asyncio.Event()))
    await turns_until((home / "turn.lock").exists)
    for _ in range(100):
        await asyncio.sleep(0)
    (home / "not yet").rename(socket_of(uri))
    assert await using == uri


async def test_a_killed_server_is_replaced(home: Path):
    async with other_process(home) as (other, uri):
        other.kill()
    for pid in mongods(home):
        os.kill(pid, signal.SIGKILL)
    async with local_mongod(home) as fresh:
        assert (await answers(fresh), socket_of(uri).parent.exists()) == (True, False)
    assert stopped(home)


async def test_users_that_come_and_go_at_once_have_one_server_at_any_time(home: Path):
    async def come_and_go() -> list[bool]:
        seen = []
        for _ in range(3):
            async with local_mongod(home) as uri:
                seen.append(len(mongods(home)) == 1 and await answers(uri))
        return seen

    assert await asyncio.gather(*(come_and_go() for _ in range(4))) == [[True] * 3] * 4
    assert stopped(home)


async def test_processes_that_start_at_once_share_one(home: Path):
    async with other_process(home) as (_, first), other_process(home) as (_, second), local_mongod(home) as third:
        assert first == second == third
    assert stopped(home)


# Cancellation.


async def use(home: Path, enough: asyncio.Event | None = None) -> str:
    async with local_mongod(home) as uri:
        if enough:
            await enough.wait()
        return uri
