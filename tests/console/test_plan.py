from datetime import UTC, date, datetime
from typing import Any, cast

from collector.console.plan import Planned, as_json, as_text
from collector.errors import WaitKind
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
    accounts = cast("list[dict[str, Any]]", as_json([PLANS[0], WAITING])["accounts"])
    assert (accounts[1]["windows_held"], [wait["kind"] for wait in accounts[1]["waits"]]) == (11, ["daily_calls"])


def test_json_names_every_window() -> None:
    assert as_json(PLANS) == {
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
