"""Secrets from their origins: the configuration, a file, systemd's credentials, or a command's output.

Each is read when it is needed, and once a run. No part of a secret is ever shown.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from collector.breakers import Breakers
from collector.errors import CommandTimeoutError, OpenFilesError, OriginError
from collector.kinds import CallKind
from collector.model.accounts import FromCommand, FromCredential, FromFile, Origin, Secret
from collector.once import Once
from collector.runtime import is_out_of_files
from collector.secrets.commands import MAX_BYTES, run

MAX_COMMANDS = 2 * (os.cpu_count() or 1)
"""Commands running at once: each is a process, and more of them would slow down the run itself."""

_FORMS = {"word": re.compile(r"[^\s\x00-\x1f\x7f]+"), "line": re.compile(r"[^\x00-\x1f\x7f]+")}


class Secrets:
    """Reader of secrets at their origins, and of what commands print; one for each run.

    `monotonic` is the clock by which unresponsive programs are tried again.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reads: dict[tuple[Origin, bool], Once[Secret]] = {}
        self._running = asyncio.Semaphore(MAX_COMMANDS)
        # By program: if the vault is unresponsive for one account, it is so for the others.
        self._breakers = Breakers(monotonic)

    async def read(self, origin: Origin, *, fresh: bool = False, line: bool = False) -> Secret:
        """Return the secret at `origin`: read once, for the first caller, unless it must be `fresh`.

        It is one word, or, with `line`, words such as `Bearer …` in a line. Raises `OriginError` when it can't be
        read; so does every other call for it in this run, unless a command took too long, or
        this host had no open file left (`OpenFilesError`).
        """
        if isinstance(origin, Secret):
            return origin
        key = (origin, line)
        if fresh or key not in self._reads:
            fetch = partial(self._fetch, origin, "line" if line else "word")
            # The program's circuit breaker says how often it is tried, so nobody else has to remember a time-out.
            self._reads[key] = Once(fetch)
        return await self._reads[key].get()

    def forget_failures(self) -> None:
        """Let secrets be read again that couldn't be."""
        self._reads = {origin: read for origin, read in self._reads.items() if not read.has_failed}

    async def output_of(self, argv: tuple[str, ...]) -> bytes:
        """Run a command without a shell and return its output, at most `MAX_BYTES` bytes.

        Raises `OriginError` when it can't be started, fails, or takes too long, and `PostponedError` while the
        program's circuit breaker postpones callers. The message has the program's name alone: arguments and stderr
        may hold secrets.
        """
        name = Path(argv[0]).name
        breaker = self._breakers.of(argv[0], f"the command {name}")
        breaker.check()  # before the wait as well: commands of an open breaker's program may be slow to end
        async with self._running:
            breaker.begin()
            try:
                printed, code = await run(argv, name)
            except CommandTimeoutError as error:
                breaker.failed(error)
                if breaker.is_open:
                    raise breaker.refusal(error) from None
                raise
            breaker.succeeded()
        if printed.is_too_long:
            raise OriginError(f"the command {name} printed more than {MAX_BYTES:,} bytes", "let it print one value")
        if code != 0:
            how = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise OriginError(f"the command {name} {how}", "run it by hand to see why")
        return bytes(printed.output)

    async def _fetch(self, origin: FromFile | FromCredential | FromCommand, form: str) -> Secret:
        if isinstance(origin, FromCommand):
            return text_in(await self.output_of(origin.argv), f"the command {Path(origin.argv[0]).name} printed", form)
        path = origin.path if isinstance(origin, FromFile) else _credential(origin.name)
        return text_in(await asyncio.to_thread(_file, path), f"the file {path} holds", form)


def text_in(raw: bytes, what: str, form: str = "word") -> Secret:
    """Return the one word or line (`form`) in `raw`, without blanks and line ends around it.

    `what` begins the message of an error. Raises `OriginError` when there is nothing, or something else than one word
    or line of UTF-8.
    """
    text = raw.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise OriginError(f"{what} nothing", "see that the value is there")
    if "\ufffd" in text:
        raise OriginError(f"{what} bytes that aren't UTF-8", "see that the value is there, as plain text")
    if not _FORMS[form].fullmatch(text):
        raise OriginError(f"{what} more than one {form}", "see that the value alone is there")
    return Secret(text)


def _credential(name: str) -> Path:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise OriginError(
            f"the credential {name} can't be read, since $CREDENTIALS_DIRECTORY isn't set",
            "start the collector by systemd with LoadCredential=, or set the variable",
        )
    return Path(folder, name)


def _file(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe could block the run for ever
            raise OriginError(f"{path} isn't a file", "correct the path")
        with path.open("rb") as file:
            mode, raw = os.fstat(file.fileno()).st_mode, file.read(MAX_BYTES + 1)
    except OSError as error:
        if is_out_of_files(error):
            raise OpenFilesError(kind=CallKind.TOKEN) from None
        remedy = "correct the path, or let the collector's user read it"
        raise OriginError(f"the file {path} can't be read ({error.strerror})", remedy) from None
    if mode & stat.S_IROTH and sys.platform != "win32":
        raise OriginError(f"everybody can read the secret in {path}", f"run chmod o-r {path}")
    if len(raw) > MAX_BYTES:
        raise OriginError(f"the file {path} has more than {MAX_BYTES:,} bytes", "let it hold the secret alone")
    return raw
