"""The text and JSON of any accounts, compared whole."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from rich.cells import cell_len

from collector.console.paint import Severity, coloured
from collector.console.runs import as_json as as_json_of_runs
from collector.console.status import as_json, as_text, too_old_text, worst_first
from collector.console.view import Trait, View
from collector.kinds import WaitKind
from collector.model.ledger import LastRuns, RunRecord
from collector.model.standings import AccountStatus, Former, Newest, Standing, Status
from collector.model.state import Trouble, UnusableState
from collector.model.waits import Wait

NEWEST = date(2026, 11, 23)
ANSWERED = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
REFUSED = Trouble(
    "api unauthorized",
    48001,
    "r-i-d",
    "ask for the right to read figures",
    datetime(2026, 11, 20, 16, 5, tzinfo=UTC),
    ANSWERED,
)
REMEDY = "ask for the right to read figures (user_summary: 48001 api unauthorized)"
WAIT = Wait(WaitKind.IP_UNCONFIRMED, ANSWERED, 89503)
BROKEN = Trouble("the line broke", None, None, "", ANSWERED, ANSWERED)


def _newest(summary_age: int | None = 0, cumulate_age: int | None = 0) -> Newest:
    ages = {"user_summary": summary_age, "user_cumulate": cumulate_age}
    return {name: None if age is None else NEWEST - timedelta(days=age) for name, age in ages.items()}


def _account(
    name: str, standing: Standing = Standing.OK, newest: Newest | None = None, **more: object
) -> AccountStatus:
    known = {"tags": (), "missing_days": 0, "last_success": ANSWERED, "newest": newest or _newest()}
    return AccountStatus(f"wx-{name}", name, standing=standing, **(known | more))  # type: ignore[arg-type] # as named


FAILING = _account(
    "acme-shoes",
    Standing.FAILING,
    _newest(3, 0),
    missing_days=3,
    born=date(2019, 3, 2),
    errors={"user_summary": REFUSED},
    tags=("retail",),
)
LOST = _account(
    "lost",
    Standing.FAILING,
    _newest(1, 1),
    missing_days=1,
    errors={"user_summary": BROKEN, "user_cumulate": BROKEN},
)
NEVER = _account("刚刚加入", Standing.NEVER_COLLECTED, _newest(None, None), missing_days=4376, last_success=None)
BEHIND = _account("late", Standing.BEHIND, _newest(4, 1), missing_days=4)
OK = _account("小店铺", born=date(2015, 1, 1))
SILENT = _account("asleep", Standing.SILENT, _newest(40, 40), missing_days=5)
GONE = Former("wx00000000000000aa", "old-client", _newest(400, 400), ANSWERED - timedelta(days=399))

RUN = RunRecord(
    "20261124T002000Z-1f9a3c",
    "run",
    "partial",
    began=ANSWERED - timedelta(hours=2, minutes=10),
    ended=ANSWERED - timedelta(hours=2, minutes=9),
    exit=3,
    accounts={"total": 6, "failed": 2},
)

STATUS = Status(NEWEST, (FAILING, LOST, NEVER, BEHIND, OK, SILENT), (GONE,), disabled=2)


def test_text_has_all_accounts() -> None:
    """A line for each account, the totals, then silent, former and too old accounts."""
    assert as_text(STATUS, View(max_age_days=3)).splitlines() == [
        "name        summary     cumulate    missing  born        success (Beijing)  last error",
        "acme-shoes  2026-11-20  2026-11-23        3  2019-03-02  2026-11-24 10:30   since 2026-11-21: " + REMEDY,
        "lost        2026-11-22  2026-11-22        1  -           2026-11-24 10:30   since 2026-11-24: the line broke",
        "刚刚加入    -           -             4,376  -           -",
        "late        2026-11-19  2026-11-22        4  -           2026-11-24 10:30",
        "小店铺      2026-11-23  2026-11-23        0  2015-01-01  2026-11-24 10:30",
        "",
        "6 accounts: 2 failing, 1 never collected, 1 behind, 1 ok, 1 silent",
        "4,389 days missing; the newest published day is 2026-11-23",
        "not shown: 2 disabled accounts",
        "",
        "Silent, without any figure in the last 14 days; nothing failed. Are they in use?",
        "asleep      2026-10-14  2026-10-14        5  -           2026-11-24 10:30",
        "",
        "No longer configured; what is stored stays until `collector forget ACCOUNT`:",
        "old-client  2025-10-19  2025-10-19                       2025-10-21 10:30   wx00000000000000aa",
        "",
        "Too old, more than 3 days behind 2026-11-23: 刚刚加入, late, asleep",
    ]


def test_file_fails_since_nobody_knows_when() -> None:
    file = replace(LOST, account=None, name="accounts.d/x.yaml")
    assert as_text(Status(NEWEST, (file,))).splitlines()[1].endswith("2026-11-24 10:30   the line broke")


def test_text_without_empty_parts() -> None:
    assert as_text(Status(NEWEST, (OK,)), View(max_age_days=0)).splitlines() == [
        "name    summary     cumulate    missing  born        success (Beijing)",
        "小店铺  2026-11-23  2026-11-23        0  2015-01-01  2026-11-24 10:30",
        "",
        "1 account is complete to 2026-11-23.",
    ]


def test_totals_without_zeros() -> None:
    """The columns of former accounts align with the others, whose names may be shorter."""
    text = as_text(Status(NEWEST, (LOST, OK), (replace(GONE, name="old-client-of-acme"),)))
    assert "\nold-client-of-acme  2025-10-19 " in text
    assert f"\nlost{' ' * 16}2026-11-22 " in text
    assert "\n2 accounts: 1 failing, 1 ok\n" in text


def test_unusable_states_are_named() -> None:
    """Of accounts that nothing else names: the appid, the reason and the remedy."""
    gone = UnusableState("wxgone\n")
    status = Status(NEWEST, (OK,), unusable=(gone,))
    assert as_text(status).splitlines()[-2:] == [
        "Documents of accounts that can't be used:",
        f"wxgone : {gone.reason}; make it anew from the stored days: collector verify --repair --account wxgone",
    ]
    assert as_json(status)["unusable"] == [{"account": "wxgone\n", "reason": gone.reason, "remedy": gone.remedy}]


def test_width_cuts_names() -> None:
    """Long names are cut, and an error without room goes on a line of its own."""
    long = replace(FAILING, name="广州市天河区的一家卖鞋子的小店铺")
    figures = "2026-11-20  2026-11-23        3  2019-03-02  2026-11-24 10:30"
    assert as_text(Status(NEWEST, (long,)), width=130).splitlines()[:3] == [
        "name                        summary     cumulate    missing  born        success (Beijing)  last error",
        f"广州市天河区的一家卖鞋子…   {figures}",
        "    since 2026-11-21: ask for the right to read figures (user_summary: 48001 api unauthorized)",
    ]


def test_narrow_terminal_one_line() -> None:
    """An account without an error takes one line, however narrow the terminal is."""
    lines = as_text(Status(NEWEST, (OK, OK)), width=40).partition("\n\n")[0].splitlines()
    assert len(lines) == len(("header", "account", "account"))
    assert all(line.strip() for line in lines)


@pytest.mark.parametrize("width", [107, 120, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    """No line is longer than the terminal if the error has room."""
    waiting = [replace(_account(f"shop-in-shanghai-{n}"), waits={"user_summary": WAIT}) for n in range(12)]
    lines = as_text(Status(NEWEST, (FAILING, LOST, OK, *waiting)), width=width).splitlines()
    assert max(map(cell_len, lines)) <= width


def test_foreign_text_stays_in_its_line() -> None:
    odd = replace(OK, errors={"user_summary": replace(BROKEN, errmsg="bad\n\x1b[31m gateway\u2028!")})
    assert (
        as_text(Status(NEWEST, (odd,))).splitlines()[1].endswith("since 2026-11-24: user_summary: bad [31m gateway !")
    )


def test_account_that_never_had_a_row() -> None:
    """It has a word of its own among the silent ones, in JSON too."""
    never = _account("blank", Standing.SILENT, _newest(None, None), missing_days=7)
    status = replace(STATUS, accounts=(OK, SILENT, never))
    (marked,) = (
        line for line in as_text(status).splitlines() if line.endswith("never had a row: perhaps not verified")
    )
    assert marked.startswith("blank ")
    accounts: list[dict[str, object]] = orjson.loads(orjson.dumps(as_json(status)))["accounts"]
    assert [account["never_had_a_row"] for account in accounts] == [False, False, True]


def test_json_has_the_same_facts() -> None:
    nothing: dict[str, object] = {
        "tags": [],
        "born": None,
        "last_success": "2026-11-24T02:30:10Z",
        "last_error": None,
        "never_had_a_row": False,
        "unresolved_days": 0,
    }
    status = replace(STATUS, accounts=(FAILING, NEVER, SILENT))
    assert orjson.loads(orjson.dumps(as_json(status, View(max_age_days=3)), option=orjson.OPT_UTC_Z)) == {
        "newest_published": "2026-11-23",
        "database": "",
        "accounts": [
            {
                "account": "wx-acme-shoes",
                "name": "acme-shoes",
                "tags": ["retail"],
                "standing": "failing",
                "newest": {"user_summary": "2026-11-20", "user_cumulate": "2026-11-23"},
                "missing_days": 3,
                "born": "2019-03-02",
                "last_success": "2026-11-24T02:30:10Z",
                "last_error": {
                    "datasets": ["user_summary"],
                    "errmsg": "api unauthorized",
                    "errcode": 48001,
                    "rid": "r-i-d",
                    "hint": "ask for the right to read figures",
                    "since": "2026-11-20T16:05:00Z",
                    "at": "2026-11-24T02:30:10Z",
                },
                "never_had_a_row": False,
                "unresolved_days": 0,
            },
            nothing
            | {
                "account": "wx-刚刚加入",
                "name": "刚刚加入",
                "standing": "never_collected",
                "newest": {"user_summary": None, "user_cumulate": None},
                "missing_days": 4376,
                "last_success": None,
            },
            nothing
            | {
                "account": "wx-asleep",
                "name": "asleep",
                "standing": "silent",
                "newest": {"user_summary": "2026-10-14", "user_cumulate": "2026-10-14"},
                "missing_days": 5,
            },
        ],
        "totals": {
            "accounts": 3,
            "failing": 1,
            "never_collected": 1,
            "behind": 0,
            "ok": 0,
            "silent": 1,
            "missing_days": 4384,
            "disabled": 2,
        },
        "silent": ["asleep"],
        "no_longer_configured": [
            {
                "account": "wx00000000000000aa",
                "name": "old-client",
                "newest": {"user_summary": "2025-10-19", "user_cumulate": "2025-10-19"},
                "last_success": "2025-10-21T02:30:10Z",
            }
        ],
        "unusable": [],
        "max_age": 3,
        "too_old": ["刚刚加入", "asleep"],
        "max_run_age": None,
        "run_too_old": False,
    }


def test_json_without_max_age() -> None:
    told = as_json(STATUS)
    assert (told["max_age"], told["too_old"]) == (None, [])


def test_worst_account_comes_first() -> None:
    """By standing, then by missing days, then by name."""
    holes, twin = _account("holes", missing_days=9), _account("a-twin", missing_days=9)
    expected = (FAILING, LOST, NEVER, BEHIND, twin, holes, OK, SILENT)
    assert worst_first([SILENT, OK, holes, BEHIND, twin, NEVER, LOST, FAILING]) == expected


def test_max_age_can_be_zero() -> None:
    status = Status(NEWEST, (BEHIND,))
    assert as_json(status, View(max_age_days=0))["too_old"] == ["late"]
    assert as_text(status, View(max_age_days=0)).splitlines()[-1] == "Too old, more than 0 days behind 2026-11-23: late"


def test_too_old_text_singular() -> None:
    assert (
        too_old_text(Status(NEWEST, (BEHIND,)), View(max_age_days=1))
        == "Too old, more than 1 day behind 2026-11-23: late"
    )


def test_text_names_the_database() -> None:
    lines = as_text(Status(NEWEST, (OK,), database="wechat on mongodb.internal")).splitlines()
    assert lines[-1] == "Database: wechat on mongodb.internal"


def test_last_run_comes_first() -> None:
    runs = LastRuns(ANSWERED, RUN, RUN)
    status = replace(STATUS, runs=runs)
    assert as_text(status).splitlines()[:2] == [
        "Last run: 2026-11-24 08:21 Beijing time, 2 hours ago: partial, 2 of 6 failed",
        "",
    ]
    told = as_json(status)
    assert [told["last_run"], told["last_completed_run"]] == as_json_of_runs([RUN, RUN], "")["runs"]
    assert as_json(replace(status, runs=LastRuns(ANSWERED)))["last_run"] is None


def test_healthy_state() -> None:
    """Days that are perhaps quiet don't spoil it, nor do silent accounts."""
    quiet = _account("quiet", newest=_newest(1, 0), missing_days=1, unresolved_days=1)
    assert as_text(Status(NEWEST, (OK, quiet, SILENT))).splitlines()[2:6] == [
        "quiet   2026-11-22  2026-11-23        0  -           2026-11-24 10:30",
        "",
        "All 3 accounts are complete to 2026-11-23, apart from 1 silent one.",
        "1 day perhaps quiet (no row of summary yet): settled within two days",
    ]


