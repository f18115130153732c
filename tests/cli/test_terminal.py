"""What is printed arrives whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

INTERRUPTED = """
import signal, sys
from collector.cli.terminal import say
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
print("begins", file=sys.stderr, flush=True)
say("x" * 1_000_000)
signal.setitimer(signal.ITIMER_REAL, 0)
"""
"""A signal lets a pipe take a part of what is written to it."""


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signal")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_long_result_arrives_whole_at_a_slow_reader(unbuffered: str) -> None:
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command, pipe = [sys.executable, "-c", INTERRUPTED], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == b"begins\n"
        time.sleep(0.2)  # real time: the pipe of another process must fill, and a signal come meanwhile
        out = process.stdout.read()
    assert (process.returncode, len(out)) == (0, 1_000_001)
