"""Files that are written whole, or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collector.errors import OutputError


@contextmanager
def replacing(path: Path, mode: int = 0o666, gid: int | None = None) -> Iterator[Path]:
    """Make an empty file in a folder of its own beside `path`, and put it in the place of `path` at the end.

    After an error or a stop, what was at `path` stays, and nothing else. The new file gets `mode` as the umask allows,
    or 0640 for the group `gid`. A file that is there keeps its owner, and without `gid` its group and mode. Raises
    `OSError`, also where a folder, a pipe or a device is in its place.
    """
    path = Path(os.path.realpath(path))  # of a symbolic link the target is replaced; `resolve` has an error for a loop
    there = _stat(path)
    if there and stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if there and not stat.S_ISREG(there.st_mode):
        raise FileExistsError(errno.EEXIST, "it is no regular file", str(path))  # as root, /dev/null could be replaced
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        new = Path(folder, path.name)
        new.touch(mode=mode)
        yield new
        with new.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut can leave an empty file under the new name
        if there := _stat(path):  # anew, since writing may take minutes, in which somebody closes the file to others
            _make_alike(new, there)
        if gid is not None:
            let_read(new, gid)
        new.replace(path)


@contextmanager
def result_file(path: Path) -> Iterator[Path]:
    """Make the file of a result, as `replacing` does. Raises `OutputError` where it can't be written."""
    try:
        with replacing(path) as new:
            yield new
    except OSError as error:
        raise OutputError(f"could not write {path}: {error.strerror or error}") from None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _make_alike(path: Path, there: os.stat_result) -> None:
    """Give a file the owner, group and mode of another, as far as they differ: network drives may refuse any change."""
    made = path.stat()
    if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
        os.chown(path, there.st_uid, there.st_gid)
    if made.st_mode != there.st_mode:
        path.chmod(stat.S_IMODE(there.st_mode))


def let_read(path: Path, gid: int) -> None:
    """Give a file to the group `gid` with mode 0640. Raises `OSError`."""
    os.chown(path, -1, gid)
    path.chmod(0o640)
