from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from collector.console import check as checked
from collector.kinds import WaitKind
from collector.model.checks import AccountCheck, Checks, DatasetCheck, Verdict
from collector.model.results import Failure, Notice, Outcome, RunResult

NEWEST = date(2026, 11, 23)
HOST = "https://api.weixin.qq.com"
SUMMARY, CUMULATE = "user_summary", "user_cumulate"
ALLOW = "allow 203.0.113.7 in the account's console; that takes effect in 5 to 10 minutes"
SAID = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"


def _check(name: str, summary: DatasetCheck, cumulate: DatasetCheck, **more: Any) -> AccountCheck:
    known: dict[str, Any] = {"outcome": Outcome.OK, "token": Verdict.OK, "host": HOST}
    return AccountCheck(f"wx-{name}", name, datasets={SUMMARY: summary, CUMULATE: cumulate}, **(known | more))


def _sound(name: str, **more: Any) -> AccountCheck:
    return _check(name, DatasetCheck(Verdict.OK, 999_999), DatasetCheck(Verdict.OK, 12), **more)


def _failed(name: str, failure: Failure, **more: Any) -> AccountCheck:
    known: dict[str, Any] = {"outcome": Outcome.FAILED, "token": Verdict.FAILED, "failures": (failure,)}
    return _check(name, DatasetCheck(), DatasetCheck(), **(known | more))


def _refused(name: str, *ips: str) -> AccountCheck:
    failure = Failure(f"wx-{name}", name, None, SAID, 40164, "r-i-d", ALLOW)
    return _failed(name, failure, refused_ips=ips)


def _checks(*accounts: AccountCheck, failures: tuple[Failure, ...] = (), calls: int = 0) -> Checks:
    failed = sum(account.outcome is Outcome.FAILED for account in accounts)
    outcomes = {Outcome.OK: len(accounts) - failed, Outcome.PENDING: 0, Outcome.FAILED: failed, Outcome.SKIPPED: 0}
    own = tuple(failure for account in accounts for failure in account.failures)
    result = RunResult("", 1.0, outcomes, len(accounts) - failed, calls, 3, failures=(*failures, *own))
    return Checks(NEWEST, result, checked.broken_first(accounts))


SECRET = _failed("shop", Failure("wx-shop", "shop", None, "invalid appsecret", 40125, "r-i-d", "copy it anew"))
RIGHT = _check(
    "half",
    DatasetCheck(Verdict.FAILED, 100),
    DatasetCheck(Verdict.OK),
    outcome=Outcome.FAILED,
    failures=(Failure("wx-half", "half", SUMMARY, "api unauthorized", 48001, "r-i-d", "ask for the right"),),
)
WAITING = _check(
    "later",
    DatasetCheck(),
    DatasetCheck(),
    token=Verdict.NOT_ASKED,
    host=None,
    notices=(Notice("wx-later", "later", WaitKind.NOT_BEFORE, datetime(2026, 11, 24, 16, tzinfo=UTC)),),
)
LATE = _check("slow", DatasetCheck(Verdict.EMPTY), DatasetCheck(Verdict.EMPTY), late=True, host="http://127.0.0.1:1")
QUIET = _check("quiet", DatasetCheck(Verdict.EMPTY, 7), DatasetCheck(Verdict.OK, 7))
MIXED = _checks(_sound("acme"), LATE, QUIET, WAITING, SECRET, RIGHT, _refused("nat", "203.0.113.7"), calls=9)


