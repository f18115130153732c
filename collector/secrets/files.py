"""Private files and folders: only their owner can open them, whatever the umask."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.platform != "win32":  # Windows has no users by number
    import pwd


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, with mode 0700. Raises `OSError`."""
    for folder in reversed(path.parents):  # `parents=True` ignores the mode
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)


def private_file(path: Path) -> Path:
    """Return the path of a file, which is made with mode 0600 if there is none. Raises `OSError`."""
    path.touch(mode=0o600)
    return path


def user_name(uid: int) -> str:
    """Return the name of a user, or the number of one without a name, as a container's user may be."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
