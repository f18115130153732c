"""Printing on stdout and stderr."""

from __future__ import annotations

import subprocess
import sys

import pytest

from collector.cli.terminal import MAX_FAULTS, complain, pretty

SAY = "from collector.cli.terminal import say; say('x' * 100_000); say('y')"


def say_into(redirection: str) -> subprocess.CompletedProcess[str]:
    """Print two results in a process whose stdout a shell redirects."""
    command = f'"$0" -c "$1" {redirection}; exit "${{PIPESTATUS[0]}}"'
    shell = ["bash", "-c", command, sys.executable, SAY]
    return subprocess.run(shell, capture_output=True, text=True, check=False)


def test_result_to_a_reader_that_left() -> None:
    ended = say_into("| true")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


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
