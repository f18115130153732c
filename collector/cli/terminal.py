"""What the commands share with the terminal: printing, logging, and a loop that signals stop.

With `cli.py` the only place that prints. It imports what it needs when it is asked, so that `--help`
answers at once.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collector.runtime import Stop

T = TypeVar("T")

GARBAGE = 20_000
"""Objects more than before, until Python looks for cycles among the young ones: a megabyte."""

TOGETHER_S = 0.05
"""Seconds within which signals count as one: `timeout` sends its own to the command and to the command's group."""

MOST_LINES = 100
"""Faults shown of a configuration; who mends so many asks again."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class LogFormat(StrEnum):
    """The forms of the log on stderr."""

    TEXT = "text"
    JSON = "json"


def say(text: object) -> None:
    """Print a result on stdout; a reader that has left early (`| head`) changes nothing else."""
    try:
        _put(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain(f"the result can't be printed: {error.strerror}")


def _put(text: object) -> None:
    """Print all of a text, though stdout be unbuffered: then Python forgets what a pipe didn't take at once."""
    if not isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        print(text, flush=True)
        return
    out = sys.stdout
    with open(out.fileno(), "w", encoding=out.encoding, errors=out.errors, closefd=False) as whole:
        print(text, file=whole)


def complain(first: object, *more: object) -> None:
    """Print on stderr what is wrong, or worth knowing."""
    lines = [f"collector: {first}", *map(str, more[:MOST_LINES])]
    if len(more) > MOST_LINES:
        lines.append(f"and {len(more) - MOST_LINES} more")
    print(*lines, sep="\n", file=sys.stderr)


def pretty(value: object) -> str:
    """A value as JSON, as people like to read it."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
    return orjson.dumps(value, option=options).decode()


def run_to_the_end(main: Callable[[Stop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine, on uvloop where it is installed; the first signal stops it, the second ends the process."""
    from collector.runtime import Stop

    async def stoppable() -> T:
        stop = Stop()
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, _on_first_signal, stop, number)
        return await main(stop)

    _collect_less_garbage()
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(stoppable())


def _collect_less_garbage() -> None:
    """Look for cycles rarely, and not among what is there already: a run makes few, and looking took a fifth of it."""
    gc.freeze()
    gc.set_threshold(GARBAGE)


def run_at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that has nothing to drain: a signal ends it where it stands, with exit 130 or 143."""

    async def stoppable() -> T:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit, 128 + signal.SIGTERM)
        return await work

    try:
        with asyncio.Runner(loop_factory=_event_loop) as runner:
            return runner.run(stoppable())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def configure_logging(verbose: int, log_format: LogFormat, *, quiet: bool) -> None:
    """Log to stderr: warnings, with -v more, with -q errors alone."""
    import logging

    import stamina.instrumentation
    import structlog

    stamina.instrumentation.set_on_retry_hooks([])  # the client logs its own retries, without their arguments
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    colors = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    plain = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([structlog.processors.format_exc_info] if log_format is LogFormat.JSON else []),
            structlog.processors.JSONRenderer() if log_format is LogFormat.JSON else plain,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is then: a progress bar takes it over
        cache_logger_on_first_use=False,
    )


def end_now(number: signal.Signals) -> None:
    """End this process by a signal, and the commands that it has started."""
    from collector.secrets.commands import kill_all

    kill_all()
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
        asyncio.get_running_loop().call_later(TOGETHER_S, _await_second_signal)


def _await_second_signal() -> None:
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _on_second_signal, number)
    complain("stopping: calls in flight are finished and stored; a second signal ends at once")


def _on_second_signal(number: signal.Signals) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h")  # the progress bar hides the cursor
        sys.stderr.flush()
    end_now(number)
