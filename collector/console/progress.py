"""Progress of a run: bars on a terminal, a line of the log every minute elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import ceil
from operator import add
from typing import NamedTuple

import structlog
from rich import progress as rich_progress
from rich.console import Console
from rich.text import Text

from collector.model.results import AccountResult, Outcome
from collector.runtime import Clock, in_background

log = structlog.get_logger()


class Steps(NamedTuple):
    """Progress of a part of a run: accounts done and failed, windows of history expected and done, days stored."""

    accounts: int = 0
    failed: int = 0
    history: int = 0
    windows: int = 0
    days: int = 0


NO_STEPS = Steps()
_A_WINDOW = Steps(windows=1)


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

    def follow_days(self, days: Callable[[], int]) -> None:
        """Take the number of days that this process has stored from `days`."""

    def pause(self, text: str) -> None:
        """Show that nothing is done until the next begin, and why."""


class Counting(Watch):
    """Progress as counts, each followed by `_changed`."""

    def __init__(self) -> None:
        self.accounts = 0
        self.pauses = ""
        self.done = NO_STEPS
        self._days_here: Callable[[], int] = lambda: 0

    @property
    def steps(self) -> Steps:
        """All that is done, with the days that this process has stored."""
        return self.done._replace(days=self.done.days + self._days_here())

    def begin(self, accounts: int) -> None:
        """Begin anew; what was stored stays."""
        self.pauses = ""
        self.accounts = accounts
        self.done = Steps(days=self.done.days)
        self._changed()

    def history(self, windows: int) -> None:
        """Expect more windows."""
        self.add(Steps(history=windows))

    def account(self, result: AccountResult) -> None:
        """Count an account."""
        # Those that a stop skipped aren't counted: the progress would end full although nothing was done.
        if result.outcome is not Outcome.SKIPPED:
            self.add(Steps(accounts=1, failed=int(result.outcome is Outcome.FAILED)))

    def window(self) -> None:
        """Count a window."""
        self.add(_A_WINDOW)

    def add(self, steps: Steps) -> None:
        """Count what was done."""
        self.done = Steps(*map(add, self.done, steps))
        self._changed()

    def follow_days(self, days: Callable[[], int]) -> None:
        """Count them as `days` does, beside those that were counted before."""
        self.done = self.steps
        self._days_here = days

    def pause(self, text: str) -> None:
        """Note why nothing is done."""
        self.pauses = text

    def _changed(self) -> None:
        """Show the counts, where they are shown at once."""


WIDE = 80
"""The cells from which on a terminal has room for a bar beside the counts."""


class Bars(Counting):
    """A bar for each part of the run: what is done, the rate or the failed accounts, and the time left."""

    def __init__(self, progress: rich_progress.Progress) -> None:
        super().__init__()
        self._progress = progress
        self._accounts: rich_progress.TaskID | None = None
        self._windows: rich_progress.TaskID | None = None

    def begin(self, accounts: int) -> None:
        """Begin new bars."""
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._accounts = self._progress.add_task("accounts", total=accounts, note="")
        self._windows = None
        super().begin(accounts)

    def pause(self, text: str) -> None:
        """Print the text in place of the bars."""
        super().pause(text)
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._accounts = self._windows = None
        self._progress.console.print(text, highlight=False)

    def _changed(self) -> None:
        done = self.done
        if self._accounts is not None:
            note = f"{done.failed} failed" if done.accounts else ""
            self._progress.update(self._accounts, completed=done.accounts, note=note)
        if self._windows is not None:
            self._progress.update(self._windows, completed=done.windows, total=done.history)
        elif done.history:
            self._windows = self._progress.add_task("windows", total=done.history, note=None)


EVERY_S = 60
"""Seconds between two lines of the log."""

MINUTES = 10
"""Minutes whose pace counts for the time that is left."""


class Lines(Counting):
    """A line of the log every minute: what is done, and roughly how many minutes are left."""

    async def log(self, clock: Clock) -> None:
        """Log until cancelled."""
        lately = deque([self._pace(clock)], MINUTES + 1)  # the begin of the first minute, too
        while True:
            await clock.sleep(EVERY_S)
            if self.pauses:
                continue
            lately.append(self._pace(clock))
            done = self.steps
            windows = {"windows_done": done.windows, "windows": done.history} if done.history else {}
            log.info(
                "run.progress",
                accounts_done=done.accounts,
                accounts=self.accounts,
                failed=done.failed,
                **windows,
                days=done.days,
                **_minutes_left(lately[0], lately[-1]),
            )

    def _pace(self, clock: Clock) -> _Pace:
        done = self.done
        part = (done.windows, done.history) if done.history else (done.accounts, self.accounts)
        return _Pace(clock.monotonic(), bool(done.history), *part)


class _Pace(NamedTuple):
    """Second, part of the run, and how much of it was done by then."""

    second: float
    is_history: bool
    done: int
    expected: int


def _minutes_left(then: _Pace, now: _Pace) -> dict[str, int]:
    """Return the field of a line; empty where the pace isn't known."""
    done = now.done - (then.done if then.is_history == now.is_history else 0)
    if done <= 0:
        return {}
    return {"minutes_left": ceil((now.expected - now.done) * (now.second - then.second) / done / 60)}


class _Note(rich_progress.ProgressColumn):
    """The unit with a note: the bar's own, or the rate where that is None."""

    def render(self, task: rich_progress.Task) -> Text:
        note = task.fields["note"]
        # Computed when the bar is drawn, not at each window: the rate costs as much as the rest of a window's work.
        if note is None:
            note = f"{task.speed or 0:.0f}/s"
        return Text(f"{task.description}, {note}" if note else task.description)


@asynccontextmanager
async def progress(console: Console, clock: Clock, *, is_run: bool) -> AsyncIterator[Watch]:
    """Show progress with bars; where `console` isn't a terminal, log that of a run every minute of `clock`."""
    if not console.is_terminal:
        lines = Lines()
        if not is_run:
            yield lines
            return
        async with in_background(lines.log(clock), name="progress"):
            yield lines
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
