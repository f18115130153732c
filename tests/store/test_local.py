"""The local mongod, tested with a real one."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import pytest
from mongods import error_of, mongods, program
from motor.motor_asyncio import AsyncIOMotorClient

from collector.errors import DatabaseError
from collector.store import local, mongod
from collector.store.diagnosis import MONGODB_OF_YOURS
from collector.store.local import has_data, local_mongod, running_mongod

USER = """
import asyncio, sys
from pathlib import Path
from collector.store.local import local_mongod

async def use():
    async with local_mongod(Path(sys.argv[1]).parent) as uri:
        print(uri, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(use())
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data" / "mongod"
    for pid in mongods(tmp_path):  # a failed test may leave one
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
    """Run another command that uses the server of `home`; yield its process and URI. It leaves as stdin ends."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", USER, home, stdin=pipe, stdout=pipe)
    assert process.stdout
    try:
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        await process.communicate(b"")


def is_held(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def held(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True)
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stopped(home: Path) -> bool:
    """Return True if no server has the data, and no record of one is left."""
    return not is_held(home / "db" / "mongod.lock") and not (home / "socket").exists()


def listening(pid: int, kind: str, inode: int) -> list[list[str]]:
    """Return the rows of /proc/net/KIND that are sockets of `pid`; their column `inode` has the inode."""
    own = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # a file may be closed meanwhile; what listens stays
            own.add(str(fd.readlink()))
    rows = [line.split() for line in Path("/proc/net", kind).read_text().splitlines()]
    return [row for row in rows if f"socket:[{row[inode]}]" in own]


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text().strip("\0")


def socket_of(uri: str) -> Path:
    return Path(unquote(uri.removeprefix("mongodb://")))


async def use(home: Path, entered: asyncio.Event) -> str:
    async with local_mongod(home.parent) as uri:
        entered.set()
        return uri


async def many_turns() -> None:
    """Let the other tasks of the loop do everything that needs no waiting."""
    for _ in range(100):
        await asyncio.sleep(0)


async def turns_until(happened: Callable[[], bool]) -> None:
    """Let the other tasks of the loop run until `happened` returns True."""
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - files set no event
            await asyncio.sleep(0)


# One user.


async def test_data_stays_after_the_context(home: Path) -> None:
    async with local_mongod(home.parent) as uri, client_of(uri) as client:
        await client.shop.sales.insert_one({"_id": "first"})
    assert stopped(home)
    assert not socket_of(uri).parent.exists()

    async with local_mongod(home.parent) as uri, client_of(uri) as client:
        assert await client.shop.sales.find().to_list() == [{"_id": "first"}]
    assert stopped(home)


async def test_only_its_owner_can_reach_it(home: Path) -> None:
    async with local_mongod(home.parent) as uri:
        paths = (home, home / "db", socket_of(uri).parent, socket_of(uri))
        assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o700, 0o700, 0o600]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_no_tcp_port_and_one_socket(home: Path) -> None:
    async with local_mongod(home.parent) as uri:
        (pid,) = mongods(home)
        assert listening(pid, "tcp", inode=9) + listening(pid, "tcp6", inode=9) == []
        assert [row[7] for row in listening(pid, "unix", inode=6)] == [str(socket_of(uri))]


async def test_session_of_its_own(home: Path) -> None:
    """Ctrl-C doesn't reach it."""
    async with local_mongod(home.parent):
        (pid,) = mongods(home)
        assert os.getsid(pid) != os.getsid(0)


async def test_launcher_has_its_own_session(home: Path, tmp_path: Path) -> None:
    """Ctrl-C doesn't reach it."""
    await error_of(home.parent, program(tmp_path / "mongod", f"ps -o sid= -p $$ > {tmp_path}/sid; exit 1"))
    assert int((tmp_path / "sid").read_text()) not in {0, os.getsid(0)}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_environment_without_secrets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", "f00d")
    async with local_mongod(home.parent):
        (pid,) = mongods(home)
        assert environment(pid) == f"PATH={os.environ['PATH']}"


async def test_stopped_when_its_user_fails(home: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with local_mongod(home.parent):
            raise ZeroDivisionError
    assert stopped(home)


async def test_log_of_the_start_before(home: Path) -> None:
    (home / "db").mkdir(parents=True)
    (home / "mongod.log").write_text("the one before")
    (home / "mongod.log.old").write_text("an older one")
    async with local_mongod(home.parent):
        pass
    assert (home / "mongod.log.old").read_text() == "the one before"


async def test_runtime_directory_of_systemd(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as runtime:  # shorter than pytest's
        async with local_mongod(tmp_path, {**os.environ, "RUNTIME_DIRECTORY": runtime}) as uri:
            assert socket_of(uri).parent.parent == Path(runtime)


async def test_long_runtime_directory(home: Path, tmp_path: Path) -> None:
    """It is passed over, since the path of a socket has room for about 100 bytes."""
    environ = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / ("long" * 20))}
    async with local_mongod(home.parent, environ) as uri:
        assert socket_of(uri).parent.parent == Path("/tmp")


# Several users.


async def test_last_of_two_users_stops_it(home: Path) -> None:
    async with other_process(home) as (other, uri):
        pids = mongods(home)
        async with local_mongod(home.parent) as shared:
            await other.communicate(b"")
            assert (shared, mongods(home), await answers(shared)) == (uri, pids, True)
    assert (other.returncode, stopped(home)) == (0, True)


async def test_orphan_is_used_and_stopped(home: Path) -> None:
    async with other_process(home) as (other, uri):
        other.kill()
    pids = mongods(home)
    async with local_mongod(home.parent) as adopted:
        assert (adopted, mongods(home), await answers(adopted)) == (uri, pids, True)
    assert (len(pids), stopped(home)) == (1, True)


async def test_orphan_that_still_starts(home: Path) -> None:
    """The command that started it was killed while the server still read its data."""
    async with other_process(home) as (other, uri):
        other.kill()
    socket_of(uri).rename(home / "not yet")
    entered = asyncio.Event()
    using = asyncio.create_task(use(home, entered))
    await turns_until(lambda: is_held(home / "turn.lock"))
    await many_turns()
    assert not entered.is_set()
    (home / "not yet").rename(socket_of(uri))
    assert await using == uri


async def test_killed_server_is_replaced(home: Path) -> None:
    async with other_process(home) as (other, uri):
        other.kill()
    os.kill(mongods(home)[0], signal.SIGKILL)
    await turns_until(lambda: not is_held(home / "db" / "mongod.lock"))
    async with local_mongod(home.parent) as fresh:
        assert (await answers(fresh), socket_of(uri).parent.exists()) == (True, False)
    assert stopped(home)


async def test_many_users_at_once(home: Path) -> None:
    async def come_and_go() -> list[bool]:
        seen = []
        for _ in range(3):
            async with local_mongod(home.parent) as uri:
                seen.append(await answers(uri))
        return seen

    assert await asyncio.gather(*(come_and_go() for _ in range(4))) == [[True] * 3] * 4
    assert stopped(home)


async def test_processes_that_start_at_once(home: Path) -> None:
    async with (
        other_process(home) as (_, first),
        other_process(home) as (_, second),
        local_mongod(home.parent) as third,
    ):
        assert first == second == third
    assert stopped(home)


# What goes wrong while it starts or stops.


async def test_cancelled_start(home: Path) -> None:
    using = asyncio.create_task(use(home, asyncio.Event()))
    await turns_until((home / "socket").exists)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert stopped(home)


async def test_cancelled_stop_is_finished(home: Path) -> None:
    hangs = asyncio.Event()

    async def use_one_that_hangs() -> None:
        async with local_mongod(home.parent):
            os.kill(mongods(home)[0], signal.SIGSTOP)
            hangs.set()

    using = asyncio.create_task(use_one_that_hangs())
    await hangs.wait()
    await turns_until(lambda: is_held(home / "turn.lock"))
    using.cancel()
    await many_turns()
    assert not using.done()
    os.kill(mongods(home)[0], signal.SIGCONT)
    with pytest.raises(asyncio.CancelledError):
        await using
    assert stopped(home)


async def test_hanging_server_is_killed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongod, "STOP_S", 0.1)
    async with local_mongod(home.parent) as uri:
        (pid,) = mongods(home)
        os.kill(pid, signal.SIGSTOP)
    assert stopped(home)  # else the next command would find a server without a socket
    assert not socket_of(uri).parent.exists()


