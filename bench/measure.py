"""Commands in processes of their own, and their cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psutil

LAUNCHER = Path(__file__).with_name("launch.py")


class BenchError(Exception):
    """The measured command didn't do its work, so its figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a process: CPU (user and system), wall time, peak memory; `began_s` is monotonic."""

    cpu_s: float
    wall_s: float
    began_s: float
    peak_bytes: int
    exit: int
    stdout: bytes = field(default=b"", repr=False)

    @property
    def peak_mib(self) -> float:
        """Return the peak memory, in MiB."""
        return self.peak_bytes / 2**20


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def script(name: str, *arguments: str) -> list[str]:
    """Return the command of a script that is installed beside this Python."""
    return [str(Path(sys.executable).with_name(name)), *arguments]


def measured(command: list[str], authority: Path | None = None) -> Cost:
    """Run `command` to its end. Raises `BenchError` unless its exit code is 0.

    It trusts the certificates of `authority` alone, where there is one: OpenSSL and requests each have a variable.
    """
    trusted = {"SSL_CERT_FILE": str(authority), "REQUESTS_CA_BUNDLE": str(authority)} if authority else {}
    with tempfile.TemporaryDirectory(prefix="collector-bench-") as folder:
        file = Path(folder, "cost.json")
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(file), *command],
            capture_output=True,
            check=True,
            env=os.environ | trusted | {"NO_PROXY": "*"},  # no proxy of this machine's on the way to a server on it
        )
        cost = Cost(**orjson.loads(file.read_bytes()), stdout=done.stdout)
    if cost.exit:
        raise BenchError(f"{' '.join(command)[:200]} ended with {cost.exit}: {done.stderr.decode()[-2000:]}")
    return cost


def peaks_mib(command: list[str]) -> list[float]:
    """Run `command` to its end; return the peak memory of it, and of each process that it starts, in MiB."""
    peaks: dict[int, float] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        while running.poll() is None:
            with suppress(psutil.Error):  # it has just ended
                for process in (found := psutil.Process(running.pid)), *found.children(recursive=True):
                    peaks[process.pid] = max(peaks.get(process.pid, 0), process.memory_info().rss / 2**20)
            time.sleep(EVERY_S)
        assert running.stdout is not None
        said = running.stdout.read().decode()
    if running.returncode:
        raise BenchError(f"{' '.join(command)[:200]} ended with {running.returncode}: {said[-2000:]}")
    return [peaks.pop(running.pid), *peaks.values()]


EVERY_S = 0.1
"""Seconds between two looks at the memory of processes."""


def tell(line: str) -> None:
    """Print progress on stderr."""
    print(f"  {line}", file=sys.stderr, flush=True)