@pytest.mark.parametrize("account", [FAILING, NEVER, BEHIND, SILENT, replace(OK, missing_days=1)])
def test_state_that_is_not_healthy(account: AccountStatus) -> None:
    assert "complete to" not in as_text(Status(NEWEST, (account,)))


def test_narrowed_list() -> None:
    """The list is narrowed, in JSON too; the totals and what is too old are those of all accounts."""
    view = View(frozenset({Trait.FAILING, Trait.WAITING}), max_age_days=3)
    waiting = replace(BEHIND, waits={"user_summary": Wait(WaitKind.QUOTA, ANSWERED, 45009)})
    status = replace(STATUS, accounts=(FAILING, NEVER, waiting, OK, SILENT), unusable=(UnusableState("wxgone"),))
    shown, told = as_text(status, view), as_json(status, view)
    assert [line.split()[0] for line in shown.splitlines()[:3]] == ["name", "acme-shoes", "late"]
    assert "listed: 2 of 5 accounts (failing, waiting)\n5 accounts: 1 failing, 1 never collected" in shown
    assert shown.splitlines()[-1] == "Too old, more than 3 days behind 2026-11-23: 刚刚加入, late, asleep"
    assert told["accounts"] == as_json(replace(status, accounts=(FAILING, waiting)))["accounts"]
    assert (told["silent"], told["no_longer_configured"], told["unusable"]) == ([], [], [])
    assert told["too_old"] == ["刚刚加入", "late", "asleep"]


