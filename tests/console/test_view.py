from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from collector.console.view import ALL, Trait, View
from collector.kinds import WaitKind
from collector.model.ledger import LastRuns, RunRecord
from collector.model.standings import AccountStatus, Newest, Standing, Status
from collector.model.waits import Wait

NEWEST = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)


def _newest(summary_age: int | None = 0, cumulate_age: int | None = 0) -> Newest:
    ages = {"user_summary": summary_age, "user_cumulate": cumulate_age}
    return {name: None if age is None else NEWEST - timedelta(days=age) for name, age in ages.items()}


def _account(name: str, standing: Standing = Standing.OK, newest: Newest | None = None, **more: Any) -> AccountStatus:
    return AccountStatus(f"wx-{name}", name, (), standing, newest or _newest(), **({"missing_days": 0} | more))


FAILING = _account("failing", Standing.FAILING)
WAITING = _account("waiting", waits={"user_summary": Wait(WaitKind.QUOTA, NOW, 45009)})
MISSING = _account("missing", missing_days=2, unresolved_days=1)
BOTH = _account("both", Standing.FAILING, missing_days=3)
QUIET = _account("quiet", missing_days=1, unresolved_days=1)
STATUS = Status(NEWEST, (BOTH, FAILING, MISSING, WAITING, QUIET))


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        (set(), STATUS.accounts),
        ({Trait.FAILING}, (BOTH, FAILING)),
        ({Trait.WAITING}, (WAITING,)),
        ({Trait.MISSING}, (BOTH, MISSING)),
        ({Trait.FAILING, Trait.WAITING}, (BOTH, FAILING, WAITING)),
        (set(Trait), (BOTH, FAILING, MISSING, WAITING)),
    ],
)
def test_listed_accounts(traits: set[Trait], expected: tuple[AccountStatus, ...]) -> None:
    """Those with any of the traits; a day that is perhaps quiet isn't missing."""
    assert View(frozenset(traits)).listed(STATUS) == expected


@pytest.mark.parametrize(
    ("newest", "max_age_days", "expected"),
    [
        (_newest(0, 0), 0, False),
        (_newest(1, 0), 0, True),
        (_newest(2, 0), 2, False),
        (_newest(3, 0), 2, True),
        (_newest(0, 3), 2, True),
        (_newest(None, 0), 9999, True),
        (_newest(0, None), 9999, True),
    ],
)
def test_older_dataset_counts(newest: Newest, max_age_days: int, expected: bool) -> None:
    """The older dataset of an account counts."""
    account = _account("one", newest=newest)
    view, status = View(max_age_days=max_age_days), Status(NEWEST, (account,))
    assert (view.too_old(status), view.exit(status)) == (([account], 3) if expected else ([], 0))


def _status(hours: float | None) -> Status:
    """A status whose last completed run ended so many hours ago; None for no such run."""
    completed = None if hours is None else RunRecord("r", "run", "failed", ended=NOW - timedelta(hours=hours))
    return Status(NEWEST, (FAILING,), runs=LastRuns(NOW, RunRecord("s", "run", "stopped", ended=NOW), completed))


@pytest.mark.parametrize(("hours", "expected"), [(0, False), (26, False), (26.1, True), (None, True)])
def test_last_completed_run(hours: float | None, expected: bool) -> None:
    """It counts whatever its result; the stopped one after it doesn't."""
    view = View(max_run_age_h=26)
    assert (view.is_run_too_old(_status(hours)), view.exit(_status(hours))) == (expected, 3 if expected else 0)
    assert ALL.exit(_status(hours)) == 0


def test_too_old_account_that_is_not_listed() -> None:
    old = _account("old", newest=_newest(9, 9))
    assert View(frozenset({Trait.FAILING}), max_age_days=3).exit(Status(NEWEST, (old,))) == 3
