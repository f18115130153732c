"""Rows as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, BinaryIO

from collector.report.export.rows import Column, Kind, Row

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""The beginnings of a formula; a spreadsheet may take the wide forms for the narrow ones."""

_TEXTS_KEPT = 4_096


@contextmanager
def csv_writer(file: BinaryIO, columns: Sequence[Column], *, bom: bool) -> Iterator[Callable[[Iterable[Row]], None]]:
    """Write rows as CSV in UTF-8, with the columns' names as the first line.

    Texts of several are joined by `;`. A text that a spreadsheet would run gets an apostrophe before it.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig" if bom else "utf-8", newline="")
    lines = csv.writer(text)
    texts = [(place, _TEXTS[column.kind]) for place, column in enumerate(columns) if column.kind in _TEXTS]

    def write(rows: Iterable[Row]) -> None:
        for row in rows:
            cells: list[Any] = [*row]
            for place, converted in texts:
                cells[place] = converted(cells[place])
            lines.writerow(cells)

    try:
        lines.writerow(column.name for column in columns)
        yield write
    finally:
        text.detach()  # the file is the caller's to close


@lru_cache(_TEXTS_KEPT)
def neutralised(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula.

    Excel runs a cell of a CSV that begins with one of `_FORMULA`, in quotes or not; other programs strip blanks first.
    """
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(("\t", "\r")) else text


@lru_cache(_TEXTS_KEPT)
def _joined(texts: tuple[str, ...]) -> str:
    return neutralised(";".join(texts))


_TEXTS: Mapping[Kind, Callable[[Any], str]] = {Kind.TEXT: neutralised, Kind.TEXTS: _joined}
