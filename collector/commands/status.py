"""The status of each account, its stored state against the days wanted by now, and the last runs.

Reads the state of all accounts in one query, and the latest totals of a few. Asks WeChat nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY
from collector.completeness.evidence import QUIET_AGE_DAYS, is_silent, perhaps_quiet
from collector.completeness.plan import Target, begins, waits
from collector.config import Selection, Settings
from collector.console.status import worst_first
from collector.model.accounts import Account, BrokenEntry, Entry
from collector.model.days import NO_DAYS, ONE_DAY, Days, newest_published
from collector.model.ledger import LastRuns
from collector.model.standings import AccountStatus, Former, Newest, Standing, Status
from collector.model.state import AccountState, Trouble, UnusableState
from collector.run.discovery import known_entries
from collector.run.reactions import failed_state
from collector.store.database import Database, open_database
from collector.store.documents import read_totals
from collector.store.location import location_of
from collector.store.runs import read_last_completed, read_runs
from collector.store.state import read_states


async def status(settings: Settings, selection: Selection, now: datetime) -> Status:
    """Return the status of the selected accounts at `now`, worst first; of all of them, with former accounts.

    An account whose state can't be used is failing since `now`. Raises `DatabaseError` when MongoDB is out of reach.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        return await status_of(database, str(location), settings, selection, now)


async def status_of(database: Database, name: str, settings: Settings, selection: Selection, now: datetime) -> Status:
    """Return the same from an open database, with its `name`."""
    states, unusable = await read_states(database)
    last, completed = await read_runs(database, 1), await read_last_completed(database)
    target = Target(newest_published(now, settings.run.published_at), settings.run.lookback)
    entries = selection.of(known := known_entries(settings, states))
    totals = await _latest_totals(database, [entry.appid or "" for entry in entries], states, target.newest)
    appids = {entry.appid for entry in known}
    # A state without datasets belongs to an account that a platform has listed and no run has collected.
    former = [state for appid, state in states.items() if state.datasets and appid not in appids]
    are_all = not selection.names and not selection.tags
    return Status(
        newest_published=target.newest,
        accounts=worst_first(
            _account_status(entry, _state(entry, states, unusable, now), target, now, totals.get(entry.appid or "", {}))
            for entry in entries
        ),
        # An entry that can't be read may be for any of them.
        no_longer_configured=_former(former) if are_all and settings.are_appids_known else (),
        unusable=tuple(state for appid, state in sorted(unusable.items()) if are_all and appid not in appids),
        disabled=sum(not entry.enabled for entry in settings.entries),
        database=name,
        runs=LastRuns(now, next(iter(last), None), completed),
    )


async def read_status(database: Database, entry: Entry, target: Target, now: datetime) -> AccountStatus:
    """Read the status of one account at `now`."""
    appid = entry.appid or ""
    states, unusable = await read_states(database, [appid])
    totals = await _latest_totals(database, [appid], states, target.newest)
    return _account_status(entry, _state(entry, states, unusable, now), target, now, totals.get(appid, {}))


async def _latest_totals(
    database: Database, appids: Iterable[str], states: Mapping[str, AccountState], newest: date
) -> Mapping[str, Mapping[date, int]]:
    """Return the latest totals of the accounts that lack one of the youngest days in summary alone.

    They tell which of these days aren't quiet.
    """
    young = Days.between(newest - ONE_DAY * (QUIET_AGE_DAYS - 1), newest)
    lacking = [
        appid
        for appid in appids
        if (state := states.get(appid)) and (young & state.dataset(CUMULATE).covered) - state.dataset(SUMMARY).settled
    ]
    # One more than are young: the total of the oldest of them is compared with that of the day before.
    days = [newest - ONE_DAY * age for age in range(QUIET_AGE_DAYS + 1)]
    return await read_totals(database, lacking, days) if lacking else {}


def _state(
    entry: Entry, states: Mapping[str, AccountState], unusable: Mapping[str, UnusableState], now: datetime
) -> AccountState:
    """Return the state of an entry's account, which is failing where it can't be used or the entry is broken."""
    appid = entry.appid or ""
    if isinstance(entry, BrokenEntry):
        return failed_state(entry, states.get(appid), now)
    state = states.get(appid) or AccountState(appid, entry.name)
    if reason := unusable.get(appid):
        return state.failed(Trouble(reason.reason, None, None, reason.remedy, since=now, at=now))
    return state


def _account_status(
    entry: Entry, state: AccountState, target: Target, now: datetime, totals: Mapping[date, int]
) -> AccountStatus:
    # Nobody knows which accounts an entry without an appid is for.
    wanted = Days.between(begins(entry.since, state, target), target.newest) if entry.appid else NO_DAYS
    missing = {name: wanted - state.dataset(name).settled for name in DATASETS}
    unresolved = missing[SUMMARY] & perhaps_quiet(state.dataset(CUMULATE).covered, target.newest, totals)
    waiting = waits(entry, state, now) if isinstance(entry, Account) else {}
    return AccountStatus(
        account=entry.appid,
        name=entry.name,
        tags=entry.tags,
        standing=_standing(state, target.newest, lacks_newest=target.newest in missing[SUMMARY] - unresolved),
        newest=_newest(state),
        missing_days=len(Days.union(missing.values())),
        born=state.born,
        last_success=_last_success(state),
        errors={name: error for name in DATASETS if (error := state.dataset(name).last_error)},
        waits={name: wait for name, wait in waiting.items() if missing[name]},
        unresolved_days=len(unresolved),
    )


def _former(states: Iterable[AccountState]) -> tuple[Former, ...]:
    by_name = sorted(states, key=lambda state: (state.name, state.account))
    return tuple(Former(state.account, state.name, _newest(state), _last_success(state)) for state in by_name)


def _newest(state: AccountState) -> Newest:
    return {name: state.dataset(name).covered.newest for name in DATASETS}


def _last_success(state: AccountState) -> datetime | None:
    return max((at for name in DATASETS if (at := state.dataset(name).last_success)), default=None)


def _standing(state: AccountState, newest: date, *, lacks_newest: bool) -> Standing:
    if any(state.dataset(name).last_error for name in DATASETS):
        return Standing.FAILING
    if _last_success(state) is None:
        return Standing.NEVER_COLLECTED
    # Before `behind`: a silent account lacks the newest day too, and no run can change that.
    if is_silent(state.dataset(CUMULATE)):
        return Standing.SILENT
    return Standing.BEHIND if lacks_newest or _is_behind(state, newest) else Standing.OK


def _is_behind(state: AccountState, newest: date) -> bool:
    """Return True if the newest published day is missing."""
    total, summary = state.dataset(CUMULATE).covered.newest, state.dataset(SUMMARY).covered.newest
    # Summary has no row for a quiet day, which is covered only at an age of `QUIET_AGE_DAYS`.
    return total is None or total < newest or summary is None or (newest - summary).days > QUIET_AGE_DAYS
