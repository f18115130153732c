"""The workers of a run: those that can be used, and those that can't."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import structlog

from collector.cluster.engine import Member
from collector.text import counted

log = structlog.get_logger()

MAX_NAMED = 3
"""Workers that a message names."""


class Crew:
    """The workers that can be used (`members`), and those that can't, with the reason."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.slots_of: Counter[str] = Counter()
        self._refused: dict[str, str] = {}
        self._greeted: set[str] = set()
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

    def begin_greeting(self, member: Member) -> bool:
        """Return True for a worker that must introduce itself: it isn't known, or comes back without a batch."""
        address = member.address
        if address in self.members or address in self._refused or address in self._greeted or self.slots_of[address]:
            return False
        self._greeted.add(address)
        return True

    def end_greeting(self, member: Member) -> None:
        """Note that a worker was asked to introduce itself."""
        self._greeted.remove(member.address)

    def all_refused(self, addresses: Iterable[str]) -> bool:
        """Return True where none of these can be used."""
        return all(address in self._refused for address in addresses)

    def welcome(self, member: Member) -> None:
        """Use a worker."""
        self.members[member.address] = member

    def suspend(self, address: str) -> None:
        """Give no batch to a worker until it introduces itself again."""
        self.members.pop(address, None)

    def note_unresponsive(self, address: str) -> None:
        """Note that a worker doesn't answer; it is asked again."""
        if address not in self._unresponsive:
            self._unresponsive.add(address)
            log.warning("worker.unresponsive", worker=address)

    def refuse(self, address: str, why: str) -> None:
        """Use a worker no more in this run."""
        self.members.pop(address, None)
        if address not in self._refused:
            self._refused[address] = why
            log.warning("worker.refused", worker=address, why=why)

    def look(self, running: Iterable[str]) -> bool:
        """Suspend workers that aren't `running` any more; return True where there are any."""
        gone = self.members.keys() - set(running)
        for address in gone:
            self.suspend(address)
        return bool(gone)
