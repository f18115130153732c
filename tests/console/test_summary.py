from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.cells import cell_len

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


def _since(day: int, *, new: bool = False) -> dict[str, Any]:
    return {"since": datetime(2026, 11, day, 0, 20, tzinfo=UTC), "new": new}


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


def test_since_when_it_fails() -> None:
    """The new ones come first, then the latest; Beijing's day counts, which begins at 16:00 UTC."""
    sinces: list[dict[str, Any]] = [_since(20), _since(24, new=True), {}, _since(23), _since(24, new=True)]
    failures = [replace(failure, **more) for failure, more in zip(_failures(5), sinces, strict=True)]
    failures[3] = replace(failures[3], since=datetime(2026, 11, 22, 17, tzinfo=UTC))
    assert summary.failures_text(failures, 5).splitlines() == [
        "Failed: 5, 2 of them new",
        f"  5 accounts: {ALLOW}",
        "    new: client-1, client-4",
        "    since 2026-11-23 (Beijing): client-3",
        "    since 2026-11-20 (Beijing): client-0",
        "    client-2",
    ]
    assert summary.failures_text(failures[1:2], 1, summary.Style(verbose=True)).splitlines()[-1] == (
        "    client-1 (wx0000000000000001), new: errcode 40164: invalid ip 203.0.113.7 (rid r-i-d)"
    )
    assert summary.failures_text(failures[1:2], 1).startswith("Failed: 1\n")


def test_failure_of_unknown_age_is_neither_new_nor_old() -> None:
    """Of a file that can't be read no state is stored."""
    file, new = _failures(1)[0], replace(_failures(2)[1], **_since(24, new=True))
    assert summary.failures_text([replace(file, account=None), new], 2).startswith("Failed: 2\n")


def test_account_is_new_once_all_of_it_is() -> None:
    """One whose other dataset failed before isn't new."""
    failures = [
        Failure("wxb", "b", "user_summary", "no", hint="ask", **_since(20)),
        Failure("wxb", "b", "user_cumulate", "no", hint="ask", **_since(24, new=True)),
    ]
    assert summary.failures_text(failures, 1).splitlines() == [
        "Failed: 1",
        "  1 account: ask",
        "    new: b",
        "    since 2026-11-20 (Beijing): b",
    ]


def test_quiet_names_as_many_as_fit() -> None:
    """They take three lines, and the command that lists all of them is named."""
    result = _result(failed=300, failures=_failures(300))
    for width in (40, 60, 80, 200):
        text = summary.failed_text(result, summary.Style(quiet=True, width=width))
        *_, last = text.splitlines()
        names = text.partition("    client-0")[2].splitlines()
        assert 1 <= len(names) <= 3
        assert last.endswith("more (collector status --failing)") or len(names) > 1
        assert all(cell_len(line) <= width for line in text.splitlines())
    assert "more" not in summary.failed_text(_result(failed=3, failures=_failures(3)), summary.Style(quiet=True))


def test_verbose_names_all() -> None:
    result = _result(pending=9, silent=tuple("abcdefgh"))
    text = summary.as_text(replace(result, pending=tuple("ijklmnopq")), summary.Style(verbose=True))
    assert "    a, b, c, d, e, f, g, h" in text
    assert "    i, j, k, l, m, n, o, p, q" in text
    assert "more" not in text


def test_command_for_all_names() -> None:
    """It is named where any list of names is cut, which `-v` doesn't do."""
    silent = _result(ok=6, silent=tuple("abcdef"))
    assert "All names: `collector status`" in summary.as_text(silent)
    assert "All names" not in summary.as_text(silent, summary.Style(verbose=True))


def test_verbose_adds_wechats_message() -> None:
    """Each failure has WeChat's errcode, message and rid."""
    text = summary.failed_text(_result(failed=1, failures=_failures(1)), summary.Style(verbose=True))
    assert text.splitlines()[-1] == (
        "    client-0 (wx0000000000000000): errcode 40164: invalid ip 203.0.113.7 (rid r-i-d)"
    )
    dataset = (Failure("wxb", "b", "user_summary", "cut", hint="x"),)
    assert summary.failed_text(_result(failed=1, failures=dataset), summary.Style(verbose=True)).splitlines()[-1] == (
        "    b (wxb) user_summary: cut"
    )


