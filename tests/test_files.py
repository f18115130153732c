"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from mongods import fill, small_disk

from collector.errors import OutputError
from collector.files import replacing, result_file


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def _put(path: Path, text: str) -> None:
    with result_file(path) as new:
        new.write_text(text)


def _stop(new: Path) -> NoReturn:
    new.write_text("2")
    new.with_name("part").touch()
    raise KeyboardInterrupt


def test_new_file(tmp_path: Path) -> None:
    """The umask decides who may read it."""
    _put(tmp_path / "file", "1")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
    assert [each.read_text() for each in tmp_path.iterdir()] == ["1"]


def test_file_that_is_there(tmp_path: Path) -> None:
    """It keeps its mode; a symbolic link stays one."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.touch(mode=0o600)
    link.symlink_to(path)
    _put(link, "2")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode), link.is_symlink()) == ("2", 0o600, True)


def test_mode_that_changes_meanwhile(tmp_path: Path) -> None:
    """A file that was closed to others while a new one is written isn't opened again."""
    path = tmp_path / "file"
    path.touch(mode=0o640)
    with replacing(path) as new:
        new.write_text("2")
        path.chmod(0o600)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("2", 0o600)


def test_stop_leaves_the_old_one(tmp_path: Path) -> None:
    """And nothing of the new one, nor of its parts."""
    path = tmp_path / "file"
    path.write_text("1")
    with pytest.raises(KeyboardInterrupt), replacing(path) as new:
        _stop(new)
    assert [(each, each.read_text()) for each in tmp_path.iterdir()] == [(path, "1")]


@pytest.mark.parametrize(
    ("name", "why"), [("none/file", "No such file or directory"), ("folder.csv", "Is a directory")]
)
def test_no_place_for_it(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(OutputError) as caught:
        _put(tmp_path / name, "1")
    assert str(caught.value) == f"could not write {tmp_path / name}: {why}"


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    """As root, a link to /dev/null would put a file into the place of the device, for all programs."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(OutputError, match="link: it is no regular file"):
        _put(tmp_path / "link", "1")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="loop: Too many levels of symbolic links"):
        _put(tmp_path / "loop", "1")


def test_drive_without_owners_and_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network drive may refuse each change of them, even one that changes nothing."""

    def refuse(*_: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    _put(tmp_path / "file", "1")
    monkeypatch.setattr(os, "chown", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    _put(tmp_path / "file", "2")
    assert (tmp_path / "file").read_text() == "2"


def test_disk_that_is_read_only(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "ro"), pytest.raises(OutputError, match="file: Read-only file system"):
        _put(tmp_path / "disk" / "file", "1")


def test_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, "size=1m"):
        (disk / "file").write_text("1")
        fill(disk / "ballast")
        with pytest.raises(OutputError, match="file: No space left on device"):
            _put(disk / "file", "2" * 1_000_000)
        assert sorted(each.name for each in disk.iterdir()) == ["ballast", "file"]
        assert (disk / "file").read_text() == "1"
