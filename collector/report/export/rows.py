"""The columns of an export, and the rows of an account's stored days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from enum import Enum, auto
from typing import NamedTuple

from collector.model.channels import CHANNELS
from collector.model.daily import Daily, Source
from collector.model.exported import Per


class Kind(Enum):
    """The kind of a column's values."""

    TEXT = auto()
    TEXTS = auto()
    DAY = auto()
    NUMBER = auto()


class Column(NamedTuple):
    """A column, by its name in each format."""

    name: str
    kind: Kind = Kind.NUMBER


class Subject(NamedTuple):
    """The account of a row."""

    account: str
    name: str
    tags: tuple[str, ...]


Value = str | tuple[str, ...] | date | int | None
Row = tuple[Value, ...]
"""The values of a row in the order of the columns; None where nothing is stored."""

_KEYS = (
    Column("account", Kind.TEXT),
    Column("name", Kind.TEXT),
    Column("tags", Kind.TEXTS),
    Column("ref_date", Kind.DAY),
)
_CHANNEL = (Column("user_source"), Column("channel", Kind.TEXT))
_COUNTS = (Column("new_user"), Column("cancel_user"), Column("net_user"))


class Table(NamedTuple):
    """The columns of an export, and how the rows of an account's stored day are made."""

    columns: tuple[Column, ...]
    rows: Callable[[Subject, Daily], list[Row]]


def _day_rows(subject: Subject, day: Daily) -> list[Row]:
    return [(*subject, day.ref_date, day.new_user, day.cancel_user, day.net_user, day.cumulate_user)]


def _source_rows(subject: Subject, day: Daily) -> list[Row]:
    return [
        (*subject, day.ref_date, *_channel(source), source.new_user, source.cancel_user, source.net_user)
        for source in day.sources or ()
    ]


def _channel(source: Source) -> tuple[int, str]:
    code = source.user_source
    return code, CHANNELS[code].chinese if code in CHANNELS else str(code)


TABLES: Mapping[Per, Table] = {
    Per.DAY: Table((*_KEYS, *_COUNTS, Column("cumulate_user")), _day_rows),
    # The total isn't by channel.
    Per.SOURCE: Table((*_KEYS, *_CHANNEL, *_COUNTS), _source_rows),
}
