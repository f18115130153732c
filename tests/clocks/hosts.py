"""A host whose clock isn't WeChat's: it is off, and it leaps while a run is at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from support import Documents, FakeClock, run, stored, truth

from collector.config import Settings
from collector.model.days import FIRST_DAY, ONE_DAY, Days, Window
from collector.model.results import RunResult
from collector.runtime import Clock
from collector.sandbox import Sandbox
from collector.sandbox.publication import newest_published
from collector.store.database import Database
from collector.store.state import load

SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"
NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Leap:
    """The host's clock leaps `by` so much; `asleep` is time that passes meanwhile, for WeChat as well."""

    by: timedelta = NO_TIME
    asleep: timedelta = NO_TIME


class HostClock(Clock):
    """The host's clock, `off_by` so much from WeChat's; its monotonic clock stood still while it was `asleep`."""

    def __init__(self, wechat: FakeClock) -> None:
        self.wechat = wechat
        self.off_by = NO_TIME
        self.asleep = NO_TIME

    def now(self) -> datetime:
        return self.wechat.now() + self.off_by

    def monotonic(self) -> float:
        return self.wechat.monotonic() - self.asleep.total_seconds()

    async def sleep(self, delay_s: float) -> None:
        await self.wechat.sleep(delay_s)


@dataclass(slots=True)
class Host:
    """A collector's host, and the WeChat that it asks; each question takes `tick`.

    `leaps` are those that come at the n-th question of a run, counted from 0.
    """

    settings: Settings
    database: Database
    sandbox: Sandbox
    clock: HostClock
    tick: timedelta
    leaps: dict[int, Leap] = field(default_factory=dict)

    def wechat_now(self) -> datetime:
        """WeChat's instant of the question that has come."""
        wechat = self.clock.wechat
        leap = self.leaps.pop(len(self.sandbox.calls), Leap())
        self.clock.off_by += leap.by
        self.clock.asleep += leap.asleep
        wechat.instant += self.tick + leap.asleep
        return wechat.instant

    @property
    def newest(self) -> date:
        """The newest day that WeChat has published, as the sandbox has it."""
        return newest_published(self.clock.wechat.now(), self.sandbox.world.published_at)

    @property
    def asked(self) -> set[Window]:
        """The windows that the last run asked for."""
        return {
            Window(date.fromisoformat(call.begin_date), date.fromisoformat(call.end_date))
            for call in self.sandbox.calls
            if call.path in (SUMMARY, CUMULATE)
        }

    @property
    def newest_asked(self) -> date:
        """The newest day that the last run asked for."""
        return max(window.end for window in self.asked)

    async def collect(self, *, off_by: timedelta = NO_TIME, **history: Any) -> RunResult:
        """One run, which begins with a clock that is off by so much; `leaps` come at its questions."""
        self.clock.off_by = off_by
        self.sandbox.calls.clear()
        return await run(self.settings, self.clock, **history)

    async def documents(self) -> Documents:
        return await stored(self.database)

    async def states(self) -> list[dict[str, Any]]:
        """Return the states of all accounts, as they are stored."""
        return [state async for state in self.database["accounts"].find().sort("_id")]

    async def void(self, until: date) -> Days:
        """The days up to `until` that are void for any account and dataset."""
        states = (await load(self.database)).values()
        void = (known.void for state in states for known in state.datasets.values())
        return Days.joined(window for days in void for window in days.ranges) & Days.between(FIRST_DAY, until)

    async def differing(self, since: date, until: date) -> set[tuple[str, str]]:
        """The documents from `since` to `until` that lack or aren't the truth, and those of days that aren't there."""
        days = Window(since - 7 * ONE_DAY, self.newest)  # a quiet day shows by the total of the day before
        expected, found = truth(self.sandbox.world, days), await self.documents()
        differing = {key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)}
        return {(account, day) for account, day in differing if str(since) <= day <= str(until) or day > str(days.end)}


def named(leap: timedelta) -> str:
    """Return a leap as the id of a test shows it."""
    return f"{leap.total_seconds():+.0f} s"


Hosting = Callable[..., AbstractAsyncContextManager[Host]]
