"""State against documents: differences, the integrity of the figures, and gaps between the days.

No document of `user_daily` is ever changed. One account is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

from collector.completeness import integrity
from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY
from collector.completeness.evidence import perhaps_quiet
from collector.completeness.plan import Target, begins
from collector.config import Selection, Settings
from collector.model.accounts import Account, Entry
from collector.model.days import Days
from collector.model.findings import AccountFindings, AccountGaps, Difference, Verified
from collector.model.state import AccountState, UnusableState
from collector.run.discovery import known_entries
from collector.store.database import Database, Document, open_database
from collector.store.documents import count_ownerless, read_documents
from collector.store.held import Held
from collector.store.leases import is_at_work, lease
from collector.store.location import location_of
from collector.store.runs import new_run_id
from collector.store.state import load, read_state, read_states, replace_state


async def verify(
    settings: Settings, selection: Selection, target: Target, *, repair: bool, wait_s: float = 0.0
) -> Verified:
    """Compare the state of the selected accounts with their documents; with `repair`, correct the state.

    `repair` takes the lease of all accounts and waits for it `wait_s` seconds. Raises `LeaseHeldError`, or
    `DatabaseError` when MongoDB is out of reach; accounts repaired before that stay repaired.
    """
    findings: list[AccountFindings] = []
    location = await location_of(settings.mongodb)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(location, must_exist=True))
        run = new_run_id(datetime.now(UTC))
        held = await stack.enter_async_context(lease(database, run, "verify", wait_s=wait_s)) if repair else None
        at_work = not repair and await is_at_work(database)
        states, unusable = await read_states(database)
        known = {entry.appid: entry for entry in known_entries(settings, states) if entry.appid}
        appids = _chosen(selection, known, unusable)
        foreign = await count_ownerless(database)
        for appid in appids:
            found = await _verify(database, appid, known.get(appid), target, held)
            foreign += found.foreign
            if found.differs or found.newer or found.breaks or found.foreign:
                findings.append(found)
        # Asked again at the end: a run that began meanwhile explains differences too.
        at_work = at_work or (not repair and await is_at_work(database))
    return Verified(len(appids), findings, foreign, repaired=repair, at_work=at_work, database=str(location))


async def gaps(settings: Settings, selection: Selection, target: Target) -> list[AccountGaps]:
    """Return the gaps of the selected accounts that have any, up to the newest day of `target`.

    Raises `DatabaseError` when MongoDB is out of reach.
    """
    async with open_database(await location_of(settings.mongodb), must_exist=True) as database:
        entries = selection.of(known_entries(settings, await load(database)))
        found = [await account_gaps(database, entry.appid, entry, target) for entry in entries if entry.appid]
    return [each for each in found if each.missing or each.void or each.breaks]


def _chosen(selection: Selection, known: Mapping[str, Entry], unusable: Collection[str]) -> list[str]:
    """Return the appids of the selected accounts, and of unusable states that no enabled account has.

    The latter are selected by their appid, or if nothing is named.
    """
    strays = {appid for appid in unusable if appid not in known or not known[appid].enabled}
    named = strays.intersection(selection.names)
    others = replace(selection, names=[name for name in selection.names if name not in named])
    chosen = () if named and not others.names else others.of(tuple(known.values()))
    are_all = not selection.names and not selection.tags
    return [*(entry.appid for entry in chosen if entry.appid), *sorted(strays if are_all else named)]


async def _verify(
    database: Database, appid: str, entry: Entry | None, target: Target, held: Held | None
) -> AccountFindings:
    """Compare one account's state with its documents; correct the state under the lease, if there is one."""
    # The state is read before the documents. A run at work stores days before it counts them as covered, so in the
    # other order its newest days would look lost.
    stored = await read_state(database, appid)
    documents = await read_documents(database, appid, integrity.FIELDS)
    days, foreign = integrity.read(documents, target.newest)
    found = integrity.covered(days)
    unusable = stored if isinstance(stored, UnusableState) else None
    state = stored if isinstance(stored, AccountState) else _state_to_repair(appid, entry, documents)
    is_newer = unusable is not None and unusable.is_newer
    differences = {} if is_newer else integrity.differences(state, found)
    findings = AccountFindings(
        appid,
        entry.name if entry else state.name,
        differences,
        unusable is not None and not is_newer,
        integrity.breaks(days),
        foreign,
        is_newer,
        unusable is None and isinstance(entry, Account) and _heals(differences, state, entry, target),
    )
    if held and findings.differs:
        await replace_state(database, integrity.mended(state, found, entry.since if entry else None), held)
    return findings


def _heals(differences: Mapping[str, Difference], state: AccountState, account: Account, target: Target) -> bool:
    """Return True where the account's next run asks for all days that differ."""
    wanted = Days.between(begins(account.since, state, target), target.newest)
    unasked = (each.lost | each.unknown - (wanted - state.dataset(name).settled) for name, each in differences.items())
    return bool(differences) and account.enabled and not any(unasked)


def _state_to_repair(appid: str, entry: Entry | None, documents: Sequence[Document]) -> AccountState:
    """Return a state to repair from, for an account whose own is missing or damaged."""
    # It takes its name from the documents, not from the configuration: the next run renames them if the two differ.
    names = [name for document in documents if isinstance(name := document.get("name"), str)]
    return AccountState(appid, names[-1] if names else entry.name if entry else appid, tags=entry.tags if entry else ())


async def account_gaps(database: Database, appid: str, entry: Entry, target: Target) -> AccountGaps:
    """Read the gaps in the stored days of one account, up to the newest day of `target`."""
    stored = await read_state(database, appid)
    known = stored if isinstance(stored, AccountState) else AccountState(appid, entry.name)
    days, _ = integrity.read(await read_documents(database, appid, integrity.FIELDS), target.newest)
    found = integrity.covered(days)
    wanted = Days.between(begins(entry.since, known, target), target.newest)
    missing = {name: wanted - found[name] - known.dataset(name).void for name in DATASETS}
    totals = {stored.day: stored.cumulate for stored in days if stored.cumulate is not None}
    void = {name: integrity.void_between(known.dataset(name), found[name]) for name in DATASETS}
    return AccountGaps(
        appid,
        entry.name,
        {name: days for name, days in missing.items() if days},
        {name: days for name, days in void.items() if days},
        integrity.breaks(days),
        len(Days.union(missing[name] & known.dataset(name).covered for name in DATASETS)),
        (missing[SUMMARY] - known.dataset(SUMMARY).covered) & perhaps_quiet(found[CUMULATE], target.newest, totals),
    )
