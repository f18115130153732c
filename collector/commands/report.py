"""A report on accounts over a period, as a file. Asks WeChat nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from collector.commands.reading import read_columns, read_facts
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.errors import OutputError
from collector.files import result_file
from collector.model.reported import Changed, Reported
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Frame
from collector.report.figures.periods import Choice
from collector.report.figures.values import Figures
from collector.report.report import Report
from collector.report.terms import Terms
from collector.report.writers import Write
from collector.store.database import open_database
from collector.store.location import location_of


class Order(NamedTuple):
    """Accounts, period and language of a report, as of the `target` of a plain run, and the instant of writing."""

    selection: Selection
    period: Choice
    target: Target
    terms: Terms
    now: datetime

    @property
    def frame(self) -> Frame:
        """The days of the period, and those that it is compared with. Raises `UsageError` where none is published."""
        return Frame(self.period(self.target.newest), self.target.newest)


async def report(settings: Settings, order: Order, out: Path, write: Write) -> Reported:
    """Write a report to a file, which is replaced whole or stays as it was.

    Raises:
        UsageError: nothing is selected, no day of the period is published, or an extra is missing.
        OutputError: nothing of the period is stored, or the file can't be written.
        DatabaseError: MongoDB is out of reach.
    """
    frame = order.frame
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        facts = await read_facts(database, settings, order.selection, order.target)
        fold = Fold(frame)
        async for columns in read_columns(database, facts, frame):
            fold.add(columns)
    figures = fold.figures()
    if not figures.has_figures:
        raise OutputError(f"nothing is stored for these accounts in {frame.period}: nothing was written")
    with result_file(out) as new:
        write(Report(title_of(order, [each.name for each in facts.values()]), figures, order.terms, order.now), new)
    return reported_of(figures, str(location), unread=order.selection.count_unread(settings.broken))


def title_of(order: Order, names: Collection[str]) -> str:
    """Return whom a report is about: one account by its name, tags, or how many accounts."""
    if len(names) == 1:
        return next(iter(names))
    if order.selection.tags and not order.selection.names:
        return order.terms("list").join(order.selection.tags)
    return order.terms("accounts_of", count=f"{len(names):,}")


def reported_of(figures: Figures, database: str, changed: Changed | None = None, *, unread: int) -> Reported:
    """Return what a report with these figures is about."""
    frame = figures.frame
    counts = {coverage.value: count for coverage, count in figures.coverage.items()}
    day = figures.total.day if figures.total else None
    return Reported(str(frame.period), frame.shown, day, sum(counts.values()), counts, database, changed, unread)
