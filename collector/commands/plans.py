"""Plans of the accounts: what a run would ask for as of now, for `--dry-run`. WeChat is asked nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import structlog

from collector.completeness.plan import Plan, Target, plan, without_waits
from collector.config import Selection, Settings
from collector.errors import ClockError
from collector.model.accounts import Account, BrokenEntry
from collector.model.days import FIRST_DAY, newest_published
from collector.model.state import AccountState
from collector.run.discovery import known_entries
from collector.run.passes import initial_state
from collector.runtime import Clock
from collector.store.database import open_database
from collector.store.location import location_of
from collector.store.state import read_states

log = structlog.get_logger()


def target_of(settings: Settings, clock: Clock) -> Target:
    """Return the target of the daily job as of now; a backfill adds the history that it wants.

    Raises `ClockError` where this host's clock is so wrong that there is nothing to collect.
    """
    newest = newest_day(settings, clock)
    if newest < FIRST_DAY:
        raise ClockError(clock.now())
    return Target(newest, settings.run.lookback)


def newest_day(settings: Settings, clock: Clock) -> date:
    """Return the newest published day as of now."""
    return newest_published(clock.now(), settings.run.published_at)


@dataclass(frozen=True, slots=True)
class Plans:
    """The plan of each account, made as it is taken, by what is stored in `database`."""

    database: str
    of_accounts: Iterator[tuple[Account, Plan]]


async def plans(
    settings: Settings, selection: Selection, target: Target, clock: Clock, *, ignore_waits: bool = False
) -> Plans:
    """Return what a run would ask for, as of now; nothing is asked, nothing is changed.

    Each account is planned as it is taken, so that one plan is held at a time. Of the accounts that a platform
    discovers, those are planned that an earlier run has found. Accounts whose state can't be used, and broken entries,
    are left out, and only logged.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        states, unusable = await read_states(database)
    now = clock.now()
    entries = selection.of(known_entries(settings, states))
    accounts = [entry for entry in entries if isinstance(entry, Account)]
    if ignore_waits:
        end_waits(accounts, states)
    for entry in entries:
        if isinstance(entry, BrokenEntry):
            log.warning("account.left_out", account=str(entry), reason=entry.message, remedy=entry.remedy)
        elif state := unusable.get(entry.appid):
            log.warning("account.left_out", account=str(entry), reason=state.reason, remedy=state.remedy)
    of_accounts = (
        (account, plan(account, initial_state(account, states.get(account.appid), target), target, now))
        for account in accounts
        if account.appid not in unusable
    )
    return Plans(str(location), of_accounts)


def end_waits(accounts: Iterable[Account], states: dict[str, AccountState]) -> None:
    """Take the stored waits of `accounts` to be over: what WeChat answers now is stored in their place."""
    chosen = {account.appid for account in accounts}
    states |= {appid: without_waits(state) for appid, state in states.items() if appid in chosen}
