import asyncio
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from structlog.testing import capture_logs
from support import FakeClock

from collector.console.progress import Lines, Steps, Watch, progress
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import AccountResult, Outcome
from collector.runtime import Clock

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))


async def _shown(*, terminal: bool, width: int = 120) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=width)
    async with progress(console, Clock(), is_run=True) as watch:
        watch.account(AccountResult(ACCOUNT, Outcome.OK))  # before its phase: nothing to count it in
        watch.begin(2)
        watch.account(AccountResult(ACCOUNT, Outcome.OK))
        watch.account(AccountResult(ACCOUNT, Outcome.FAILED))
        watch.history(3)
        watch.window()
    return written.getvalue()


async def test_terminal_shows_counts() -> None:
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", await _shown(terminal=True))
    assert re.search(r"2/2 accounts, 1 failed", shown)
    assert re.search(r"1/3 windows, \d+/s", shown)


async def test_narrow_terminal_has_no_bar() -> None:
    """The counts are complete, and there is no bar."""
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", await _shown(terminal=True, width=60))
    assert re.search(r"2/2 accounts, 1 failed \d:\d\d:\d\d passed", shown)
    assert "━" not in shown


async def test_no_terminal_shows_nothing() -> None:
    assert (await _shown(terminal=False)).strip() == ""


def test_watch_shows_nothing() -> None:
    watch = Watch()
    watch.begin(2)
    watch.account(AccountResult(ACCOUNT, Outcome.OK))
    watch.window()


async def test_other_processes_count() -> None:
    """The progress of a process that died is taken back."""
    written = io.StringIO()
    async with progress(Console(file=written, force_terminal=True, width=120), Clock(), is_run=True) as watch:
        watch.begin(5)
        watch.add(Steps(accounts=4, failed=2, history=9, windows=5))
        watch.add(Steps(accounts=-2, failed=-1, history=-3, windows=-1))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    assert re.search(r"2/5 accounts, 1 failed", shown)
    assert re.search(r"4/6 windows", shown)
    Watch().add(Steps())


async def test_rounds_on_a_terminal() -> None:
    """A pause is told in place of the bars, and the next round begins new ones."""
    written = io.StringIO()
    async with progress(Console(file=written, force_terminal=True, width=120), Clock(), is_run=True) as watch:
        for accounts, windows in ((5, 9), (2, 4)):
            watch.begin(accounts)
            watch.account(AccountResult(ACCOUNT, Outcome.OK))
            watch.history(windows)
            watch.pause(f"{accounts} accounts pending")
            watch.add(Steps(days=1))  # of a process that reports late
        watch.begin(3)
        watch.history(7)
        watch.begin(4)
        watch.history(6)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    assert re.findall(r"\d accounts pending", shown) == ["5 accounts pending", "2 accounts pending"]
    assert re.search(r"0/6 windows", shown)


class Minutes(FakeClock):
    """Clock that lets `passing` happen in each minute, and stops after the last."""

    def __init__(self, *passing: Callable[[], None]) -> None:
        super().__init__(datetime(2026, 11, 24, tzinfo=UTC))
        self._passing = list(passing)

    async def sleep(self, delay_s: float) -> None:
        assert delay_s == 60
        if not self._passing:
            raise StopAsyncIteration
        self._passing.pop(0)()
        await super().sleep(delay_s)


async def _logged(lines: Lines, *passing: Callable[[], None]) -> list[dict[str, Any]]:
    with capture_logs() as logs, pytest.raises(StopAsyncIteration):
        await lines.log(Minutes(*passing))
    assert {(log.pop("event"), log.pop("log_level")) for log in logs} == {("run.progress", "info")}
    return [dict(log) for log in logs]


def _done(lines: Lines, count: int, outcome: Outcome = Outcome.OK) -> None:
    for _ in range(count):
        lines.account(AccountResult(ACCOUNT, outcome))


async def test_line_every_minute() -> None:
    """It counts accounts, then windows too, and estimates what is left by the last ten minutes."""
    lines, stored = Lines(), iter((70, 400, 800))
    lines.follow_days(lambda: next(stored))
    lines.begin(300)

    def history() -> None:
        _done(lines, 190)
        _done(lines, 10, Outcome.FAILED)
        _done(lines, 5, Outcome.SKIPPED)
        lines.history(1000)
        for _ in range(50):
            lines.window()

    def windows() -> None:
        lines.add(Steps(windows=50, days=7))

    assert await _logged(lines, lambda: _done(lines, 100), history, windows) == [
        {"accounts_done": 100, "accounts": 300, "failed": 0, "days": 70, "minutes_left": 2},
        {
            "accounts_done": 300,
            "accounts": 300,
            "failed": 10,
            "windows_done": 50,
            "windows": 1000,
            "days": 400,
            "minutes_left": 38,
        },
        {
            "accounts_done": 300,
            "accounts": 300,
            "failed": 10,
            "windows_done": 100,
            "windows": 1000,
            "days": 807,
            "minutes_left": 27,
        },
    ]


async def test_estimate_forgets_old_minutes() -> None:
    lines = Lines()
    lines.begin(1000)
    minutes = [lambda: _done(lines, 100), *[lambda: _done(lines, 1)] * 10]
    logs = await _logged(lines, *minutes)
    assert [log.get("minutes_left") for log in logs[:1] + logs[-1:]] == [9, 890]


async def test_estimate_after_the_daily_job() -> None:
    """Accounts that were done minutes ago say nothing about windows."""
    lines = Lines()
    lines.begin(1000)

    def history() -> None:
        lines.history(100)
        lines.add(Steps(windows=60))

    logs = await _logged(lines, *[lambda: _done(lines, 50)] * 12, history)
    assert (logs[-1]["windows_done"], logs[-1].get("minutes_left")) == (60, 7)


async def test_lines_of_rounds() -> None:
    """A second round begins its counts anew, but for the stored days; a pause has no lines."""
    lines = Lines()

    def begin(accounts: int, days: int) -> None:
        lines.follow_days(lambda: days)
        lines.begin(accounts)
        _done(lines, 1)
        lines.add(Steps(days=100))

    def pause() -> None:
        lines.pause("1 account pending")

    logs = await _logged(lines, lambda: begin(3, 70), pause, lambda: None, lambda: begin(2, 5))
    assert [(log["accounts_done"], log["accounts"], log["days"]) for log in logs] == [(1, 3, 170), (1, 2, 275)]


async def test_line_without_an_estimate() -> None:
    """Nothing was done lately, or the daily job of a newer day has begun."""
    lines = Lines()
    lines.begin(10)
    (first, second) = await _logged(lines, lambda: None, lambda: lines.begin(10))
    assert "minutes_left" not in first.keys() | second.keys()


async def test_check_logs_no_progress() -> None:
    """Only a run does."""
    for is_run in (False, True):
        clock = Minutes(*[lambda: None] * 9)
        async with progress(Console(file=io.StringIO()), clock, is_run=is_run):
            await asyncio.sleep(0)
        assert bool(clock.slept) == is_run
