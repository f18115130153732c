"""Stored figures as a file: CSV, Parquet or Excel. Asks WeChat nothing.

The rows of a few accounts at a time are in memory.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO, NamedTuple

from collector.config import Selection, Settings
from collector.errors import OutputError
from collector.files import result_file
from collector.model.accounts import Entry
from collector.model.daily import Daily
from collector.model.days import Window
from collector.model.exported import Exported, Format, Per
from collector.report.export.rows import TABLES, Row, Subject
from collector.report.export.writers import Write, writer_of
from collector.run.discovery import known_entries
from collector.store.database import Database, open_database
from collector.store.documents import read_daily
from collector.store.location import location_of
from collector.store.state import read_outlines


class Order(NamedTuple):
    """Days, format and kind of rows of an export. A CSV begins with the mark of UTF-8 if `bom`."""

    days: Window
    form: Format
    per: Per = Per.DAY
    bom: bool = True


async def export(settings: Settings, selection: Selection, order: Order, to: Path | BinaryIO) -> Exported:
    """Write the stored days of the selected accounts, disabled ones included, to a file or a stream.

    A file is replaced whole, or stays as it was. Raises `UsageError` where nothing is selected or an extra is missing;
    `OutputError` where nothing is stored for the choice, so that nothing is written, or the file can't be written;
    `DatabaseError` when MongoDB is out of reach.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        entries = selection.of(known_entries(settings, await read_outlines(database)), with_disabled=True)
        counts = _Counts(str(location), selection.count_unread(settings.broken))
        async with aclosing(_rows(database, entries, order, counts)) as rows:
            first = await anext(rows, None)
            if first is None:
                raise OutputError(f"nothing is stored for these accounts and days ({order.days}): nothing was written")
            with _writer(order, to) as write:
                write(first)
                async for more in rows:
                    write(more)
    return counts.exported()


@dataclass(slots=True)
class _Counts:
    database: str
    unread: int
    rows: int = 0
    accounts: int = 0
    damaged: int = 0
    days: set[date] = field(default_factory=set)

    def exported(self) -> Exported:
        begin, end = min(self.days), max(self.days)
        return Exported(self.rows, self.accounts, len(self.days), begin, end, self.damaged, self.unread, self.database)


async def _rows(
    database: Database, entries: Sequence[Entry], order: Order, counts: _Counts
) -> AsyncGenerator[Sequence[Row], None]:
    """Yield the rows of each account that has any, and count them."""
    subjects = {entry.appid: Subject(entry.appid, entry.name, entry.tags) for entry in entries if entry.appid}
    # Closed before the database: it reads ahead.
    async with aclosing(read_daily(database, [*subjects], order.days)) as stored:
        async for account, days in stored:
            if rows := _rows_of(subjects[account], days, order.per, counts):
                counts.accounts += 1
                yield rows


def _rows_of(subject: Subject, days: Iterable[Daily], per: Per, counts: _Counts) -> list[Row]:
    made: list[Row] = []
    for day in days:
        counts.damaged += day.is_damaged
        if rows := TABLES[per].rows(subject, day):
            counts.rows += len(rows)
            counts.days.add(day.ref_date)
            made += rows
    return made


@contextmanager
def _writer(order: Order, to: Path | BinaryIO) -> Iterator[Write]:
    with ExitStack() as stack:
        folder = None
        if isinstance(to, Path):
            new = stack.enter_context(result_file(to))
            folder, to = new.parent, stack.enter_context(new.open("wb"))
        writer = writer_of(order.form, bom=order.bom, folder=folder)
        yield stack.enter_context(writer(to, TABLES[order.per].columns))
