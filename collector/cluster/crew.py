"""The workers of a run: those that can be used, and those that can't."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import structlog

from collector import __version__
from collector.cluster.digest import digest_of
from collector.cluster.engine import Engine, Member
from collector.cluster.messages import Introduction, RunInfo
from collector.config import Settings
from collector.model.days import beijing_time
from collector.run.clock import are_apart
from collector.runtime import WechatClock
from collector.text import counted

log = structlog.get_logger()

MAX_NAMED = 3
"""Workers that a message names."""


_OTHER_CONFIGURATION = (
    "its configuration differs in what is asked: accounts with their names and tags, platforms, labels, rates, "
    "daily_calls, since, kinds of tokens, lookback, published_at or the database's name"
)


class Crew:
    """The workers that can be used (`members`), and those that can't, with the reason.

    `settings` are the coordinator's, about which workers must agree. `slots_of` counts, by worker, the batches that it
    may be at work on, also once it can't be used any more.
    """

    def __init__(self, engine: Engine, info: RunInfo, settings: Settings, clock: WechatClock) -> None:
        self._engine = engine
        self._info = info
        self._clock = clock
        self._published_at = settings.run.published_at
        # What can't be used here may be sound elsewhere: workers must agree about the other accounts.
        self._appids = frozenset(each.appid for each in settings.accounts) if settings.broken else None
        self._digest = digest_of(settings, self._appids)
        self.members: dict[str, Member] = {}
        self.slots_of: Counter[str] = Counter()
        self._refused: dict[str, str] = {}
        self._asked: set[str] = set()
        self._unresponsive: set[str] = set()

    @property
    def slots(self) -> int:
        """The batches that can be at work at once."""
        return sum(member.slots for member in self.members.values())

    @property
    def trouble(self) -> str:
        """The reasons why workers can't be used."""
        reasons = dict.fromkeys(self._refused.values())
        if len(reasons) == 1:
            return f"{next(iter(reasons))} ({counted(len(self._refused), 'worker')}: {', '.join(self._named)})"
        return "; ".join(f"{address}: {self._refused[address]}" for address in self._named)

    @property
    def _named(self) -> list[str]:
        return [*self._refused][:MAX_NAMED]

    def has(self, member: Member) -> bool:
        """Return True while a worker can be used."""
        return self.members.get(member.address) is member

    def serves(self, label: str | None) -> bool:
        """Return True where a worker can do batches with a label."""
        return any(label in member.labels for member in self.members.values())

    def newcomers(self, known: Iterable[Member]) -> list[Member]:
        """Return the workers that must introduce themselves: they are new, or come back without a batch."""
        settled = self.members.keys() | self._refused.keys() | self._asked
        return [member for member in known if member.address not in settled and not self.slots_of[member.address]]

    async def introduced(self, members: Iterable[Member]) -> list[Member]:
        """Let workers introduce themselves; return those that can be used from now on."""
        asked = {member.address: member for member in members}
        self._asked |= asked.keys()
        try:
            introduced = (self._engine.introduce(each, self._info, self._appids) for each in asked)
            introductions = await asyncio.gather(*introduced)
        finally:
            self._asked -= asked.keys()
        usable = []
        for (address, member), about in zip(asked.items(), introductions, strict=True):
            if about is None:
                self._note_unresponsive(address)
            elif trouble := self._trouble_of(about):
                self.refuse(address, trouble)
            else:
                self.members[address] = member
                usable.append(member)
        return usable

    def all_refused(self, addresses: Iterable[str]) -> bool:
        """Return True where none of these can be used."""
        return all(address in self._refused for address in addresses)

    def suspend(self, address: str) -> None:
        """Give no batch to a worker until it introduces itself again."""
        self.members.pop(address, None)

    def refuse(self, address: str, why: str) -> None:
        """Use a worker no more in this run."""
        self.members.pop(address, None)
        if address not in self._refused:
            self._refused[address] = why
            log.warning("worker.refused", worker=address, why=why)

    def suspend_gone(self, running: Iterable[str]) -> bool:
        """Suspend the workers that aren't `running` any more; return True where there are any."""
        gone = self.members.keys() - set(running)
        for address in gone:
            self.suspend(address)
        return bool(gone)

    def _trouble_of(self, about: Introduction) -> str:
        """Return why a worker can't be used, or an empty text."""
        if about.trouble:
            return about.trouble
        if about.version != __version__:
            return f"it has version {about.version} of the collector, and not {__version__}"
        if about.digest != self._digest:
            return f"its configuration has faults: {about.fault}" if about.fault else _OTHER_CONFIGURATION
        now = self._clock.now()
        if about.now and are_apart(about.now, now, self._published_at):
            return (
                f"its clock says {beijing_time(about.now)}, this host's {beijing_time(now)}: set the one that is wrong"
            )
        return ""

    def _note_unresponsive(self, address: str) -> None:
        """Note that a worker doesn't answer; it is asked again."""
        if address not in self._unresponsive:
            self._unresponsive.add(address)
            log.warning("worker.unresponsive", worker=address)
