"""Secrets where they live: in the configuration, a file, systemd's credentials, or what a command prints.

Each is read when it is needed, and once a run; what was read is never shown, not even in part.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from collector.errors import OriginError, SlowCommandError
from collector.model.accounts import FromCommand, FromCredential, FromFile, Origin, Secret
from collector.secrets.commands import Printed, run
from collector.text import printable

MOST_BYTES = 64 * 1024
"""The most that is read from a file or a command; no secret and no token comes near."""

MOST_COMMANDS = 2 * (os.cpu_count() or 1)
"""Commands at work at once: each is a process, and more of them would take the machine from the run itself."""

MOST_SLOW = 3
"""Commands of one program that may take too long, one after the other, before it isn't started any more."""

_ONE_WORD = re.compile(r"[^\s\x00-\x1f\x7f]+")
_ONE_LINE = re.compile(r"[^\x00-\x1f\x7f]+")
_LONG_WORD = re.compile(r"[\w+/=-]{20,}", re.ASCII)
_APPID = re.compile("wx[0-9a-f]{16}")


_Form = Callable[[bytes, str], Secret]


class Secrets:
    """Reads secrets from their origins, and runs the commands that print them. One for each run.

    `known` are those of the configuration itself, which no command's stderr may show either.
    """

    def __init__(self, known: Iterable[Secret] = ()) -> None:
        self._known = known
        self._slow: dict[str, list[OriginError]] = defaultdict(list)
        self._at_work = asyncio.Semaphore(MOST_COMMANDS)
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
        """What a command prints, without a shell, within a time-out and `MOST_BYTES` bytes.

        Raises `OriginError` when it can't be started, fails, or takes too long; the last line of its stderr is
        told, secrets masked.
        """
        name = Path(argv[0]).name
        async with self._at_work:
            printed, code = await self._run(argv, name)
        if printed.is_too_long:
            raise OriginError(f"the command {name} printed more than {MOST_BYTES:,} bytes", "let it print one value")
        if code != 0:
            reason = self._last_line(printed.errors, argv)
            how = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise OriginError(f"the command {name} {how}{reason and f' ({reason})'}", "run it by hand to see why")
        return bytes(printed.output)

    async def _run(self, argv: tuple[str, ...], name: str) -> tuple[Printed, int]:
        """Run a command, unless the last ones of the same program all took too long."""
        slow = self._slow[argv[0]]
        if len(slow) >= MOST_SLOW:
            raise slow[-1].with_traceback(None)
        try:
            ran = await run(argv, name)
        except SlowCommandError as error:
            slow.append(error)
            raise
        slow.clear()
        return ran

    async def _fetch(self, origin: FromFile | FromCredential | FromCommand, form: _Form) -> Secret:
        match origin:
            case FromFile(path):
                return form(await asyncio.to_thread(_file, path), f"the file {path} holds")
            case FromCredential(name):
                path = _credential(name)
                return form(await asyncio.to_thread(_file, path), f"the file {path} holds")
            case FromCommand(argv):
                return form(await self.output_of(argv), f"the command {Path(argv[0]).name} printed")

    def _last_line(self, errors: bytearray, argv: tuple[str, ...]) -> str:
        lines = errors.decode(errors="replace").split("\n")
        if len(errors) == MOST_BYTES:
            del lines[0]  # its beginning is lost, and half a secret would not be known
        line = next((line.strip() for line in reversed(lines) if line.strip()), "")
        read = (secret for secret in self._read.values() if isinstance(secret, Secret))
        known = {part for secret in (*self._known, *read) for part in _parts(secret.get_secret_value())}
        known.update(argument for argument in argv[1:] if _is_like_a_secret(argument))
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


def _parts(secret: str) -> Iterator[str]:
    """A secret, and what is secret in it: the last word of a header, the password of an address."""
    yield secret
    yield secret.rsplit(maxsplit=1)[-1]
    with suppress(ValueError):
        if password := urlsplit(secret).password:
            yield password


def _is_like_a_secret(argument: str) -> bool:
    """Whether an argument may be a password: letters and digits, and neither a path nor an appid."""
    mixed = any(map(str.isalpha, argument)) and any(map(str.isdigit, argument))
    return mixed and "/" not in argument and not _APPID.fullmatch(argument)


def _masked(word: re.Match[str]) -> str:
    """A long word of letters and digits is like a secret; in one with a slash, which may be a path, both cases too."""
    text = word[0]
    mixed = any(map(str.isalpha, text)) and any(map(str.isdigit, text))
    return "***" if mixed and ("/" not in text or (text.lower() != text != text.upper())) else text


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
