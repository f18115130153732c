from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from collector.console.paint import Severity
from collector.console.runs import ago, as_json, as_text, last_run_text, run_json, run_text, severity_of
from collector.console.summary import Style
from collector.model.ledger import LastRuns, RunRecord
from collector.model.results import Failure

BEGAN = datetime(2026, 11, 24, 0, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
ENDED = RunRecord(
    "20261124T002000Z-1f9a3c",
    "run",
    "partial",
    version="0.3.0",
    host="node-1",
    pid=4711,
    began=BEGAN,
    ended=BEGAN + timedelta(seconds=72),
    exit=3,
    accounts={"total": 50, "ok": 48, "pending": 0, "failed": 2, "skipped": 0},
    calls=104,
    token_calls=50,
    retries=1,
    days=1096,
    failures=(Failure("wx1", "acme", None, "invalid appid", 40013, "rid-1", "check the appid"),),
    failures_left_out=1,
)
AT_WORK = RunRecord("20261124T012000Z-1f9a3c", "backfill", "running", began=BEGAN, accounts={"total": 50}, at_work=True)
CRASHED = RunRecord("20261123T002000Z-1f9a3c", "run", "running", began=BEGAN, accounts={"total": 50})


def test_list() -> None:
    assert as_text([AT_WORK, ENDED, CRASHED], width=80).splitlines() == [
        "command   run                      began (Beijing)   took  accounts  result",
        "backfill  20261124T012000Z-1f9a3c  2026-11-24 08:20  -           50  at work",
        "run       20261124T002000Z-1f9a3c  2026-11-24 08:20  1:12        50  2 failed",
        "run       20261123T002000Z-1f9a3c  2026-11-24 08:20  -           50  crashed",
    ]


def test_long_run() -> None:
    assert "  26:03:04  " in as_text([replace(ENDED, ended=BEGAN + timedelta(hours=26, minutes=3, seconds=4))])


def test_empty_ledger() -> None:
    assert as_text([]) == "No run has been made yet."


def test_one_run() -> None:
    assert run_text(ENDED).splitlines() == [
        "20261124T002000Z-1f9a3c: run, version 0.3.0, on node-1 (pid 4711)",
        "Began 2026-11-24 08:20:00 Beijing time, took 1:12: partial, 2 failed, exit 3.",
        "",
        "50 accounts: 48 ok, 2 failed",
        "1,096 days stored (104 data calls, 50 token calls, 1 retry)",
        "",
        "Failed: 2",
        "  1 account: check the appid",
        "    acme",
        "",
        "1 more failure isn't kept.",
    ]


def test_one_run_in_full() -> None:
    assert "    acme (wx1): errcode 40013: invalid appid (rid rid-1)" in run_text(ENDED, style=Style(verbose=True))


def test_run_at_work() -> None:
    began, _, counts = run_text(AT_WORK).splitlines()[1:]
    assert (began, counts) == ("Began 2026-11-24 08:20:00 Beijing time: at work.", "50 accounts")


def test_control_characters_stay_out() -> None:
    """Other tools may have written the entry."""
    clear = "\x1b[2J"
    failure = Failure(clear, clear, clear, clear, 40013, clear, clear)
    record = RunRecord(clear, clear, clear, clear, clear, failures=(failure,), error=clear)
    assert "\x1b" not in run_text(record) + run_text(record, style=Style(verbose=True)) + as_text([record])


def test_damaged_entry() -> None:
    assert run_text(RunRecord("r", "", "", ended=BEGAN)).splitlines()[1] == "Began: unknown."


def test_json_has_the_same_facts() -> None:
    ended, at_work = (run_json(run, "wechat on db") for run in (ENDED, AT_WORK))
    assert as_json([ENDED], "wechat on db") == {
        "runs": [{key: value for key, value in ended.items() if key != "database"}],
        "database": "wechat on db",
    }
    assert (ended["seconds"], ended["exit"], at_work["seconds"]) == (72.0, 3, None)
    assert ended["database"] == "wechat on db"


def test_text_names_the_database() -> None:
    for text in (as_text([], "wechat on db"), as_text([ENDED], "wechat on db"), run_text(ENDED, "wechat on db")):
        assert text.splitlines()[-1] == "Database: wechat on db"


def test_all_have_failed() -> None:
    """The word that says so stands once."""
    failed = replace(ENDED, status="failed", accounts={"total": 2, "failed": 2})
    assert as_text([failed]).splitlines()[1].endswith("  2  failed")
    assert "took 1:12: failed, exit 3." in run_text(failed)


HOW_IT_ENDED = "2026-11-24 08:21 Beijing time, 2 hours ago: partial, 2 of 50 failed"
WHEN_IT_BEGAN = "began 2026-11-24 08:20 Beijing time, 2 hours ago"
COMPLETED = "Last completed run: "


@pytest.mark.parametrize(
    ("last", "completed", "expected"),
    [
        (ENDED, ENDED, f"Last run: {HOW_IT_ENDED}"),
        (AT_WORK, ENDED, f"Last run: {WHEN_IT_BEGAN}: at work, 50 accounts\n{COMPLETED}{HOW_IT_ENDED}"),
        (CRASHED, None, f"Last run: {WHEN_IT_BEGAN}: crashed, 50 accounts\n{COMPLETED}none yet"),
        # Closed by the run after it, so that its end says nothing.
        (
            replace(CRASHED, status="crashed", ended=NOW),
            None,
            f"Last run: {WHEN_IT_BEGAN}: crashed, 50 accounts\n{COMPLETED}none yet",
        ),
        (None, None, "Last run: none yet"),
    ],
)
def test_last_run(last: RunRecord | None, completed: RunRecord | None, expected: str) -> None:
    """Where it wasn't completed, the last one that was is named, too."""
    assert last_run_text(LastRuns(NOW, last, completed)) == expected


def test_error_that_ended_the_last_run() -> None:
    last = replace(ENDED, status="failed", exit=1, error="MongoDB\ncan't be reached", accounts={})
    _, error, completed = last_run_text(LastRuns(NOW, last, ENDED)).splitlines()
    assert (error, completed.partition(":")[0]) == ("    MongoDB can't be reached", "Last completed run")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (3_600, "1 hour ago"),
        (172_799, "47 hours ago"),
        (172_800, "2 days ago"),
    ],
)
def test_how_long_ago(seconds: float, expected: str) -> None:
    assert ago(seconds) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, Severity.WARNING),
        (AT_WORK, Severity.PLAIN),
        (CRASHED, Severity.BAD),
        (ENDED, Severity.WARNING),
        (replace(ENDED, status="ok"), Severity.GOOD),
        (replace(ENDED, status="failed"), Severity.BAD),
        (replace(ENDED, status=""), Severity.BAD),
    ],
)
def test_severity_of_a_run(record: RunRecord | None, expected: Severity) -> None:
    assert severity_of(record) is expected
