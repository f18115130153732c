"""Secrets where they live: in the configuration, a file, systemd's credentials, or what a command prints.

Each is read when it is needed, and once a run; what was read is never shown, not even in part.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from collector.errors import OriginError, printable
from collector.model import FromCommand, FromCredential, FromFile, Origin, Secret

COMMAND_S = 30
"""Seconds that a command gets to print what it is asked for."""

MOST_BYTES = 64 * 1024
"""The most that is read from a file or a command; no secret and no token comes near."""

REAP_S = 5
"""Seconds that a killed command gets to be gone; one that may not be killed, such as sudo, is left alone then."""

_ONE_WORD = re.compile(r"[^\s\x00-\x1f\x7f]+")
_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_LONG_WORD = re.compile(r"[\w-]{20,}", re.ASCII)
_STDERR = 2


_Form = Callable[[bytes, str], Secret]


class Secrets:
    """Reads secrets from their origins, and runs the commands that print them. One for each run."""

    def __init__(self) -> None:
        self._read: dict[tuple[Origin, bool], Secret | OriginError] = {}
        self._reading: dict[tuple[Origin, bool], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, origin: Origin, *, fresh: bool = False, line: bool = False) -> Secret:
        """The secret that `origin` leads to: read once, by the first who asks, unless it must be `fresh`.

        It is one word, or, with `line`, words such as `Bearer …` in a line. Raises `OriginError` when it can't be
        had; so does everybody else who asks for it in this run.
        """
        key = (origin, line)
        if isinstance(origin, Secret):
            self._read[key] = origin  # known, so that no command's stderr shows it
            return origin
        async with self._reading[key]:
            if fresh or key not in self._read:
                try:
                    self._read[key] = await self._fetch(origin, one_line if line else one_word)
                except OriginError as error:
                    self._read[key] = error
            found = self._read[key]
        if isinstance(found, OriginError):
            raise found.with_traceback(None)
        return found

    async def output_of(self, argv: tuple[str, ...]) -> bytes:
        """What a command prints, without a shell, within `COMMAND_S` seconds and `MOST_BYTES` bytes.

        Raises `OriginError` when it can't be started, fails, or takes too long; the last line of its stderr is
        told, secrets masked.
        """
        name = Path(argv[0]).name
        printed, code = await _run(argv, name)
        if printed.is_too_long:
            raise OriginError(f"the command {name} printed more than {MOST_BYTES:,} bytes", "let it print one value")
        if code != 0:
            reason = self._last_line(printed.errors)
            how = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise OriginError(f"the command {name} {how}{reason and f' ({reason})'}", "run it by hand to see why")
        return bytes(printed.output)

    async def _fetch(self, origin: FromFile | FromCredential | FromCommand, form: _Form) -> Secret:
        match origin:
            case FromFile(path):
                return form(await asyncio.to_thread(_file, path), f"the file {path} holds")
            case FromCredential(name):
                path = _credential(name)
                return form(await asyncio.to_thread(_file, path), f"the file {path} holds")
            case FromCommand(argv):
                return form(await self.output_of(argv), f"the command {Path(argv[0]).name} printed")

    def _last_line(self, errors: bytearray) -> str:
        lines = errors.decode(errors="replace").split("\n")
        if len(errors) == MOST_BYTES:
            del lines[0]  # its beginning is lost, and half a secret would not be known
        line = next((line.strip() for line in reversed(lines) if line.strip()), "")
        known = {secret.get_secret_value() for secret in self._read.values() if isinstance(secret, Secret)}
        for secret in sorted(known, key=len, reverse=True):
            line = line.replace(secret, "***")
        return printable(_LONG_WORD.sub(_masked, line), 200)


def one_word(raw: bytes, what: str) -> Secret:
    """The one word that `raw` holds, blanks and line ends around it cut off; `what` says where it comes from.

    Raises `OriginError` when it holds nothing, or something else than one word of UTF-8.
    """
    return _text(raw, what, "word", _ONE_WORD)


def one_line(raw: bytes, what: str) -> Secret:
    """The one line that `raw` holds, and the rest as `one_word` has it."""
    return _text(raw, what, "line", _ONE_LINE)


def _text(raw: bytes, what: str, form: str, pattern: re.Pattern[str]) -> Secret:
    text = raw.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise OriginError(f"{what} nothing", "see that the value is there")
    if "\ufffd" in text:
        raise OriginError(f"{what} bytes that aren't UTF-8", "see that the value is there, as plain text")
    if not pattern.fullmatch(text):
        raise OriginError(f"{what} more than one {form}", "see that the value alone is there")
    return Secret(text)


def _masked(word: re.Match[str]) -> str:
    """A long word of letters and digits is like a secret."""
    letters, digits = any(map(str.isalpha, word[0])), any(map(str.isdigit, word[0]))
    return "***" if letters and digits else word[0]


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
        if path.exists() and not path.is_file():  # a pipe could keep the run waiting for ever
            raise OriginError(f"{path} isn't a file", "correct the path")
        with path.open("rb") as file:
            mode, raw = os.fstat(file.fileno()).st_mode, file.read(MOST_BYTES + 1)
    except OSError as error:
        remedy = "correct the path, or let the collector's user read it"
        raise OriginError(f"the file {path} can't be read ({error.strerror})", remedy) from None
    if mode & stat.S_IROTH and sys.platform != "win32":
        raise OriginError(f"everybody can read the secret in {path}", f"run chmod o-r {path}")
    if len(raw) > MOST_BYTES:
        raise OriginError(f"the file {path} has more than {MOST_BYTES:,} bytes", "let it hold the secret alone")
    return raw


class _Printed(asyncio.SubprocessProtocol):
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
        """Note that the process is gone; others may still hold its output open."""
        self.gone.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the process is gone, and its output at its end."""
        del exc
        self.whole = True
        self.done.set()


async def _run(argv: tuple[str, ...], name: str) -> tuple[_Printed, int]:
    """What a command prints, and its exit code. A command that is given up ends with all that it started."""
    try:
        process, printed = await _start(argv)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "an argument isn't of a form that can be passed"
        remedy = "correct the path, or make it executable"
        raise OriginError(f"the command {name} can't be started ({reason})", remedy) from None
    try:
        async with asyncio.timeout(COMMAND_S):
            await printed.done.wait()
    except TimeoutError:
        message = f"the command {name} took longer than {COMMAND_S} s"
        raise OriginError(message, "run it by hand to see why") from None
    finally:
        await _end(process, printed)
    return printed, process.get_returncode() or 0


async def _start(argv: tuple[str, ...]) -> tuple[asyncio.SubprocessTransport, _Printed]:
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            _Printed, *argv, stdin=null, stdout=pipe, stderr=pipe, start_new_session=True
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError, ValueError):
            await _end(*await starting)  # before it has started, not all of it can be ended
        raise


async def _end(process: asyncio.SubprocessTransport, printed: _Printed) -> None:
    """Kill the command with all that it started, unless it has ended by itself, and let go of its output."""
    with suppress(ProcessLookupError, PermissionError, TimeoutError):
        try:
            if not printed.whole:
                os.killpg(process.get_pid(), signal.SIGKILL) if hasattr(os, "killpg") else process.kill()
                async with asyncio.timeout(REAP_S):
                    await printed.gone.wait()
        finally:
            process.close()
