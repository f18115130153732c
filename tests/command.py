"""The command `collector` as a user runs it, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.sandbox import Sandbox
from collector.store.database import Database

_COURSE = re.compile(r"\brun\.(begun|progress|pauses|ended)\b")


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command; `course` are the lines of stderr about the course of a run, `err` the rest."""

    code: int
    out: str
    err: str
    course: Sequence[str] = field(default=(), compare=False)

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def started(*arguments: str, cwd: Path, redirected: str = "", **environ: str) -> asyncio.subprocess.Process:
    """Start the command; `redirected` are redirections as a shell writes them."""
    shell = ["bash", "-c", f'exec "$0" "$@" {redirected}'] if redirected else []
    return await asyncio.create_subprocess_exec(
        *shell,
        sys.executable,
        "-m",
        "collector",
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environ},
    )


async def ended_of(process: asyncio.subprocess.Process) -> Ended:
    out, err = await process.communicate()
    assert process.returncode is not None
    lines = err.decode().splitlines(keepends=True)
    course = tuple(line for line in lines if _COURSE.search(line))
    return Ended(process.returncode, out.decode(), "".join(line for line in lines if line not in course), course)


async def line_with(words: str, process: asyncio.subprocess.Process) -> str:
    """Return the next line on stderr that holds `words`."""
    assert process.stderr
    while line := (await process.stderr.readline()).decode():
        if words in line:
            return line
    raise AssertionError(f"the process has ended without {words!r}")


async def collector(*arguments: str, cwd: Path, redirected: str = "", **environ: str) -> Ended:
    return await ended_of(await started(*arguments, cwd=cwd, redirected=redirected, **environ))


async def on_a_terminal(*arguments: str, cwd: Path, typed: str = "", **environ: str) -> Ended:
    """Run the command on a terminal of 80 columns, on which somebody types; `out` has all that it shows."""
    return await asyncio.to_thread(_on_a_terminal, arguments, cwd, typed, environ)


def _on_a_terminal(arguments: Sequence[str], cwd: Path, typed: str, environ: Mapping[str, str]) -> Ended:
    terminal, end = pty.openpty()
    environ = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "", **environ}
    command = [sys.executable, "-m", "collector", *arguments]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, cwd=cwd, env=environ) as process:
        os.close(end)
        os.write(terminal, typed.encode())
        shown = b""
        with suppress(OSError):  # Linux' way to say that nobody has the other end any more
            while block := os.read(terminal, 65_536):
                shown += block
    os.close(terminal)
    return Ended(process.returncode, shown.decode().replace("\r\n", "\n"), "")


def write_configuration(folder: Path, mongod: str, database: Database, *accounts: str) -> None:
    """Write a configuration of a test's database and of accounts, each without its secret."""
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    entries = [f"- {{{account}, secret: 0123456789abcdef0123456789abcdef}}\n" for account in accounts]
    file.write_text(f"mongodb: {{uri: '{mongod}', database: {database.name}}}\naccounts:\n{''.join(entries)}")


def configure(folder: Path, sandbox: Sandbox, uri: str, database: Database, *, extra: str = "") -> None:
    text = sandbox.config_yaml(mongodb_uri=uri).replace("api:", f"  database: {database.name}\napi:", 1)
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(text + extra)
