"""Printing on stdout and stderr."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from collector.cli.terminal import MAX_FAULTS, complain, pretty

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
def test_result_to_a_full_disk() -> None:
    ended = say_into("> /dev/full")
    assert ended.returncode == 0
    assert ended.stderr == "collector: could not print the result: No space left on device\n"


def test_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first", "second")
    assert capsys.readouterr() == ("", "collector: first\nsecond\n")


def test_many_faults(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first", *range(MAX_FAULTS + 5))
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-2:]) == (MAX_FAULTS + 2, [str(MAX_FAULTS - 1), "and 5 more"])


def test_pretty() -> None:
    assert pretty({"a": [1, "é"]}) == '{\n  "a": [\n    1,\n    "é"\n  ]\n}'
