import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import pytest
from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs
from support import MAX_CALLBACK_S

from collector.errors import DatabaseError
from collector.kinds import WaitKind
from collector.model.days import Days
from collector.model.state import AccountState, Authorizer, DatasetState, Trouble, UnusableState
from collector.model.waits import Wait
from collector.store import state as module
from collector.store.database import Database, Document, rename
from collector.store.held import Held
from collector.store.schema import USER_DAILY
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
UNKNOWN = AccountState(APPID, "acme-shoes")


def test_to_document() -> None:
    assert to_document(KNOWN) == DOCUMENT
    assert to_document(UNKNOWN) == {"_id": APPID, "version": 1, "name": "acme-shoes", "tags": []}


async def test_round_trip(database: Database) -> None:
    """Instants are read in UTC."""
    other = AccountState("wx00000000000000ff", "other")
    await database[ACCOUNTS].bulk_write([replacement(KNOWN, 1), replacement(other, 1)])
    assert await database[ACCOUNTS].find_one({"_id": other.account}) == to_document(other) | {"epoch": 1}
    assert await load(database) == {APPID: KNOWN, other.account: other}


async def test_replacement_is_whole(database: Database) -> None:
    await database[ACCOUNTS].bulk_write([replacement(KNOWN, 1)])
    await database[ACCOUNTS].bulk_write([replacement(UNKNOWN, 1)])
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


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_other_version(version: object) -> None:
    with pytest.raises(KeyError):
        from_document(_changed("version", version))


def _with_tags(document: Document) -> Document:
    return {"tags": document["tags"].split(",")} | {key: document[key] for key in document if key != "tags"}


def _with_name(document: Document) -> Document:
    return {key: document[key] for key in document if key != "called"} | {"name": document["called"]}


