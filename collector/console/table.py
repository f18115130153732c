"""Tables of accounts, as a terminal shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from collector.text import printable

Cells = tuple[str, ...]
"""One row: the name first, what went wrong last."""

_NAME_CELLS = 12
"""However narrow the terminal is, so much is shown of a name."""

_INDENT = " " * 4


class Table:
    """Columns as wide as the widest of their cells.

    On a terminal of `width` long names are cut; what went wrong never is: where it has no room beside the other cells
    it stands in a line of its own.
    """

    def __init__(self, rows: Sequence[Cells], width: int | None) -> None:
        *columns, _ = zip(*rows, strict=True)
        self._widths = [max(map(cell_len, column)) for column in columns]
        self._room: int | None = None
        if width is not None:
            self._widths[0] = min(self._widths[0], max(_NAME_CELLS, width // 5))
            self._room = width - sum(self._widths) - 2 * len(self._widths)

    def lines(self, rows: Iterable[Cells]) -> str:
        """The rows, one a line."""
        return "\n".join(map(self._line, rows))

    def _line(self, row: Cells) -> str:
        name, *cells, error = row
        name_cells, *widths = self._widths
        padded = [set_cell_size(_cut(name, name_cells), name_cells), *map(str.ljust, cells, widths)]
        if not error or self._room is None or cell_len(error) <= self._room:
            return "  ".join([*padded, error]).rstrip()
        return f"{'  '.join(padded).rstrip()}\n{_INDENT}{error}"


def _cut(text: str, cells: int) -> str:
    return text if cell_len(text) <= cells else f"{set_cell_size(text, cells - 1).rstrip()}…"


def in_one_line(text: str) -> str:
    """A text without line ends, runs of blanks and what can't be shown."""
    return " ".join(printable(text, len(text)).split())
