"""Why the local mongod doesn't start, or has ended: causes and remedies in plain words."""

from __future__ import annotations

import errno
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from collector.secrets.files import user_name
from collector.shell import line_as

FULL_BYTES = 16 * 2**20
"""Free bytes below which a disk counts as full: mongod, which allocates its journal in files of 100 MB, leaves none."""

NO_SPACE = "No space left"

MONGODB_OF_YOURS = "set `mongodb.uri` to a MongoDB that you have"

_TAIL_BYTES = 256 * 1024
_OTHER_VERSION = "the data is of another version of MongoDB: name the mongod of that version in $COLLECTOR_MONGOD"
_REMEDIES = (
    ("libcurl.so.4", "install the package libcurl4"),
    (f"exit {-signal.SIGILL}:", f"this processor can't run MongoDB 5.0 or later: {MONGODB_OF_YOURS}"),
    ("any compatibility version", _OTHER_VERSION),
    ("UPGRADE PROBLEM", _OTHER_VERSION),
)


def why_forbidden(data_dir: Path, home: Path) -> str | None:
    """Return in words that the data, or the folder that it would be in, is another user's; None if it isn't.

    A server of another user would leave files that the owner's server can't read.
    """
    me, is_hidden = os.geteuid(), False
    for folder in (home, data_dir):
        try:
            owner = folder.stat().st_uid
        except OSError as error:
            is_hidden = isinstance(error, PermissionError)  # else it is missing
            continue
        if owner == me:
            return None
        if owner == 0:
            return f"{folder} belongs to root, and this is {user_name(me)}: {_given_over(folder)}"
        name = user_name(owner)
        # Neither runuser nor sudo takes the number of a user without a name.
        remedy = "run this as that user" if name.isdecimal() else f"run `{line_as(name)}`"
        return f"{folder} belongs to the user {name}: {remedy}"
    hidden = f"{user_name(me)} can't read {data_dir}: name a folder of that user's in `mongodb.data_dir`"
    return hidden if is_hidden else None


def why_impossible(what: str, data_dir: Path, error: OSError) -> str:
    """Return in words why `what` couldn't be done."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        # The socket is in another folder, perhaps on another disk.
        folder = Path(error.filename).parent if error.filename else data_dir
        by_the_error = f"the disk of {folder} is full ({error.strerror}; {_free(_disk(folder))})"
        return f"{full_disk(folder) or by_the_error}: make room on it"
    remedy = _given_over(data_dir) if isinstance(error, PermissionError) else "correct that"
    return f"{what} ({error}): {remedy}"


def why_not_started(data_dir: Path, code: int, log: Path, binary: str) -> str:
    """Return the reason of a failed start, its log's first error or else the last lines, and a remedy."""
    if full := full_disk(data_dir, log):
        return f"{full}, so the local mongod can't start: make room on it"
    lines = _tail(log)
    reason = f"exit {code}: {' '.join(_errors(lines)[:1] or lines[-2:]) or 'its log is empty'}"
    usual = f"see {log}" if lines else f"make sure that {binary} is a mongod that runs here"
    given_over = _given_over(data_dir)
    remedies = (*_REMEDIES, ("Permission denied", given_over), ("read-only directory", given_over))
    remedy = next((remedy for sign, remedy in remedies if sign in reason), usual)
    return f"the local mongod failed to start: {reason}; {remedy}"


def why_ended(data_dir: Path, log: Path) -> str:
    """Return the reason why a server has ended that was in use, and a remedy."""
    if full := full_disk(data_dir, log):
        return f"{full}, so the local mongod has ended: make room on it, then run again"
    if errors := _errors(_tail(log), '"s":"F"'):
        return f"the local mongod of {data_dir} has ended: {errors[0]}; see {log}"
    return (
        f"the local mongod of {data_dir} was stopped from outside, by systemd with the service that started it (its "
        "unit needs KillMode=process) or by the kernel for want of memory: run again"
    )


def full_disk(folder: Path, log: Path | None = None) -> str | None:
    """Return in words that the disk of `folder` is full, or was so by the server's `log`; None if it has room."""
    disk = _disk(folder)
    if disk.f_bavail * disk.f_frsize < FULL_BYTES:
        return f"the disk of {folder} is full ({_free(disk)})"
    if disk.f_files and not disk.f_favail:  # some kinds of file systems count no files
        return f"the disk of {folder} can't hold another file (no inode is left, {_free(disk)})"
    if log and any(NO_SPACE in line for line in _tail(log)):
        return f"the disk of {folder} was full ({_free(disk)} by now)"
    return None


def _given_over(folder: Path) -> str:
    """Return the remedy for a folder that this user can't write, or can't make."""
    command = ["chown", "-R"] if folder == _existing(folder) else ["install", "-d", "-m", "0700", "-o"]
    return f"as root, run `{shlex.join([*command, user_name(os.geteuid()), str(folder)])}`"


def _disk(folder: Path) -> os.statvfs_result:
    return os.statvfs(_existing(folder))


def _free(disk: os.statvfs_result) -> str:
    return f"{disk.f_bavail * disk.f_frsize / 1e6:,.0f} MB free"


def _existing(folder: Path) -> Path:
    """Return `folder`, or the first one above it that is there and that this user can see."""
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - it never raises


def _errors(lines: Sequence[str], *levels: str) -> list[str]:
    """Return the messages of the lines of `levels`, by default errors and fatal ones."""
    signs = levels or ('"s":"F"', '"s":"E"')
    return [line.partition('"msg":')[2] for line in lines if any(sign in line for sign in signs)]


def _tail(log: Path) -> list[str]:
    """Return the last lines of a log, which may be long, or missing on a disk that was full."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return file.read().decode(errors="replace").splitlines()