def test_text_lists_failures_first() -> None:
    """A line for each account, failures first, then the totals, then the refused IPs."""
    assert checked.as_text(MIXED) == (
        "name   token   summary  calls left  cumulate  calls left  host                problem\n"
        "half   ok      failed   100         ok        -           api.weixin.qq.com   "
        "ask for the right (48001 api unauthorized)\n"
        f"nat    failed  -        -           -         -           api.weixin.qq.com   {ALLOW} (40164 {SAID})\n"
        "shop   failed  -        -           -         -           api.weixin.qq.com   "
        "copy it anew (40125 invalid appsecret)\n"
        "later  -       -        -           -         -           -                   "
        "WeChat ordered an earlier run to wait, until 2026-11-25 00:00 Beijing time\n"
        "slow   ok      empty    -           empty     -           http://127.0.0.1:1  "
        "the newest published day isn't there yet\n"
        "acme   ok      ok       999,999     ok        12          api.weixin.qq.com\n"
        "quiet  ok      empty    7           ok        7           api.weixin.qq.com\n"
        "\n"
        "7 accounts: 3 failed, 1 waiting, 1 late, 2 ok; the newest published day is 2026-11-23\n"
        "9 data calls made; nothing was stored\n"
        "\n"
        "Refused IPs of 1 account. Each client must allow the IPs beside its name in the account's console; "
        "it takes effect in 5 to 10 minutes.\n"
        "\n"
        "name  appid   refused IP\n"
        "nat   wx-nat  203.0.113.7"
    )


def test_account_that_never_had_a_row() -> None:
    lines = checked.as_text(_checks(replace(LATE, never_had_a_row=True))).splitlines()
    assert lines[1].endswith("-           never had a row: perhaps not verified")


def test_host_that_answered_all_is_left_out() -> None:
    """It is told where accounts differ in it; one that had no answer doesn't differ."""
    assert " host " not in checked.as_text(_checks(_sound("acme"), replace(SECRET, host=None)))
    header, *rows, _, _, _ = checked.as_text(_checks(_sound("acme"), LATE)).splitlines()
    assert "host" in header.split()
    assert [host in row for host, row in zip(("127.0.0.1:1", "api.weixin"), rows, strict=True)] == [True, True]


def test_width_cuts_names() -> None:
    """Long names are cut, and a problem without room goes on a line of its own."""
    long = replace(SECRET, name="a shop with a very long name indeed")
    cut, problem, whole = checked.as_text(_checks(long, _sound("acme")), width=100).splitlines()[1:4]
    assert cut == "a shop with a very…   failed  -        -           -         -"
    assert problem == "    copy it anew (40125 invalid appsecret)"
    assert whole == "acme                  ok      ok       999,999     ok        12"


def test_refused_ips_are_never_cut() -> None:
    name = "a shop with a very long name indeed"
    account = replace(_refused("nat", "203.0.113.7", "203.0.113.8", "203.0.113.9"), name=name)
    last = checked.as_text(_checks(account), width=40).splitlines()[-1]
    assert last == f"{name}  wx-nat  203.0.113.7, 203.0.113.8, 203.0.113.9"


def test_refused_ips_of_all_accounts() -> None:
    """One table has the IPs of each account by name, and a line above it all of them."""
    accounts = _refused("b", "203.0.113.9", "203.0.113.7"), _sound("a", refused_ips=("203.0.113.8",)), _sound("c")
    assert checked.refused_text(_checks(*accounts)) == (
        "Refused IPs of 2 accounts. Each client must allow the IPs beside its name in the account's console; "
        "it takes effect in 5 to 10 minutes.\n"
        "Seen in all: 203.0.113.7, 203.0.113.8, 203.0.113.9. "
        "If they are those of one NAT, each client should allow them all.\n"
        "\n"
        "name  appid  refused IP\n"
        "a     wx-a   203.0.113.8\n"
        "b     wx-b   203.0.113.9, 203.0.113.7"
    )


