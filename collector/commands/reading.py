"""Read accounts for reports: the facts about them, and their stored days as columns, one account at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping

from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.model.accounts import BrokenEntry, Entry
from collector.model.state import AccountState
from collector.report.figures.account import Columns, Facts, columns_of, facts_of
from collector.report.figures.frame import Frame
from collector.run.discovery import known_entries
from collector.store.database import Database
from collector.store.documents import read_daily
from collector.store.state import read_states


async def read_facts(database: Database, settings: Settings, selection: Selection, target: Target) -> dict[str, Facts]:
    """Return the facts about the selected accounts by appid, by the `target` of a plain run.

    An account whose entry or state can't be used is failing. An entry without an appid has no account.

    Raises:
        UsageError: nothing is selected.
    """
    states, unusable = await read_states(database)
    return facts_by_appid(selection.of(known_entries(settings, states)), states, unusable, target)


def facts_by_appid(
    entries: Iterable[Entry], states: Mapping[str, AccountState], unusable: Collection[str], target: Target
) -> dict[str, Facts]:
    """Return the facts about the accounts of some entries by appid, given the states that are stored."""
    facts = {appid: _facts(appid, entry, states, target) for entry in entries if (appid := entry.appid)}
    return facts | {appid: facts[appid].as_failing() for appid in unusable if appid in facts}


async def read_columns(database: Database, facts: Mapping[str, Facts], frame: Frame) -> AsyncIterator[Columns]:
    """Yield the stored days of each account, in the order of `facts`; some accounts at a time are in memory."""
    async for appid, days in read_daily(database, [*facts], frame.days):
        yield columns_of(facts[appid], days, frame)


def _facts(appid: str, entry: Entry, states: Mapping[str, AccountState], target: Target) -> Facts:
    state = states.get(appid) or AccountState(appid, entry.name)
    facts = facts_of(appid, entry.name, entry.tags, entry.since, state, target)
    return facts.as_failing() if isinstance(entry, BrokenEntry) else facts
