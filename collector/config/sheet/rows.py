"""Read the rows of a sheet: what each sets of its account, and what is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import zip_longest
from pathlib import Path

from collector.config.consistency import duplicates
from collector.config.loading import in_order
from collector.config.sheet import xlsx
from collector.config.sheet.columns import REQUIRED, Value, keys_of, value_of
from collector.config.sheet.lines import Line, csv_lines
from collector.config.validation import complaints
from collector.config.yamlfile import single_fault
from collector.errors import Fault
from collector.model.accounts import is_appid

# Cells are taken literally, so the forms that YAML offers would mislead here.
_REMEDIES = {
    "secret": "Write the AppSecret from the account's console: 32 digits and letters.",
    "proxy": "Write the address of a proxy, such as http://HOST:3128, or leave the cell empty.",
    "tags": "Write words, separated by commas.",
    "enabled": "Write yes or no.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sheet, and the `FILE:LINE` where it begins.

    `values` has a key for each column, None where the cell is empty. A row with `faults` can't be used.
    """

    where: str
    values: Mapping[str, Value | None] = field(repr=False)
    faults: tuple[Fault, ...] = ()

    @property
    def appid(self) -> str | None:
        """The account's appid, None where it can't be read."""
        appid = self.values["appid"]
        return appid if isinstance(appid, str) and is_appid(appid) else None


def read(path: Path, today: date) -> list[Row]:
    """Read a sheet, whose first line names the columns. Cells are taken literally. No `since` may be after `today`.

    Raises:
        ConfigError: the sheet can't be read, its line of names has faults, or there is no row below it.
        UsageError: an extra is missing.
    """
    keys: list[str] = []
    rows = []
    for line in _lines(path):
        where = f"{path}:{line.number}"
        if any(line.cells) or line.problems:
            if keys:
                rows.append(_row(where, keys, line, today))
            else:
                keys = keys_of(where, line.cells)
    if not rows:
        raise single_fault(path, "the sheet holds no account", "Add a line for each account below the line of names.")
    taken = defaultdict(list)
    for key in REQUIRED:
        for fault in duplicates(key, [(partial(str, row.where), row.values[key]) for row in rows], "account"):
            taken[fault.where].append(fault)
    return [replace(row, faults=in_order([*row.faults, *taken[row.where]])) for row in rows]


def _lines(path: Path) -> Iterable[Line]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise single_fault(path, f"could not read the sheet: {error.strerror}", "Correct the path.") from None
    if raw.startswith(xlsx.OLD_SIGNATURE):
        what = "the workbook has Excel's old form (.xls), or a password"
        raise single_fault(path, what, "Save it as .xlsx without a password, or as CSV.")
    return xlsx.lines(path, raw) if raw.startswith(xlsx.SIGNATURE) else csv_lines(path, raw)


def _row(where: str, keys: list[str], line: Line, today: date) -> Row:
    cells = [(key, text) for key, text in zip_longest(keys, line.cells, fillvalue="") if key]
    values = {key: value_of(key, text) for key, text in cells}
    return Row(where, values, tuple(_faults(where, keys, line, values, today)))


def _faults(
    where: str, keys: list[str], line: Line, values: Mapping[str, Value | None], today: date
) -> Iterator[Fault]:
    if any(text and not key for key, text in zip_longest(keys, line.cells, fillvalue="")):
        remedy = "Quote a cell that holds the delimiter, or remove the surplus cells."
        yield Fault(where, "the row has more cells than there are columns", remedy)
    problems = {keys[place]: words for place, words in line.problems.items() if place < len(keys)}
    for key, (message, remedy) in problems.items():
        yield Fault(where, f"`{key}` {message}", remedy)
    # An empty cell of a required key is a wrong value, not a column that is missing.
    account = {key: value or "" for key, value in values.items() if value or key in REQUIRED}
    for key, message, remedy in complaints(account, today):
        if key not in problems:
            yield Fault(where, message, _REMEDIES.get(key, remedy))
