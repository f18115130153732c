"""Command lines for messages."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

from collector import shell
from collector.shell import command_line, install_line, line_as

ROOT = Path(__file__).parents[1]


@pytest.fixture
def _pip_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(shutil, "which", lambda name: str(Path(sys.executable).with_name(name)))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the package was installed from; its own files lie elsewhere."""
    monkeypatch.setattr(shell, "__file__", str(tmp_path / "site-packages" / "collector" / "shell.py"))
    source = tmp_path / "the source"
    source.mkdir()
    return source


def come_from(monkeypatch: pytest.MonkeyPatch, url: str | None) -> None:
    class Distribution:
        def read_text(self, _: str) -> str | None:
            return url and json.dumps({"url": url, "dir_info": {}})

    monkeypatch.setattr(metadata, "distribution", lambda _: Distribution())


@pytest.mark.usefixtures("_pip_is_first")
def test_install_line_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert install_line("local") == "pip install -e '.[local]'"
    monkeypatch.chdir(tmp_path)
    assert shlex.split(install_line("cluster")) == ["pip", "install", "-e", f"{ROOT}[cluster]"]


@pytest.mark.usefixtures("_pip_is_first")
def test_install_line_after_an_installation(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder or a wheel that is still there, from one that isn't, and from an index."""
    come_from(monkeypatch, installed.as_uri())
    assert shlex.split(install_line("local")) == ["pip", "install", f"{installed}[local]"]
    monkeypatch.chdir(installed)
    assert install_line("local") == "pip install '.[local]'"
    for url in (f"{installed.as_uri()}/gone.whl", "https://example.com/x.whl", None):
        come_from(monkeypatch, url)
        assert install_line("local") == "pip install 'wechat-collector[local]'"


def test_install_line_without_an_installation(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "DISTRIBUTION", "no-such-distribution")
    assert install_line("local").endswith("'no-such-distribution[local]'")


def test_pip_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another pip would install for another Python; an environment of uv has none."""
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/pip")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert install_line("local").startswith(f"{sys.executable} -m pip install -e ")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert install_line("local").startswith(f"uv pip install --python {sys.executable} -e ")


@pytest.mark.parametrize(
    ("uid", "runuser", "expected"),
    [
        (0, "/usr/sbin/runuser", "runuser -u ops -- /opt/bin/collector status -c 'my accounts.yaml'"),
        (0, None, "sudo -u ops -- /opt/bin/collector status -c 'my accounts.yaml'"),
        (1000, "/usr/sbin/runuser", "sudo -u ops -- /opt/bin/collector status -c 'my accounts.yaml'"),
    ],
)
def test_line_as_another_user(monkeypatch: pytest.MonkeyPatch, uid: int, runuser: str | None, expected: str) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/bin/collector", "status", "-c", "my accounts.yaml"])
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(shutil, "which", lambda _: runuser)
    assert line_as("ops") == expected


def test_line_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/x/collector/__main__.py", "run"])
    assert line_as("ops").endswith(f"-u ops -- {sys.executable} -m collector run")


@pytest.mark.parametrize(
    ("program", "on_path", "expected"),
    [
        ("/opt/bin/collector", "/opt/bin/collector", "collector"),
        ("/opt/bin/collector", "/usr/bin/collector", "/opt/bin/collector"),
        (".venv/bin/collector", None, ".venv/bin/collector"),
        ("/x/collector/__main__.py", "/opt/bin/collector", f"{sys.executable} -m collector"),
    ],
)
def test_command_line(monkeypatch: pytest.MonkeyPatch, program: str, on_path: str | None, expected: str) -> None:
    """It is as short as what the reader has typed."""
    monkeypatch.setattr(sys, "argv", [program, "demo", "--keep"])
    monkeypatch.setattr(shutil, "which", lambda _: on_path)
    assert command_line("status", "-c", "my accounts.yaml") == f"{expected} status -c 'my accounts.yaml'"
