"""Helper commands that print secrets and tokens: no shell, a time-out, bounded output, no process left running.

Each runs in a process session of its own, so that it can be ended with all that it started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from collector.errors import CommandTimeoutError, OpenFilesError, OriginError
from collector.kinds import CallKind
from collector.runtime import is_out_of_files

COMMAND_S = 30
"""Seconds that a command may take."""

REAP_S = 5
"""Seconds to wait for a killed command to end; one that can't be killed is left alone."""

PIPES_S = 1
"""Seconds to wait for more output after a command has ended: a process that it left behind may hold the pipe open."""

MAX_BYTES = 64 * 1024
"""The largest secret that is read, from a command or a file."""

_running: set[int] = set()
"""Process groups of running commands, for the signal that ends the collector at once."""


def kill_all() -> None:
    """Kill all running commands, before the process ends itself."""
    for group in _running:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


class Printed(asyncio.SubprocessProtocol):
    """Output of a command, no more than one byte over `MAX_BYTES`.

    asyncio's streams can't be used: once nobody reads them any more, waiting for the process never ends.
    """

    def __init__(self) -> None:
        self.output = bytearray()
        self.gone = asyncio.Event()
        self.whole = False
        self.done = asyncio.Event()
        """Set when the command has ended with its output complete (`whole`), or when it printed too much."""

    @property
    def is_too_long(self) -> bool:
        """True if the output is larger than any secret."""
        return len(self.output) > MAX_BYTES

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        """Keep output up to the limit."""
        self.output += data[: MAX_BYTES + 1 - len(self.output)]
        if self.is_too_long:
            self.done.set()

    def process_exited(self) -> None:
        """Note that the process has ended, and wait `PIPES_S` seconds for others that hold its output open."""
        self.gone.set()
        asyncio.get_running_loop().call_later(PIPES_S, self.connection_lost, None)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that the process has ended and its output is complete."""
        self.whole = True
        self.done.set()


async def run(argv: tuple[str, ...], name: str) -> tuple[Printed, int]:
    """Return a command's output and exit code. A command that takes too long is ended with all that it started.

    Raises `OriginError` when it can't be started, `CommandTimeoutError` when it takes too long, both with its `name`;
    `OpenFilesError` when this host has no open file left.
    """
    try:
        process, printed = await _start(argv)
    except (OSError, ValueError) as error:
        if is_out_of_files(error):
            raise OpenFilesError(kind=CallKind.TOKEN) from None
        reason = error.strerror if isinstance(error, OSError) else "an argument isn't of a form that can be passed"
        remedy = "correct the path, or make it executable"
        raise OriginError(f"the command {name} can't be started ({reason})", remedy) from None
    _running.add(process.get_pid())
    try:
        async with asyncio.timeout(COMMAND_S):
            await printed.done.wait()
    except TimeoutError:
        message = f"the command {name} took longer than {COMMAND_S} s"
        raise CommandTimeoutError(message, "run it by hand to see why") from None
    finally:
        await _end(process, printed)
        _running.discard(process.get_pid())
    return printed, process.get_returncode() or 0


async def _start(argv: tuple[str, ...]) -> tuple[asyncio.SubprocessTransport, Printed]:
    # Stderr may hold secrets and belongs in no message, so nothing of it is read.
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    start = asyncio.get_running_loop().subprocess_exec
    starting = asyncio.ensure_future(
        start(Printed, *argv, stdin=null, stdout=pipe, stderr=null, start_new_session=True)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await _end(*await starting)  # a command that is still starting can't be killed with all it starts
        raise


async def _end(process: asyncio.SubprocessTransport, printed: Printed) -> None:
    """Kill the command with all that it started, unless it has ended by itself, and close its output."""
    with suppress(ProcessLookupError, PermissionError, TimeoutError):
        try:
            if not printed.whole:
                os.killpg(process.get_pid(), signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
                async with asyncio.timeout(REAP_S):
                    await printed.gone.wait()
        finally:
            process.close()
