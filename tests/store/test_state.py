from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.model.days import Days
from collector.model.state import AccountState, Authorizer, DatasetState, Trouble
from collector.store.database import USER_DAILY, Database
from collector.store.state import ACCOUNTS, from_document, load, rename, replacement, to_document

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
)
DOCUMENT: dict[str, Any] = {
    "_id": APPID,
    "version": 1,
    "name": "acme-shoes",
    "tags": ["retail", "east"],
    "born": "2019-03-02",
    "history_since": "2015-01-01",
    "authorizer": {"component": "wx00000000000000aa", "nick_name": "Acme 鞋", "mini_program": True},
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


def test_all_that_is_known_stands_in_the_document_and_nothing_else() -> None:
    assert to_document(KNOWN) == DOCUMENT
    assert to_document(UNKNOWN) == {"_id": APPID, "version": 1, "name": "acme-shoes", "tags": []}


async def test_what_was_written_is_read_again_with_its_instants_in_utc(database: Database) -> None:
    other = AccountState("wx00000000000000ff", "other")
    await database[ACCOUNTS].bulk_write([replacement(KNOWN), replacement(other)])
    assert await database[ACCOUNTS].find_one({"_id": other.account}) == to_document(other)
    assert await load(database) == {APPID: KNOWN, other.account: other}


async def test_a_newer_state_takes_the_place_of_the_whole_older_one(database: Database) -> None:
    await database[ACCOUNTS].bulk_write([replacement(KNOWN)])
    await database[ACCOUNTS].bulk_write([replacement(UNKNOWN)])
    assert await load(database) == {APPID: UNKNOWN}


def _changed(path: str, *value: object) -> dict[str, Any]:
    """The document with the field at `path` set to `value`, or without it."""
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
def test_a_document_without_what_every_state_has_is_none(key: str) -> None:
    with pytest.raises(KeyError, match=key.rpartition(".")[2]):
        from_document(_changed(key))


@pytest.mark.parametrize(("key", "value"), [("version", 2), ("version", "1"), ("version", None), ("_id", 7)])
def test_a_document_of_another_version_or_without_an_appid_is_refused(key: str, value: object) -> None:
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
def test_what_a_document_lacks_is_not_known(key: str, state: AccountState) -> None:
    assert from_document(_changed(key)) == state


@pytest.mark.parametrize(("stored", "known"), [(True, True), (False, False), (1, False), ("true", False)])
def test_an_account_is_a_mini_program_where_the_document_says_so_plainly(stored: object, known: bool) -> None:
    authorizer = Authorizer("wx00000000000000aa", "Acme 鞋", mini_program=known)
    assert from_document(_changed("authorizer.mini_program", stored)).authorizer == authorizer


def test_calls_of_no_day_are_not_kept() -> None:
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
async def test_damaged_documents_are_counted_and_named_with_the_remedy(
    damaged: list[str], named: str, database: Database
) -> None:
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
        _changed("user_summary.not_before", "soon"),
        _changed("user_summary.covered", [{"begin": "2026-11-02", "end": "2026-11-01"}]),
        _changed("user_summary.covered", [{"begin": "2026-11-02"}]),
    ],
)
async def test_damage_of_any_kind_is_found_and_nothing_is_changed(document: dict[str, Any], database: Database) -> None:
    await database[ACCOUNTS].insert_one(document)
    stored = await database[ACCOUNTS].find_one()
    with pytest.raises(DatabaseError, match=f"^1 document .*{APPID}"):
        await load(database)
    assert await database[ACCOUNTS].find_one() == stored


def test_datasets_in_the_order_of_the_document() -> None:
    """It is the same in each process, whatever the hashes of the names."""
    names = [f"dataset_{number}" for number in range(20)]
    document = DOCUMENT | dict.fromkeys(names, DOCUMENT["user_cumulate"])
    read = from_document(document)
    assert list(read.datasets) == ["user_summary", "user_cumulate", *names]
    assert list(to_document(read))[-20:] == names


async def test_documents_that_no_appid_names_belong_to_somebody_else(database: Database) -> None:
    await database[ACCOUNTS].insert_many([DOCUMENT, {"_id": 7}, {"odd": "one"}])
    assert await load(database) == {APPID: KNOWN}


async def test_a_new_name_is_borne_by_all_documents_of_the_account_and_by_no_others(database: Database) -> None:
    days = [
        {"_id": 1, "account": APPID, "ref_date": "2026-11-22", "name": "acme", "new_user": 1},
        {"_id": 2, "account": APPID, "ref_date": "2026-11-23", "name": "acme", "new_user": 2},
        {"_id": 3, "account": "wxother", "ref_date": "2026-11-23", "name": "acme", "new_user": 3},
    ]
    await database[USER_DAILY].insert_many(days)
    await rename(database, APPID, "acme-shoes")
    stored = await database[USER_DAILY].find().sort("_id").to_list(None)
    assert stored == [days[0] | {"name": "acme-shoes"}, days[1] | {"name": "acme-shoes"}, days[2]]


async def test_a_new_name_that_a_validator_refuses_is_logged_and_ends_nothing(database: Database) -> None:
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
