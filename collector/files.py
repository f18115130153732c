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
    `OSError`.
    """
    path = path.resolve()  # of a symbolic link the target is replaced
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        new = Path(folder, path.name)
        new.touch(mode=mode)
        yield new
        with new.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut can leave an empty file under the new name
        if path.exists():
            there = path.stat()
            os.chown(new, there.st_uid, there.st_gid)
            new.chmod(stat.S_IMODE(there.st_mode))
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


def let_read(path: Path, gid: int) -> None:
    """Give a file to the group `gid` with mode 0640. Raises `OSError`."""
    os.chown(path, -1, gid)
    path.chmod(0o640)