def test_nothing_to_list() -> None:
    text = as_text(Status(NEWEST, (OK,)), View(frozenset({Trait.MISSING})))
    assert text.splitlines() == ["listed: 0 of 1 account (missing)", "1 account is complete to 2026-11-23."]


def test_colours_by_severity() -> None:
    """The text is the same without them."""
    status = replace(STATUS, runs=LastRuns(ANSWERED, RUN, RUN))
    text = as_text(status, View(max_age_days=3), paint=coloured)
    colours = {line.split()[0].partition("m")[2]: line[2:4] for line in text.splitlines() if line.startswith("\x1b")}
    assert colours == {
        "Last": "33",
        "acme-shoes": "31",
        "lost": "31",
        "刚刚加入": "33",
        "late": "33",
        "asleep": "2m",
        "Too": "31",
    }
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == as_text(status, View(max_age_days=3))


def test_colours_line_by_line() -> None:
    """Pagers begin each line without a colour."""
    assert coloured("a\nb", Severity.BAD) == "\x1b[31ma\x1b[0m\n\x1b[31mb\x1b[0m"


def test_run_that_is_too_old() -> None:
    status, view = Status(NEWEST, (OK,), runs=LastRuns(ANSWERED)), View(max_run_age_h=26)
    assert too_old_text(status, view) == "No run was completed in the last 26 hours."
    assert (as_json(status, view)["max_run_age"], as_json(status, view)["run_too_old"]) == (26, True)
