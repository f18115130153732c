"""Printing, and event loops that signals stop.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO, TypeVar

if TYPE_CHECKING:
    from collector.runtime import Stop

T = TypeVar("T")

SIGNALS_APART_S = 0.05
"""Signals closer together count as one: `timeout` signals the command, and then the group that it is in."""

MAX_FAULTS = 100
"""Faults of a configuration that are printed at once."""

ERROR, WARNING, NOTICE, INFO, DEBUG = 3, 4, 5, 6, 7
"""Priorities of syslog, which systemd's journal keeps."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a write for which there is no room."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def open_std_streams() -> None:
    """Make stdin, stdout and stderr usable whatever started this process: it must come first.

    A stream that is closed (`>&-`) becomes the null device: else the next file or socket gets its number, with which
    libuv aborts. What the encoding of stdout lacks is printed as an escape, as Python does for stderr by itself.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is the stream's
            os.set_inheritable(null, True)  # helper commands get it too
            setattr(sys, name, open(null, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: object, end: str = "\n") -> None:
    """Print a result on stdout; a reader that has left early (`| head`) changes neither work nor exit code.

    Raises `OutputError` where it can't be written.
    """
    try:
        _put(text, end)
    except BrokenPipeError:
        _give_up(sys.stdout)
    except OSError as error:
        give_up_stdout(error)


def give_up_stdout(error: OSError) -> NoReturn:
    """Print nothing more on stdout, and raise `OutputError` for the error of its last write."""
    from collector.errors import OutputError

    _give_up(sys.stdout)
    raise OutputError(f"could not print the result: {error.strerror}") from None


def _put(text: object, end: str) -> None:
    out = sys.stdout
    if not isinstance(getattr(out, "buffer", None), io.RawIOBase):
        print(text, end=end, flush=True)
        return
    # With PYTHONUNBUFFERED, usual in containers, Python drops the rest of a write that a pipe took in part: a JSON
    # object of more than 128 KB arrived cut off. A buffer of our own writes all of it.
    with open(out.fileno(), "w", encoding=out.encoding, errors=out.errors, closefd=False) as whole:
        print(text, end=end, file=whole)


def say_bytes(write: Callable[[BinaryIO], T]) -> T | None:
    """Let `write` print bytes on stdout, and return its result; None where the reader has left early.

    Raises `OutputError` where they can't be written.
    """
    try:
        with open(sys.stdout.fileno(), "wb", closefd=False) as whole:
            return write(whole)
    except BrokenPipeError:
        _give_up(sys.stdout)
    except OSError as error:
        give_up_stdout(error)
    return None


def say_json(value: object) -> None:
    """Print a result as JSON, in UTF-8 whatever the locale: indented on a terminal, else on one line."""
    _use_utf8()
    say(pretty(value) if sys.stdout.isatty() else _dumped(value))


def say_json_list(key: str, items: Iterable[object], rest: Callable[[], Mapping[str, object]]) -> None:
    """Print one JSON object, as `say_json` would, but its list `key` item by item: it may be too long to hold.

    `rest` gives the fields after the list, once all items are printed.
    """
    if sys.stdout.isatty():
        say_json({key: [*items], **rest()})
        return
    _use_utf8()
    say(f'{{"{key}":[', end="")
    comma = ""
    for item in items:
        say(comma + _dumped(item), end="")
        comma = ","
    say("]," + _dumped(rest()).removeprefix("{"))


def _use_utf8() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


class Stderr:
    """Stderr whose writes never fail: a full disk, or a reader that has left, must not end the work."""

    def write(self, text: str) -> None:
        """Write to `sys.stderr`, which is looked up late: a progress bar replaces it."""
        try:
            sys.stderr.write(text)
        except OSError:
            _give_up(sys.stderr)

    def flush(self) -> None:
        """Flush; not with each write, since a progress bar must get whole lines."""
        try:
            sys.stderr.flush()
        except OSError:
            _give_up(sys.stderr)


def _give_up(stream: TextIO) -> None:
    """Let the stream go to the null device: Python flushes it once more at exit, and would fail there again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(first: object, *more: object, priority: int = ERROR) -> None:
    """Print an error on stderr."""
    lines = [f"collector: {first}", *map(str, more[:MAX_FAULTS])]
    if len(more) > MAX_FAULTS:
        lines.append(f"and {len(more) - MAX_FAULTS} more")
    text = "\n".join(lines)
    if sys.stderr.isatty():
        from collector.console.wrapping import wrapped

        text = wrapped(text, shutil.get_terminal_size().columns)
    print(prioritized(text, priority), file=Stderr(), flush=True)


