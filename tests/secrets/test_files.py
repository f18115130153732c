import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.secrets.files import private_file, private_folder


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
