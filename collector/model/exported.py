"""Formats and rows of an export, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Format(StrEnum):
    """The form of a file; as a suffix it says so."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"


class Per(StrEnum):
    """Kind of the rows: one for each day of an account, or one for each channel of it."""

    DAY = "day"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Exported:
    """The rows that an export has written, and what they are of.

    `accounts` and `days` count those that have a row, `begin` and `end` are the oldest and the newest of the days.
    `damaged` counts documents with a value that no run writes, which was left out. `unread` counts the entries of the
    configuration whose appid can't be read, where they may be for accounts that were chosen.
    """

    rows: int
    accounts: int
    days: int
    begin: date
    end: date
    damaged: int
    unread: int
    database: str
