"""Files are written whole, and nobody else can read them."""

from __future__ import annotations

import grp
import os
import resource
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from collector.config import sheet
from collector.config.sheet import writing
from collector.errors import ConfigError, Fault
from collector.model.changes import Changes

INTO = Path("accounts.d")
HEAD = "name,appid,secret,tags\n"
A, B = (f"wx{number:016x}" for number in (1, 2))
SHEET = f"{HEAD}a,{A},sa,\nb,{B},sb,north\n"
GID = next((group.gr_gid for group in grp.getgrall() if group.gr_gid != os.getegid()), 0)

Import = Callable[..., Changes]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to any group")


def modes(*paths: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


def test_content_of_a_file(imports: Import) -> None:
    """One account, with all texts quoted."""
    imports(f'name,appid,secret,tags\n"a ${{b}} \\",{A},s1,\nb,{B},,north\n')
    assert Path(INTO, f"{A}.yaml").read_text(encoding="utf-8") == (
        f'accounts:\n  - name: "a $${{b}} \\\\"\n    appid: "{A}"\n    secret: "s1"\n'
    )
    assert Path(INTO, f"{B}.yaml").read_text(encoding="utf-8") == (
        f'accounts:\n  - name: "b"\n    appid: "{B}"\n    tags: ["north"]\n'
    )


def test_modes(imports: Import) -> None:
    """Only their owner can read files and folders, and nothing else is left there."""
    before = os.umask(0)
    try:
        imports(SHEET, secrets_dir=Path("deep/secrets"))
    finally:
        os.umask(before)
    files = sorted(INTO.iterdir()), sorted(Path("deep/secrets").iterdir())
    assert [[path.name for path in each] for each in files] == [[f"{A}.yaml", f"{B}.yaml"], [A, B]]
    assert {*modes(*files[0], *files[1])} == {0o600}
    assert modes(INTO, Path("deep"), Path("deep/secrets")) == [0o700] * 3


@as_root
def test_group(imports: Import) -> None:
    """It may read all files of the sheet, those too that stay as they are, and enter new folders."""
    secrets = Path("deep/secrets")
    imports(SHEET, secrets_dir=secrets)
    changes = imports(SHEET.replace("north", "south"), update=True, gid=GID)
    assert len(changes.all) == 1
    imports(f"{SHEET}c,wx{3:016x},sc,\n", secrets_dir=Path("new/secrets"), gid=GID)
    files = [*INTO.iterdir(), *secrets.iterdir(), *Path("new/secrets").iterdir()]
    assert len(files) == 6
    assert {*modes(*files)} == {0o640}
    assert modes(Path("new"), Path("new/secrets"), INTO) == [0o750, 0o750, 0o700]
    assert {path.stat().st_gid for path in (*files, Path("new"), Path("new/secrets"))} == {GID}


@as_root
def test_mode_and_owner_stay(imports: Import) -> None:
    """A file that a service may read stays readable to it."""
    imports(SHEET)
    path = Path(INTO, f"{B}.yaml")
    path.chmod(0o640)
    os.chown(path, GID, GID)
    imports(SHEET.replace("north", "south"), update=True)
    there = path.stat()
    assert "south" in path.read_text()
    assert (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode)) == (GID, GID, 0o640)


def test_full_disk(imports: Import, write: Callable[..., Path]) -> None:
    """A file that can't be written whole is not there, or as it was."""
    imports(f"{HEAD}a,{A},sa,\n")
    file = Path(INTO, f"{A}.yaml")
    text = file.read_text()
    path = write(f"{HEAD}a,{A},sa,{'long ' * 30}\nb,{B},sb,{'long ' * 30}\n", "long.csv")
    changes = sheet.compared(path, INTO, None, date(2026, 11, 24), update=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (80, before[1]))
    try:
        for part in (replace(changes, new=()), replace(changes, changed=())):
            with pytest.raises(ConfigError) as caught:
                sheet.write(part)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = "could not write the files: File too large"
    assert caught.value.faults == (Fault("accounts.d", message, "Name a folder in which you may write."),)
    assert ([*INTO.iterdir()], file.read_text()) == ([file], text)


def test_second_import_writes_the_rest(imports: Import) -> None:
    imports(SHEET)
    Path(INTO, f"{B}.yaml").unlink()
    assert [change.name for change in imports(SHEET, update=True).all] == ["b"]


def test_secret_before_its_file(imports: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file refers to a secret that isn't there yet."""
    written: list[str] = []
    monkeypatch.setattr(writing, "replace_file", lambda path, *_: written.append(path.name))
    imports(f"{HEAD}a,{A},sa,\nb,{B},sb,\n", secrets_dir=Path("secrets"))
    assert written == [A, f"{A}.yaml", B, f"{B}.yaml"]
