"""Turn a sheet of accounts, as a spreadsheet exports it, into one configuration file for each account."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path

from collector.config.consistency import duplicates
from collector.config.loading import in_order
from collector.config.validation import close_to, complaints
from collector.config.yamlfile import quoted, single_fault
from collector.errors import ConfigError, Fault
from collector.secrets.files import private_file, private_folder

_TEXTS = ("name", "appid", "secret")
_COLUMNS = (*_TEXTS, "tags")
_REQUIRED = ("name", "appid")
_DELIMITERS = ",;\t"
# Chinese punctuation too, as input methods write it.
_BETWEEN_TAGS = re.compile(r"[;,、；，\s]+")


@dataclass(frozen=True, slots=True)
class _Row:
    """One account of the sheet, and the `FILE:LINE` where it begins; `surplus` with more cells than columns."""

    where: str
    cells: dict[str, str] = field(repr=False)
    surplus: bool

    def path(self, folder: Path) -> Path:
        """Return the path of the account's file in `folder`."""
        return folder / f"{self.cells['appid']}.yaml"

    @property
    def account(self) -> dict[str, str]:
        """The texts of the account. An empty cell sets nothing, unless its column is required."""
        texts = {key: self.cells.get(key, "") for key in _TEXTS}
        return {key: text for key, text in texts.items() if text or key in _REQUIRED}

    @property
    def content(self) -> str:
        """The configuration file of the account."""
        lines = [f"{key}: {quoted(text)}" for key, text in self.account.items()]
        if tags := [quoted(tag) for tag in _BETWEEN_TAGS.split(self.cells.get("tags", "")) if tag]:
            lines.append(f"tags: [{', '.join(tags)}]")
        return "accounts:\n  - " + "\n    ".join(lines) + "\n"


def imported(csv_path: Path, into: Path) -> list[Path]:
    """Write `APPID.yaml` with mode 0600 into the folder `into` for each row of a sheet; return the new files.

    The sheet is UTF-8 or GB18030, with commas, semicolons or tabs. Its first line names the columns: `name`, `appid`,
    and optionally `secret` and `tags`. Cells are taken literally. A file with the same content is left as it is.

    Raises:
        ConfigError: all faults of all rows, before anything is written; or a file could not be written.
    """
    rows = _rows(csv_path)
    try:
        faults = [fault for row in rows for fault in _faults(row, into)]
        for key in _REQUIRED:
            faults += duplicates(key, [(partial(str, row.where), row.cells[key]) for row in rows], "account")
        if faults:
            raise ConfigError(in_order(faults))
        private_folder(into)  # not before all rows are valid
        return [_write(path, row.content) for row in rows if not (path := row.path(into)).exists()]
    except OSError as error:
        remedy = "Name a folder in which you may write."
        raise single_fault(into, f"could not write the files: {error.strerror}", remedy) from None


def _faults(row: _Row, into: Path) -> Iterator[Fault]:
    if row.surplus:
        remedy = "Quote a cell that holds the delimiter, or remove the surplus cells."
        yield Fault(row.where, "the row has more cells than there are columns", remedy)
    problems = complaints(row.account)
    for message, remedy in problems:
        yield Fault(row.where, message, remedy)
    path = row.path(into)
    # A malformed appid could lead to a path anywhere.
    if not problems and path.exists() and path.read_bytes() != row.content.encode():
        message = f"{path} exists already with another content"
        yield Fault(row.where, message, "Remove the file or the row.")


def _write(path: Path, content: str) -> Path:
    """Write the whole file or nothing; others can never read it."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        file = private_file(Path(folder, path.name))
        file.write_text(content, encoding="utf-8")
        return file.replace(path)


def _rows(path: Path) -> list[_Row]:
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), strict=True)
    rows: list[_Row] = []
    columns: list[str] = []
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not columns:
                columns = _columns(f"{path}:{line}", stripped)
            elif any(stripped):
                rows.append(_row(f"{path}:{line}", columns, stripped))
            line = reader.line_num + 1  # where the next row begins: a quoted cell may hold line breaks
    except csv.Error:
        raise single_fault(f"{path}:{line}", "the quotes don't match", 'Write " as "" within a quoted cell.') from None
    if not rows:
        raise single_fault(path, "the sheet holds no account", "Add a line for each account below the line of names.")
    return rows


def _row(where: str, columns: list[str], cells: list[str]) -> _Row:
    pairs = list(zip_longest(columns, cells, fillvalue=""))
    return _Row(
        where, {column: cell for column, cell in pairs if column}, any(not column and cell for column, cell in pairs)
    )


def _delimiter(line: str) -> str:
    """Return the delimiter with which `line` names the most columns."""
    names = {mark: {cell.strip(' "').lower() for cell in line.split(mark)} for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: len(names[mark].intersection(_COLUMNS)))


def _columns(where: str, cells: list[str]) -> list[str]:
    """Return the names of the columns. Unknown ones are not repeated in faults: they may be data, such as a secret."""
    columns = [cell.lower() for cell in cells]
    faults = []
    for place, column in enumerate(columns):
        if column and column not in _COLUMNS:
            close = close_to(column, _COLUMNS)
            remedy = f"Write {close}." if close else f"Remove it; known here: {', '.join(_COLUMNS)}."
            faults.append(Fault(where, f"column {place + 1} isn't known here", remedy))
        elif column and column in columns[:place]:
            faults.append(Fault(where, f"column {place + 1} repeats the column {column}", "Keep one of the two."))
    faults += [
        Fault(where, f"no column is called {column}", f"Begin with a line of names: {', '.join(_COLUMNS)}.")
        for column in _REQUIRED
        if column not in columns
    ]
    if faults:
        raise ConfigError(tuple(faults))
    return columns


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise single_fault(path, f"could not read the sheet: {error.strerror}", "Correct the path.") from None
    # UTF-8 first: it is hardly ever valid by chance, while GB18030 accepts most bytes.
    for encoding in ("utf-8-sig", "gb18030"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    raise single_fault(path, "the sheet is neither UTF-8 nor GB18030", "Save it as CSV with the encoding UTF-8.")
