"""Why a local mongod doesn't start or has ended: other users' folders, full disks, failed starts."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mongods import IS_ROOT, NOBODY, another_user, error_of, fill, mongods, open_folder, program, small_disk
from pymongo.errors import AutoReconnect
from stamina import set_testing

from collector.errors import DatabaseError
from collector.store.database import Database, open_database, outlasting, translated
from collector.store.diagnosis import MONGODB_OF_YOURS, full_disk, why_ended, why_forbidden, why_impossible
from collector.store.location import Location

by_root = pytest.mark.skipif(not IS_ROOT, reason="root alone may be another user, and mount a disk")


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    for pid in mongods(tmp_path):  # a failed test may leave one
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def used(data_dir: Path) -> AsyncIterator[Database]:
    async with open_database(Location("wechat", data_dir=data_dir)) as database:
        await database.figures.insert_one({})
        yield database


async def error_of_use(database: Database, break_it: Callable[[], None]) -> str:
    """Break the server while it is in use; retries wait as they do in a run."""
    break_it()
    with set_testing(False):
        async with asyncio.timeout(30):
            while True:
                try:
                    await outlasting(lambda: database.figures.insert_one({}))
                except DatabaseError as error:
                    return str(error)


# A start that fails.


async def test_unreadable_data(data_dir: Path) -> None:
    (data_dir / "mongod" / "db").mkdir(parents=True)
    (data_dir / "mongod" / "db" / "storage.bson").write_text("junk")
    said = await error_of(data_dir)
    assert said.startswith('the local mongod failed to start: exit 14: "Unable to read the storage engine meta')
    assert said.endswith(f"; see {data_dir}/mongod/mongod.log")


OTHER_VERSION = "the data is of another version of MongoDB: name the mongod of that version in $COLLECTOR_MONGOD"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "echo 'mongod: libcurl.so.4: cannot open shared object file' >&2; exit 127",
            "exit 127: mongod: libcurl.so.4: cannot open shared object file; install the package libcurl4",
        ),
        (
            "kill -ILL $$",
            f"exit -4: its log is empty; this processor can't run MongoDB 5.0 or later: {MONGODB_OF_YOURS}",
        ),
        (
            """echo 'forked'; echo '{"s":"F", "msg":"Wrong mongod version: UPGRADE PROBLEM"}'; echo 'ERROR'; exit 62""",
            f'exit 62: "Wrong mongod version: UPGRADE PROBLEM"}}; {OTHER_VERSION}',
        ),
        (
            """echo '{"s":"E", "msg":"Failed to start up WiredTiger under any compatibility version."}'; exit 14""",
            f'exit 14: "Failed to start up WiredTiger under any compatibility version."}}; {OTHER_VERSION}',
        ),
        ("exit 1", "exit 1: its log is empty; make sure that SCRIPT is a mongod that runs here"),
        ("echo one; echo two; echo three; exit 2", "exit 2: two three; see DATA/mongod/mongod.log"),
    ],
)
async def test_failed_start_and_its_remedy(data_dir: Path, tmp_path: Path, script: str, said: str) -> None:
    whole = f"the local mongod failed to start: {said}"
    expected = whole.replace("DATA", str(data_dir)).replace("SCRIPT", str(tmp_path / "mongod"))
    assert await error_of(data_dir, program(tmp_path / "mongod", script)) == expected


async def test_program_that_cannot_run(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "mongod").write_bytes(b"\0junk")
    (tmp_path / "mongod").chmod(0o755)
    said = await error_of(data_dir, {"COLLECTOR_MONGOD": str(tmp_path / "mongod")})
    assert said == f"the local mongod can't be started ([Errno 8] Exec format error: '{tmp_path}/mongod'): correct that"


async def test_impossible_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    said = await error_of(file / "x")
    assert said == f"{file}/x can't hold a local database ([Errno 20] Not a directory: '{file}/x'): correct that"


# Whose folder it is.


def refused(data_dir: Path) -> str | None:
    return why_forbidden(data_dir, data_dir / "mongod")


@by_root
async def test_root_keeps_off_a_users_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is told how to run it as that user, and the user's own server goes on working."""
    monkeypatch.setattr(sys, "argv", ["/opt/collector/bin/collector", "status", "-c", "/etc/my accounts.yaml"])
    with open_folder() as folder:
        (folder / "state").mkdir()
        os.chown(folder / "state", NOBODY, NOBODY)
        remedy = "run `runuser -u nobody -- /opt/collector/bin/collector status -c '/etc/my accounts.yaml'`"
        assert await error_of(folder / "state") == f"{folder}/state belongs to the user nobody: {remedy}"
        assert not (folder / "state" / "mongod").exists()
        with another_user():
            async with used(folder / "state"):
                pass
        assert await error_of(folder / "state") == f"{folder}/state/mongod belongs to the user nobody: {remedy}"
        with another_user():
            async with used(folder / "state") as database:
                assert await database.figures.count_documents({}) == 2


