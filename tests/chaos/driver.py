"""The driver of a storm: starts collectors again and again while the storm's events happen."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle

from chaos.host import Collector, HungError
from chaos.link import Link
from chaos.plan import LENGTH_S, WAITED_S, Event, Plan, What
from chaos.replicas import ReplicaSet
from chaos.site import Site, may_end_with

from collector.sandbox import Sandbox

STOPPING_S = 6.0
"""Seconds after SIGTERM until a collector is killed: a minute of its hurried loop."""

SLOW_S = 0.02
"""Seconds for each chunk of a slow link."""


@dataclass(frozen=True, slots=True)
class Links:
    """Links before WeChat and before the token server."""

    wechat: Link
    tokens: Link


class Driver:
    """Driver that applies `plan` to a site, its WeChat and its token server behind `links`, and its replica set.

    `faults` counts the events that happened; `wrong` are exits that no fault excuses.
    """

    def __init__(self, plan: Plan, site: Site, sandbox: Sandbox, links: Links, replicas: ReplicaSet) -> None:
        self.faults: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._plan = plan
        self._site = site
        self._clock = site.host.clock
        self._sandbox = sandbox
        self._links = links
        self._replicas = replicas
        self._collector: Collector | None = None
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Run the storm; at the end no collector is left."""
        now = asyncio.get_running_loop().time
        began = now()
        async with asyncio.TaskGroup() as lasting:
            lasting.create_task(self._keep_collecting())
            for event in self._plan.events:
                await asyncio.sleep(began + event.at_s - now())
                lasting.create_task(self._apply(event))
            await asyncio.sleep(began + LENGTH_S - now())
            self._over.set()
            await self._stop()

    async def _keep_collecting(self) -> None:
        """Start a collector whenever there is none, some time after the previous one."""
        pauses = cycle(self._plan.pauses)
        while not self._over.is_set():
            self._collector = await self._site.start(hurried=True)
            if self._over.is_set():
                self._collector.signal(signal.SIGKILL)
            try:
                exit_code = await self._collector.exit()
            except HungError as error:
                self.wrong.append(str(error))
                continue
            if not may_end_with(exit_code):
                self.wrong.append(f"a collector ended with {exit_code}")
            self._clock.jump(next(pauses))
            await self._site.end_lease()

    async def _stop(self) -> None:
        if self._collector and self._collector.signal(signal.SIGTERM):
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._collector.ended), STOPPING_S)
            self._collector.signal(signal.SIGKILL)

    async def _apply(self, event: Event) -> None:
        """Apply an event, and undo it where it lasts; an event without a target doesn't count."""
        what = event.what
        if what in _SIGNALS:
            done = await self._signal(event, *_SIGNALS[what])
        else:
            await self._trouble(event)
            done = True
        self.faults[what] += done

    async def _signal(self, event: Event, first: signal.Signals, second: signal.Signals | None) -> bool:
        await self._calls(event.calls)
        while not (collector := self._collector) or not collector.signal(first):
            if self._over.is_set():
                return False
            await asyncio.sleep(0.001)
        if second:
            await asyncio.sleep(event.for_s)
            collector.signal(second)
        return True

    async def _calls(self, number: int) -> None:
        """Wait for so many more calls, so that a collector is at work, or for a while."""
        until = len(self._sandbox.calls) + number
        with suppress(TimeoutError):
            async with asyncio.timeout(WAITED_S):
                while len(self._sandbox.calls) < until:  # noqa: ASYNC110 - a sandbox sets no event
                    await asyncio.sleep(0.001)

    async def _trouble(self, event: Event) -> None:
        members = [self._replicas.members[event.member]] if event.member is not None else self._replicas.members
        links = [member.link for member in members]
        match event.what:
            case What.MEMBER_KILL:
                await self._restart(event)
            case What.STEP_DOWN:
                await self._replicas.step_down()
            case What.BEHEAD:
                await self._replicas.behead(event.for_s)
            case What.MONGODB_CUT | What.MONGODB_REFUSE | What.MONGODB_SLOW | What.MONGODB_HOLD:
                await asyncio.gather(*(_disturb(link, event) for link in links))
            case What.WECHAT_CUT | What.WECHAT_REFUSE | What.WECHAT_SLOW | What.WECHAT_HOLD:
                await _disturb(self._links.wechat, event)
            case What.TOKENS_REFUSE | What.TOKENS_HOLD:
                await _disturb(self._links.tokens, event)
            case What.JUMP:
                self._clock.jump(event.by)
                self._tell_clock()
            case What.SKEW:
                await self._skew(event)
            case What.PLATFORM | What.SHORT_LIST:
                self._change_platform(event.what)

    async def _restart(self, event: Event) -> None:
        """Kill a member, or the primary where the event is for all, and start it again later."""
        members = self._replicas.members
        member = members[event.member] if event.member is not None else await self._replicas.find_primary()
        if member:
            await member.kill()
            await asyncio.sleep(event.for_s)
            await member.start()

    async def _skew(self, event: Event) -> None:
        self._clock.skew(event.by)
        self._tell_clock()
        await asyncio.sleep(event.for_s)
        self._clock.skew(timedelta(0))
        self._tell_clock()

    def _tell_clock(self) -> None:
        if self._collector:
            self._collector.signal(signal.SIGUSR1)

    def _change_platform(self, what: What) -> None:
        """Make the third-party platform's list short once, or renew all its credentials and its clients'."""
        if what is What.SHORT_LIST:
            self._sandbox.shrink_list(1)
            return
        self._sandbox.end_component_token()
        self._sandbox.renew_ticket()
        for appid in self._plan.world.authorizers[::3]:
            self._sandbox.authorise(appid)


_SIGNALS: dict[What, tuple[signal.Signals, signal.Signals | None]] = {
    What.KILL: (signal.SIGKILL, None),
    What.STOP: (signal.SIGTERM, None),
    What.STOP_TWICE: (signal.SIGTERM, signal.SIGINT),
    What.FREEZE: (signal.SIGSTOP, signal.SIGCONT),
}


async def _disturb(link: Link, event: Event) -> None:
    match event.what:
        case What.MONGODB_CUT | What.WECHAT_CUT:
            link.cut()
        case What.MONGODB_REFUSE | What.WECHAT_REFUSE | What.TOKENS_REFUSE:
            await link.refuse(event.for_s)
        case What.MONGODB_SLOW | What.WECHAT_SLOW:
            await link.slow(event.for_s, SLOW_S)
        case What.MONGODB_HOLD | What.WECHAT_HOLD | What.TOKENS_HOLD:
            await link.hold(event.for_s)
