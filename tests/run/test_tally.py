"""Counts of a run: the windows left, and the notices."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collector.completeness.plan import Plan, Wait
from collector.console.progress import Watch
from collector.errors import WaitKind
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import AccountResult, Notice, Outcome
from collector.run.tally import Tally

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
HELD = Plan((), (), {}, {"user_summary": Wait(WaitKind.NOT_BEFORE, MIDNIGHT)}, 9)


@pytest.fixture
def tally() -> Tally:
    found = Tally(Watch())
    found.expect([ACCOUNT])
    found.add(AccountResult(ACCOUNT, Outcome.OK))
    return found


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SKIPPED])
def test_failed_account_has_no_waits(tally: Tally, outcome: Outcome) -> None:
    """An account that failed or was skipped adds no waiting windows and no notices."""
    tally.add(AccountResult(ACCOUNT, outcome))
    tally.hold(ACCOUNT, HELD)
    result = tally.result("run", error=None, stopped_by=None)
    assert (result.windows_left, result.notices) == (0, ())


@pytest.mark.parametrize(("left", "counted"), [(0, 9), (7, 9), (9, 9), (12, 12)])
def test_window_of_both_datasets_counts_once(tally: Tally, left: int, counted: int) -> None:
    tally.hold(ACCOUNT, HELD)
    quota = Notice(ACCOUNT.appid, "a", WaitKind.QUOTA, MIDNIGHT)
    tally.add_history(AccountResult(ACCOUNT, Outcome.OK, notices=(quota,), windows_left=left))
    result = tally.result("run", error=None, stopped_by=None)
    assert result.windows_left == counted
    assert {notice.kind for notice in result.notices} == {"not_before", "quota"}