@by_root
async def test_roots_folder_is_given_over() -> None:
    with open_folder() as folder:
        async with used(folder / "state"):
            pass
        with another_user():
            said = await error_of(folder / "state")
    remedy = f"as root, run `chown -R nobody {folder}/state`"
    assert said == f"{folder}/state belongs to root, and this is nobody: {remedy}"


@by_root
async def test_third_user_needs_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may call runuser."""
    monkeypatch.setattr(sys, "argv", ["collector", "run"])
    with open_folder() as folder:
        os.chown(folder, 1, 1)
        with another_user():
            assert refused(folder) == f"{folder} belongs to the user daemon: run `sudo -u daemon -- collector run`"


@by_root
def test_user_without_a_name(tmp_path: Path) -> None:
    """As a volume's owner may be in a container."""
    os.chown(tmp_path, 4242, 4242)
    assert refused(tmp_path) == f"{tmp_path} belongs to the user 4242: run this as that user"


@by_root
def test_folder_that_cannot_be_entered(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with another_user():
        said = refused(tmp_path / "state")
    assert said == f"nobody can't read {tmp_path}/state: name a folder of that user's in `mongodb.data_dir`"


@by_root
async def test_folder_that_cannot_be_made() -> None:
    with open_folder() as folder, another_user():
        said = await error_of(folder / "state")
    remedy = f"as root, run `install -d -m 0700 -o nobody {folder}/state`"
    assert (
        said == f"{folder}/state can't hold a local database ([Errno 13] Permission denied: '{folder}/state'): {remedy}"
    )


@by_root
@pytest.mark.parametrize("file", ["db/WiredTiger.turtle", "db/mongod.lock", "turn.lock"])
async def test_file_that_root_has_left(file: str) -> None:
    """As versions before did, whose `status` root had run: the message says how to undo it."""
    with open_folder() as folder:
        (folder / "state").mkdir()
        os.chown(folder / "state", NOBODY, NOBODY)
        with another_user():
            async with used(folder / "state"):
                pass
        os.chown(folder / "state" / "mongod" / file, 0, 0)
        (folder / "state" / "mongod" / file).chmod(0o600)
        with another_user():
            said = await error_of(folder / "state")
    assert said.endswith(f"as root, run `chown -R nobody {folder}/state`")


def test_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mongod").mkdir()
    assert (refused(tmp_path), refused(tmp_path / "not yet")) == (None, None)


# A server that ends while it is in use.


async def test_killed_server(data_dir: Path) -> None:
    """Nobody restarts it, so it isn't waited for as an outage is."""

    def kill() -> None:
        (pid,) = mongods(data_dir / "mongod")
        os.kill(pid, signal.SIGKILL)

    async with used(data_dir) as database:
        said = await error_of_use(database, kill)
    assert said == (
        f"the local mongod of {data_dir} was stopped from outside, by systemd with the service that started it (its "
        "unit needs KillMode=process) or by the kernel for want of memory: run again"
    )


def test_error_before_a_kill(tmp_path: Path) -> None:
    """An error that the server has outlived isn't the reason of its end."""
    log = tmp_path / "mongod.log"
    log.write_text('{"s":"E", "msg":"a client went away"}\n')
    assert why_ended(tmp_path, log).startswith(f"the local mongod of {tmp_path} was stopped from outside")


async def test_crashed_server(data_dir: Path) -> None:
    def crash() -> None:
        (pid,) = mongods(data_dir / "mongod")
        os.kill(pid, signal.SIGABRT)

    async with used(data_dir) as database:
        said = await error_of_use(database, crash)
    assert said.startswith(f'the local mongod of {data_dir} has ended: "')
    assert said.endswith(f"; see {data_dir}/mongod/mongod.log")


async def test_hanging_server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as that: nobody has a `mongodb.uri` to check."""
    for limit, value in (("SOCKET_TIMEOUT_MS", 200), ("SELECTION_TIMEOUT_MS", 200), ("OUTAGE_S", 0.5)):
        monkeypatch.setattr(f"collector.store.database.{limit}", value)
    async with used(data_dir) as database:
        (pid,) = mongods(data_dir / "mongod")
        said = await error_of_use(database, lambda: os.kill(pid, signal.SIGSTOP))
        os.kill(pid, signal.SIGCONT)
    assert said.startswith(f"the local mongod of {data_dir} doesn't answer (")
    assert said.endswith("): run again")


# A full disk.


@by_root
async def test_disk_runs_full(data_dir: Path) -> None:
    """In mid-use and at the next start, for which mongod itself finds no word in its log."""
    with small_disk(data_dir):
        async with used(data_dir) as database:
            in_use = await error_of_use(database, lambda: fill(data_dir / "ballast"))
        at_start = await error_of(data_dir)
        (data_dir / "ballast").unlink()
        async with used(data_dir):
            pass
    full = f"the disk of {data_dir} is full (0 MB free)"
    assert in_use == f"{full}, so the local mongod has ended: make room on it, then run again"
    assert at_start == f"{full}, so the local mongod can't start: make room on it"


@by_root
async def test_no_room_for_a_first_start(data_dir: Path) -> None:
    with small_disk(data_dir, "size=16k"):
        fill(data_dir / "ballast")
        said = await error_of(data_dir)
    assert said.startswith(f"the disk of {data_dir} is full (0 MB free)")
    assert said.endswith(": make room on it")


@by_root
def test_no_inode_is_left(data_dir: Path) -> None:
    with small_disk(data_dir, "size=32m,nr_inodes=2"):
        (data_dir / "last").touch()
        said = full_disk(data_dir)
    assert said == f"the disk of {data_dir} can't hold another file (no inode is left, 34 MB free)"


def test_file_system_that_counts_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Btrfs: no inode is left there, and there is room."""
    fields = [4096, 4096, *[10**6] * 3, 0, 0, 0, 0, 255]
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    assert full_disk(tmp_path) is None


async def test_disk_was_full(data_dir: Path, tmp_path: Path) -> None:
    """Room may have been made since."""
    said = await error_of(
        data_dir, program(tmp_path / "mongod", """echo '{"s":"E", "msg":"No space left on device"}'; exit 14""")
    )
    assert said.startswith(f"the disk of {data_dir} was full (")
    assert said.endswith(" MB free by now), so the local mongod can't start: make room on it")


def test_quota_is_a_full_disk(tmp_path: Path) -> None:
    """The disk has room, but not for this user; the socket's folder may be on another disk."""
    error = OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "collector-x"))
    said = why_impossible("it can't be made", Path("/var/lib/collector"), error)
    assert said.startswith(f"the disk of {tmp_path} is full (Disk quota exceeded; ")
    assert said.endswith(" MB free): make room on it")


def test_missing_log(tmp_path: Path) -> None:
    assert full_disk(tmp_path, tmp_path / "mongod.log") is None


async def test_other_servers_keep_their_remedy(data_dir: Path) -> None:
    """Once the local one is closed, `mongodb.uri` is what to check."""
    async with used(data_dir):
        pass
    with pytest.raises(DatabaseError, match=r"check mongodb\.uri"), translated():
        raise AutoReconnect("connection closed")
