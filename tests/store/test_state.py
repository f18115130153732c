from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.model.days import Days
from collector.model.state import AccountState, Authorizer, DatasetState, Trouble
from collector.store.database import USER_DAILY, Database, rename
from collector.store.state import (
    ACCOUNTS,
    from_document,
    load,
    read_state,
    read_states,
    replace_state,
    replacement,
    to_document,
)

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
            not_before=NIGHT,
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
UNKNOWN = AccountState(APPID, "acme-shoes")


def test_to_document() -> None:
    assert to_document(KNOWN) == DOCUMENT
    assert to_document(UNKNOWN) == {"_id": APPID, "version": 1, "name": "acme-shoes", "tags": []}


async def test_round_trip(database: Database) -> None:
    """Instants are read in UTC."""
    other = AccountState("wx00000000000000ff", "other")
    await database[ACCOUNTS].bulk_write([replacement(KNOWN), replacement(other)])
    assert await database[ACCOUNTS].find_one({"_id": other.account}) == to_document(other)
    assert await load(database) == {APPID: KNOWN, other.account: other}


async def test_replacement_is_whole(database: Database) -> None:
    await database[ACCOUNTS].bulk_write([replacement(KNOWN)])
    await database[ACCOUNTS].bulk_write([replacement(UNKNOWN)])
    assert await load(database) == {APPID: UNKNOWN}


def _changed(path: str, *value: object) -> dict[str, Any]:
    """Return the document with the field at `path` set to `value`, or without it."""
    document: dict[str, Any] = deepcopy(DOCUMENT)
    *parents, key = path.split(".")
    place = document
    for parent in parents:
        place = place[parent]
    place.pop(key)
    if value:
        (place[key],) = value
    return document


@pytest.mark.parametrize(
    "key",
    [
        *("version", "name", "tags"),
        *(f"authorizer.{name}" for name in ("component", "nick_name", "mini_program")),
        *(f"user_summary.{name}" for name in ("covered", "void", "empty", "last_error.since", "last_error.at")),
    ],
)
def test_required_keys(key: str) -> None:
    with pytest.raises(KeyError, match=key.rpartition(".")[2]):
        from_document(_changed(key))


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("version", "1"), ("version", None), ("_id", 7)])
def test_other_version(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=r"^another version$"):
        from_document(_changed(key, value))


SUMMARY = KNOWN.dataset("user_summary")


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("born", replace(KNOWN, born=None)),
        ("history_since", replace(KNOWN, history_since=None)),
        ("authorizer", replace(KNOWN, authorizer=None)),
        ("user_cumulate", replace(KNOWN, datasets={"user_summary": SUMMARY})),
        *[
            (f"user_summary.{name}", replace(KNOWN, datasets={**KNOWN.datasets, "user_summary": dataset}))
            for name, dataset in [
                ("refreshed_to", replace(SUMMARY, refreshed_to=None)),
                ("looked", replace(SUMMARY, looked=Days())),
                ("not_before", replace(SUMMARY, not_before=None)),
                ("calls", replace(SUMMARY, calls_on=None, calls=0)),
                ("calls.count", replace(SUMMARY, calls=0)),
                ("last_success", replace(SUMMARY, last_success=None)),
                ("last_error", replace(SUMMARY, last_error=None)),
            ]
        ],
    ],
)
def test_optional_keys(key: str, state: AccountState) -> None:
    assert from_document(_changed(key)) == state


@pytest.mark.parametrize(("stored", "known"), [(True, True), (False, False), (1, False), ("true", False)])
def test_mini_program_is_true_alone(stored: object, known: bool) -> None:
    authorizer = Authorizer("wx00000000000000aa", "Acme 鞋", mini_program=known)
    assert from_document(_changed("authorizer.mini_program", stored)).authorizer == authorizer


def test_calls_without_a_day_are_dropped() -> None:
    state = replace(UNKNOWN, datasets={"user_summary": DatasetState(calls=3)})
    assert to_document(state)["user_summary"] == {"covered": [], "void": [], "empty": []}


FIVE = ["wxa", "wxb", "wxc", "wxd", "wxe"]


@pytest.mark.parametrize(
    ("damaged", "named"),
    [
        (["wxa"], "1 document of `accounts` is damaged or of another version (wxa)"),
        (FIVE[:2], f"2 documents of `accounts` are damaged or of another version ({', '.join(FIVE[:2])})"),
        (FIVE, f"5 documents of `accounts` are damaged or of another version ({', '.join(FIVE)})"),
        ([*FIVE, "wxf"], f"6 documents of `accounts` are damaged or of another version ({', '.join(FIVE)} and more)"),
        (["wx" * 30], f"1 document of `accounts` is damaged or of another version ({'wx' * 25})"),
    ],
)
async def test_load_names_damaged_documents(damaged: list[str], named: str, database: Database) -> None:
    await database[ACCOUNTS].insert_many([DOCUMENT, *({"_id": appid, "version": 99} for appid in damaged)])
    with pytest.raises(DatabaseError) as caught:
        await load(database)
    assert str(caught.value) == (
        f"{named}; nothing was changed. `collector verify --repair` makes them anew from the documents of user_daily"
    )


