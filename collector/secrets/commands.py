"""Commands that print what the collector needs: no shell, a time-out, bounded output, and nothing left running.

Each runs in a process session of its own, so that it can be ended with all that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from collector.errors import OriginError, SlowCommandError

COMMAND_S = 30
"""Seconds that a command gets to print what it is asked for."""

REAP_S = 5
"""Seconds that a killed command gets to be gone; one that may not be killed is left to itself."""

PIPES_S = 1
"""Seconds that output may still come after a command has ended: something that it left behind may hold it open."""

MOST_BYTES = 64 * 1024
"""The most that is read of a command; no secret and no token comes near."""

_STDERR = 2
_running: set[int] = set()
"""The process groups at work, for the signal that ends the collector at once."""


def kill_all() -> None:
    """End all commands at work; for a process that is about to end itself."""
    for group in _running:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


class Printed(asyncio.SubprocessProtocol):
    """What a command prints, as much of it as counts: the beginning of its output, the end of its stderr.

    asyncio's streams can't be used: once nobody reads them any more, waiting for the process never ends.
    """

    def __init__(self) -> None:
        self.output = bytearray()
        self.errors = bytearray()
        self.gone = asyncio.Event()
        self.whole = False
        self.done = asyncio.Event()
        """Set when all was printed and the command has ended, which is `whole`, or when it printed too much."""

    @property
    def is_too_long(self) -> bool:
        """Whether there was more output than any value has."""
        return len(self.output) > MOST_BYTES

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Keep what counts."""
        if fd == _STDERR:
            self.errors += data
            del self.errors[:-MOST_BYTES]
        else:
            self.output += data[: MOST_BYTES + 1 - len(self.output)]
            if len(self.output) > MOST_BYTES:
                self.done.set()

    def process_exited(self) -> None:
        """Note that the process is gone; others may still hold its output open, for `PIPES_S` seconds."""
        self.gone.set()
        asyncio.get_running_loop().call_later(PIPES_S, self.connection_lost, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the process is gone, and its output at its end."""
        del exc
        self.whole = True
        self.done.set()


async def run(argv: tuple[str, ...], name: str) -> tuple[Printed, int]:
    """What a command prints, and its exit code. A command that is given up ends with all that it started.

    Raises `OriginError` when it can't be started, `SlowCommandError` when it takes too long; errors tell its `name`.
    """
    try:
        process, printed = await _start(argv)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "an argument isn't of a form that can be passed"
        remedy = "correct the path, or make it executable"
        raise OriginError(f"the command {name} can't be started ({reason})", remedy) from None
    _running.add(process.get_pid())
    try:
        async with asyncio.timeout(COMMAND_S):
            await printed.done.wait()
    except TimeoutError:
        message = f"the command {name} took longer than {COMMAND_S} s"
        raise SlowCommandError(message, "run it by hand to see why") from None
    finally:
        await _end(process, printed)
        _running.discard(process.get_pid())
    return printed, process.get_returncode() or 0


async def _start(argv: tuple[str, ...]) -> tuple[asyncio.SubprocessTransport, Printed]:
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            Printed, *argv, stdin=null, stdout=pipe, stderr=pipe, start_new_session=True
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await _end(*await starting)  # before it has started, not all of it can be ended
        raise


async def _end(process: asyncio.SubprocessTransport, printed: Printed) -> None:
    """Kill the command with all that it started, unless it has ended by itself, and let go of its output."""
    with suppress(ProcessLookupError, PermissionError, TimeoutError):
        try:
            if not printed.whole:
                os.killpg(process.get_pid(), signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
                async with asyncio.timeout(REAP_S):
                    await printed.gone.wait()
        finally:
            process.close()
