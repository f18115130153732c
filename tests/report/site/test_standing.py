"""The collector's own standing on the index of a site."""

from __future__ import annotations

from datetime import UTC, date, datetime

from collector.model.ledger import LastRuns, RunRecord
from collector.model.standings import Status
from collector.report.site.standing import Run, collecting

BEGAN = datetime(2026, 11, 26, 1, 30, tzinfo=UTC)


def test_last_run_that_was_completed_is_told_once() -> None:
    run = RunRecord("1", "collect", "ok", began=BEGAN)
    found = collecting(Status(date(2026, 11, 25), (), runs=LastRuns(BEGAN, run, run)), ())
    assert (found.last, found.completed) == (Run("ok", "2026-11-26 09:30", None, 0), None)


def test_run_at_work_or_of_a_newer_version() -> None:
    later, before = RunRecord("2", "collect", "stopped", at_work=True), RunRecord("1", "collect", "paused")
    found = collecting(Status(date(2026, 11, 25), (), runs=LastRuns(BEGAN, later, before)), ())
    assert (found.last, found.completed) == (Run("running", "", None, 0), Run("unknown", "", None, 0))