@pytest.mark.parametrize(
    "document",
    [
        _changed("born", "yesterday"),
        _changed("tags", 7),
        _changed("authorizer", {"odd": 1}),
        _changed("user_summary", None),
        _changed("user_summary.calls", 3),
        _changed("user_summary.calls.count", float("inf")),
        _changed("user_summary.not_before", "soon"),
        _changed("user_summary.covered", [{"begin": "2026-11-02", "end": "2026-11-01"}]),
        _changed("user_summary.covered", [{"begin": "2026-11-02"}]),
    ],
)
async def test_damage_of_any_kind(document: dict[str, Any], database: Database) -> None:
    await database[ACCOUNTS].insert_one(document)
    stored = await database[ACCOUNTS].find_one()
    with pytest.raises(DatabaseError, match=f"^1 document .*{APPID}"):
        await load(database)
    assert await database[ACCOUNTS].find_one() == stored


def test_datasets_keep_their_order() -> None:
    """It is the same in each process, whatever the hashes of the names."""
    names = [f"dataset_{number}" for number in range(20)]
    document = DOCUMENT | dict.fromkeys(names, DOCUMENT["user_cumulate"])
    read = from_document(document)
    assert list(read.datasets) == ["user_summary", "user_cumulate", *names]
    assert list(to_document(read))[-20:] == names


async def test_read_states(database: Database) -> None:
    """Sound states, and the appids of the others."""
    await database[ACCOUNTS].insert_many([DOCUMENT, {"_id": "wxold", "version": 0}, {"_id": "other", "version": 1}])
    assert await read_states(database) == ({APPID: KNOWN}, ["wxold"])


async def test_read_state(database: Database) -> None:
    """None where the document is missing, damaged or of another version."""
    await database[ACCOUNTS].insert_many([DOCUMENT, {"_id": "wxold", "version": 0}])
    assert [await read_state(database, appid) for appid in (APPID, "wxold", "wxnew")] == [KNOWN, None, None]


async def test_replace_state(database: Database) -> None:
    """It makes a document, and takes the place of any other, even a damaged one."""
    await database[ACCOUNTS].insert_one({"_id": APPID, "version": 0, "odd": 1})
    new = AccountState("wxnew", "new")
    for state in (KNOWN, new):
        await replace_state(database, state)
    assert await load(database) == {APPID: KNOWN, "wxnew": new}
    assert await database[ACCOUNTS].find_one({"_id": APPID}, {"odd": True}) == {"_id": APPID}


@pytest.mark.parametrize(
    ("act", "call"),
    [
        (read_states, "find"),
        (lambda database: read_state(database, APPID), "find_one"),
        (lambda database: replace_state(database, KNOWN), "bulk_write"),
    ],
    ids=["read_states", "read_state", "replace_state"],
)
async def test_mongodb_out_of_reach(
    act: Callable[[Database], Awaitable[object]], call: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(AsyncIOMotorCollection, call, broken)
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        await act(database)


async def test_documents_of_others(database: Database) -> None:
    await database[ACCOUNTS].insert_many([DOCUMENT, {"_id": 7}, {"odd": "one"}])
    assert await load(database) == {APPID: KNOWN}


async def test_rename(database: Database) -> None:
    days = [
        {"_id": 1, "account": APPID, "ref_date": "2026-11-22", "name": "acme", "new_user": 1},
        {"_id": 2, "account": APPID, "ref_date": "2026-11-23", "name": "acme", "new_user": 2},
        {"_id": 3, "account": "wxother", "ref_date": "2026-11-23", "name": "acme", "new_user": 3},
    ]
    await database[USER_DAILY].insert_many(days)
    await rename(database, APPID, "acme-shoes")
    stored = await database[USER_DAILY].find().sort("_id").to_list(None)
    assert stored == [days[0] | {"name": "acme-shoes"}, days[1] | {"name": "acme-shoes"}, days[2]]


async def test_rename_that_a_validator_refuses(database: Database) -> None:
    await database.create_collection(USER_DAILY, validator={"name": {"$ne": "refused"}})
    day = {"_id": 1, "account": APPID, "ref_date": "2026-11-22", "name": "acme"}
    await database[USER_DAILY].insert_one(day)
    with capture_logs() as logs:
        await rename(database, APPID, "refused")
    assert [{**entry, "reason": ...} for entry in logs] == [
        {"event": "name.refused", "log_level": "warning", "account": APPID, "name": "refused", "reason": ...}
    ]
    assert "failed validation" in logs[0]["reason"]
    assert await database[USER_DAILY].find_one() == day
