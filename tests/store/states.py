"""A state of an account with a value in each field, and its document."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from collector.kinds import WaitKind
from collector.model.days import Days
from collector.model.state import AccountState, Authorizer, DatasetState, Trouble
from collector.model.waits import Wait

APPID = "wx0123456789abcdef"
NIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
TWO_DAYS = Days.between(date(2026, 10, 1), date(2026, 10, 2))
THREE_DAYS = Days.of([date(2026, 9, 1), date(2026, 9, 3), date(2026, 9, 4)])

KNOWN = AccountState(
    APPID,
    "acme-shoes",
    tags=("retail", "east"),
    born=date(2019, 3, 2),
    history_since=date(2015, 1, 1),
    datasets={
        "user_summary": DatasetState(
            covered=Days.between(date(2026, 11, 1), date(2026, 11, 23)),
            void=THREE_DAYS,
            empty={date(2026, 11, 23): THREE_DAYS, date(2026, 11, 24): TWO_DAYS},
            refreshed_to=date(2026, 11, 23),
            looked=TWO_DAYS,
            wait=Wait(WaitKind.QUOTA, NIGHT, 45009),
            calls_on=date(2026, 11, 24),
            calls=2,
            last_success=NOON,
            last_error=Trouble("api unauthorized", 48001, "rid-1", "verify the account", NOON, NIGHT),
        ),
        "user_cumulate": DatasetState(),
    },
    authorizer=Authorizer("wx00000000000000aa", "Acme 鞋", mini_program=True),
    forced_on=date(2026, 11, 24),
    forced_tokens=3,
    held=Days.between(date(2026, 11, 23), date(2026, 11, 24)),
)
DOCUMENT: dict[str, Any] = {
    "_id": APPID,
    "version": 1,
    "name": "acme-shoes",
    "tags": ["retail", "east"],
    "born": "2019-03-02",
    "history_since": "2015-01-01",
    "authorizer": {"component": "wx00000000000000aa", "nick_name": "Acme 鞋", "mini_program": True},
    "forced_tokens": {"on": "2026-11-24", "count": 3},
    "held": [{"begin": "2026-11-23", "end": "2026-11-24"}],
    "user_summary": {
        "covered": [{"begin": "2026-11-01", "end": "2026-11-23"}],
        "void": [{"begin": "2026-09-01", "end": "2026-09-01"}, {"begin": "2026-09-03", "end": "2026-09-04"}],
        "empty": [
            {"begin": "2026-09-01", "end": "2026-09-01", "on": "2026-11-23"},
            {"begin": "2026-09-03", "end": "2026-09-04", "on": "2026-11-23"},
            {"begin": "2026-10-01", "end": "2026-10-02", "on": "2026-11-24"},
        ],
        "refreshed_to": "2026-11-23",
        "looked": [{"begin": "2026-10-01", "end": "2026-10-02"}],
        "not_before": NIGHT,
        "wait": {"kind": "quota", "errcode": 45009},
        "calls": {"on": "2026-11-24", "count": 2},
        "last_success": NOON,
        "last_error": {
            "errmsg": "api unauthorized",
            "errcode": 48001,
            "rid": "rid-1",
            "hint": "verify the account",
            "since": NOON,
            "at": NIGHT,
        },
    },
    "user_cumulate": {"covered": [], "void": [], "empty": []},
}
