from dataclasses import replace
from datetime import UTC, date, datetime

from collector.console.plan import History, Planned, Totals, account_json, as_text
from collector.kinds import WaitKind
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import Window
from collector.model.results import Notice

WEEK = Window(date(2026, 11, 17), date(2026, 11, 23))
ACCOUNTS = [Account(name, f"wx{name}", Secret("x"), Rate(5, 1)) for name in ("acme-shoes", "b")]
PLANS = [
    Planned(ACCOUNTS[0], [(WEEK, ("user_summary", "user_cumulate"))]),
    Planned(ACCOUNTS[1], []),
]


def test_text_has_a_line_an_account() -> None:
    """A line for each account with calls, then the totals."""
    assert as_text(PLANS) == (
        "acme-shoes (wxacme-shoes)  2026-11-17 to 2026-11-23      2 calls\n"
        "\n"
        "1 account, 2 data calls. Nothing was asked.\n"
        "1 other account: nothing is missing."
    )


LONG = replace(PLANS[0], history=History(date(2014, 12, 1), date(2026, 11, 16), 625, 1250))
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
WAITING = Planned(ACCOUNTS[1], [], [Notice("wxb", "b", WaitKind.DAILY_CALLS, MIDNIGHT)], 11)


def test_text_names_who_waits() -> None:
    """An account that waits isn't counted as complete."""
    assert as_text([PLANS[0], WAITING]) == (
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
    assert account_json(WAITING) == {
        "account": "wxb",
        "name": "b",
        "calls": 0,
        "windows": [],
        "waits": [{"kind": "daily_calls", "until": MIDNIGHT}],
        "windows_held": 11,
    }


def test_json_of_an_account() -> None:
    """The windows of the daily job are named, and history only where there is any."""
    daily = {
        "account": "wxacme-shoes",
        "name": "acme-shoes",
        "calls": 2,
        "windows": [{"begin": "2026-11-17", "end": "2026-11-23", "datasets": ["user_summary", "user_cumulate"]}],
    }
    assert account_json(PLANS[0]) == daily
    assert account_json(LONG) == daily | {"calls": 1252, "history": LONG.history}
    assert account_json(PLANS[1]) == {"account": "wxb", "name": "b", "calls": 0, "windows": []}


def test_history_in_text() -> None:
    """It counts in the days and the calls of its account."""
    assert as_text([LONG]) == (
        "acme-shoes (wxacme-shoes)  2014-12-01 to 2026-11-23  1,252 calls\n"
        "\n"
        "1 account, 1,252 data calls. Nothing was asked."
    )


def test_totals() -> None:
    totals = Totals()
    for planned in (*PLANS, WAITING, LONG):
        assert totals.counting(planned) is planned
    assert totals.as_json("wechat on db") == {"calls": 1254, "database": "wechat on db"}
    assert totals == Totals(asked=2, complete=1, calls=1254, windows_held=11, notices=[*WAITING.notices])


def test_text_names_the_database() -> None:
    assert as_text([], "wechat on db").splitlines()[0] == "Database: wechat on db"
