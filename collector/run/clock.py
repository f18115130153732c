"""Compare this host's clock with WeChat's, before anything is stored by it."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import structlog

from collector.errors import ClockError
from collector.model.days import newest_published
from collector.runtime import WechatClock

log = structlog.get_logger()

# `Date` has whole seconds and an answer takes its time, so a small difference means nothing.
TOLERANCE = timedelta(minutes=5)

# Beyond this the host's clock is plainly wrong, whatever day it names.
MAX_DIFFERENCE = timedelta(hours=1)


def set_clock(clock: WechatClock, published_at: time, wechat: datetime) -> None:
    """Go by WeChat's instant from now on.

    More than `TOLERANCE` apart is a warning. Raises `ClockError` where the host's clock is more than `MAX_DIFFERENCE`
    off, or names another newest published day: the run has planned other days than those that are there. Within
    `TOLERANCE` the days aren't compared, so that a timer at 08:00 on a host that is a second ahead works.
    """
    host = clock.now()
    apart = abs(host - wechat)
    if apart > MAX_DIFFERENCE or (
        apart > TOLERANCE and newest_published(host, published_at) != newest_published(wechat, published_at)
    ):
        # The clock stays the host's, so each answer that is still in flight ends in the same way.
        raise ClockError(host, wechat)
    if apart > TOLERANCE:
        log.warning(
            "clock.differs", host=f"{host:%H:%M:%S} UTC", wechat=f"{wechat:%H:%M:%S} UTC", remedy="set the clock"
        )
    clock.set(wechat)
