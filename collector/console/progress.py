"""Progress of a run: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

from collector.model.results import AccountResult, Outcome


class Steps(NamedTuple):
    """Progress of a part of a run: accounts done and failed, windows of history expected and done."""

    accounts: int = 0
    failed: int = 0
    history: int = 0
    windows: int = 0


NO_STEPS = Steps()


class Watch:
    """Progress of a run: this one shows nothing."""

    def begin(self, accounts: int) -> None:
        """Begin, perhaps anew, with the newest days of so many accounts."""

    def history(self, windows: int) -> None:
        """Expect so many more windows of history."""

    def account(self, result: AccountResult) -> None:
        """Count an account whose newest days are done."""

    def window(self) -> None:
        """Count a window of history that is done."""

    def add(self, steps: Steps) -> None:
        """Count what was done in another process."""


WIDE = 80
"""The cells from which on a terminal has room for a bar beside the counts."""


class Bars(Watch):
    """A bar for each part of the run: what is done, the rate or the failed accounts, and the time left."""

    def __init__(self, progress: rich_progress.Progress) -> None:
        self._progress = progress
        self._accounts: rich_progress.TaskID | None = None
        self._windows: rich_progress.TaskID | None = None
        self._failed = self._expected = 0

    def begin(self, accounts: int) -> None:
        """Begin a new bar."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._accounts = self._progress.add_task("accounts", total=accounts, note="")
        self._windows = None
        self._failed = self._expected = 0

    def history(self, windows: int) -> None:
        """Begin the bar of windows, or lengthen it."""
        self._expected += windows
        if self._windows is not None:
            self._progress.update(self._windows, total=self._expected)
        elif windows:
            self._windows = self._progress.add_task("windows", total=windows, note=None)

    def account(self, result: AccountResult) -> None:
        """Count an account."""
        # Those that a stop skipped aren't counted: the bar would end full although nothing was done.
        if result.outcome is not Outcome.SKIPPED:
            self._advance(1, failed=int(result.outcome is Outcome.FAILED))

    def window(self) -> None:
        """Count a window."""
        if self._windows is not None:
            self._progress.update(self._windows, advance=1)

    def add(self, steps: Steps) -> None:
        """Count what was done in another process."""
        self.history(steps.history)
        if steps.accounts:
            self._advance(steps.accounts, failed=steps.failed)
        if self._windows is not None and steps.windows:
            self._progress.update(self._windows, advance=steps.windows)

    def _advance(self, accounts: int, *, failed: int) -> None:
        self._failed += failed
        if self._accounts is not None:
            self._progress.update(self._accounts, advance=accounts, note=f"{self._failed} failed")


class _Note(rich_progress.ProgressColumn):
    """The unit with a note: the bar's own, or the rate where that is None."""

    def render(self, task: rich_progress.Task) -> Text:
        note = task.fields["note"]
        # Computed when the bar is drawn, not at each window: the rate costs as much as the rest of a window's work.
        if note is None:
            note = f"{task.speed or 0:.0f}/s"
        return Text(f"{task.description}, {note}" if note else task.description)


@contextmanager
def progress(console: Console) -> Iterator[Watch]:
    """Show a run's progress with bars, or nothing where `console` isn't a terminal."""
    if not console.is_terminal:
        yield Watch()
        return
    with rich_progress.Progress(
        *((rich_progress.BarColumn(),) if console.width >= WIDE else ()),
        rich_progress.MofNCompleteColumn(),
        _Note(),
        rich_progress.TimeElapsedColumn(),
        "passed,",
        rich_progress.TimeRemainingColumn(),
        "left",
        console=console,
    ) as bars:
        yield Bars(bars)
