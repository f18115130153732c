"""Origins of secrets, and what reading them gives, for tests."""

import asyncio
import os
import traceback
from pathlib import Path

import pytest

from collector.errors import OriginError
from collector.model.accounts import FromCommand, FromFile, Origin, Secret
from collector.secrets.reader import Secrets

LEAK = "hunter2"
"""A word of a secret that no message may hold."""


def written(folder: Path, raw: bytes, mode: int = 0o600) -> FromFile:
    """A file of secrets in `folder`."""
    path = folder / "secret"
    path.write_bytes(raw)
    path.chmod(mode)
    return FromFile(path)


def shell(script: str, *arguments: str) -> FromCommand:
    """A command of several; what is put into `script` comes as $0, $1 …"""
    return FromCommand(("sh", "-c", script, *arguments))


async def value_of(origin: Origin, *, line: bool = False) -> str:
    return (await Secrets().read(origin, line=line)).get_secret_value()


async def refusal_of(origin: Origin, secrets: Secrets | None = None) -> OriginError:
    with pytest.raises(OriginError) as failed:
        await (secrets or Secrets()).read(origin)
    return failed.value


def shown(error: BaseException) -> str:
    """All that an error shows of itself, wherever it may be printed."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    return "\n".join(parts)


async def cancelled(reader: asyncio.Task[Secret]) -> None:
    """Cancel somebody who reads a secret, and see that it doesn't take long."""
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await reader


async def ended(pipe: int) -> bytes:
    """Return everything written to `pipe`, once its last writer has closed it."""

    def read() -> bytes:
        os.set_blocking(pipe, True)
        with open(pipe, "rb") as file:
            return file.read()

    async with asyncio.timeout(20):
        return await asyncio.to_thread(read)
