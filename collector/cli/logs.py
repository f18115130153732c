"""The log on stderr: what of it is shown, and in which form.

Nothing heavy is imported at the top, so that `--help` answers at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from collector.cli.terminal import DEBUG, ERROR, INFO, WARNING, Stderr, is_journal, prioritized, shows_colours

Event = MutableMapping[str, Any]

COURSE = frozenset({"run.begun", "run.progress", "run.pauses", "run.ended"})
"""Events of a run's course: shown by default where no terminal shows its progress and its summary."""

_PRIORITIES = {"debug": DEBUG, "info": INFO, "warning": WARNING}


class LogFormat(StrEnum):
    """Forms of the log on stderr."""

    TEXT = "text"
    JSON = "json"


def configure_logging(verbose: int, log_format: LogFormat, *, quiet: bool) -> None:
    """Log to stderr: warnings and the course of an unwatched run, with -v more, with -q errors alone.

    In systemd's journal each line begins with its priority, and a text has no time and no level of its own.
    """
    import stamina.instrumentation
    import structlog

    stderr: Any = Stderr()
    # The client logs retries itself: stamina would log their arguments, which may be secrets.
    stamina.instrumentation.set_on_retry_hooks([])
    level = logging.ERROR if quiet else logging.DEBUG if verbose > 1 else logging.INFO
    processors = (structlog.processors.add_log_level, *(() if verbose else (_without_details,)))
    rendering = _as_json() if log_format is LogFormat.JSON else _as_text()
    structlog.configure(
        processors=[*processors, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(stderr),
        cache_logger_on_first_use=False,
    )


def _without_details(_logger: object, level: str, event: Event) -> Event:
    """Leave out what only -v shows."""
    import structlog

    if level == "info" and (event["event"] not in COURSE or sys.stderr.isatty()):
        raise structlog.DropEvent
    return event


def _as_json() -> tuple[Any, ...]:
    import structlog

    times = structlog.processors.TimeStamper(fmt="iso")
    return (
        times,
        _with_instants(UTC),
        structlog.processors.format_exc_info,
        _with_priority(structlog.processors.JSONRenderer()),
    )


def _as_text() -> tuple[Any, ...]:
    import structlog

    from collector.model.days import BEIJING

    plain = structlog.dev.ConsoleRenderer(
        colors=shows_colours(sys.stderr), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    own = _without_level if is_journal() else _in_beijing
    return _with_instants(BEIJING), own, _with_priority(plain)


def _with_instants(zone: tzinfo) -> Callable[[Any, str, Event], Event]:
    """Return the step that writes the instants of an event in the time of `zone`."""

    def written(_logger: object, _level: str, event: Event) -> Event:
        return {
            key: value.astimezone(zone).isoformat(timespec="seconds") if isinstance(value, datetime) else value
            for key, value in event.items()
        }

    return written


def _in_beijing(_logger: object, _level: str, event: Event) -> Event:
    """Add the time, in Beijing's as everywhere that people read."""
    from collector.model.days import BEIJING

    event["timestamp"] = datetime.now(BEIJING).isoformat(" ", "seconds")
    return event


def _without_level(_logger: object, _level: str, event: Event) -> Event:
    del event["level"]
    return event


def _with_priority(render: Callable[[Any, str, Event], str | bytes]) -> Callable[[Any, str, Event], str]:
    def rendered(logger: object, level: str, event: Event) -> str:
        return prioritized(str(render(logger, level, event)), _PRIORITIES.get(level, ERROR))

    return rendered
