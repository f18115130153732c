"""Which files are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.config import find
from collector.errors import ConfigError, Fault


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_files_that_are_given_come_before_all_others(tmp_path: Path) -> None:
    put(tmp_path / "accounts.yaml")
    given = [Path("b.yaml"), Path("a.yaml")]
    assert find(given, {"COLLECTOR_CONFIG": "c.yaml"}, tmp_path) == (Path("b.yaml"), Path("a.yaml"))


def test_the_file_that_the_environment_names_is_never_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "accounts.yaml")
    assert find([], {"COLLECTOR_CONFIG": "missing.yaml"}, tmp_path) == (Path("missing.yaml"),)


def test_an_empty_variable_names_nothing(tmp_path: Path) -> None:
    here = put(tmp_path / "accounts.yaml")
    assert find([], {"COLLECTOR_CONFIG": "", "XDG_CONFIG_HOME": "", "HOME": ""}, tmp_path) == (here,)


def test_the_working_directory_comes_before_the_users_configuration(tmp_path: Path) -> None:
    users = put(tmp_path / "xdg/collector/accounts.yaml")
    homes = put(tmp_path / "home/.config/collector/accounts.yaml")
    xdg, home = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, {"HOME": str(tmp_path / "home")}
    assert find([], home, tmp_path) == (homes,)
    assert find([], xdg | home, tmp_path) == (users,)
    here = put(tmp_path / "accounts.yaml")
    assert find([], xdg | home, tmp_path) == (here,)


def test_without_any_file_the_error_says_where_it_looked_and_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find([], {"HOME": "/nowhere"}, tmp_path)
    looked = f"{tmp_path}/accounts.yaml, /nowhere/.config/collector/accounts.yaml, /etc/collector/accounts.yaml"
    assert caught.value.faults == (
        Fault(
            "accounts.yaml",
            f"no configuration was found; looked for {looked}",
            "Write one with collector config generate accounts.yaml, or name a file with --config.",
        ),
    )


def test_without_a_home_the_users_configuration_is_left_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"looked for \S*/accounts.yaml, /etc/collector/accounts.yaml\n"):
        find([], {}, tmp_path)
