from datetime import UTC, date, datetime
from typing import Any, cast

from collector.console import plan as planned
from collector.console import summary
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import Window
from collector.model.results import Failure, Notice, Outcome, RunResult

ALLOW = "allow 203.0.113.7 in the account's console; WeChat takes 5 to 10 minutes to heed it"


def _result(ok: int = 0, pending: int = 0, failed: int = 0, skipped: int = 0, **more: object) -> RunResult:
    outcomes = {Outcome.OK: ok, Outcome.PENDING: pending, Outcome.FAILED: failed, Outcome.SKIPPED: skipped}
    known = {"run": "r1", "seconds": 12.345, "outcomes": outcomes, "got_through": ok + pending}
    return RunResult(**(known | more))  # type: ignore[arg-type] # a test names the fields that matter to it


def _failures(count: int, hint: str = ALLOW) -> tuple[Failure, ...]:
    return tuple(
        Failure(f"wx{n:016x}", f"client-{n}", None, "invalid ip 203.0.113.7", 40164, "r-i-d", hint, 2)
        for n in range(count)
    )


def test_a_run_without_trouble_is_told_in_two_lines() -> None:
    assert summary.as_text(_result(ok=1200, calls=2400, token_calls=1200, days=8400)) == (
        "1,200 accounts: 1,200 ok\n8,400 days stored in 12.3 s (2,400 data calls, 1,200 token calls, 0 retries)"
    )


def test_failures_are_grouped_by_remedy_the_largest_group_first() -> None:
    broken = (Failure("wxb", "broken", "user_summary", "api unauthorized", 48001, None, "ask for the right", 3),)
    text = summary.failed_text(_result(ok=5, failed=8, failures=broken + _failures(7)))
    assert text == (
        "Failed: 8\n"
        f"  7 accounts: {ALLOW}\n"
        "    client-0, client-1, client-2, client-3, client-4 and 2 more\n"
        "  1 account: ask for the right\n"
        "    broken"
    )


def test_an_account_with_two_failed_datasets_is_named_once() -> None:
    both = tuple(
        Failure("wxb", "broken", name, "no", 48001, None, "ask", 1) for name in ("user_summary", "user_cumulate")
    )
    assert summary.failed_text(_result(failed=1, failures=both)) == "Failed: 1\n  1 account: ask\n    broken"


def test_verbose_tells_what_wechat_said_of_each() -> None:
    text = summary.failed_text(_result(failed=1, failures=_failures(1)), verbose=True)
    assert text.splitlines()[-1] == (
        "    client-0 (wx0000000000000000): errcode 40164: invalid ip 203.0.113.7 (rid r-i-d)"
    )
    dataset = (Failure("wxb", "b", "user_summary", "cut", hint="x"),)
    assert summary.failed_text(_result(failed=1, failures=dataset), verbose=True).splitlines()[-1] == (
        "    b (wxb) user_summary: cut"
    )


def test_without_a_remedy_the_message_stands_for_it() -> None:
    failures = (Failure("wxb", "b", None, "something odd"),)
    assert "1 account: something odd" in summary.failed_text(_result(failed=1, failures=failures))


def test_waits_are_told_with_their_end_in_beijing() -> None:
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    notices = (Notice("wxa", "a", "quota", until), Notice("wxb", "b", "quota", until), Notice("wxc", "c", "new_kind"))
    text = summary.as_text(_result(ok=3, notices=notices))
    assert text.partition("\n\n")[2] == (
        "Waiting, as WeChat ordered:\n"
        "  2 accounts: WeChat's quota of the day is used up, until 2026-11-25 00:00 Beijing time\n"
        "    a, b\n"
        "  1 account: new_kind\n"
        "    c"
    )


def test_who_is_limited_by_the_configuration_isnt_said_to_wait_for_wechat() -> None:
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    notices = (Notice("wxa", "a", "daily_calls", until), Notice("wxb", "b", "not_before", until))
    text = summary.as_text(_result(ok=3, notices=notices, windows_left=1))
    assert text.partition("\n\n")[2] == (
        "Waiting, as WeChat ordered:\n"
        "  1 account: WeChat has ordered to wait, until 2026-11-25 00:00 Beijing time\n"
        "    b\n"
        "\n"
        "Waiting, as the configuration limits it:\n"
        "  1 account: the calls of the day that daily_calls allows are used up, until 2026-11-25 00:00 Beijing time\n"
        "    a\n"
        "\n"
        "History: 1 window is left; a `collector run` after the wait goes on with it."
    )


