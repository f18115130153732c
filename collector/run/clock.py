"""Compare this host's clock with WeChat's, before anything is stored by it."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import structlog

from collector.errors import ClockError
from collector.model.days import beijing_time, newest_published
from collector.runtime import WechatClock

log = structlog.get_logger()

# `Date` has whole seconds and an answer takes its time, so a small difference means nothing.
TOLERANCE = timedelta(minutes=5)

# Beyond this the host's clock is plainly wrong, whatever day it names.
MAX_DIFFERENCE = timedelta(hours=1)


def set_clock(clock: WechatClock, published_at: time, wechat: datetime) -> None:
    """Go by WeChat's instant from now on.

    More than `TOLERANCE` apart is a warning. Raises `ClockError` where the clocks `are_apart`: the run has planned
    other days than those that are there.
    """
    host = clock.now()
    if are_apart(host, wechat, published_at):
        # The clock stays the host's, so each answer that is still in flight ends in the same way.
        raise ClockError(host, wechat)
    if abs(host - wechat) > TOLERANCE:
        log.warning("clock.differs", host=beijing_time(host), wechat=beijing_time(wechat), remedy="set the clock")
    clock.set(wechat)


def are_apart(one: datetime, other: datetime, published_at: time) -> bool:
    """Return True where two clocks are more than `MAX_DIFFERENCE` apart, or name different newest published days.

    Within `TOLERANCE` the days aren't compared, so that a timer at 08:00 on a host that is a second ahead works.
    """
    apart = abs(one - other)
    days = {newest_published(each, published_at) for each in (one, other)}
    return apart > MAX_DIFFERENCE or (apart > TOLERANCE and len(days) > 1)
