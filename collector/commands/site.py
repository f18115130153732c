"""The static site of an agency: all accounts, each account and each tag. Asks WeChat nothing."""

from __future__ import annotations

from pathlib import Path

from collector.commands.reading import read_columns, read_facts
from collector.commands.report import Order, reported_of, title_of
from collector.commands.status import status_of
from collector.config import Settings
from collector.errors import OutputError
from collector.model.reported import Reported
from collector.report.site.assets import shared
from collector.report.site.folder import site_folder
from collector.report.site.writing import Site, files_of
from collector.store.database import open_database
from collector.store.documents import has_days
from collector.store.location import location_of


async def site(settings: Settings, order: Order, out: Path) -> Reported:
    """Write the site of the selected accounts into a folder: of what is there, only what has changed.

    Raises:
        UsageError: nothing is selected, no day of the period is published, other files are in the folder, or an extra
            is missing.
        OutputError: nothing of the period is stored, or the folder can't be written.
        DatabaseError: MongoDB is out of reach.
    """
    frame = order.frame
    assets = shared(order.terms)
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        facts = await read_facts(database, settings, order.selection, order.target)
        if not facts or not await has_days(database, frame.shown):
            raise OutputError(f"nothing is stored for these accounts in {frame.period}: nothing was written")
        status = await status_of(database, str(location), settings, order.selection, order.now)
        with site_folder(out, files_of(facts.values(), assets)) as folder:
            pages = Site(folder, frame, order.terms, assets, order.now)
            async for columns in read_columns(database, facts, frame):
                pages.add(columns)
            figures = pages.finish(title_of(order, [each.name for each in facts.values()]), status)
    unread = order.selection.count_unread(settings.broken)
    return reported_of(figures, str(location), folder.changed, unread=unread)
