"""Fold accounts into the figures of a report, one at a time.

    fold = Fold(frame)
    async for account, days in read_daily(database, [*facts], frame.days):
        fold.add(columns_of(facts[account], days, frame))
    figures = fold.figures()

The columns of an account can be added to several folds: that of all accounts, and that of each of its tags.
"""

from __future__ import annotations

from collector.report.account import Columns
from collector.report.figures import Figures
from collector.report.frame import Frame

MAX_ROWS = 20_000
"""Rows of the details that a fold keeps; beyond them it keeps none."""


class Fold:
    """Figures of a group while its accounts are added, in any order. It grows by some 1 KB an account and month."""

    def __init__(self, frame: Frame, max_rows: int = MAX_ROWS) -> None:
        self.frame = frame
        self._max_rows = max_rows

    def add(self, account: Columns) -> None:
        """Add one account."""
        raise NotImplementedError

    def figures(self) -> Figures:
        """Return the figures of all accounts that were added."""
        raise NotImplementedError
