"""Rounds of the daily job: accounts whose newest day isn't there yet are asked again, until all have it.

Between two rounds the run holds no lease, no connection and no token.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from math import inf
from time import monotonic

import structlog

from collector.commands.frame import Frame, Leased
from collector.commands.plans import newest_day
from collector.commands.work import Job, Work
from collector.completeness.datasets import CUMULATE
from collector.completeness.rounds import Pending, Rounds
from collector.errors import DatabaseError, LeaseHeldError, StoppedError
from collector.model.days import BEIJING, FIRST_DAY, ONE_DAY
from collector.model.results import RunResult
from collector.store import runs
from collector.store.database import Database, open_database
from collector.store.documents import read_totals
from collector.store.state import read_states
from collector.text import counted

log = structlog.get_logger()

MIN_DAILY_CALLS = 40
"""Least `daily_calls` of an account that rounds ask again: until noon they may need so many of a dataset."""


async def follow(frame: Frame, work: Work) -> RunResult:
    """Do the daily job in rounds until all accounts have their newest day, or the job's time is over; then history.

    A round whose lease another run has is skipped, and so is one that MongoDB or WeChat can't be reached for: but not
    the first one, which raises `LeaseHeldError` or `DatabaseError`.
    """
    until, clock = frame.job.follow_until or frame.clock.now(), frame.clock
    until_s = clock.monotonic() + (until - clock.now()).total_seconds()
    following = _Following(frame, work, Rounds(until_s, random.random))
    try:
        while (result := await _round(following)) is None:
            await following.pause()
    except StoppedError:  # in a pause, or while a round waits for another run
        if following.is_first:  # the ledger has no entry yet
            raise
        return await _without_lease(frame)
    return result


async def _round(following: _Following) -> RunResult | None:
    """Do a round, or skip it; return the run's result where it was the last one."""
    frame = following.frame
    try:
        return await following.round()
    except (LeaseHeldError, DatabaseError) as error:
        if following.is_first:
            raise
        if following.rounds.is_over(frame.clock.monotonic()):
            return await _without_lease(frame, str(error) if isinstance(error, DatabaseError) else None)
        log.warning("round.skipped", reason=str(error))
    with suppress(DatabaseError):  # the ledger must not take the run for dead
        async with frame.stop.ends(), open_database(frame.location) as database:
            await runs.pause(database, frame.id)
    return None


async def _without_lease(frame: Frame, error: str | None = None) -> RunResult:
    """End the run between two rounds."""
    with suppress(DatabaseError):
        async with open_database(frame.location) as database:
            return await frame.end(database, error)
    return frame.result(error)


