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
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from collector.errors import DatabaseError
from collector.store import mongod
from collector.store.diagnosis import MONGODB_OF_YOURS, why_ended, why_forbidden, why_impossible
from collector.store.mongod import Server, find_mongod, try_lock, until

if sys.platform != "win32":  # Windows lacks it, and gets a clear error from `local_mongod`
    import fcntl

TURN_S = mongod.START_S + mongod.STOP_S + 10  # another command may stop the server and start it again meanwhile


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
    return server.uri if server.in_reach() and server.answers() else None


def has_data(data_dir: Path) -> bool:
    """Return True if `data_dir` holds a database. Raises `DatabaseError` where the folder is another user's."""
    return _server(data_dir).has_data()


def why_away(data_dir: Path) -> str | None:
    """Return in words why the server of `data_dir`, which was in use, has ended; None if it still runs."""
    server = Server(data_dir)
    return None if server.alive() else why_ended(data_dir, server.log)


def _server(data_dir: Path) -> Server:
    """Return the server of a data directory that this user may use."""
    if sys.platform == "win32":
        raise DatabaseError(f"the local mongod needs Unix sockets: use Linux or macOS, or {MONGODB_OF_YOURS}")
    server = Server(data_dir.absolute())
    if why := why_forbidden(server.data_dir, server.home):
        raise DatabaseError(why)
    return server


async def _join(server: Server, binary: str, environ: Mapping[str, str]) -> None:
    """Wait until the server that runs answers, or start one."""
    if server.alive() and not server.in_reach():
        where = "started by hand, in a container, with a /tmp of its own, or whose socket is gone"
        raise DatabaseError(f"another mongod ({where}) uses {server.db}: stop it")
    try:
        await until(lambda: not server.alive() or server.answers(), mongod.START_S)
        if not server.alive():
            await server.start(binary, environ)
    except TimeoutError:
        raise DatabaseError(f"the local mongod doesn't answer in {mongod.START_S:g} s: see {server.log}") from None
    except OSError as error:
        what = "the local mongod can't be started"
        raise DatabaseError(why_impossible(what, server.data_dir, error)) from error


async def _leave(server: Server, turn: BinaryIO, users: BinaryIO) -> None:
    """Stop the server if nobody else uses it."""
    await _take(turn)  # held already after a failed start, and then this does nothing
    if try_lock(users, fcntl.LOCK_EX) and server.in_reach():
        await server.stop()


async def _take(turn: BinaryIO) -> None:
    try:
        await until(lambda: try_lock(turn, fcntl.LOCK_EX), TURN_S)
    except TimeoutError:
        raise DatabaseError(f"another process has held {turn.name} for {TURN_S:g} s: stop that process") from None


async def _to_the_end(work: Coroutine[object, object, None]) -> None:
    """Finish `work` even if the caller is cancelled, then let the cancellation go on; a second one ends `work` too."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
