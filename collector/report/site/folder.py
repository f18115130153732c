"""The folder of a site: files are written only where their content changed, and those that went are removed.

A manifest names the files that the site has written, so that no others are ever touched.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from collector.errors import OutputError, UsageError
from collector.model.reported import Changed

if sys.platform != "win32":
    import fcntl

MANIFEST = "site.json"
"""The file that tells a folder of ours, with the names of all files in it that are ours."""

_MADE_BY = "wechat-collector"
_NEW = ".site.new"
"""Name under which each file is written before it is renamed: a stop leaves this one at most."""


@dataclass(slots=True)
class Folder:
    """An open folder of a site: the files in it that earlier ones wrote (`known`), and how many were changed."""

    path: Path
    known: frozenset[str]
    changed: Changed = field(default_factory=Changed)
    _made: set[Path] = field(default_factory=set)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, unless it has this content already. Raises `OSError`; `OutputError` over a file of others."""
        path = self.path / name
        try:
            is_same = path.read_bytes() == content
        except FileNotFoundError:
            is_same = False
        else:
            self._check_own(name)
        if is_same:
            self.changed = self.changed._replace(kept=self.changed.kept + 1)
            return
        if path.parent not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(path.parent)
        _replace(self.path, path, content)
        self.changed = self.changed._replace(written=self.changed.written + 1)

    def remove_others(self, names: frozenset[str]) -> None:
        """Remove the known files that aren't among `names`, and folders that are empty then. Raises `OSError`."""
        for name in sorted(self.known - names):
            path = self.path / name
            with suppress(FileNotFoundError):
                path.unlink()
                self.changed = self.changed._replace(removed=self.changed.removed + 1)
            with suppress(OSError):  # others have files there, or it is gone
                path.parent.rmdir()

    def _check_own(self, name: str) -> None:
        if name not in self.known:
            raise OutputError(f"{self.path / name} is in the way, and no site wrote it: move it away")


@contextmanager
def site_folder(path: Path, names: Iterable[str]) -> Iterator[Folder]:
    """Open the folder of a site which will consist of the files `names`; at the end, remove those that it had before.

    The folder is made where it is missing. After an error or a stop the old files stay beside the new ones.

    Raises:
        UsageError: other things are in the folder, or it isn't one.
        OutputError: it can't be written, or another report is being written there.
    """
    wanted = frozenset(names)
    try:
        _make(path)
        with _locked(path):
            folder = Folder(path, _known(path))
            _write_manifest(path, folder.known | wanted)  # first, so that whatever a stop leaves is known
            yield folder
            folder.remove_others(wanted)
            _write_manifest(path, wanted)
    except OSError as error:
        raise OutputError(f"could not write the site in {path}: {error.strerror or error}") from None


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path} isn't a folder: name a new or empty one for the site") from None


def _known(path: Path) -> frozenset[str]:
    """Return the files that an earlier site has written."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        if any(each.name != _NEW for each in path.iterdir()):
            raise UsageError(f"{path} has other files in it: name a new or empty folder for the site") from None
        return frozenset()
    except ValueError:
        manifest = None
    match manifest:
        case {"made_by": str(made_by), "files": [*files]} if made_by == _MADE_BY and all(map(_is_inside, files)):
            return frozenset(files)
    raise UsageError(f"{path / MANIFEST} isn't that of a site: name a new or empty folder for the site")


def _is_inside(name: object) -> bool:
    """Return True for the name of a file below the folder, so that a spoilt manifest removes nothing elsewhere."""
    return isinstance(name, str) and not {"", ".", ".."} & {*name.split("/")} and "\\" not in name


def _write_manifest(path: Path, names: frozenset[str]) -> None:
    content = json.dumps({"made_by": _MADE_BY, "files": sorted(names)}, indent=0, ensure_ascii=False)
    _replace(path, path / MANIFEST, content.encode())


def _replace(folder: Path, path: Path, content: bytes) -> None:
    new = folder / _NEW
    new.write_bytes(content)
    new.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder, so that no two reports remove each other's files."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another report is being written in {path}: try again when it has ended") from None
        yield
    finally:
        os.close(descriptor)
