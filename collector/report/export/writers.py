"""The writer of each format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from collector.model.exported import Format
from collector.report.export.csv_file import csv_writer
from collector.report.export.parquet_file import parquet_writer
from collector.report.export.rows import Column, Row
from collector.report.export.xlsx_file import xlsx_writer

Write = Callable[[Iterable[Row]], None]
"""Function that writes some more rows."""

Writer = Callable[[BinaryIO, Sequence[Column]], AbstractContextManager[Write]]
"""Context manager of a file with these columns; the file is whole once it has ended without an error."""


def writer_of(form: Format, *, bom: bool, folder: Path | None) -> Writer:
    """Return the writer of a format.

    A CSV begins with the mark of UTF-8 if `bom`. An xlsx keeps its parts in `folder` while it is written, else where
    the system keeps temporary files. Raises `UsageError` where the extra `export` is missing.
    """
    match form:
        case Format.CSV:
            return partial(csv_writer, bom=bom)
        case Format.PARQUET:
            return parquet_writer
        case Format.XLSX:
            return partial(xlsx_writer, folder=folder)
