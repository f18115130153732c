"""A run's work, spread over the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from collector.cluster.coordinator import Coordinator, Times
from collector.cluster.engine import Place, opened
from collector.cluster.messages import RunInfo
from collector.commands.work import Run, accounts_of, discovered
from collector.run.connect import connect
from collector.run.discovery import may_discover
from collector.store.state import read_outlines


@dataclass(frozen=True, slots=True)
class Spread:
    """Work of a run, spread over the workers of a place; `log` configures their logs."""

    place: Place
    log: Callable[[], None] | None = None
    times: Times = field(default_factory=Times)

    async def __call__(self, run: Run) -> None:
        """Do a run's work. Raises `ClusterError` without any worker that can be used."""
        held = run.writer.held
        session_of = connect(run.settings, clock=run.clock, stop=run.stop, before_call=held.check)
        async with session_of as session, run.writer:
            run.tally.attach(session.client, run.writer)
            entries = run.entries
            if may_discover(run.settings, run.job.selection):
                entries, _ = await discovered(run, session, await read_outlines(run.writer.database))
            accounts = await accounts_of(run, entries)
            if not accounts:
                return
            async with AsyncExitStack() as stack:
                async with run.stop.ends():
                    engine = await stack.enter_async_context(opened(self.place))
                files = run.settings.files if engine.is_local else ()
                info = RunInfo(run.id, held.epoch, self.times.lease, files, engine.is_local, self.log)
                await Coordinator(run, session, engine, info, self.times).do(accounts)
