from dataclasses import replace
from datetime import UTC, datetime

from collector.console import summary
from collector.kinds import WaitKind
from collector.model.results import Failure, Notice, Outcome, RunResult

ALLOW = "allow 203.0.113.7 in the account's console; that takes effect in 5 to 10 minutes"


def _result(ok: int = 0, pending: int = 0, failed: int = 0, skipped: int = 0, **more: object) -> RunResult:
    outcomes = {Outcome.OK: ok, Outcome.PENDING: pending, Outcome.FAILED: failed, Outcome.SKIPPED: skipped}
    known = {"run": "r1", "seconds": 12.345, "outcomes": outcomes, "got_through": ok + pending}
    return RunResult(**(known | more))  # type: ignore[arg-type] # a test names the fields that matter to it


def _failures(count: int, hint: str = ALLOW) -> tuple[Failure, ...]:
    return tuple(
        Failure(f"wx{n:016x}", f"client-{n}", None, "invalid ip 203.0.113.7", 40164, "r-i-d", hint, 2)
        for n in range(count)
    )


def test_success_is_two_lines() -> None:
    assert summary.as_text(_result(ok=1200, calls=2400, token_calls=1200, days=8400)) == (
        "1,200 accounts: 1,200 ok\n8,400 days stored in 12.3 s (2,400 data calls, 1,200 token calls, 0 retries)"
    )


def test_failures_by_remedy() -> None:
    """The largest group comes first."""
    broken = (Failure("wxb", "broken", "user_summary", "api unauthorized", 48001, None, "ask for the right", 3),)
    text = summary.failed_text(_result(ok=5, failed=8, failures=broken + _failures(7)))
    assert text == (
        "Failed: 8\n"
        f"  7 accounts: {ALLOW}\n"
        "    client-0, client-1, client-2, client-3, client-4 and 2 more\n"
        "  1 account: ask for the right\n"
        "    broken"
    )


def test_account_is_named_once() -> None:
    """Two failed datasets are one account."""
    both = tuple(
        Failure("wxb", "broken", name, "no", 48001, None, "ask", 1) for name in ("user_summary", "user_cumulate")
    )
    assert summary.failed_text(_result(failed=1, failures=both)) == "Failed: 1\n  1 account: ask\n    broken"


def test_verbose_adds_wechats_message() -> None:
    """Each failure has WeChat's errcode, message and rid."""
    text = summary.failed_text(_result(failed=1, failures=_failures(1)), verbose=True)
    assert text.splitlines()[-1] == (
        "    client-0 (wx0000000000000000): errcode 40164: invalid ip 203.0.113.7 (rid r-i-d)"
    )
    dataset = (Failure("wxb", "b", "user_summary", "cut", hint="x"),)
    assert summary.failed_text(_result(failed=1, failures=dataset), verbose=True).splitlines()[-1] == (
        "    b (wxb) user_summary: cut"
    )


def test_file_that_cannot_be_read() -> None:
    """It has no appid; its failure names the file, the line and the remedy."""
    hint = "d/x.yaml:3: this isn't YAML. Check the quotes."
    failures = (Failure(None, "d/x.yaml", None, "d/x.yaml:3: this isn't YAML", hint=hint),)
    result = _result(ok=1, failed=1, failures=failures)
    assert summary.failed_text(result) == f"Failed: 1\n  1 account: {hint}\n    d/x.yaml"
    assert summary.failed_text(result, verbose=True).endswith("\n    d/x.yaml: d/x.yaml:3: this isn't YAML")


def test_failure_without_a_remedy() -> None:
    """The message takes its place."""
    failures = (Failure("wxb", "b", None, "something odd"),)
    assert "1 account: something odd" in summary.failed_text(_result(failed=1, failures=failures))


def test_waits_end_in_beijing_time() -> None:
    """Each has its end in Beijing time."""
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    notices = (
        Notice("wxa", "a", WaitKind.QUOTA, until),
        Notice("wxb", "b", WaitKind.QUOTA, until),
        Notice("wxc", "c", WaitKind.IP_UNCONFIRMED),
    )
    text = summary.as_text(_result(ok=3, notices=notices))
    assert text.partition("\n\n")[2] == (
        "Waiting, as WeChat ordered:\n"
        "  2 accounts: WeChat's quota of the day is used up, until 2026-11-25 00:00 Beijing time\n"
        "    a, b\n"
        "  1 account: the account's admin must confirm this host's IP\n"
        "    c"
    )


def test_waits_of_the_configuration() -> None:
    """They have a section apart from the waits that WeChat ordered."""
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    notices = (Notice("wxa", "a", WaitKind.DAILY_CALLS, until), Notice("wxb", "b", WaitKind.NOT_BEFORE, until))
    text = summary.as_text(_result(ok=3, notices=notices, windows_left=1))
    assert text.partition("\n\n")[2] == (
        "Waiting, as WeChat ordered:\n"
        "  1 account: WeChat ordered an earlier run to wait, until 2026-11-25 00:00 Beijing time\n"
        "    b\n"
        "\n"
        "Waiting, as the configuration limits it:\n"
        "  1 account: the calls of the day that daily_calls allows are used up, until 2026-11-25 00:00 Beijing time\n"
        "    a\n"
        "\n"
        "History: 1 window is left; a `collector run` after the wait goes on with it."
    )


def test_next_step_is_named() -> None:
    assert summary.as_text(_result(ok=1, pending=2)).endswith(
        "Pending: 2 accounts without the newest day; run again later."
    )
    assert summary.as_text(_result(skipped=2, stopped_by=15)).endswith(
        "Stopped by a signal; what had come is stored. Run again to go on."
    )


def test_silent_accounts_and_history() -> None:
    text = summary.as_text(_result(ok=9, silent=("a", "b"), windows_left=1200))
    assert text.partition("\n\n")[2] == (
        "Silent: 2 accounts without any figure in the last 14 days. Nothing failed; are they in use?\n"
        "    a, b\n"
        "\n"
        "History: 1,200 windows are left; the next `collector run` goes on with them."
    )


def test_nothing_without_failures() -> None:
    assert summary.failed_text(_result(ok=3, pending=1)) == ""


def test_json_has_the_contracts_fields() -> None:
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    result = _result(
        ok=1, failed=1, failures=_failures(1), notices=(Notice("wxa", "a", WaitKind.QUOTA, until),), calls=4
    )
    result = replace(result, loop_lag_s=0.1234, database="wechat on mongodb.internal")
    assert summary.as_json(result) == {
        "run": "r1",
        "status": "partial",
        "exit": 3,
        "seconds": 12.345,
        "loop_lag_s": 0.123,
        "accounts": {"total": 2, "ok": 1, "pending": 0, "failed": 1, "skipped": 0},
        "calls": 4,
        "token_calls": 0,
        "retries": 0,
        "days": 0,
        "windows_left": 0,
        "silent": [],
        "failures": [
            {
                "account": "wx0000000000000000",
                "name": "client-0",
                "dataset": None,
                "errcode": 40164,
                "errmsg": "invalid ip 203.0.113.7",
                "rid": "r-i-d",
                "hint": ALLOW,
                "windows": 2,
                "accounts": 1,
            }
        ],
        "notices": [{"account": "wxa", "name": "a", "kind": "quota", "until": until}],
        "error": None,
        "database": "wechat on mongodb.internal",
    }


def test_text_names_the_database() -> None:
    totals = summary.as_text(_result(ok=2, database="local, /var/lib/collector")).partition("\n\n")[0]
    assert totals.splitlines()[2:] == ["Database: local, /var/lib/collector"]
