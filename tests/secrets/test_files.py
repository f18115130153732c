import grp
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.errors import UsageError
from collector.secrets.files import group_id, opening_line, private_file, private_folder, replace_file


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """A umask that would let everybody read."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_folder(tmp_path: Path) -> None:
    """Missing parents are private, too; folders that exist stay as they are."""
    (tmp_path / "there").mkdir(mode=0o755)
    for _ in range(2):
        private_folder(tmp_path / "there" / "parent" / "folder")
    modes = [mode(tmp_path / path) for path in ("there", "there/parent", "there/parent/folder")]
    assert modes == [0o755, 0o700, 0o700]


def test_private_file(tmp_path: Path) -> None:
    (tmp_path / "there").touch(mode=0o644)
    assert mode(private_file(tmp_path / "new")) == 0o600
    assert mode(private_file(tmp_path / "there")) == 0o644


def test_replaced_file(tmp_path: Path) -> None:
    """It is private when it is new, and keeps its mode; a symbolic link stays one."""
    path, link = tmp_path / "file", tmp_path / "link"
    replace_file(path, "1")
    assert (path.read_text(), mode(path)) == ("1", 0o600)
    path.chmod(0o640)
    link.symlink_to(path)
    replace_file(link, "2")
    assert (path.read_text(), mode(path), link.is_symlink()) == ("2", 0o640, True)
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_crash_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    replace_file(path, "1")
    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, "2")
    assert ([*tmp_path.iterdir()], path.read_text()) == ([path], "1")


def test_own_group(tmp_path: Path) -> None:
    own = grp.getgrgid(os.getegid()).gr_name
    replace_file(tmp_path / "file", "1", group_id(own))
    private_folder(tmp_path / "new" / "folder", group_id(own))
    modes = [mode(tmp_path / path) for path in ("file", "new", "new/folder")]
    assert modes == [0o640, 0o750, 0o750]


def test_unknown_group() -> None:
    with pytest.raises(UsageError, match="there is no group nosuch: name that of the service's user"):
        group_id("nosuch")


def test_group_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root, and who is in a group, can give files to it."""
    other = next(group for group in grp.getgrall() if group.gr_gid not in (os.getegid(), *os.getgroups()))
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    with pytest.raises(UsageError) as caught:
        group_id(other.gr_name)
    name = other.gr_name
    assert str(caught.value) == (f"user 54321 can't give files to the group {name}: run as root, or join the group")


def test_line_that_opens_a_folder(tmp_path: Path) -> None:
    """The folder must be listed, those above it only passed."""
    gid, path = os.getegid(), tmp_path / "a b" / "folder"
    path.mkdir(parents=True)
    name = grp.getgrgid(gid).gr_name
    for each in path.parents:
        if Path(tempfile.gettempdir()) in each.parents:
            each.chmod(0o710)
    path.chmod(0o750)
    assert opening_line(path, gid) is None
    path.chmod(0o710)
    assert opening_line(path, gid) == f"chgrp {name} '{path}' && chmod g+rx '{path}'"
    path.parent.chmod(0o700)
    assert opening_line(path, gid) == f"chgrp {name} '{path.parent}' && chmod g+rx '{path.parent}'"
