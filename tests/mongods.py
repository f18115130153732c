"""Local mongods of tests: their processes, scripts in their place, small disks, and another user."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.errors import DatabaseError
from collector.store.local import local_mongod

NOBODY = 65534
IS_ROOT = os.geteuid() == 0


def mongods(home: Path) -> list[int]:
    """Return the ids of the processes whose command line names `home`; zombies have none."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], check=True, capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if f"--dbpath {home}" in line]


def program(path: Path, *lines: str) -> dict[str, str]:
    """Return an environment in which the mongod is a shell script of `lines`."""
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o755)
    return {"COLLECTOR_MONGOD": str(path)}


async def error_of(data_dir: Path, environ: Mapping[str, str] = os.environ) -> str:
    with pytest.raises(DatabaseError) as caught:
        async with local_mongod(data_dir, environ):
            pass
    return str(caught.value)


@contextmanager
def small_disk(folder: Path, options: str = "size=64m") -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        # A server that has given its data free may need a moment more to end.
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(ballast: Path) -> None:
    """Fill the disk."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that all users can enter; pytest's are the user's own."""
    with tempfile.TemporaryDirectory(prefix="collector-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def another_user(uid: int = NOBODY) -> Iterator[None]:
    """Be another user for a while."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