def test_file_that_cannot_be_read() -> None:
    """It has no appid; its failure names the file, the line and the remedy."""
    hint = "d/x.yaml:3: this isn't YAML. Check the quotes."
    failures = (Failure(None, "d/x.yaml", None, "d/x.yaml:3: this isn't YAML", hint=hint),)
    result = _result(ok=1, failed=1, failures=failures)
    assert summary.failed_text(result) == f"Failed: 1\n  1 account: {hint}\n    d/x.yaml"
    assert summary.failed_text(result, summary.Style(verbose=True)).endswith(
        "\n    d/x.yaml: d/x.yaml:3: this isn't YAML"
    )


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
        "History: 1 window is left; a `collector run` after 2026-11-25 00:00 Beijing time goes on with it."
    )


def test_next_step_is_named() -> None:
    assert summary.as_text(_result(ok=1, pending=2)).endswith(
        "Pending: 2 accounts without the newest day; run again later."
    )
    assert summary.as_text(_result(skipped=2, stopped_by=15)).endswith(
        "Stopped by a signal; what had come is stored. Run again to go on."
    )


def test_pending_accounts_are_named() -> None:
    """Those that wait are asked again when the wait is over, the others at any time."""
    waits = Notice("wxc", "c", WaitKind.QUOTA, datetime(2026, 11, 24, 16, tzinfo=UTC))
    result = _result(pending=7, notices=(waits,))
    text = summary.as_text(replace(result, pending=tuple("abcdefg")))
    assert text.partition("Pending")[2].splitlines() == [
        ": 6 accounts without the newest day; run again later.",
        "    a, b, d, e, f and 1 more",
        "Pending: 1 account that must wait for the newest day; run again after 2026-11-25 00:00 Beijing time.",
        "    c",
        "",
        "All names: `collector status`, with --failing, --waiting or --missing.",
    ]


def test_pending_accounts_that_all_wait() -> None:
    """Nobody else is spoken of."""
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    result = _result(pending=1, notices=(Notice("wxc", "c", WaitKind.QUOTA, until),))
    text = summary.as_text(replace(result, pending=("c",)))
    assert text.partition("\n\nPending")[2].splitlines() == [
        ": 1 account that must wait for the newest day; run again after 2026-11-25 00:00 Beijing time.",
        "    c",
    ]


def test_pending_accounts_of_a_run_that_failed() -> None:
    """Why it failed comes first, and the advice would be another."""
    assert "Pending" not in summary.as_text(_result(ok=1, pending=2, error="gone"))


@pytest.mark.parametrize(
    ("more", "advice"),
    [
        (
            {"stopped_by": 15},
            "Stopped by a signal; what had come is stored. History: 9 windows are left. Run again to go on.",
        ),
        (
            {"stopped_by": 15, "error": "gone"},
            "Stopped by a signal. History: 9 windows are left. Run again to go on.",
        ),
        ({"error": "gone"}, "History: 9 windows are left; once the trouble is over, run again to go on."),
        ({"failures": _failures(1)}, "History: 9 windows are left; once the failures are mended, run again to go on."),
        (
            {"notices": (Notice("wxc", "c", WaitKind.IP_UNCONFIRMED),)},
            "History: 9 windows are left; a `collector run` after the wait goes on with them.",
        ),
    ],
    ids=["stopped", "stopped and failed", "error", "failures", "wait"],
)
def test_advice_fits_the_cause(more: dict[str, Any], advice: str) -> None:
    assert summary.as_text(_result(ok=1, windows_left=9, **more)).endswith(advice)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    chinese = tuple(replace(each, name=f"\u5ba2\u6237{number}") for number, each in enumerate(_failures(9)))
    until = datetime(2026, 11, 24, 16, tzinfo=UTC)
    notices = tuple(Notice(f"wx{n}", f"\u7b49\u5f85{n}", WaitKind.DAILY_CALLS, until) for n in range(9))
    result = _result(ok=9, failed=9, failures=chinese, notices=notices, windows_left=99, silent=("\u6c89\u9ed8",))
    text = summary.as_text(result, summary.Style(width=width))
    assert max(map(cell_len, text.splitlines())) <= width
    assert " ".join(text.split()) == " ".join(summary.as_text(result).split())


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
        "pending": [],
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
                "since": None,
                "new": False,
            }
        ],
        "notices": [{"account": "wxa", "name": "a", "kind": "quota", "until": until}],
        "error": None,
        "database": "wechat on mongodb.internal",
    }


def test_text_names_the_database() -> None:
    totals = summary.as_text(_result(ok=2, database="local, /var/lib/collector")).partition("\n\n")[0]
    assert totals.splitlines()[2:] == ["Database: local, /var/lib/collector"]
