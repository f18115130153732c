"""A progress bar, on a terminal alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from collector.model import AccountResult, Outcome
from collector.report.watch import Watch


class Bars(Watch):
    """A bar for each part of the run: how much is done, how fast, how many accounts have failed, the time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._failed = 0

    def phase(self, unit: str, total: int) -> None:
        """Begin a bar of its own."""
        self._task = self._progress.add_task(unit, total=total, told="")

    def account(self, result: AccountResult) -> None:
        """Count an account."""
        self._failed += result.outcome is Outcome.FAILED
        if result.outcome is Outcome.SKIPPED:
            return
        self._advance(f"{self._failed} failed")

    def window(self) -> None:
        """Count a window, and tell how many a second there are."""
        speed = next((task.speed for task in self._progress.tasks if task.id == self._task), None)
        self._advance(f"{speed or 0:.0f}/s")

    def _advance(self, told: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=1, told=told)


@contextmanager
def progress(console: Console) -> Iterator[Watch]:
    """Watch a run with bars; where `console` isn't a terminal, without a word."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}, {task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield Bars(bars)