@dataclass(slots=True)
class _Following:
    """The rounds of a run; `newest` is the day that they are for.

    `last_turn_s` is the second of the monotonic clock at which the last round ended: the limiters go by that clock.
    """

    frame: Frame
    work: Work
    rounds: Rounds
    newest: date = FIRST_DAY
    known: Mapping[str, Pending] = field(default_factory=dict)
    last_turn_s: float = -inf

    @property
    def is_first(self) -> bool:
        """True as long as no round is done."""
        return self.newest == FIRST_DAY

    async def round(self) -> RunResult | None:
        """Do a round; return the run's result where it was the last one."""
        frame = self.frame
        async with frame.leased() as leased:
            await (leased.begin() if self.is_first else leased.resume())
            error, is_first = None, self.is_first
            # The time may be over where the lease came late, or the run began after it: then all is done at once.
            if not self.rounds.is_over(frame.clock.monotonic()):
                error = await (self._ask_all(leased) if self._is_day_new else self._ask_pending(leased))
            if frame.stop.is_set or (error and is_first):  # as a run of a single round would end
                return await leased.end(error)
            if self.rounds.is_over(frame.clock.monotonic()) or not (error or self._pending):
                return await leased.end(await self._finish(leased))
            if error:
                log.warning("round.failed", reason=error)
            await leased.pause()
        return None

    async def pause(self) -> None:
        """Wait for the next round. Raises `StoppedError` at a stop signal."""
        clock = self.frame.clock
        next_s = self.rounds.next_s(clock.monotonic())
        until, pending = clock.instant_of(next_s).astimezone(BEIJING), len(self._pending)
        log.info("run.pauses", until=until, pending=pending)
        self.frame.tally.watch.pause(f"{counted(pending, 'account')} pending, next round at {until:%H:%M} Beijing time")
        async with self.frame.stop.ends():
            await clock.sleep(next_s - clock.monotonic())

    @property
    def _is_day_new(self) -> bool:
        """True in the first round, and where a newer day has been published since."""
        return newest_day(self.frame.settings, self.frame.clock) > self.newest

    @property
    def _pending(self) -> frozenset[str]:
        """The accounts that are asked again. One with few calls a day needs them for its figures."""
        settings = self.frame.settings
        limits = {account.appid: account.daily_calls for account in settings.accounts}
        of_discovered = settings.defaults["daily_calls"]
        return frozenset(
            appid
            for appid in self.frame.tally.pending
            if (limits.get(appid, of_discovered) or MIN_DAILY_CALLS) >= MIN_DAILY_CALLS
        )

    async def _ask_all(self, leased: Leased) -> str | None:
        """Do the daily job of all accounts; return the message of the error that ended it early."""
        newest, tally = newest_day(self.frame.settings, self.frame.clock), self.frame.tally
        if error := await self._ask(leased):
            return error
        self.newest = newest  # else the next round would ask for it only those who are pending by now
        self.rounds.note_all(self.frame.clock.monotonic(), asked=tally.total, came=len(tally.so_far.complete))
        return None

    async def _ask_pending(self, leased: Leased) -> str | None:
        """Ask a few of the pending accounts, and the others if it is worth it."""
        clock, tally = self.frame.clock, self.frame.tally
        pending, probes, error = self._pending, frozenset[str](), None
        if not self.rounds.must_ask_all(clock.monotonic()):
            await self._look_up(leased.database, pending)
            probes = self.rounds.probes({appid: self.known[appid] for appid in pending})
            error = await self._ask(leased, probes)
            self.rounds.note_probes(came=len(probes & tally.so_far.complete))
        if not error and self.rounds.must_ask_all(clock.monotonic()):
            if others := self._pending - probes:
                error = await self._ask(leased, others)
            if not error:  # else the next round asks them all
                came = len(pending & tally.so_far.complete)
                self.rounds.note_all(clock.monotonic(), asked=len(pending), came=came)
        return error

    async def _ask(self, leased: Leased, only: frozenset[str] | None = None) -> str | None:
        job = self.frame.job
        newest_first = replace(job, target=replace(job.target, newest_first=True))
        return await self._do(leased, newest_first, only=only, fills_history=False)

    async def _finish(self, leased: Leased) -> str | None:
        """Do what is left: the history of all accounts, and once more those that failed, wait or are pending."""
        frame = self.frame
        left = None if self._is_day_new else frame.tally.unfinished
        if left == frozenset():
            return None
        error = await self._do(leased, frame.job, only=left)
        # Accounts that a platform has got since the round before.
        if new := frozenset() if error or frame.stop.is_set else frame.tally.skipped:
            error = await self._do(leased, frame.job, only=new)
        return error

    async def _do(
        self, leased: Leased, job: Job, *, only: frozenset[str] | None = None, fills_history: bool = True
    ) -> str | None:
        if self.last_turn_s > -inf:  # waits that WeChat has ordered since the run began must be kept
            job = replace(job, ignore_waits=False)
        error = await leased.do(self.work, job, only=only, fills_history=fills_history, last_turn_s=self.last_turn_s)
        self.last_turn_s = monotonic()
        return error

    async def _look_up(self, database: Database, pending: frozenset[str]) -> None:
        """Find out the age and the size of the pending accounts, once."""
        unknown, day = [*(pending - self.known.keys())], self.newest - ONE_DAY
        if unknown:
            states, _ = await read_states(database, unknown)
            totals = await read_totals(database, unknown, [day])
            oldest = {appid: state.dataset(CUMULATE).covered.oldest for appid, state in states.items()}
            found = {
                appid: Pending(oldest.get(appid) or self.newest, totals.get(appid, {}).get(day, 0)) for appid in unknown
            }
            self.known = {**self.known, **found}
