"""Processes of the harness: they end with the one that started them, whatever happens to it."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import sys
from collections.abc import Sequence
from typing import Any

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends (on Linux alone)."""
    if _LIBC:
        _LIBC.prctl(_DEATH_SIGNAL, signal.SIGKILL)


async def start(command: Sequence[str], **options: Any) -> asyncio.subprocess.Process:
    """Start a process, out of reach of this terminal's Ctrl-C."""
    return await asyncio.create_subprocess_exec(*command, preexec_fn=end_with_parent, start_new_session=True, **options)


async def kill(process: asyncio.subprocess.Process) -> None:
    """SIGKILL a process, if it is still there, and wait for its end."""
    if process.returncode is None:
        process.kill()
    await process.wait()
