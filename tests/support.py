"""What several test modules import."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from collector.wechat.waits import Clock


class FakeClock(Clock):
    """Stands still at `instant`; a sleep moves it on at once."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.instant += timedelta(seconds=delay_s)
        await asyncio.sleep(0)
