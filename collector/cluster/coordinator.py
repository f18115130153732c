"""Coordinator of a run that is spread over workers.

It holds the run's lease, reads the platforms' lists, gives out the accounts in batches, and counts what comes back. It
asks for no account itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import structlog

from collector.cluster.batches import MAX_ATTEMPTS, Batch, BatchQueue, split
from collector.cluster.crew import Crew
from collector.cluster.dispatch import Dispatch, platform_of
from collector.cluster.engine import Engine, Member
from collector.cluster.messages import Report, RunInfo
from collector.commands.plans import newest_day
from collector.commands.work import DRAIN_S, MAX_READ, Run
from collector.console.progress import NO_STEPS, Steps
from collector.errors import ClusterError, DatabaseError, StoppedError, UsageError
from collector.model.accounts import Account
from collector.model.results import Failure, Outcome
from collector.run.counts import Counts
from collector.run.left import windows_left
from collector.runtime import first_of_group, in_background
from collector.store import claims
from collector.store.held import TIMES, LeaseTimes
from collector.store.state import read_states
from collector.wechat.session import Session

T = TypeVar("T")
log = structlog.get_logger()

_NO_WORKER = "the cluster has no worker that answers: start some, then run again"


@dataclass(frozen=True, slots=True)
class Times:
    """Intervals of the coordinator, in seconds.

    It looks for dead workers, new ones and a newer day each `look_every_s`. Accounts whose egress label no worker has
    had for `without_worker_s` fail. The `lease` is that of the run and of each batch.
    """

    look_every_s: float = 2
    without_worker_s: float = 90
    lease: LeaseTimes = TIMES


@dataclass(slots=True)
class _AtWork:
    """A batch at work: its worker, the epoch of its claim, its progress; `lost` is set once the claim has expired."""

    member: Member
    epoch: int
    steps: Steps = NO_STEPS
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Coordinator:
    """A run's coordinator, connected to its cluster."""

    def __init__(self, run: Run, session: Session, engine: Engine, info: RunInfo, times: Times) -> None:
        self._run = run
        self._engine = engine
        self._info = info
        self._times = times
        self._database = run.writer.database
        self._dispatch = Dispatch(run, session, info)
        self._target = run.job.target
        self._crew = Crew(engine, info, run.settings, run.clock)
        self._queue = BatchQueue(())
        # By the number of the batch.
        self._at_work: dict[int, _AtWork] = {}
        self._total = 0
        # Accounts, by appid, of which no worker has told yet what they lack.
        self._uncounted: dict[str, Account] = {}

    async def do(self, accounts: Sequence[Account]) -> None:
        """Give out all accounts, and count what comes back."""
        if not self._engine.has_tls and any(map(platform_of, accounts)):
            raise UsageError("tokens of a third-party platform go over TLS alone: use a cluster with tls://")
        # A leap of this host's clock changes nothing from now on. Without discovery no answer of WeChat's comes here.
        self._run.clock.set(self._run.clock.now())
        async with self._run.stop.ends():  # the signal may end workers, too, before they have introduced themselves
            known = await self._engine.members()
            members = await self._crew.introduced(member for member in known.values() if member.is_running)
        if not members:
            raise ClusterError(self._crew.trouble or _NO_WORKER)
        batches = split(accounts, self._crew.slots, by_label=not self._engine.is_local)
        if self._run.job.ignore_waits:  # those that WeChat orders in the daily job must be kept in history
            for batch in batches:
                batch.history = frozenset(account.appid for account in batch.accounts)
        self._queue = BatchQueue(batches)
        self._total = len(accounts)
        self._uncounted = {account.appid: account for account in accounts}
        self._run.tally.watch.begin(self._total)
        self._give_up_without_worker(batches)
        self._engine.follow(self._take_progress)
        try:
            async with in_background(self._stop_workers(), name="workers' stop"):
                await self._work(members)
        finally:
            held = self._run.writer.held
            held.is_left = bool(self._at_work)  # until they look at their claims again
            if not held.is_lost:  # else they expire
                with suppress(DatabaseError):
                    await claims.end_all(self._database, self._run.id)
                    await self._count_left()

    async def _work(self, members: Sequence[Member]) -> None:
        grace_s = DRAIN_S + self._times.look_every_s
        try:
            with first_of_group():
                async with self._run.stop.ends(grace_s=grace_s), asyncio.TaskGroup() as group:
                    self._engage(members, group)
                    group.create_task(self._look_after(group))
        except StoppedError:
            log.warning("run.cut", after_seconds=DRAIN_S)

    async def _stop_workers(self) -> None:
        """At a stop signal, give out no more batches but those in which a backfill's wish must be remembered."""
        number = await self._run.stop.wait()
        self._queue.stop(daily_too=self._target.since is None)
        # Also those that get no more batches, but are still at work.
        addresses = self._crew.members.keys() | {work.member.address for work in self._at_work.values()}
        await self._engine.halt(self._run.id, number, addresses)

    async def _slot(self, member: Member) -> None:
        """Do one batch after the other with a worker, as long as it can be used."""
        try:
            is_wanted = partial(self._crew.has, member)
            while batch := await self._queue.get(member.labels, member.address, is_wanted):
                await self._do(batch, member)
        finally:
            self._crew.slots_of[member.address] -= 1

    async def _do(self, batch: Batch, member: Member) -> None:
        """Let a worker do a batch; without a report, wait until it has certainly ended with it."""
        run, number = self._run.id, batch.number
        epoch = await claims.assign(self._database, run, number, member.address, self._times.lease)
        work = self._at_work[number] = _AtWork(member, epoch)
        order = await self._dispatch.order(batch, epoch, member, self._target)
        done = self._engine.done(order, member, batch.label)
        report = await _unless(work.lost, done)
        if report is None:
            self._crew.suspend(member.address)
            await work.lost.wait()
        else:
            self._run.tally.take(report.counts)
            for appid in report.counts.windows_left:
                self._uncounted.pop(appid, None)
            await claims.end(self._database, run, number, epoch)
        del self._at_work[number]
        self._dispatch.ended_s[number] = monotonic()
        if report is None or report.error:
            self._show(work, NO_STEPS)
            self._try_again(batch, member, report)
        else:
            self._show(work, report.steps)
            if not self._run.fills_history:  # the last round of the run does
                self._run.tally.leave_history(report.lacking_history)
                report = replace(report, lacking_history=())
            self._queue.done(batch, report.lacking_history)

    def _try_again(self, batch: Batch, member: Member, report: Report | None) -> None:
        if report and report.error:
            self._crew.refuse(member.address, report.error)
        else:
            log.warning("worker.lost", worker=member.address, accounts=len(batch.asked))
            batch.attempts += 1
        if batch.attempts < MAX_ATTEMPTS:
            self._queue.put_back(batch)
        else:
            why = f"{MAX_ATTEMPTS} workers died of the batch that the account is in"
            self._give_up([batch], why, "see the workers' logs, and run again")

    async def _look_after(self, group: asyncio.TaskGroup) -> None:
        """Look for dead workers, for new ones and for a newer day, until all batches are done."""
        missing_since_s: dict[str | None, float] = {}
        while not self._queue.is_done:
            self._run.writer.held.check()
            await self._look_at_claims()
            self._look_for_a_newer_day()
            known = await self._engine.members()
            running = {address: member for address, member in known.items() if member.is_running}
            if self._crew.suspend_gone(running):
                self._queue.wake()
            for member in self._crew.newcomers(running.values()):
                group.create_task(self._join(member, group))
            if known and self._crew.all_refused(known):
                raise ClusterError(self._crew.trouble)
            missing_since_s = {
                batch.label: missing_since_s.get(batch.label, monotonic())
                for batch in self._queue.waiting
                if not self._crew.serves(batch.label)
            }
            before_s = monotonic() - self._times.without_worker_s
            late = {label for label, since_s in missing_since_s.items() if since_s < before_s}
            self._give_up_without_worker([batch for batch in self._queue.waiting if batch.label in late])
            await self._queue.wait_until_done(self._times.look_every_s)

    async def _look_at_claims(self) -> None:
        """Find the batches whose worker is dead or halted. One that hasn't begun yet may be busy with another run."""
        run, at_work = self._run.id, dict(self._at_work)  # those that have their claims by now
        unbegun = [number for number, work in at_work.items() if self._crew.has(work.member)]
        await claims.hold(self._database, run, unbegun, self._times.lease)
        valid = await claims.valid(self._database, run)
        for number in at_work.keys() - valid:
            at_work[number].lost.set()

    def _look_for_a_newer_day(self) -> None:
        """Let the daily job of a newer day come before the rest of history; batches at work find out by themselves."""
        newest = newest_day(self._run.settings, self._run.clock)
        is_due = newest > self._target.newest and self._queue.has_history and not self._queue.has_daily
        if is_due and not self._run.stop.is_set:
            log.info("day.published", newest=str(newest))
            self._target = replace(self._target, newest=newest)
            self._queue.begin_day()
            self._run.tally.watch.begin(self._total)

    async def _join(self, member: Member, group: asyncio.TaskGroup) -> None:
        """Use a worker that is new, or has come back."""
        self._engage(await self._crew.introduced([member]), group)

    def _engage(self, members: Iterable[Member], group: asyncio.TaskGroup) -> None:
        for member in members:
            self._crew.slots_of[member.address] += member.slots
            for _ in range(member.slots):
                group.create_task(self._slot(member))

    async def _count_left(self) -> None:
        """Count what the accounts lack of which no worker has told."""
        appids, now = [*self._uncounted], self._run.clock.now()
        for begin in range(0, len(appids), MAX_READ):
            chunk = appids[begin : begin + MAX_READ]
            states, unusable = await read_states(self._database, chunk)
            usable = [self._uncounted[appid] for appid in chunk if appid not in unusable]
            left = await windows_left(usable, states, self._target, now)
            self._run.tally.take(Counts(windows_left=left))

    def _give_up_without_worker(self, batches: Sequence[Batch]) -> None:
        """Fail the accounts of these batches whose label no worker has."""
        for batch in [each for each in batches if not self._crew.serves(each.label)]:
            whom = f"the egress label {batch.label}" if batch.label else "accounts without an egress label"
            how = f"with --resources egress-{batch.label}=1" if batch.label else "without --resources"
            self._give_up([batch], f"no worker serves {whom}", f"start a dask worker {how}")

    def _give_up(self, batches: Iterable[Batch], why: str, remedy: str) -> None:
        for batch in batches:
            failures = {each.appid: [Failure(each.appid, each.name, None, why, hint=remedy)] for each in batch.asked}
            self._run.tally.take(Counts(dict.fromkeys(failures, Outcome.FAILED), failures=failures))
            if batch.history is None:
                self._run.tally.watch.add(Steps(accounts=len(failures), failed=len(failures)))
            self._queue.give_up([batch])

    def _take_progress(self, event: Sequence[Any]) -> None:
        run, number, epoch, *steps = event
        if run == self._run.id and (work := self._at_work.get(number)) and work.epoch == epoch:
            self._show(work, Steps(*steps))

    def _show(self, work: _AtWork, steps: Steps) -> None:
        """Show how far a batch is, as the difference from before."""
        more = Steps(*(now - then for now, then in zip(steps, work.steps, strict=True)))
        work.steps = steps
        self._run.tally.watch.add(more)


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what `work` returns; None once `event` is set."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.wait({working, waiting})
