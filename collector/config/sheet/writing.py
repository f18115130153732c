"""Write the changes of a folder of accounts, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collector.config.yamlfile import single_fault
from collector.files import let_read
from collector.model.changes import Changes
from collector.secrets.files import private_folder, replace_file


def write(changes: Changes, gid: int | None = None) -> None:
    """Write the files of accounts, each after that of its secret; the group `gid` may read all of the sheet's files.

    Files get mode 0600, with a group 0640, and new folders 0700 or 0750. A file that is replaced keeps its owner, and
    without a group its mode. A second call after a failure writes what is left.

    Raises:
        ConfigError: a file could not be written.
    """
    kept = [*changes.kept]
    for change in changes.all:
        if change.secret:
            place, text = change.secret
            if text is None:
                kept.append(place)
            else:
                _write(place, text + "\n", gid)
        _write(change.path, change.content, gid)
    if gid is not None:
        for path in kept:
            with _as_fault(path):
                let_read(path, gid)


def _write(path: Path, content: str, gid: int | None) -> None:
    with _as_fault(path.parent):
        private_folder(path.parent, gid)
        replace_file(path, content, gid)


@contextmanager
def _as_fault(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message, remedy = f"could not write the files: {error.strerror}", "Name a folder in which you may write."
        raise single_fault(path, message, remedy) from None
