"""The tasks of a worker process: introduce itself, do a batch of accounts, stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic

import structlog
from distributed import get_worker

from collector import __version__
from collector.cluster.digest import digest_of
from collector.cluster.messages import Introduction, Order, Report, RunInfo
from collector.cluster.site import HELD, SITES, Site, opened, settings_of
from collector.commands.work import ask, target_as_of_now
from collector.console.progress import NO_STEPS, Counting
from collector.errors import ClockError, ConfigError, DatabaseError, UnreachableError
from collector.model.accounts import Account
from collector.model.results import AccountResult
from collector.run.account import Shared
from collector.run.counts import Counts
from collector.run.left import windows_left
from collector.run.tally import Tally
from collector.runtime import Clock, in_background
from collector.store.claims import claimed
from collector.store.held import Held
from collector.store.outages import OUTAGES
from collector.store.state import read_states
from collector.store.writer import Writer

log = structlog.get_logger()

TOPIC = "collector"
"""Topic of Dask under which workers report their progress. It is one for all runs: a scheduler keeps all its topics."""

REPORT_EVERY_S = 1.0
"""Seconds between two reports of a batch's progress."""


HALTED: dict[str, int] = {}
"""The runs that were stopped, and by which signal."""


def introduce(info: RunInfo, appids: frozenset[str] | None) -> Introduction:
    """Prepare this process for a run, and say what it is; with `appids`, as far as it concerns these accounts."""
    if info.log:
        info.log()
    if info.is_local:
        OUTAGES.is_logged = False  # the coordinator, which uses the same MongoDB, does
        # Ctrl-C reaches all processes of a terminal: the coordinator stops its workers. A handler and not SIG_IGN,
        # which helper commands would inherit.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked since the process was started
    try:
        settings = settings_of(info)
    except ConfigError as error:
        return Introduction(__version__, trouble=f"its configuration has faults: {error.faults[0]}")
    if settings.mongodb.uri is None and not info.is_local:
        return Introduction(__version__, trouble="its configuration has no mongodb.uri")
    fault = str(settings.broken[0].faults[0]) if settings.broken else ""
    return Introduction(__version__, digest_of(settings, appids), fault=fault, now=Clock().now())


def halt(run: str, number: int) -> None:
    """Stop this process's part of a run, also that which is still on its way here."""
    HALTED[run] = number
    if (site := SITES.get(run)) and not site.stop.is_set:
        site.stop.set(number)


async def work(order: Order) -> Report | None:
    """Do a batch, and return what came of it; None where its claim was lost.

    An error that would end a run of its own ends the batch.
    """
    site: Site | None = None
    held: Held | None = None
    try:
        async with opened(order.info) as site:
            number = HALTED.get(order.info.run, order.stopped_by)
            if number is not None and not site.stop.is_set:
                site.stop.set(number)
            claim = claimed(site.database, order.info.run, order.batch, order.epoch, site.lease, order.info.times)
            async with claim as held:
                held.check()
                return await _work(site, order, held)
    except (ClockError, ConfigError, DatabaseError, UnreachableError) as error:
        if held and held.is_lost:
            log.warning("batch.lost", batch=order.batch, why=str(error))
            return None
        return Report(site.uncounted() if site else Counts(), error=str(error))


async def _work(site: Site, order: Order, held: Held) -> Report:
    HELD.set(held)
    accounts, watch = site.accounts_of(order), _Watch(order)
    for handover in order.handovers:
        site.session.components[handover.component].take_over(handover)
    workers = max(1, site.settings.run.workers // order.slots)
    settings = replace(site.settings, run=site.settings.run.model_copy(update={"workers": workers}))
    tally = Tally(watch)
    tally.expect(accounts)
    states, unusable = await read_states(site.database, [account.appid for account in accounts])
    writer, error = Writer(site.database, held), None
    writer.stored |= states
    left: Sequence[Account] = ()
    try:
        async with _reporting(watch.report), in_background(tally.lag.measure(), name="loop's lag"), writer:
            tally.attach(None, writer)
            left = await ask(
                accounts,
                states,
                unusable,
                settings=settings,
                job=order.job,
                tally=tally,
                shared=Shared(site.session, writer),
                history=order.history,
                last_turn_s=monotonic() - order.idle_s,
            )
    except (ClockError, DatabaseError, UnreachableError) as ended:
        if held.is_lost:
            raise  # another worker may have the batch already
        error = str(ended)
    usable = [account for account in tally.uncounted(accounts) if account.appid not in unusable]
    clock = site.session.clock
    tally.leave(await windows_left(usable, writer.stored, target_as_of_now(order.job, settings, clock), clock.now()))
    made, counts = site.uncounted(), tally.counts()
    if error:  # the outcomes of its accounts are for whoever does the batch again
        return Report(replace(made, windows_left=counts.windows_left), error=error)
    counts = replace(counts, calls=made.calls, token_calls=made.token_calls, retries=made.retries)
    return Report(counts, [account.appid for account in left], watch.steps)


class _Watch(Counting):
    """Progress of a batch, for the coordinator."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self._order = order
        self._reported = NO_STEPS
        self._worker = get_worker()

    def begin(self, accounts: int) -> None:
        """Go on counting: it is the coordinator who begins anew."""

    def history(self, windows: int) -> None:
        """Expect windows of history, which another batch fills."""
        if not self._order.history:
            super().history(windows)

    def account(self, result: AccountResult) -> None:
        """Count an account, which history counts no second time."""
        if not self._order.history:
            super().account(result)

    def report(self) -> None:
        """Send the progress, where there is any."""
        if (steps := self.steps) != self._reported:
            self._reported = steps
            order = self._order
            self._worker.log_event(TOPIC, [order.info.run, order.batch, order.epoch, *steps])


@asynccontextmanager
async def _reporting(report: Callable[[], None]) -> AsyncIterator[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            report()

    async with in_background(repeat(), name="progress"):
        yield
