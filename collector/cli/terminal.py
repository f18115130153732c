"""Printing, logging, and event loops that signals stop.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from textwrap import indent
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from collector.runtime import Stop

T = TypeVar("T")

SIGNALS_APART_S = 0.05
"""Signals closer together count as one: `timeout` signals the command, and then the group that it is in."""

MAX_FAULTS = 100
"""Faults of a configuration that are printed at once."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class LogFormat(StrEnum):
    """Forms of the log on stderr."""

    TEXT = "text"
    JSON = "json"


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
    """Print a result on stdout; a reader that has left early (`| head`) changes neither work nor exit code."""
    try:
        _put(text, end)
    except OSError as error:
        _give_up(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            complain(f"could not print the result: {error.strerror}")


def _put(text: object, end: str) -> None:
    out = sys.stdout
    if not isinstance(getattr(out, "buffer", None), io.RawIOBase):
        print(text, end=end, flush=True)
        return
    # With PYTHONUNBUFFERED, usual in containers, Python drops the rest of a write that a pipe took in part: a JSON
    # object of more than 128 KB arrived cut off. A buffer of our own writes all of it.
    with open(out.fileno(), "w", encoding=out.encoding, errors=out.errors, closefd=False) as whole:
        print(text, end=end, file=whole)


def say_json(value: object) -> None:
    """Print a result as indented JSON, in UTF-8 whatever the locale."""
    _use_utf8()
    say(pretty(value))


def say_json_list(key: str, items: Iterable[object], rest: Callable[[], Mapping[str, object]]) -> None:
    """Print one JSON object, as `say_json` would, but its list `key` item by item: it may be too long to hold.

    `rest` gives the fields after the list, once all items are printed.
    """
    _use_utf8()
    say(f'{{\n  "{key}": [', end="")
    line_end = "\n"
    for item in items:
        say(line_end + indent(pretty(item), " " * 4), end="")
        line_end = ",\n"
    say("\n  ],\n" + pretty(rest()).removeprefix("{\n"))


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


def complain(first: object, *more: object) -> None:
    """Print an error or a remark on stderr."""
    lines = [f"collector: {first}", *map(str, more[:MAX_FAULTS])]
    if len(more) > MAX_FAULTS:
        lines.append(f"and {len(more) - MAX_FAULTS} more")
    print(*lines, sep="\n", file=Stderr(), flush=True)


def pretty(value: object) -> str:
    """Format a value as indented JSON."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
    return orjson.dumps(value, option=options).decode()


def run_to_the_end(main: Callable[[Stop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine, on uvloop where it is installed; the first signal stops it, the second ends the process."""
    from collector.runtime import Stop, tune_gc

    async def stoppable() -> T:
        stop = Stop()
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, _on_first_signal, stop, number)
        return await main(stop)

    tune_gc()
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(stoppable())


def run_at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to drain: a signal ends it at once, with exit 130 or 143."""
    try:
        return _run(work)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def run_until_interrupt(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that Ctrl-C ends as usual, with exit 0; SIGTERM ends it with 143."""
    with suppress(KeyboardInterrupt):
        _run(work)


def _run(work: Coroutine[Any, Any, T]) -> T:

    async def stoppable() -> T:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit, 128 + signal.SIGTERM)
        return await work

    try:
        with asyncio.Runner(loop_factory=_event_loop) as runner:
            return runner.run(stoppable())
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # uvloop leaves its own, of a loop that is closed


def configure_logging(verbose: int, log_format: LogFormat, *, quiet: bool) -> None:
    """Log to stderr: warnings, with -v more, with -q errors alone."""
    import logging

    import stamina.instrumentation
    import structlog

    stderr: Any = Stderr()
    # The client logs retries itself: stamina would log their arguments, which may be secrets.
    stamina.instrumentation.set_on_retry_hooks([])
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    plain = structlog.dev.ConsoleRenderer(
        colors=shows_colours(sys.stderr), exception_formatter=structlog.dev.plain_traceback
    )
    as_json = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    renderers = as_json if log_format is LogFormat.JSON else (plain,)
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso"), *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(stderr),
        cache_logger_on_first_use=False,
    )


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
    complain("stopping: calls in flight are finished and stored; a second signal ends at once")


def _on_second_signal(number: signal.Signals) -> None:
    if sys.stderr.isatty():
        print("\x1b[?25h", end="", file=sys.stderr, flush=True)  # the progress bar hides the cursor
    end_now(number)
