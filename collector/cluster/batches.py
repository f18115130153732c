"""Batches of accounts, and the queue in which they wait for a worker."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from collector.model.accounts import Account
from collector.model.shards import shard_of

MAX_IN_BATCH = 250
"""Accounts of a batch. A worker that dies loses the batches that it has, and a stop waits for none to end."""

MIN_IN_BATCH = 10
"""Accounts below which a batch isn't divided any more: each costs the coordinator and the worker 20 ms."""

BATCHES_PER_SLOT = 4
"""Batches for each that can be at work at once, so that all workers end at about the same time."""

HASHES = 2**64
"""Values that the hash of an appid can have."""


@dataclass(eq=False, slots=True)
class Batch:
    """Accounts with one egress label that one worker does at a time.

    `history` are the appids of those whose history is to be filled; it is None as long as the daily job comes first.
    `attempts` counts the workers that were given this job and didn't finish it. `is_filled` is True once the
    history that was left was filled: a newer day may bring further jobs.
    """

    number: int
    label: str | None
    accounts: Sequence[Account]
    history: frozenset[str] | None = None
    attempts: int = 0
    is_filled: bool = False
    is_outdated: bool = False
    """True while it is at work for a day that isn't the newest any more."""

    @property
    def asked(self) -> Sequence[Account]:
        """The accounts of the job that comes next."""
        return self.accounts if self.history is None else [each for each in self.accounts if each.appid in self.history]


def split(accounts: Iterable[Account], slots: int, *, by_label: bool) -> list[Batch]:
    """Divide accounts by their hash into batches for so many slots of workers; with `by_label`, each of one label."""
    labelled: dict[str | None, list[Account]] = defaultdict(list)
    for account in accounts:
        labelled[account.egress if by_label else None].append(account)
    batches: list[Batch] = []
    for label, those in labelled.items():
        few, many = -(-len(those) // MAX_IN_BATCH), -(-len(those) // MIN_IN_BATCH)
        count = max(few, min(many, BATCHES_PER_SLOT * slots))
        # Not by the hash modulo `count`: the accounts of one shard leave few remainders, and would be in few batches.
        hashed = sorted(those, key=lambda account: shard_of(account.appid, HASHES))
        batches += [Batch(len(batches) + place, label, hashed[place::count]) for place in range(count)]
    return batches


class BatchQueue:
    """Batches that wait for a worker: first those of the daily job, then those of history.

    A batch is at work from `get` until `done`, `put_back` or `drop`.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._all = list(batches)
        self._daily = [batch for batch in self._all if batch.history is None]
        self._history = [batch for batch in self._all if batch.history is not None]
        self._is_stopped = False
        self.at_work: set[Batch] = set()
        self._changed = asyncio.Event()

    @property
    def is_done(self) -> bool:
        """True once no batch waits or is at work."""
        return not self._daily and not self._history and not self.at_work

    @property
    def has_history(self) -> bool:
        """True where history is being filled."""
        return bool(self._history) or any(batch.history is not None for batch in self.at_work)

    @property
    def has_daily(self) -> bool:
        """True while a batch waits for its daily job."""
        return bool(self._daily)

    @property
    def waiting(self) -> list[Batch]:
        """The batches that wait, in the order in which they are given out."""
        return [*self._daily, *self._history]

    async def get(self, labels: Collection[str | None], is_wanted: Callable[[], bool] = lambda: True) -> Batch | None:
        """Return the next batch with one of `labels`, as soon as there is one.

        Returns None once there won't be any, or when it isn't wanted any more: `wake` lets that be looked at.
        """
        while not self.is_done and is_wanted():
            if batch := next((each for each in self.waiting if each.label in labels), None):
                (self._daily if batch.history is None else self._history).remove(batch)
                self.at_work.add(batch)
                return batch
            await self._changed.wait()
        return None

    def done(self, batch: Batch, lacking_history: Iterable[str]) -> None:
        """End a batch's job; its history comes next where it lacks some, or the daily job of a newer day."""
        self.at_work.remove(batch)
        batch.attempts = 0
        left = frozenset(lacking_history)
        batch.is_filled |= batch.history is not None
        if batch.is_outdated and not self._is_stopped:
            batch.is_outdated, batch.history = False, None
            self._daily.append(batch)
        elif left and not self._is_stopped:
            batch.history = left
            self._history.append(batch)
        self.wake()

    def put_back(self, batch: Batch) -> None:
        """Let a batch wait again that its worker didn't finish."""
        self.at_work.remove(batch)
        if not self._is_stopped:
            (self._daily if batch.history is None else self._history).insert(0, batch)
        self.wake()

    def give_up(self, batches: Iterable[Batch]) -> None:
        """Take out batches for good."""
        gone = set(batches)
        self.at_work -= gone
        for each in (self._all, self._daily, self._history):
            each[:] = [batch for batch in each if batch not in gone]
        self.wake()

    def begin_day(self) -> None:
        """Let all batches wait for the daily job of a newer day, those at work once they are done with the older."""
        self._history.clear()
        for batch in self._all:
            if batch in self.at_work:
                batch.is_outdated = True
            elif batch not in self._daily:
                batch.history = None
                self._daily.append(batch)
        self.wake()

    def stop(self, *, daily_too: bool) -> None:
        """Give out no more history, and no daily job either where it is stopped `daily_too`."""
        self._is_stopped = True
        self._history.clear()
        if daily_too:
            self._daily.clear()
        self.wake()

    async def wait_until_done(self, timeout_s: float) -> None:
        """Wait until all batches are done, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.is_done:
                    await self._changed.wait()

    def wake(self) -> None:
        """Let all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()  # those who wait have seen the old one
