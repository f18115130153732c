"""Progress of a batch, as its worker reports it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from collector.cluster import worker
from collector.cluster.messages import Order, RunInfo
from collector.commands.work import Job
from collector.completeness.plan import Target
from collector.console.progress import Steps
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import AccountResult, Outcome
from collector.store.held import LeaseTimes


class Dask:
    """The worker of Dask's, which keeps what is reported."""

    def __init__(self) -> None:
        self.reported: list[list[Any]] = []

    def log_event(self, _topic: str, event: list[Any]) -> None:
        self.reported.append(event)


def test_days_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days may be stored while nothing else changes."""
    dask, stored = Dask(), [0]
    monkeypatch.setattr(worker, "get_worker", lambda: dask)
    job = Job(Target(date(2026, 11, 23), 7))
    order = Order(RunInfo("run", 1, LeaseTimes()), batch=3, epoch=7, job=job, history=True, configured=())
    watch = worker._Watch(order)
    watch.follow_days(lambda: stored[0])
    watch.report()
    watch.window()
    watch.report()
    stored[0] = 7
    watch.report()
    watch.report()
    assert dask.reported == [["run", 3, 7, *Steps(windows=1)], ["run", 3, 7, *Steps(windows=1, days=7)]]


@pytest.mark.parametrize(("history", "expected"), [(False, Steps(2, 1, 5, 1)), (True, Steps(windows=1))])
def test_daily_job_counts_accounts(monkeypatch: pytest.MonkeyPatch, history: bool, expected: Steps) -> None:
    """History counts no account twice, and a batch that begins anew goes on counting."""
    dask = Dask()
    monkeypatch.setattr(worker, "get_worker", lambda: dask)
    order = Order(
        RunInfo("run", 1, LeaseTimes()),
        batch=3,
        epoch=7,
        job=Job(Target(date(2026, 11, 23), 7)),
        history=history,
        configured=(),
    )
    watch = worker._Watch(order)
    account = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
    for outcome in (Outcome.OK, Outcome.FAILED, Outcome.SKIPPED):
        watch.account(AccountResult(account, outcome))
    watch.history(5)
    watch.begin(3)
    watch.window()
    watch.report()
    assert dask.reported == [["run", 3, 7, *expected]]
