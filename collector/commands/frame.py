"""The frame of a run: its database, the lease of its part and its entry in the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import structlog

from collector import __version__
from collector.commands.work import Job, Run, Work
from collector.config import Settings
from collector.errors import ClockError, ClusterError, DatabaseError, StoppedError, UnreachableError, UsageError
from collector.model.accounts import Entry
from collector.model.parts import Part
from collector.model.results import RunResult
from collector.run.tally import Tally
from collector.runtime import Stop, WechatClock, in_background
from collector.store import runs
from collector.store.database import Database, open_database, prepare
from collector.store.dates import fill_in_dates
from collector.store.held import Held
from collector.store.leases import lease
from collector.store.location import Location
from collector.store.views import prepare_views
from collector.store.writer import Writer

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Frame:
    """Frame of a run over the accounts of `part`; `entries` are empty where platforms' lists must be read first."""

    id: str
    settings: Settings
    job: Job
    entries: Sequence[Entry]
    part: Part
    location: Location
    tally: Tally
    clock: WechatClock
    stop: Stop

    @asynccontextmanager
    async def leased(self) -> AsyncIterator[Leased]:
        """Open the database, and hold the lease of the part.

        Raises `LeaseHeldError` or `DatabaseError`, and `StoppedError` at a stop signal while it waits.
        """
        async with open_database(self.location) as database, AsyncExitStack() as stack:
            async with self.stop.ends():
                mine = lease(database, self.id, self.job.command, self.part, wait_s=self.job.wait_s)
                held = await stack.enter_async_context(mine)
                await prepare(database)  # it may wait for a long time, too
                await prepare_views(database)
            yield Leased(self, database, held)

    def result(self, error: str | None = None) -> RunResult:
        """Return the result as far as the run has come."""
        result = self.tally.result(self.id, error=error, stopped_by=self.stop.signal)
        return replace(result, database=str(self.location))

    async def end(self, database: Database, error: str | None = None) -> RunResult:
        """Enter the end of the run in the ledger, and return its result."""
        result = self.result(error)
        await _error_of(runs.end(database, result))
        log.info(
            "run.ended",
            run=self.id,
            status=result.status,
            exit=int(result.exit),
            seconds=round(result.seconds, 1),
            accounts=result.total,
            **{str(outcome): count for outcome, count in result.outcomes.items() if count},
            days=result.days,
            calls=result.calls,
            token_calls=result.token_calls,
            retries=result.retries,
            **{"windows_left": result.windows_left} if result.windows_left else {},
            **{"error": error} if error else {},
        )
        return result


@dataclass(frozen=True, slots=True)
class Leased:
    """A run while it holds its lease."""

    frame: Frame
    database: Database
    held: Held

    async def begin(self) -> None:
        """Enter the run in the ledger."""
        frame = self.frame
        await runs.prepare_runs(self.database)
        command, accounts = frame.job.command, len(frame.entries)
        await runs.begin(self.database, frame.id, command=command, version=__version__, accounts=accounts)
        # Accounts that a platform discovers aren't known yet.
        known = {"accounts": accounts} if accounts else {}
        log.info("run.begun", run=frame.id, command=command, version=__version__, **known)

    async def pause(self) -> None:
        """Note in the ledger that the run will go on, though it has no lease until then."""
        await runs.pause(self.database, self.frame.id)

    async def resume(self) -> None:
        """Note in the ledger that the run goes on."""
        await runs.resume(self.database, self.frame.id)

    async def do(
        self,
        work: Work,
        job: Job,
        *,
        only: frozenset[str] | None = None,
        fills_history: bool = True,
        last_turn_s: float = -inf,
    ) -> str | None:
        """Do the work of the run, or of one round of it; return the message of the error that ended it early."""
        frame = self.frame
        frame.tally.begin_round()
        writer = Writer(self.database, self.held)
        run = Run(
            frame.id,
            frame.settings,
            job,
            frame.entries,
            frame.tally,
            writer,
            frame.clock,
            frame.stop,
            only=only,
            fills_history=fills_history,
            last_turn_s=last_turn_s,
        )
        async with in_background(self._note_stop(), name="stop noted"):
            try:
                error = await _error_of(work(run))
            except UsageError as usage_error:  # it shows no result, but the run stands in the ledger
                await self.end(str(usage_error))
                raise
            # The first run after an upgrade may take minutes for it, so the figures of the day come first.
            return error or await _error_of(fill_in_dates(self.database, self.held, frame.stop))

    async def end(self, error: str | None) -> RunResult:
        """Enter the end of the run in the ledger, and return its result."""
        return await self.frame.end(self.database, error)

    async def _note_stop(self) -> None:
        """Enter a stop signal in the ledger when it comes: the end of the run may never be reached."""
        await _error_of(runs.note_stop(self.database, self.frame.id, await self.frame.stop.wait()))


async def _error_of(work: Coroutine[Any, Any, None]) -> str | None:
    """Return the message of an error that ends the run, or None."""
    try:
        await work
    except (DatabaseError, UnreachableError, ClockError, ClusterError) as error:
        return str(error)
    except StoppedError:  # before any account was at work
        pass
    return None
