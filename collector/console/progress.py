"""A progress bar, on a terminal alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from collector.model.results import AccountResult, Outcome


class Watch:
    """Hears how a run gets on; this one does nothing about it."""

    def phase(self, unit: str, total: int) -> None:
        """A part of the run begins, in which `total` of `unit` (accounts, windows) are to be done."""

    def account(self, result: AccountResult) -> None:
        """An account is done with its newest days."""

    def window(self) -> None:
        """A window of history is done."""


WIDE = 80
"""Cells of a terminal that has room for a bar beside what is told."""


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
        """Count a window."""
        self._advance(None)

    def _advance(self, told: str | None) -> None:
        if self._task is not None:
            self._progress.update(self._task, advance=1, told=told)


class _Told(ProgressColumn):
    """The unit, and what is told of it: how many a second there are where there is nothing else to tell.

    It is worked out as often as it is drawn, since it takes as long as a window's other work.
    """

    def render(self, task: Task) -> Text:
        told = task.fields["told"]
        if told is None:
            told = f"{task.speed or 0:.0f}/s"
        return Text(f"{task.description}, {told}" if told else task.description)


@contextmanager
def progress(console: Console) -> Iterator[Watch]:
    """Watch a run with bars; where `console` isn't a terminal, without a word."""
    columns = (
        *((BarColumn(),) if console.width >= WIDE else ()),
        MofNCompleteColumn(),
        _Told(),
        TimeElapsedColumn(),
        TextColumn("passed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    if not console.is_terminal:
        yield Watch()
        return
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)
