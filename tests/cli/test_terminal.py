"""Printing on stdout and stderr."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from command import collector, configure, ended_of, started
from support import stored

from collector.cli.terminal import MAX_FAULTS, complain, pretty, say_json, say_json_list
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database

SAY = "from collector.cli.terminal import say; say('x' * 100_000); say('y')"


# A signal lets a pipe take a part of what is written to it.
INTERRUPTED = """
import signal, sys
from collector.cli.terminal import say
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
print("begins", file=sys.stderr, flush=True)
say("x" * 1_000_000)
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def say_into(redirection: str) -> subprocess.CompletedProcess[str]:
    """Print two results in a process whose stdout a shell redirects."""
    command = f'"$0" -c "$1" {redirection}; exit "${{PIPESTATUS[0]}}"'
    shell = ["bash", "-c", command, sys.executable, SAY]
    return subprocess.run(shell, capture_output=True, text=True, check=False)


def test_result_to_a_reader_that_left() -> None:
    ended = say_into("| true")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signal")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_long_result_at_a_slow_reader(unbuffered: str) -> None:
    """It arrives whole, also with PYTHONUNBUFFERED, which is usual in containers."""
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command, pipe = [sys.executable, "-c", INTERRUPTED], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"begins\n"
        time.sleep(0.2)  # real time: the pipe of another process must fill, and a signal come meanwhile
        out = process.stdout.read()
    assert (process.returncode, len(out)) == (0, 1_000_001)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "run --help", "--version", "config schema", "config validate"])
async def test_result_to_a_full_disk(folder: Path, command: str, unbuffered: str) -> None:
    """The exit code says that it is lost."""
    ended = await collector(*command.split(), cwd=folder, redirected=">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (ended.code, ended.err) == (1, "collector: could not print the result: No space left on device\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
async def test_summary_to_a_full_disk(folder: Path, database: Database) -> None:
    """The days are stored all the same, and the error that ended a run is told as well."""
    lost = "collector: could not print the result: No space left on device\n"
    ended = await collector("run", cwd=folder, redirected=">/dev/full")
    assert (ended.code, ended.err, len(await stored(database))) == (1, lost, 7)
    (folder / "wrong.yaml").write_text("api: {hosts: ['http://127.0.0.1:1']}\n")
    arguments = ("backfill", "--since", "2026-01-01", "--json", "-c", "accounts.yaml", "-c", "wrong.yaml")
    ended = await collector(*arguments, cwd=folder, redirected=">/dev/full")
    assert (ended.code, ended.err.endswith(lost)) == (1, True)
    assert ended.err.startswith("collector: Could not reach WeChat: ")


def test_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first", "second")
    assert capsys.readouterr() == ("", "collector: first\nsecond\n")


def test_many_faults(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first", *range(MAX_FAULTS + 5))
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-2:]) == (MAX_FAULTS + 2, [str(MAX_FAULTS - 1), "and 5 more"])


def test_pretty() -> None:
    assert pretty({"a": [1, "é"]}) == '{\n  "a": [\n    1,\n    "é"\n  ]\n}'


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("items", [[{"a": [1]}], [{"a": 1}, {"b": {"c": "é"}}], []])
def test_json_item_by_item(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, items: list[object], is_terminal: bool
) -> None:
    """The object is that of one piece: on one line, or indented on a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    say_json_list("items", iter(items), lambda: {"calls": 3})
    in_pieces = capsys.readouterr().out
    say_json({"items": items, "calls": 3})
    in_one = capsys.readouterr().out
    assert in_pieces == in_one
    assert json.loads(in_one) == {"items": items, "calls": 3}
    assert in_one == (pretty({"items": items, "calls": 3}) + "\n" if is_terminal else in_one.splitlines()[0] + "\n")


NAME = "鞋 Café 👟"
WORLD = World(size=2)
LOCALES = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C unbuffered": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONUNBUFFERED": "1"},
}
CODES = {"run": 3, "status": 0, "check": 3, "config validate": 0}


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> AsyncIterator[Path]:
    """A folder for two accounts: one with a name outside ASCII, whose secret is refused, and a sound one."""
    async with Sandbox(WORLD, faults=Faults(broken={WORLD.accounts[0].appid: 40125})) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        file = tmp_path / "accounts.yaml"
        file.write_text(file.read_text().replace(WORLD.accounts[0].name, NAME), encoding="utf-8")
        yield tmp_path


@pytest.mark.parametrize("environ", LOCALES.values(), ids=LOCALES)
async def test_text_without_utf8(folder: Path, environ: dict[str, str]) -> None:
    """Characters that the encoding lacks are escaped, and the exit code stays that of the work."""
    for command, code in CODES.items():
        ended = await collector(*command.split(), cwd=folder, **environ)
        assert (ended.code, "Traceback" in ended.err, ended.out.isascii()) == (code, False, True), command
        assert (r"\u978b Caf\xe9 \U0001f45f" in ended.out) == (command != "config validate"), command


@pytest.mark.parametrize("environ", LOCALES.values(), ids=LOCALES)
async def test_json_is_utf8(folder: Path, environ: dict[str, str]) -> None:
    """Whatever the locale is."""
    for command, code in {"run": 3, "run --dry-run": 0, "status": 0, "check": 3, "config show": 0}.items():
        ended = await collector(*command.split(), "--json", cwd=folder, **environ)
        assert (ended.code, "Traceback" in ended.err, NAME in ended.out) == (code, False, True), command
        assert ended.json


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
async def test_closed_streams(folder: Path, closed: str) -> None:
    """They change neither exit codes nor what goes to the other streams."""
    for command, code in CODES.items():
        for form in ([], ["--json"]) if command != "config validate" else ([],):
            ended = await collector(*command.split(), *form, cwd=folder, redirected=closed)
            assert (ended.code, ended.err) == (code, ""), command
            assert bool(ended.out) == (">&-" not in closed.split()), command
    # A usage error is told on stderr, where that is open.
    ended = await collector("run", "--account", "nobody", cwd=folder, redirected=closed)
    assert (ended.code, ended.out, bool(ended.err)) == (2, "", "2>" not in closed)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
async def test_log_to_a_full_disk(folder: Path) -> None:
    """Neither logs nor errors that can't be written change the work or the exit code."""
    for command, code in (("run -vv", 3), ("run --account nobody", 2), ("run -c missing.yaml", 78)):
        ended = await collector(*command.split(), cwd=folder, redirected="2> /dev/full")
        assert (ended.code, "Traceback" in ended.out) == (code, False), command
    ended = await collector("status", cwd=folder)
    assert NAME in ended.out
    assert "never collected" not in ended.out


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
async def test_sandbox_without_streams(tmp_path: Path, closed: str) -> None:
    """The pretend WeChat serves until Ctrl-C."""
    process = await started("sandbox", "--port", "0", cwd=tmp_path, redirected=closed)
    assert process.stderr
    url = (await process.stderr.readline()).decode().split()[6]
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.0 404 ")
    writer.close()
    process.send_signal(signal.SIGINT)
    ended = await ended_of(process)
    assert (ended.code, ended.err, bool(ended.out)) == (0, "", ">&-" not in closed)
