"""The log: the course of a run, and systemd's journal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from command import collector, configure

from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database

WORLD = World(size=3)
BROKEN = WORLD.accounts[0].appid
TIME = r"20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9]\+08:00 "


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> AsyncIterator[Path]:
    """A folder for three accounts, one of which fails."""
    async with Sandbox(WORLD, faults=Faults(broken={BROKEN: 40125})) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        yield tmp_path


def _without(course: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in course.items() if name not in fields}


async def test_begin_and_end(folder: Path) -> None:
    """They are logged without a terminal, the end with the figures of the result."""
    ended = await collector("run", "--json", "--log-format", "json", cwd=folder)
    begin, end = map(json.loads, ended.course)
    assert {line["run"] for line in (begin, end)} == {ended.json["run"]}
    assert _without(begin, "run", "timestamp", "version") == {
        "event": "run.begun",
        "level": "info",
        "command": "run",
        "accounts": 3,
    }
    assert _without(end, "run", "timestamp", "seconds") == {
        "event": "run.ended",
        "level": "info",
        "status": "partial",
        "exit": 3,
        "accounts": 3,
        "ok": 2,
        "failed": 1,
        "days": 14,
        "calls": 4,
        "token_calls": 3,
        "retries": 0,
    }
    assert (await collector("run", "-q", cwd=folder)).course == ()
    assert (await collector("run", "--dry-run", cwd=folder)).course == ()


async def test_text(folder: Path) -> None:
    """The time is Beijing's."""
    begin, end = (await collector("run", cwd=folder)).course
    assert re.match(TIME + r"\[info     \] run\.begun  +run=", begin)
    assert re.match(TIME + r"\[info     \] run\.ended  +run=\S+ status=partial exit=3 seconds=", end)


async def test_instants(folder: Path) -> None:
    """They are Beijing's in text, and UTC in JSON."""
    await collector("run", cwd=folder)
    text = (await collector("run", "-v", cwd=folder)).err
    as_json = (await collector("run", "-v", "--log-format", "json", cwd=folder)).err
    (failed,) = [line for line in text.splitlines() if "account.failed" in line]
    assert re.search(r" since=20\S{8}T\S{8}\+08:00 ", failed)
    (line,) = [line for line in map(json.loads, as_json.splitlines()) if line["event"] == "account.failed"]
    assert re.fullmatch(r"20\S{8}T\S{8}\+00:00", line["since"])


async def _on_terminal(folder: Path, *options: str) -> tuple[int | None, str]:
    """Return the exit code of a run whose stderr is a terminal, and what that shows, without colours."""
    leader, terminal = pty.openpty()
    command = (sys.executable, "-m", "collector", "run", *options)
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = await asyncio.to_thread(_read_to_the_end, leader)
    os.close(leader)
    return await process.wait(), re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def _read_to_the_end(leader: int) -> bytes:
    shown = b""
    with suppress(OSError):  # nobody has the terminal open any more
        while more := os.read(leader, 65536):
            shown += more
    return shown


async def test_terminal(folder: Path) -> None:
    """A terminal shows the progress and the summary, and so the course only with -v."""
    code, shown = await _on_terminal(folder)
    assert (code, "3/3 accounts, 1 failed" in shown, "run." in shown) == (3, True, False)
    code, shown = await _on_terminal(folder, "-v")
    assert (code, "run.begun" in shown, "run.ended" in shown) == (3, True, True)


async def _in_journal(folder: Path, *arguments: str, **environ: str) -> list[str]:
    """Run the command with a file as its journal; return the lines."""
    journal = folder / "journal"
    journal.touch()
    about = journal.stat()
    environ = {"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}", **environ}
    await collector(*arguments, cwd=folder, redirected=f"2>{journal}", **environ)
    return journal.read_text().splitlines()


async def test_journal(folder: Path) -> None:
    """Each line begins with its priority, and the journal has the time."""
    (folder / "classic.yaml").write_text("defaults: {token: classic}\n")
    files = ("-c", "accounts.yaml", "-c", "classic.yaml")
    classic, begin, failed, end = await _in_journal(folder, "run", "-v", *files)
    assert re.match(r"<4>accounts\.yaml:\d+: 3 accounts fetch their token by the classic call", classic)
    assert re.match(r"<6>run\.begun  +run=", begin)
    assert re.match(r"<6>account\.failed  +account=", failed)
    assert re.match(r"<6>run\.ended  +run=", end)


async def test_errors_in_the_journal(folder: Path) -> None:
    """Each of their lines has its priority."""
    lines = await _in_journal(folder, "run", "-c", "missing.yaml")
    assert len(lines) > 1
    assert all(line.startswith("<3>") for line in lines)
    assert lines[0].startswith("<3>collector: missing.yaml: ")


async def test_json_in_the_journal(folder: Path) -> None:
    """It takes the priority off, so a whole object is left, with time and level for whoever reads that alone."""
    begin, _ = await _in_journal(folder, "run", "--log-format", "json")
    assert begin.startswith("<6>{")
    assert {"timestamp", "level"} <= json.loads(begin[3:]).keys()


@pytest.mark.parametrize("stream", ["1:1", "", "nonsense"])
async def test_stderr_is_not_the_journal(folder: Path, stream: str) -> None:
    """Such as that of a command whose stderr a service has redirected."""
    begin, _ = await _in_journal(folder, "run", JOURNAL_STREAM=stream)
    assert re.match(TIME, begin)
