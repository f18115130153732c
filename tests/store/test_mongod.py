"""Which mongod is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from mongods import error_of, program

from collector.errors import DatabaseError
from collector.shell import install_line
from collector.store import mongod
from collector.store.diagnosis import MONGODB_OF_YOURS
from collector.store.mongod import find_mongod


def test_find_mongod(tmp_path: Path) -> None:
    """$COLLECTOR_MONGOD comes first, then the mongod on PATH, then that of the wheel."""
    named = program(tmp_path / "named", "exit 1")
    program(tmp_path / "mongod", "exit 1")
    on_path, nowhere = {"PATH": str(tmp_path)}, {"PATH": str(tmp_path / "nothing")}
    assert find_mongod({**named, **on_path}) == str(tmp_path / "named")
    assert find_mongod(on_path) == str(tmp_path / "mongod")
    assert find_mongod({"COLLECTOR_MONGOD": "", **nowhere}).endswith("site-packages/fiftyone/db/bin/mongod")


def test_named_mongod_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").touch()
    with pytest.raises(DatabaseError) as caught:
        find_mongod({"COLLECTOR_MONGOD": f"{tmp_path}/text"})
    said = f"$COLLECTOR_MONGOD is {tmp_path}/text, which isn't an executable file: correct or unset it"
    assert str(caught.value) == said


async def test_no_mongod_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both ways out, and no file is created."""
    monkeypatch.setattr(mongod, "_WHEELS", ("no-such-wheel",))
    assert await error_of(tmp_path / "data", {"PATH": str(tmp_path)}) == (
        f"`mongodb.uri` isn't set, and no mongod was found: install one with `{install_line('local')}`, put one on "
        f"PATH or name it in $COLLECTOR_MONGOD, or {MONGODB_OF_YOURS}"
    )
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nothing else runs