def remark(text: object) -> None:
    """Print on stderr what is no error."""
    complain(text, priority=NOTICE)


def is_journal() -> bool:
    """Return True where stderr goes to systemd's journal, which $JOURNAL_STREAM names by device and inode."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def prioritized(text: str, priority: int) -> str:
    """Return a text for stderr, each line with its priority where that is systemd's journal: it takes it off again."""
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n")) if is_journal() else text


def pretty(value: object) -> str:
    """Format a value as indented JSON."""
    return _dumped(value, is_indented=True)


def _dumped(value: object, *, is_indented: bool = False) -> str:
    import orjson

    options = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
    return orjson.dumps(value, option=options | (orjson.OPT_INDENT_2 if is_indented else 0)).decode()


def run_to_the_end(main: Callable[[Stop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine, on uvloop where it is installed; the first signal stops it, the second ends the process."""
    from collector.runtime import Stop, tune_gc

    async def stoppable() -> T:
        stop = Stop()
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, _on_first_signal, stop, number)
        return await main(stop)

    tune_gc()
    return _run(stoppable())


def run_at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to drain: a signal ends it at once, with exit 130 or 143."""
    from collector.runtime import tune_gc

    tune_gc()  # reading the stored days of many accounts takes half the time
    return _run(_exiting(work, on_interrupt=128 + signal.SIGINT))


def run_until_interrupt(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that Ctrl-C ends as usual, with exit 0; SIGTERM ends it with 143."""
    _run(_exiting(work, on_interrupt=0))


async def _exiting(work: Coroutine[Any, Any, T], *, on_interrupt: int) -> T:
    """Do the work, which signals end by an exit of the process; one that the parent process ignores stays ignored."""
    for number, code in ((signal.SIGINT, on_interrupt), (signal.SIGTERM, 128 + signal.SIGTERM)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, sys.exit, code)
    return await work


def _run(work: Coroutine[Any, Any, T]) -> T:
    before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    try:
        with asyncio.Runner(loop_factory=_event_loop) as runner:
            return runner.run(work)
    finally:
        for number, handler in before.items():  # a loop leaves others behind
            signal.signal(number, handler)


def shows_colours(stream: TextIO) -> bool:
    """Return True for a terminal that shows colours, unless $NO_COLOR is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def end_now(number: signal.Signals) -> None:
    """End this process by a signal, and the helper commands that it has started."""
    from collector.secrets.commands import kill_all

    kill_all()
    # The default action gives the exit status that shells and systemd expect of a signal.
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _on_first_signal(stop: Stop, number: signal.Signals) -> None:
    if not stop.is_set:
        stop.set(number)
        # Until then the handler stays as it is, and the second of two signals that belong together does nothing.
        asyncio.get_running_loop().call_later(SIGNALS_APART_S, _await_second_signal)


def _await_second_signal() -> None:
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _on_second_signal, number)
    remark("stopping: calls in flight are finished and stored; a second signal ends at once")


def _on_second_signal(number: signal.Signals) -> None:
    if sys.stderr.isatty():
        print("\x1b[?25h", end="", file=sys.stderr, flush=True)  # the progress bar hides the cursor
    end_now(number)
