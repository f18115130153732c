from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from collector.console.runs import as_json, as_text, run_json, run_text
from collector.model.ledger import RunRecord
from collector.model.results import Failure

BEGAN = datetime(2026, 11, 24, 0, 20, tzinfo=UTC)
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
        "run       20261124T002000Z-1f9a3c  2026-11-24 08:20  1:12        50",
        "    partial, 2 failed",
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
    assert "    acme (wx1): errcode 40013: invalid appid (rid rid-1)" in run_text(ENDED, verbose=True)


def test_run_at_work() -> None:
    began, _, counts = run_text(AT_WORK).splitlines()[1:]
    assert (began, counts) == ("Began 2026-11-24 08:20:00 Beijing time: at work.", "50 accounts")


def test_control_characters_stay_out() -> None:
    """Other tools may have written the entry."""
    clear = "\x1b[2J"
    failure = Failure(clear, clear, clear, clear, 40013, clear, clear)
    record = RunRecord(clear, clear, clear, clear, clear, failures=(failure,), error=clear)
    assert "\x1b" not in run_text(record) + run_text(record, verbose=True) + as_text([record])


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
