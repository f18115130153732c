from copy import deepcopy
from typing import Any

import pytest
from bson.codec_options import CodecOptions
from store.states import APPID, DOCUMENT, KNOWN, NIGHT, NOON

from collector.kinds import WaitKind
from collector.model.days import Days
from collector.model.state import AccountState, Authorizer, DatasetState, UnusableState
from collector.model.waits import Wait
from collector.store import state_document as module
from collector.store.database import Database, Document
from collector.store.state import ACCOUNTS, load, read_states, replacement
from collector.store.state_document import from_document, to_document

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
        ("held", KNOWN._replace(held=Days())),
        ("user_cumulate", KNOWN._replace(datasets={"user_summary": SUMMARY})),
        *[
            (f"user_summary.{name}", KNOWN._replace(datasets={**KNOWN.datasets, "user_summary": dataset}))
            for name, dataset in [
                ("refreshed_to", SUMMARY._replace(refreshed_to=None)),
                ("looked", SUMMARY._replace(looked=Days())),
                ("not_before", SUMMARY._replace(wait=None)),
                ("wait", SUMMARY._replace(wait=Wait(WaitKind.NOT_BEFORE, NIGHT))),  # as an earlier version left it
                ("wait.errcode", SUMMARY._replace(wait=Wait(WaitKind.QUOTA, NIGHT))),
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


def test_wait_of_a_later_version() -> None:
    """It has an end, whatever its reason is."""
    state = from_document(_changed("user_summary.wait", {"kind": "weather"}))
    assert state.dataset("user_summary").wait == Wait(WaitKind.NOT_BEFORE, NIGHT)


def test_wait_without_a_reason_is_stored_as_before() -> None:
    state = KNOWN._replace(datasets={"user_summary": SUMMARY._replace(wait=Wait(WaitKind.NOT_BEFORE, NIGHT))})
    summary = to_document(state)["user_summary"]
    assert (summary["not_before"], "wait" in summary) == (NIGHT, False)


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
