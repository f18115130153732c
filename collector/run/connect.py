"""Open the session with WeChat as the settings have it, sized for the workers."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog

from collector.config import Settings
from collector.run.clock import set_clock
from collector.runtime import Stop, WechatClock
from collector.secrets.reader import Secrets
from collector.wechat.api import MAX_IN_FLIGHT
from collector.wechat.client import Client, Route
from collector.wechat.session import Session

log = structlog.get_logger()

if sys.platform != "win32":
    import resource

OTHER_FILES = 100
"""Open files for all but the connections to WeChat: MongoDB's pool, the log, Python's own."""


@asynccontextmanager
async def connect(settings: Settings, *, clock: WechatClock, stop: Stop) -> AsyncIterator[Session]:
    """Open the session of one run; nothing is asked, and no secret is read, before it is needed."""
    api, secrets = settings.api, Secrets()
    connections = _connections(settings.run.workers)
    async with Client.opened(
        timeout_s=api.timeout, connections=connections, stop=stop, ipv4_only=api.ipv4_only
    ) as client:
        client.clock = clock
        if api.check_clock:
            client.on_date = partial(set_clock, clock, settings.run.published_at)
        route = Route(client, api.hosts, api.proxy, secrets)
        yield Session(route, secrets, settings.components, clock=clock, stop=stop)


def _connections(workers: int) -> int:
    """Return the number of connections: for each worker four data calls and one for a token, as far as files allow.

    Each connection is an open file. The soft limit is raised as far as the hard one lets it.
    """
    wanted = workers * (MAX_IN_FLIGHT + 1)
    if sys.platform == "win32":
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else max(soft, wanted + OTHER_FILES)
    if soft < wanted + OTHER_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, wanted + OTHER_FILES), hard))
    if most < wanted + OTHER_FILES:
        log.warning("connections.limited", open_files=most, wanted=wanted + OTHER_FILES, remedy="raise ulimit -n")
    return max(MAX_IN_FLIGHT, min(wanted, most - OTHER_FILES))
