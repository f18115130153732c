"""Open the session with WeChat as the settings have it, sized for the workers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from collector.config import Settings
from collector.run.clock import set_clock
from collector.runtime import Stop, WechatClock
from collector.secrets.reader import Secrets
from collector.wechat.api import MAX_IN_FLIGHT
from collector.wechat.client import Client
from collector.wechat.connections import OPEN_PER_CALL
from collector.wechat.routes import Route
from collector.wechat.session import Session

log = structlog.get_logger()

if sys.platform != "win32":
    import resource

OTHER_FILES = 100
"""Open files for all but the connections to WeChat: MongoDB's pool, the log, Python's own."""

MAX_FILES = 65_536
"""The highest limit of open files that is set, more than any number of workers needs."""


@asynccontextmanager
async def connect(
    settings: Settings, *, clock: WechatClock, stop: Stop, before_call: Callable[[], None] | None = None
) -> AsyncIterator[Session]:
    """Open the session of one run; nothing is asked, and no secret is read, before it is needed.

    `before_call` is called before each request, and may raise a `CollectorError` to end the run.
    """
    api, secrets = settings.api, Secrets(monotonic=clock.monotonic)
    connections = _connections(settings.run.workers)
    async with Client.opened(
        timeout_s=api.timeout,
        connections=connections,
        stop=stop,
        clock=clock,
        ipv4_only=api.ipv4_only,
    ) as client:
        if before_call:
            client.before_call = before_call
        if api.check_clock:
            client.on_date = partial(set_clock, clock, settings.run.published_at)
        route = Route(client, api.hosts, api.proxy, secrets)
        yield Session(route, secrets, settings.components, clock=clock, stop=stop)


def _connections(workers: int) -> int:
    """Return how many calls may be in flight: for each worker four for data and one for a token, as far as files allow.

    Each connection is an open file, and some are kept for later calls.
    """
    wanted = workers * (MAX_IN_FLIGHT + 1)
    if sys.platform == "win32":
        return wanted
    files, files_wanted = _raised_limit(), wanted * OPEN_PER_CALL + OTHER_FILES
    if files < files_wanted:
        remedy = "raise ulimit -n, or LimitNOFILE= in the unit"
        log.warning("connections.limited", open_files=files, wanted=files_wanted, remedy=remedy)
    return max(MAX_IN_FLIGHT, min(wanted, (files - OTHER_FILES) // OPEN_PER_CALL))


def _raised_limit() -> int:
    """Raise the soft limit of open files to the hard one, at most to `MAX_FILES`; return the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return most
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):
        return soft  # some systems allow less than their hard limit
    return most
