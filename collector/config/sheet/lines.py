"""The lines of a sheet, and how those of CSV are read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from collector.config.sheet.columns import key_of
from collector.config.yamlfile import single_fault

_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Line:
    """The texts of one line, whose `number` counts from 1.

    `problems` has message and remedy for each cell that can't be used, by its place.
    """

    number: int
    cells: list[str] = field(repr=False)
    problems: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def csv_lines(path: Path, raw: bytes) -> Iterator[Line]:
    """Iterate over the lines of CSV: UTF-8 or GB18030, with commas, semicolons or tabs.

    Raises:
        ConfigError: the encoding is another one, or the quotes don't match.
    """
    text = _text(path, raw)
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    number = 1
    try:
        for cells in reader:
            yield Line(number, [cell.strip() for cell in cells])
            number = reader.line_num + 1  # where the next one begins: a quoted cell may hold line breaks
    except csv.Error:
        message = "the quotes don't match"
        raise single_fault(f"{path}:{number}", message, 'Write " as "" within a quoted cell.') from None


def _text(path: Path, raw: bytes) -> str:
    # UTF-8 first: it is hardly ever valid by chance, while GB18030 accepts most bytes.
    for encoding in ("utf-8-sig", "gb18030"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    raise single_fault(path, "the sheet is neither UTF-8 nor GB18030", "Save it as CSV with the encoding UTF-8.")


def _delimiter(line: str) -> str:
    """Return the delimiter with which `line` names the most columns."""
    keys = {mark: {key_of(cell.strip().strip('"')) for cell in line.split(mark)} - {None} for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: len(keys[mark]))