def test_refused_ips_by_egress_label() -> None:
    """A table for each label, with the addresses seen of that label; accounts without one come last."""
    refused = (
        _refused("plain", "203.0.113.9"),
        replace(_refused("b", "203.0.113.7", "203.0.113.8"), egress="hk"),
        replace(_refused("c", "203.0.113.9"), egress="eu"),
        replace(_refused("a", "203.0.113.7"), egress="hk"),
    )
    assert checked.refused_text(_checks(*refused)) == (
        "Refused IPs of 4 accounts. Each client must allow the IPs beside its name in the account's console; "
        "it takes effect in 5 to 10 minutes.\n"
        "These are IPs of this host: check each egress label where it leads out, with --egress LABEL.\n"
        "\n"
        "Egress eu: 1 account.\n"
        "\n"
        "name  appid  refused IP\n"
        "c     wx-c   203.0.113.9\n"
        "\n"
        "Egress hk: 2 accounts.\n"
        "Seen in all: 203.0.113.7, 203.0.113.8. If they are those of one NAT, each client should allow them all.\n"
        "\n"
        "name  appid  refused IP\n"
        "a     wx-a   203.0.113.7\n"
        "b     wx-b   203.0.113.7, 203.0.113.8\n"
        "\n"
        "Without an egress label: 1 account.\n"
        "\n"
        "name   appid     refused IP\n"
        "plain  wx-plain  203.0.113.9"
    )


def test_refused_ips_of_one_egress_label() -> None:
    """The host may be the right one, so nothing is said about others."""
    assert checked.refused_text(_checks(replace(_refused("a", "203.0.113.7"), egress="hk"))).splitlines()[1:3] == [
        "",
        "Egress hk: 1 account.",
    ]


def test_egress_labels_of_all_accounts() -> None:
    """Where an account has a label, text and JSON have it of all accounts."""
    checks = _checks(replace(_sound("acme"), egress="hk"), _refused("nat", "203.0.113.7"))
    header, nat, acme = checked.as_text(checks).splitlines()[:3]
    assert header.startswith("name  egress  token   summary")
    assert (nat.split()[:3], acme.split()[:3]) == (["nat", "-", "failed"], ["acme", "hk", "ok"])
    assert checked.failed_text(checks).startswith("name  egress  token")
    printed: dict[str, Any] = checked.as_json(checks)
    assert [each["egress"] for each in printed["accounts"]] == [None, "hk"]
    assert printed["refused_ips"] == [{"account": "wx-nat", "name": "nat", "ips": ["203.0.113.7"], "egress": None}]


def test_no_refused_ips_no_table() -> None:
    checks = _checks(_sound("acme"))
    assert (checked.refused_text(checks), checked.failed_text(checks)) == ("", "")


def test_singular_totals() -> None:
    assert checked.as_text(_checks(_sound("acme"), calls=1)).splitlines()[2:] == [
        "",
        "1 account: 1 ok; the newest published day is 2026-11-23",
        "1 data call made; nothing was stored",
    ]


def test_plural_totals() -> None:
    checks = _checks(*(_sound(f"client-{number:04}") for number in range(1200)), calls=2400)
    assert checked.as_text(checks).splitlines()[-2:] == [
        "1,200 accounts: 1,200 ok; the newest published day is 2026-11-23",
        "2,400 data calls made; nothing was stored",
    ]


STALE = Failure("wx-agency", "agency", None, "component ticket is invalid", 61006, "r-i-d", "see the ticket")


@pytest.mark.parametrize(("count", "accounts"), [(1, "1 account"), (3, "3 accounts")])
def test_failed_platform_has_one_line(count: int, accounts: str) -> None:
    """It has one line, with the number of its accounts, and they have none."""
    behind = [_failed(f"client-{number}", STALE) for number in range(count)]
    checks = _checks(*behind, failures=(replace(STALE, accounts=count),))
    checks = replace(checks, result=replace(checks.result, failures=checks.result.failures[:1]))
    assert checked.as_text(checks).splitlines() == [
        f"The platform agency failed, and {accounts} with it: see the ticket (61006 component ticket is invalid)",
        "",
        f"{accounts}: {count} failed; the newest published day is 2026-11-23",
        "0 data calls made; nothing was stored",
    ]


def test_failed_platform_without_accounts() -> None:
    assert checked.as_text(_checks(failures=(replace(STALE, accounts=0),))) == (
        "The platform agency failed: see the ticket (61006 component ticket is invalid)\n"
        "\n"
        "0 accounts: none; the newest published day is 2026-11-23\n"
        "0 data calls made; nothing was stored"
    )


