"""Private files and folders: only their owner can open them, and a group where one is named, whatever the umask."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from collector.errors import UsageError
from collector.files import replacing

if sys.platform != "win32":  # Windows has no users and groups by number
    import grp
    import pwd


def private_folder(path: Path, gid: int | None = None) -> None:
    """Make a folder, and those above it that are missing, with mode 0700; 0750 for the group `gid`.

    Raises `OSError`.
    """
    for folder in (*reversed(path.parents), path):  # `parents=True` ignores the mode
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
            if gid is not None:
                os.chown(folder, -1, gid)
                folder.chmod(0o750)
    path.mkdir(exist_ok=True)  # raises where there is a file


def private_file(path: Path) -> Path:
    """Return the path of a file, which is made with mode 0600 if there is none. Raises `OSError`."""
    path.touch(mode=0o600)
    return path


def replace_file(path: Path, text: str, gid: int | None = None) -> None:
    """Write a file whole, or leave what is there. It gets mode 0600; 0640 for the group `gid`.

    A file that is there keeps its owner, and without `gid` its group and mode. Raises `OSError`.
    """
    with replacing(path, 0o600, gid) as new:
        new.write_text(text, encoding="utf-8", newline="\n")


def group_id(name: str) -> int:
    """Return the number of a group to which this user may give files.

    Raises:
        UsageError: there is no such group, or the user isn't in it.
    """
    try:
        gid = grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {name}: name that of the service's user, as `id USER` shows it") from None
    if os.geteuid() != 0 and gid not in (os.getegid(), *os.getgroups()):
        user = user_name(os.geteuid())
        raise UsageError(f"user {user} can't give files to the group {name}: run as root, or join the group")
    return gid


def opening_line(path: Path, gid: int) -> str | None:
    """Return the command that lets the group `gid` into `path`, where that or a folder above it is closed."""
    for folder in (*reversed(path.absolute().parents), path.absolute()):
        there = folder.stat()
        needed = 0o5 if folder == path.absolute() else 0o1  # to list it, or only to pass
        granted = there.st_mode >> 3 if there.st_gid == gid else there.st_mode
        if needed & ~granted:
            where = shlex.quote(str(folder))
            return f"chgrp {grp.getgrgid(gid).gr_name} {where} && chmod g+rx {where}"
    return None


def user_name(uid: int) -> str:
    """Return the name of a user, or the number of one without a name, as a container's user may be."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
