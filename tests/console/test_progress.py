import io
import re

from rich.console import Console

from collector.console.progress import Steps, Watch, progress
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import AccountResult, Outcome

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))


def _shown(*, terminal: bool, width: int = 120) -> str:
    written = io.StringIO()
    with progress(Console(file=written, force_terminal=terminal, width=width)) as watch:
        watch.account(AccountResult(ACCOUNT, Outcome.OK))  # before its phase: nothing to count it in
        watch.begin(2)
        watch.account(AccountResult(ACCOUNT, Outcome.OK))
        watch.account(AccountResult(ACCOUNT, Outcome.FAILED))
        watch.history(3)
        watch.window()
    return written.getvalue()


def test_terminal_shows_counts() -> None:
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", _shown(terminal=True))
    assert re.search(r"2/2 accounts, 1 failed", shown)
    assert re.search(r"1/3 windows, \d+/s", shown)


def test_narrow_terminal_has_no_bar() -> None:
    """The counts are complete, and there is no bar."""
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", _shown(terminal=True, width=60))
    assert re.search(r"2/2 accounts, 1 failed \d:\d\d:\d\d passed", shown)
    assert "━" not in shown


def test_no_terminal_shows_nothing() -> None:
    assert _shown(terminal=False).strip() == ""


def test_watch_shows_nothing() -> None:
    watch = Watch()
    watch.begin(2)
    watch.account(AccountResult(ACCOUNT, Outcome.OK))
    watch.window()


def test_other_processes_count() -> None:
    """The progress of a process that died is taken back."""
    written = io.StringIO()
    with progress(Console(file=written, force_terminal=True, width=120)) as watch:
        watch.begin(5)
        watch.add(Steps(accounts=4, failed=2, history=9, windows=5))
        watch.add(Steps(accounts=-2, failed=-1, history=-3, windows=-1))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())
    assert re.search(r"2/5 accounts, 1 failed", shown)
    assert re.search(r"4/6 windows", shown)
    Watch().add(Steps())