def test_failed_lookup_names_the_appid() -> None:
    """An account that could not be looked up is named by its appid."""
    unknown = Failure("wx-new", "wx-new", None, "system error", -1, "r-i-d", "the next run asks again")
    assert checked.as_text(_checks(_sound("acme"), failures=(unknown,))).splitlines()[0] == (
        "Could not look up wx-new: the next run asks again (-1 system error)"
    )


def test_failed_text_has_failures_only() -> None:
    """With -q: platforms, failed accounts and refused IPs."""
    checks = _checks(
        _sound("acme"), LATE, WAITING, _refused("nat", "203.0.113.7"), failures=(replace(STALE, accounts=0),)
    )
    assert checked.failed_text(checks) == (
        "The platform agency failed: see the ticket (61006 component ticket is invalid)\n"
        "\n"
        "name  token   summary  calls left  cumulate  calls left  host               problem\n"
        f"nat   failed  -        -           -         -           api.weixin.qq.com  {ALLOW} (40164 {SAID})\n"
        "\n"
        f"{checked.refused_text(checks)}"
    )


def test_foreign_text_stays_in_its_line() -> None:
    odd = Failure("wx-odd", "odd\nname", None, "two\r\n  lines \x1b[31m", 99999)
    account = replace(_failed("odd\nname", odd, refused_ips=("203.0.113.7",)), account="wx-odd")
    lines = checked.as_text(_checks(account)).splitlines()
    assert lines[1].startswith("odd name  failed")
    assert lines[1].endswith("  99999 two lines [31m")
    assert lines[-1] == "odd name  wx-odd  203.0.113.7"


def test_hint_with_the_message() -> None:
    """A hint that contains the message isn't followed by it."""
    failure = Failure("wx-a", "a", None, "the file x is empty", hint="the file x is empty: write the secret into it")
    line = checked.as_text(_checks(_failed("a", failure))).splitlines()[1]
    assert line.endswith("  the file x is empty: write the secret into it")


def test_accounts_are_sorted() -> None:
    """Failed, waiting, late and other accounts in this order, each by name."""
    names = [account.name for account in MIXED.accounts]
    assert names == ["half", "nat", "shop", "later", "slow", "acme", "quiet"]


def test_json_has_the_whole_check() -> None:
    told = {
        "account": "wx-nat",
        "name": "nat",
        "dataset": None,
        "errmsg": SAID,
        "errcode": 40164,
        "rid": "r-i-d",
        "hint": ALLOW,
        "windows": 0,
        "accounts": 1,
    }
    assert checked.as_json(_checks(WAITING, _refused("nat", "203.0.113.7"), calls=2)) == {
        "newest_published": NEWEST,
        "exit": 3,
        "database": "",
        "totals": {"accounts": 2, "failed": 1, "waiting": 1, "late": 0, "ok": 0},
        "calls": 2,
        "token_calls": 3,
        "accounts": [
            {
                "account": "wx-nat",
                "name": "nat",
                "outcome": "failed",
                "token": "failed",
                "datasets": {
                    SUMMARY: {"verdict": "not_asked", "quota_left": None},
                    CUMULATE: {"verdict": "not_asked", "quota_left": None},
                },
                "late": False,
                "host": HOST,
                "refused_ips": ("203.0.113.7",),
                "failures": (told,),
                "notices": (),
                "never_had_a_row": False,
            },
            {
                "account": "wx-later",
                "name": "later",
                "outcome": "ok",
                "token": "not_asked",
                "datasets": {
                    SUMMARY: {"verdict": "not_asked", "quota_left": None},
                    CUMULATE: {"verdict": "not_asked", "quota_left": None},
                },
                "late": False,
                "host": None,
                "refused_ips": (),
                "failures": (),
                "notices": (
                    {
                        "account": "wx-later",
                        "name": "later",
                        "kind": "not_before",
                        "until": datetime(2026, 11, 24, 16, tzinfo=UTC),
                    },
                ),
                "never_had_a_row": False,
            },
        ],
        "failures": [told],
        "refused_ips": [{"account": "wx-nat", "name": "nat", "ips": ["203.0.113.7"]}],
    }
