"""Runs collectors one after the other, each as a process forked from this one, which has imported everything.

A command starts at once that way; its imports alone would take half a second. These collectors differ in two things:

* their clock is off by the seconds in the file `CLOCK`; at SIGUSR1 a collector reads it again;
* a collector may be in a hurry, ten times as fast: its waits, its time-outs and the renewal of its lease take a tenth
  of their seconds, as if an election of a second lasted ten.

It prints when it is ready. Each line of stdin is a JSON object, `{"arguments": [...], "output": PATH, "log": PATH,
"hurried": false}`. It is answered on stdout with the process id and, when that process has ended, with its exit code,
negative for a signal.
"""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import gc
import json
import os
import selectors
import signal
import struct
import sys
import time
import types
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pymongo.common
import pymongo.synchronous.monitor
import time_machine
from chaos.processes import end_with_parent

from collector.cli.app import main as collector
from collector.runtime import boot_s
from collector.store import database, held, leases

HURRY = 10
OFFSET = struct.Struct("d")
"""Format of the file with a clock's offset in seconds."""

_BOOTED = time.time() - time.monotonic()
"""Origin of the monotonic clock, which time_machine doesn't move."""

_IMPORTED = (
    *("collector.commands.collect", "collector.run.connect", "collector.commands.verify", "collector.runtime"),
    *("collector.console.progress", "collector.console.summary", "collector.console.verify", "rich.console", "uvloop"),
)


class _HurriedSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout and timeout / HURRY)


class HurriedLoop(asyncio.SelectorEventLoop):
    """Event loop that counts each second as ten."""

    def __init__(self) -> None:
        super().__init__(_HurriedSelector())

    def time(self) -> float:
        """Return the loop's own seconds."""
        return HURRY * super().time()


def moved_now(clock: Path) -> datetime:
    """Return the instant by a clock that is off."""
    (offset_s,) = OFFSET.unpack(clock.read_bytes())
    return datetime.fromtimestamp(_BOOTED + time.monotonic() + offset_s, UTC)


def main(clock: Path) -> None:
    """Serve stdin until its end; in a forked process, run the collector that a line asks for."""
    answers = os.dup(sys.stdout.fileno())
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # a child is ready for it before it can come
    for name in _IMPORTED:
        __import__(name)
    # PyMongo's threads sleep for half a second at a time, and each process would wait for that in its end.
    atexit.unregister(pymongo.synchronous.monitor._shutdown_resources)
    gc.freeze()  # what all share is no child's to collect
    os.write(answers, b"ready\n")
    for line in sys.stdin.buffer:
        child = os.fork()
        if not child:
            os.close(answers)
            _collect(json.loads(line), clock)
        os.write(answers, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))


def _hurry() -> None:
    """Speed up all waits, those of MongoDB's driver too; rates of calls stay as they are."""
    # The collector takes its loop from uvloop where there is one.
    sys.modules["uvloop"] = types.SimpleNamespace(new_event_loop=HurriedLoop)  # type: ignore[assignment]
    database.SELECTION_TIMEOUT_MS //= HURRY
    database.MAJORITY_TIMEOUT_MS //= HURRY
    database.SOCKET_TIMEOUT_MS //= HURRY
    database.OUTAGE_S /= HURRY
    database.FIRST_OUTAGE_S /= HURRY
    # The server counts as ever, so the lease must be free earlier by its clock.
    times = replace(held.TIMES, free_after_s=held.TIMES.free_after_s / HURRY)
    vars(leases)["TIMES"] = times
    for module in (held, leases):
        vars(module)["boot_s"] = lambda: HURRY * boot_s()
    pymongo.common.MIN_HEARTBEAT_INTERVAL /= HURRY


def _collect(request: dict[str, Any], clock: Path) -> NoReturn:
    """Run a collector: its files, its clock, its command line."""
    end_with_parent()
    _redirect(os.devnull, 0, os.O_RDONLY)
    _redirect(request["output"], 1, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    _redirect(request["log"], 2, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if request["hurried"]:
        _hurry()
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    travel = time_machine.travel(moved_now(clock), tick=True).start()
    signal.signal(signal.SIGUSR1, lambda *_: travel.move_to(moved_now(clock)))
    travel.move_to(moved_now(clock))  # it may have moved meanwhile
    sys.argv = ["collector", *request["arguments"]]
    collector()


def _redirect(path: str, number: int, flags: int) -> None:
    opened = os.open(path, flags, 0o600)
    os.dup2(opened, number)
    os.close(opened)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