async def test_turn_lock_never_released(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "TURN_S", 0.1)
    with held(home / "turn.lock"):
        assert await error_of(home.parent) == f"another process has held {home}/turn.lock for 0.1 s: stop that process"


async def test_slow_start(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongod, "START_S", 0.2)
    environ = program(tmp_path / "slow", f"echo $$ > {tmp_path}/pid", "exec sleep 600")
    said = f"the local mongod doesn't answer in 0.2 s: see {home}/mongod.log"
    assert await error_of(home.parent, environ) == said
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_server_out_of_reach_is_not_stopped(home: Path) -> None:
    async with other_process(home) as (other, uri):
        other.kill()
    (home / "socket").rename(home / "elsewhere")
    where = "started by hand, in a container, with a /tmp of its own, or whose socket is gone"
    said = f"another mongod ({where}) uses {home}/db: stop it"
    assert (await error_of(home.parent), await answers(uri)) == (said, True)
    (home / "elsewhere").rename(home / "socket")
    assert (await use(home, asyncio.Event()), stopped(home)) == (uri, True)


async def test_windows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        said = await error_of(home.parent)
    assert said == f"the local mongod needs Unix sockets: use Linux or macOS, or {MONGODB_OF_YOURS}"


# What needs a database, and creates none.


async def test_data_must_exist(home: Path) -> None:
    """Nothing is created; not even a mongod is needed to say so."""
    with pytest.raises(DatabaseError) as caught:
        async with local_mongod(home.parent, {"COLLECTOR_MONGOD": "/nowhere"}, must_exist=True):
            pass
    assert (str(caught.value), has_data(home.parent), home.parent.exists()) == (
        f"no database in {home.parent} yet: `collector run` makes one, and `mongodb.data_dir` names another folder",
        *(False, False),
    )


async def test_data_that_exists(home: Path) -> None:
    async with local_mongod(home.parent):
        pass
    async with local_mongod(home.parent, must_exist=True) as uri:
        assert (await answers(uri), has_data(home.parent)) == (True, True)


async def test_running_mongod(home: Path) -> None:
    before = running_mongod(home.parent)
    async with local_mongod(home.parent) as uri:
        during = running_mongod(home.parent)
    assert (before, during, running_mongod(home.parent)) == (None, uri, None)