def test_pending_accounts_and_a_stop_name_the_next_step() -> None:
    assert summary.as_text(_result(ok=1, pending=2)).endswith(
        "Pending: 2 accounts without the newest day; run again later."
    )
    assert summary.as_text(_result(skipped=2, stopped_by=15)).endswith(
        "Stopped by a signal; what had come is stored. Run again to go on."
    )


def test_silent_accounts_are_listed_and_history_left_names_what_goes_on_with_it() -> None:
    text = summary.as_text(_result(ok=9, silent=("a", "b"), windows_left=1200))
    assert text.partition("\n\n")[2] == (
        "Silent: 2 accounts without any figure in the last 14 days. Nothing failed; are they in use?\n"
        "    a, b\n"
        "\n"
        "History: 1,200 windows are left; the next `collector run` goes on with them."
    )


def test_quiet_has_nothing_to_say_of_a_run_without_failures() -> None:
    assert summary.failed_text(_result(ok=3, pending=1)) == ""


def test_the_json_object_has_the_fields_of_the_contract() -> None:
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    result = _result(ok=1, failed=1, failures=_failures(1), notices=(Notice("wxa", "a", "quota", until),), calls=4)
    assert summary.as_json(result) == {
        "run": "r1",
        "status": "partial",
        "exit": 3,
        "seconds": 12.345,
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
    }


def _exit(**counts: object) -> tuple[int, str]:
    result = _result(**counts)  # type: ignore[arg-type] # as above
    return result.exit, result.status


def test_the_exit_code_follows_signal_then_failed_then_partial_then_pending_then_ok() -> None:
    assert _exit(ok=1) == (0, "ok")
    assert _exit() == (0, "ok")
    assert _exit(ok=1, pending=1) == (75, "pending")
    assert _exit(ok=1, pending=1, failed=1) == (3, "partial")
    assert _exit(pending=1, failed=1) == (3, "partial")
    assert _exit(failed=1) == (1, "failed")
    assert _exit(failed=1, got_through=1) == (3, "partial")
    assert _exit(ok=1, failed=1, error="MongoDB is gone") == (1, "failed")
    assert _exit(ok=1, error="MongoDB is gone", stopped_by=15) == (143, "stopped")
    assert _exit(failed=1, skipped=1, stopped_by=2) == (130, "stopped")


WEEK = Window(date(2026, 11, 17), date(2026, 11, 23))
ACCOUNTS = [Account(name, f"wx{name}", Secret("x"), Rate(5, 1)) for name in ("acme-shoes", "b")]
PLANS = [
    planned.Planned(ACCOUNTS[0], [(WEEK, ("user_summary", "user_cumulate"))]),
    planned.Planned(ACCOUNTS[1], []),
]


def test_a_plan_is_a_line_for_each_account_and_a_total() -> None:
    assert planned.as_text(PLANS) == (
        "acme-shoes (wxacme-shoes)  2026-11-17 to 2026-11-23      2 calls\n"
        "\n"
        "1 account, 2 data calls. Nothing was asked.\n"
        "1 other account: nothing is missing."
    )


MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
WAITING = planned.Planned(ACCOUNTS[1], [], [Notice("wxb", "b", "daily_calls", MIDNIGHT)], 11)


def test_a_plan_tells_who_waits_instead_of_nothing_missing() -> None:
    assert planned.as_text([PLANS[0], WAITING]) == (
        "acme-shoes (wxacme-shoes)  2026-11-17 to 2026-11-23      2 calls\n"
        "\n"
        "1 account, 2 data calls. Nothing was asked.\n"
        "\n"
        "Waiting, as the configuration limits it:\n"
        "  1 account: the calls of the day that daily_calls allows are used up, until 2026-11-25 00:00 Beijing time\n"
        "    b\n"
        "\n"
        "History waits with that: 11 windows."
    )
    accounts = cast("list[dict[str, Any]]", planned.as_json([PLANS[0], WAITING])["accounts"])
    assert (accounts[1]["windows_held"], [wait["kind"] for wait in accounts[1]["waits"]]) == (11, ["daily_calls"])


def test_a_plan_as_json_names_every_window() -> None:
    assert planned.as_json(PLANS) == {
        "calls": 2,
        "accounts": [
            {
                "account": "wxacme-shoes",
                "name": "acme-shoes",
                "calls": 2,
                "windows": [
                    {"begin": "2026-11-17", "end": "2026-11-23", "datasets": ["user_summary", "user_cumulate"]}
                ],
            },
            {"account": "wxb", "name": "b", "calls": 0, "windows": []},
        ],
    }