def test_upgrades_are_chained(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old document passes each upgrade from its own version on, and isn't changed itself."""
    monkeypatch.setattr(module, "VERSION", 3)
    monkeypatch.setattr(module, "UPGRADES", {1: _with_name, 2: _with_tags})
    oldest = _changed("name") | {"called": "acme-shoes", "tags": "retail,east", "version": 1}
    before = deepcopy(oldest)
    newer = _changed("tags", "retail,east") | {"version": 2}
    assert from_document(oldest) == from_document(newer) == from_document(DOCUMENT | {"version": 3}) == KNOWN
    assert to_document(KNOWN)["version"] == 3
    assert oldest == before


AS_AWARE: CodecOptions[Document] = CodecOptions(tz_aware=True)
MORE: dict[str, Any] = {"seen": {"by": ["x", 1]}, "user_read": {"covered": "new"}}


async def test_unknown_keys_are_kept(database: Database) -> None:
    """Keys that another version added are stored again unchanged, at the top and in a dataset."""
    summary = DOCUMENT["user_summary"] | {"forced": {"on": "2026-11-24"}, "unknown": 1, "calls_on": [NOON]}
    document = DOCUMENT | MORE | {"user_summary": summary}
    await database[ACCOUNTS].insert_one(document)
    state = (await load(database))[APPID]
    assert (state.unknown, state.dataset("user_summary").covered) == (MORE, SUMMARY.covered)
    await database[ACCOUNTS].bulk_write([replacement(state._replace(born=None), 1)])
    expected = {key: value for key, value in document.items() if key != "born"} | {"epoch": 1}
    assert await database.get_collection(ACCOUNTS, codec_options=AS_AWARE).find_one() == expected


@pytest.mark.parametrize("key", ["authorizer", "user_summary.last_error", "user_summary.calls"])
def test_unknown_keys_deeper_inside(key: str) -> None:
    """They do no harm."""
    document = _changed(key)
    *parents, last = key.split(".")
    place, known = document, DOCUMENT
    for parent in parents:
        place, known = place[parent], known[parent]
    place[last] = known[last] | {"more": 1}
    assert from_document(document) == KNOWN


SUMMARY = KNOWN.dataset("user_summary")


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("born", KNOWN._replace(born=None)),
        ("history_since", KNOWN._replace(history_since=None)),
        ("authorizer", KNOWN._replace(authorizer=None)),
        ("user_cumulate", KNOWN._replace(datasets={"user_summary": SUMMARY})),
        *[
            (f"user_summary.{name}", KNOWN._replace(datasets={**KNOWN.datasets, "user_summary": dataset}))
            for name, dataset in [
                ("refreshed_to", SUMMARY._replace(refreshed_to=None)),
                ("looked", SUMMARY._replace(looked=Days())),
                ("not_before", SUMMARY._replace(wait=None)),
                ("calls", SUMMARY._replace(calls_on=None, calls=0)),
                ("calls.count", SUMMARY._replace(calls=0)),
                ("last_success", SUMMARY._replace(last_success=None)),
                ("last_error", SUMMARY._replace(last_error=None)),
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
    state = UNKNOWN._replace(datasets={"user_summary": DatasetState(calls=3)})
    assert to_document(state)["user_summary"] == {"covered": [], "void": [], "empty": []}


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
    assert await read_states(database) == ({}, {APPID: UnusableState(APPID)})
    assert await database[ACCOUNTS].find_one() == stored


def test_datasets_keep_their_order() -> None:
    """It is the document's, the same in each process, whatever the hashes of the names."""
    turned = dict(reversed(DOCUMENT.items()))
    assert list(from_document(DOCUMENT).datasets) == ["user_summary", "user_cumulate"]
    assert list(from_document(turned).datasets) == ["user_cumulate", "user_summary"]


OTHERS: list[dict[str, Any]] = [{"_id": "wxold", "version": 0}, {"_id": "wxnewer", "version": 2, "more": 1}]
UNUSABLE = {"wxold": UnusableState("wxold"), "wxnewer": UnusableState("wxnewer", is_newer=True)}


async def test_read_states(database: Database) -> None:
    """Usable states, and those that are damaged or of a newer version."""
    await database[ACCOUNTS].insert_many([DOCUMENT, *OTHERS, {"_id": "other", "version": 1}])
    assert await read_states(database) == ({APPID: KNOWN}, UNUSABLE)
    assert await load(database) == {APPID: KNOWN}


async def test_read_state(database: Database) -> None:
    """None where there is no document."""
    await database[ACCOUNTS].insert_many([DOCUMENT, *OTHERS])
    states = {appid: await read_state(database, appid) for appid in (APPID, "wxold", "wxnewer", "wxnone")}
    assert states == {APPID: KNOWN, **UNUSABLE, "wxnone": None}


async def test_states_are_read_in_small_pieces(database: Database, callbacks_s: list[float]) -> None:
    """However many there are, no callback of the loop uses more than 100 ms of its thread's CPU."""
    documents = ({**DOCUMENT, "_id": f"wx{number:016x}"} for number in range(10_000))
    await database[ACCOUNTS].insert_many(documents)
    callbacks_s.clear()
    assert len(await load(database)) == 10_000
    await asyncio.sleep(0)  # the last callback counts as well
    assert max(callbacks_s) < MAX_CALLBACK_S


async def test_replace_state(database: Database) -> None:
    """It makes a document, and takes the place of any other, even a damaged one."""
    await database[ACCOUNTS].insert_one({"_id": APPID, "version": 0, "odd": 1})
    new = AccountState("wxnew", "new")
    for state in (KNOWN, new):
        await replace_state(database, state, Held(1))
    assert await load(database) == {APPID: KNOWN, "wxnew": new}
    assert await database[ACCOUNTS].find_one({"_id": APPID}, {"odd": True}) == {"_id": APPID}


@pytest.mark.parametrize(
    ("act", "call"),
    [
        (read_states, "find"),
        (lambda database: read_state(database, APPID), "find_one"),
        (lambda database: replace_state(database, KNOWN, Held(1)), "replace_one"),
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


EARLY = {"begin": "2012-01-01", "end": "2012-01-06"}


async def test_day_before_any_account_is_damage(database: Database) -> None:
    """Days can't be counted back from it, so it fails its account alone."""
    await database[ACCOUNTS].insert_one(
        {**DOCUMENT, "user_summary": {**DOCUMENT["user_summary"], "refreshed_to": "2011-12-31"}}
    )
    states, unusable = await read_states(database)
    assert (states, [*unusable]) == ({}, [APPID])


@pytest.mark.parametrize(
    "damage",
    [{"name": None}, {"name": 7}, {"user_summary": {**DOCUMENT["user_summary"], "covered": [EARLY]}}],
    ids=["no name", "a number as name", "days before all figures"],
)
async def test_odd_value_is_damage(database: Database, damage: dict[str, Any]) -> None:
    await database[ACCOUNTS].insert_one({**DOCUMENT, **damage})
    states, unusable = await read_states(database)
    assert (states, [*unusable]) == ({}, [APPID])
