import io

from rich.console import Console

from collector.model import Account, AccountResult, Outcome, Rate, Secret
from collector.report.progress import progress

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))


def _shown(*, terminal: bool) -> str:
    written = io.StringIO()
    with progress(2, Console(file=written, force_terminal=terminal, width=120)) as on_account:
        on_account(AccountResult(ACCOUNT, Outcome.OK))
        on_account(AccountResult(ACCOUNT, Outcome.FAILED))
    return written.getvalue()


def test_a_terminal_sees_how_many_accounts_are_done_and_failed() -> None:
    shown = _shown(terminal=True)
    assert "2/2" in shown
    assert "accounts, 1 failed," in shown


def test_what_is_no_terminal_sees_nothing() -> None:
    assert _shown(terminal=False).strip() == ""
