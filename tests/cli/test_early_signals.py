"""Signals before a command has begun, and after it has ended: they end the process, and print nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import configure

from collector.sandbox import Sandbox, World
from collector.store.database import Database

SIGNALLED = """
import os, sys
number, module = int(sys.argv.pop(1)), sys.argv.pop(1)

class Signalling:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Signalling())
from collector.__main__ import main
main()
"""
"""The command with a signal that comes as it imports `module`."""

AFTERWARDS = """
import atexit, os, sys
atexit.register(os.kill, os.getpid(), int(sys.argv.pop(1)))
from collector.__main__ import main
main()
"""

IMPORTED = {
    "run": ("collector.cli.app", "typer", "structlog", "pydantic", "aiohttp", "motor", "rich.progress"),
    "run --processes 2": ("distributed",),
    "status": ("motor",),
    "config validate": ("typer", "yaml"),
    "check": ("aiohttp",),
    "demo": ("collector.sandbox", "motor"),
}
"""Some of the modules that commands import, from the first to the last."""


def _ended(script: str, *arguments: str, cwd: Path) -> tuple[int, str, str]:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> Path:
    async with Sandbox(World(size=2)) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("command", "module"), [(key, each) for key, modules in IMPORTED.items() for each in modules])
def test_signal_during_imports(folder: Path, command: str, module: str, number: signal.Signals) -> None:
    """It ends the process as a shell expects of it: 130 or 143."""
    ended = _ended(SIGNALLED, str(int(number)), module, *command.split(), cwd=folder)
    assert ended == (-number, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_after_the_end(folder: Path, number: signal.Signals) -> None:
    """A loop leaves handlers of its own behind, which would show a traceback."""
    code, out, err = _ended(AFTERWARDS, str(int(number)), "status", "--json", cwd=folder)
    assert (code, bool(out), err) == (-number, True, "")


def test_ignored_signal(folder: Path) -> None:
    """A signal that the parent process ignores stays ignored, as in the background of a script."""
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{SIGNALLED}"
    code, _, err = _ended(ignoring, str(int(signal.SIGINT)), "yaml", "config", "validate", cwd=folder)
    assert (code, err) == (0, "")
