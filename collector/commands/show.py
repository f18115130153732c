"""One account: its last days, where it stands, and what it lacks. Asks WeChat nothing and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from collector.commands.reading import facts_by_appid
from collector.commands.status import read_status
from collector.commands.verify import account_gaps
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.errors import UsageError
from collector.model.accounts import Entry
from collector.model.daily import Daily
from collector.model.days import newest_published
from collector.model.shown import Shown, ShownDay
from collector.report.figures.account import columns_of, mark_of
from collector.report.figures.frame import Frame
from collector.report.figures.periods import last_days
from collector.run.discovery import known_entries
from collector.store.database import Database, open_database
from collector.store.documents import read_daily
from collector.store.location import location_of
from collector.store.state import read_outlines, read_states

SHOWN_DAYS = 30


async def show(settings: Settings, name: str, now: datetime) -> Shown:
    """Return what is known at `now` of the account with a name or appid, which may be disabled.

    Raises:
        UsageError: no account has the name or appid, or several have the name.
        DatabaseError: MongoDB is out of reach.
    """
    location = await location_of(settings.mongodb)
    target = Target(newest_published(now, settings.run.published_at), settings.run.lookback)
    async with open_database(location, must_exist=True) as database:
        known = known_entries(settings, await read_outlines(database))
        entry = _only_one(Selection([name]).of(known, with_disabled=True), name)
        appid = entry.appid
        return Shown(
            await read_status(database, entry, target, now),
            target.newest,
            await _last_days(database, appid, entry, target) if appid else (),
            await account_gaps(database, appid, entry, target) if appid else None,
            entry.enabled,
            str(location),
        )


def _only_one(entries: Sequence[Entry], name: str) -> Entry:
    appids = dict.fromkeys(entry.appid for entry in entries if entry.appid)
    if len(appids) > 1:
        raise UsageError(f"{len(appids)} accounts have the name {name!r}: name one by its appid, {' or '.join(appids)}")
    return entries[0]


async def _last_days(database: Database, appid: str, entry: Entry, target: Target) -> tuple[ShownDay, ...]:
    frame = Frame(last_days(SHOWN_DAYS, target.newest), target.newest)
    facts = facts_by_appid([entry], *await read_states(database, [appid]), target)[appid]
    days = {day.ref_date: day async for _, days in read_daily(database, [appid], frame.days) for day in days}
    columns, first = columns_of(facts, days.values(), frame), frame.slice(frame.shown).start
    return tuple(
        ShownDay(days.get(day, Daily(day)), mark_of(columns, index, day))
        for index, day in enumerate(frame.shown, first)
    )
