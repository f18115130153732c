"""Tables of accounts for terminals, and the text of a problem in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from collector.console.wrapping import wrapped
from collector.model.results import Failure
from collector.model.state import Trouble
from collector.text import printable

NEVER_HAD_A_ROW = "never had a row: perhaps not verified"

Cells = tuple[str, ...]
"""One row: the name first, the problem last."""

_NAME_CELLS = 12
"""The least that is shown of a name, however narrow the terminal is."""

_INDENT = " " * 4


class Table:
    """Columns as wide as the widest of their cells.

    On a terminal of `width` cells long names are cut. The problem never is: without room beside the other cells it
    goes on a line of its own.
    """

    def __init__(self, rows: Sequence[Cells], width: int | None) -> None:
        # The problem is the last cell and needs no padding, so its width doesn't matter.
        *columns, _ = zip(*rows, strict=True)
        self._widths = [max(map(cell_len, column)) for column in columns]
        self._room: int | None = None
        self._width = width
        if width is not None:
            self._widths[0] = min(self._widths[0], max(_NAME_CELLS, width // 5))
            self._room = width - sum(self._widths) - 2 * len(self._widths)

    def lines(self, rows: Iterable[Cells]) -> str:
        """Format the rows, one a line."""
        return "\n".join(map(self._line, rows))

    def _line(self, row: Cells) -> str:
        name, *cells, error = row
        name_cells, *widths = self._widths
        padded = [set_cell_size(_cut(name, name_cells), name_cells), *map(str.ljust, cells, widths)]
        if not error or self._room is None or cell_len(error) <= self._room:
            return "  ".join([*padded, error]).rstrip()
        problem = wrapped(error, self._width and self._width - len(_INDENT)).replace("\n", f"\n{_INDENT}")
        return f"{'  '.join(padded).rstrip()}\n{_INDENT}{problem}"


def _cut(text: str, cells: int) -> str:
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1).rstrip()}…"


def in_one_line(text: str) -> str:
    """Remove line ends, repeated blanks and unprintable characters."""
    return " ".join(printable(text, len(text)).split())


def problem_text(problem: Failure | Trouble, where: str = "") -> str:
    """Return the remedy, then `where`, errcode and message in brackets; the latter alone without a remedy."""
    code = "" if problem.errcode is None else f"{problem.errcode} "
    message = f"{where}{code}{problem.errmsg}"
    # Some remedies, such as those about secrets in files, contain the message already.
    if problem.errmsg in problem.hint:
        return in_one_line(problem.hint)
    return in_one_line(f"{problem.hint} ({message})" if problem.hint else message)
