"""Files and folders that exist and can't be read."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.config import Settings, find, load
from collector.config.access import LET_READ, user
from collector.errors import ConfigError, Fault

Write = Callable[..., Path]

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MAIN = "include: {}\naccounts: [{{name: main, appid: wx00000000000000ff, secret: s}}]\n"


@contextmanager
def another_user() -> Iterator[str]:
    """Be a user whom modes concern, since root may read everything. The working directory is open to all."""
    before, nobody = os.geteuid(), pwd.getpwnam("nobody").pw_uid
    Path().chmod(0o755)
    if before == 0:
        os.seteuid(nobody)
    try:
        yield user()
    finally:
        os.seteuid(before)


@pytest.fixture
def main(write: Write) -> Callable[[str], Path]:
    """Write a file that includes `d/a.yaml`, or whatever matches a pattern."""
    for place in ("d/a.yaml", "d/b/c.yaml"):
        name = Path(place).stem
        write(f"accounts: [{{name: {name}, appid: wx000000000000000{name}, secret: s}}]\n", place, mode=0o644)
    return lambda pattern: write(MAIN.format(pattern), mode=0o644)


def _broken(settings: Settings) -> list[tuple[str, str | None, tuple[Fault, ...]]]:
    return [(entry.name, entry.appid, entry.faults) for entry in settings.broken]


def test_file(main: Callable[[str], Path]) -> None:
    path = main("d/*.yaml")
    Path("d/a.yaml").chmod(0)
    with another_user() as name:
        settings = load([path], {}, NOW)
    fault = Fault("d/a.yaml", f"the file can't be read by user {name}", LET_READ)
    assert _broken(settings) == [("d/a.yaml", None, (fault,))]
    assert [account.name for account in settings.accounts] == ["main"]


@pytest.mark.parametrize(
    ("pattern", "closed", "mode"),
    [
        ("d/*.yaml", "d", 0),
        ("d/*.yaml", "d", 0o444),  # its names can be seen, but its files can't be opened
        ("d/a.yaml", "d", 0o444),
        ("*/b/c.yaml", "d", 0),
        ("d/**/*.yaml", "d/b", 0),
        ("d/**/*.yaml", "d", 0),
        ("d/b/c.yaml", "d/b", 0o666),
    ],
)
def test_folder(main: Callable[[str], Path], pattern: str, closed: str, mode: int) -> None:
    """It is one failure for all its files, and no pattern that no file matches."""
    path = main(f"'{pattern}'")
    Path(closed).chmod(mode)
    try:
        with another_user() as name:
            settings = load([path], {}, NOW)
    finally:
        Path(closed).chmod(0o755)
    fault = Fault(closed, f"the folder can't be read by user {name}", LET_READ)
    assert _broken(settings) == [(closed, None, (fault,))]
    assert not any("no file matches" in warning for warning in settings.warnings)


def test_folder_that_needs_no_listing(main: Callable[[str], Path]) -> None:
    """Without a wildcard the files of a folder need no more than the right to open them."""
    path = main("d/a.yaml")
    Path("d").chmod(0o111)
    with another_user():
        settings = load([path], {}, NOW)
    assert ([account.name for account in settings.accounts], settings.broken) == (["main", "a"], ())


def test_main_file(write: Write) -> None:
    """It concerns everybody."""
    path = write(MAIN.format("x"), mode=0)
    with another_user() as name, pytest.raises(ConfigError) as caught:
        load([path], {}, NOW)
    assert caught.value.faults == (Fault("accounts.yaml", f"the file can't be read by user {name}", LET_READ),)


def test_usual_place(write: Write, tmp_path: Path) -> None:
    """A folder that hides the file is named, and the places after it are tried."""
    write("", "xdg/collector/accounts.yaml")
    Path("xdg/collector").chmod(0)
    with another_user() as name, pytest.raises(ConfigError) as caught:
        find([], {"XDG_CONFIG_HOME": "xdg"}, Path("here"))
    (fault,) = caught.value.faults
    looked = f"here/accounts.yaml, xdg/collector/accounts.yaml (can't be read by user {name}), /etc/collector/"
    assert fault.message.startswith(f"no configuration was found; looked for {looked}")


def test_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user often has none."""
    monkeypatch.setattr(os, "geteuid", lambda: 54_321)
    assert user() == "54321"
