"""The work of a run, under its lease: read platforms' lists and states, and let the pool take the accounts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from math import inf
from typing import Any

import structlog

from collector.commands.plans import end_waits, newest_day
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.errors import StoppedError
from collector.model.accounts import Account, BrokenEntry, Entry
from collector.model.results import AccountResult, Outcome
from collector.model.state import AccountState, UnusableState, Update
from collector.run.account import Shared
from collector.run.connect import connect
from collector.run.discovery import discover, may_discover, take_discovered
from collector.run.left import windows_left
from collector.run.pool import Pool
from collector.run.reactions import failed_state, failure_of_state
from collector.run.tally import Tally
from collector.runtime import Clock, Stop, WechatClock, first_of_group
from collector.store.state import read_states
from collector.store.writer import Writer
from collector.wechat.session import Session

log = structlog.get_logger()

DRAIN_S = 30
"""Seconds that calls in flight get to finish after a stop signal."""

MAX_READ = 1_000
"""States that are read at once where a platform has new accounts."""


@dataclass(frozen=True, slots=True)
class Job:
    """Job of a run: its target, the accounts it takes, and its `command` as the lease and the ledger name it.

    `wait_s` are the seconds to wait for another run to end. With `ignore_waits`, the waits that WeChat ordered in
    earlier runs are taken to be over. Accounts whose newest day isn't there yet are asked again until `follow_until`
    (UTC).
    """

    target: Target
    selection: Selection = field(default_factory=Selection)
    command: str = "run"
    wait_s: float = 0.0
    ignore_waits: bool = False
    follow_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run at work, or one round of it. `entries` are empty where platforms' lists must be read first.

    A round may be for the appids `only`, and without history. `last_turn_s` is the second of the monotonic clock at
    which the round before may have made the last call of an account.
    """

    id: str
    settings: Settings
    job: Job
    entries: Sequence[Entry]
    tally: Tally
    writer: Writer
    clock: WechatClock
    stop: Stop
    only: frozenset[str] | None = None
    fills_history: bool = True
    last_turn_s: float = -inf


Work = Callable[[Run], Coroutine[Any, Any, None]]
"""A way to do a run's work: in this process, or spread over others."""


async def in_one_process(run: Run) -> None:
    """Do a run's work in this process."""
    states, unusable = await read_states(run.writer.database)
    accounts: list[Account] = []
    try:
        async with (
            connect(run.settings, clock=run.clock, stop=run.stop, before_call=run.writer.held.check) as session,
            run.writer,
        ):
            run.tally.attach(session.client, run.writer)
            entries = run.entries
            if may_discover(run.settings, run.job.selection):
                entries, states = await discovered(run, session, states)
            accounts = await accounts_of(run, entries)
            run.writer.stored |= states
            left = await ask(
                accounts,
                states,
                unusable,
                settings=run.settings,
                job=run.job,
                tally=run.tally,
                shared=Shared(session, run.writer),
                history=run.fills_history,
                last_turn_s=run.last_turn_s,
            )
            run.tally.leave_history(account.appid for account in left)
    finally:  # when the last state is stored, or nothing more can be
        usable = [account for account in run.tally.uncounted(accounts) if account.appid not in unusable]
        target = target_as_of_now(run.job, run.settings, run.clock)
        run.tally.leave(await windows_left(usable, run.writer.stored, target, run.clock.now()))


async def discovered(
    run: Run, session: Session, states: Mapping[str, AccountState]
) -> tuple[Sequence[Entry], dict[str, AccountState]]:
    """Read the platforms' lists; return the entries of the run, and `states` with what was found."""
    async with run.stop.ends(grace_s=DRAIN_S):
        found = await discover(run.settings, states, session, run.job.selection)
    lost: list[str] = []
    for begin in range(0, len(found.changed), MAX_READ):
        changed = found.changed[begin : begin + MAX_READ]
        stored, unusable = await read_states(run.writer.database, [state.account for state in changed])
        # `states` may be outlines. A document that can't be used is a repair's to replace.
        whole = [stored.get(each.account, each)._replace(authorizer=each.authorizer) for each in changed]
        lost += await run.writer.change_platforms([each for each in whole if each.account not in unusable], states)
    found.leave(lost, states)
    return take_discovered(found, run.job.selection, run.settings, run.tally), found.states


async def accounts_of(run: Run, entries: Sequence[Entry]) -> list[Account]:
    """Return the accounts to ask, and store why broken entries have failed, where it is known for which accounts."""
    broken = {entry.appid: entry for entry in entries if isinstance(entry, BrokenEntry) and entry.appid}
    if broken:
        states, unusable = await read_states(run.writer.database, [*broken])
        # A document that can't be used is a repair's to replace.
        failed = {
            appid: failed_state(entry, states.get(appid), run.clock.now())
            for appid, entry in broken.items()
            if appid not in unusable
        }
        since = {appid: state.failing_since() for appid, state in failed.items()}
        before = {appid: state.failing_since() for appid, state in states.items()}
        run.tally.date_broken(since, {appid for appid in failed if since[appid] != before.get(appid)})
        for state in failed.values():
            await run.writer.put(Update((), state))
    accounts = [entry for entry in entries if isinstance(entry, Account)]
    return accounts if run.only is None else [account for account in accounts if account.appid in run.only]


async def ask(  # noqa: PLR0913 - everything that is needed to ask, by its names
    accounts: Sequence[Account],
    states: dict[str, AccountState],
    unusable: Mapping[str, UnusableState],
    *,
    settings: Settings,
    job: Job,
    tally: Tally,
    shared: Shared,
    history: bool = True,
    last_turn_s: float = -inf,
) -> Sequence[Account]:
    """Ask for what `job` wants of `accounts`, and store it; `history` and `last_turn_s` are those of `Pool.collect`.

    Returns the accounts whose history is left to another process.
    """
    session = shared.session
    accounts = _fail_unusable(accounts, unusable, tally)
    if job.ignore_waits:
        end_waits(accounts, states)
    newest = partial(newest_day, settings, session.clock)
    pool = Pool(settings.run.workers, tally, shared, newest)
    try:
        with first_of_group():
            async with session.stop.ends(grace_s=DRAIN_S):
                target = target_as_of_now(job, settings, session.clock)
                return await pool.collect(accounts, target, states, history=history, last_turn_s=last_turn_s)
    except StoppedError:
        log.warning("run.cut", after_seconds=DRAIN_S)
        return ()


def target_as_of_now(job: Job, settings: Settings, clock: Clock) -> Target:
    """Return the target of a job, up to the day that is the newest by now.

    The wait for another run, or for an index build, may have taken hours.
    """
    return replace(job.target, newest=max(job.target.newest, newest_day(settings, clock)))


def _fail_unusable(
    accounts: Sequence[Account], unusable: Mapping[str, UnusableState], tally: Tally
) -> Sequence[Account]:
    """Count the accounts whose state can't be used as failed; return the others."""
    for account in accounts:
        if state := unusable.get(account.appid):
            tally.add(AccountResult(account, Outcome.FAILED, (failure_of_state(account, state),)))
    return [account for account in accounts if account.appid not in unusable]
