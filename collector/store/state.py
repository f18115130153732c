"""State of the accounts: the collection `accounts`, read whole at the start and written after the data.

A document holds the whole value, so writing it twice is harmless::

    { _id: "wx…", version: 1, name: "acme-shoes", tags: ["retail"], born: "2019-03-02", history_since: "2015-01-01",
      authorizer: { component: "agency", nick_name: "Acme 鞋", mini_program: false },
      forced_tokens: { on: "2026-11-24", count: 1 },
      user_summary: { covered: [{ begin: "2026-11-01", end: "2026-11-23" }], void: [],
                      empty: [{ begin: …, end: …, on: "2026-11-24" }], refreshed_to: "2026-11-23",
                      not_before: ISODate(), calls: { on: "2026-11-24", count: 2 }, last_success: ISODate(),
                      last_error: { errmsg: …, errcode: …, rid: …, hint: …, since: ISODate(), at: ISODate() } },
      user_cumulate: { … } }

Unknown fields of the state are absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from pymongo import ReplaceOne

from collector.errors import DatabaseError
from collector.model.days import Days, Window
from collector.model.state import AccountState, Authorizer, DatasetState, Trouble
from collector.store.database import AS_IT_IS, MAX_SHOWN, Database, Document, translated
from collector.text import counted, printable

ACCOUNTS = "accounts"
VERSION = 1
OURS = {"_id": {"$regex": "^wx"}}
"""Query for the collector's own documents, whose `_id` is an appid; other tools may keep theirs beside them."""

_NOT_DATASETS = frozenset({"_id", "version", "name", "tags", "born", "history_since", "authorizer", "forced_tokens"})

_MAX_NAMED = 5
"""Damaged documents that a message names."""


async def load(database: Database) -> dict[str, AccountState]:
    """Read the state of all accounts ever collected, by appid, in one query.

    Raises `DatabaseError` for documents that are damaged or of another version; nothing is changed then.
    """
    states, damaged = await read_states(database)
    if damaged:
        named = ", ".join(printable(appid, MAX_SHOWN) for appid in damaged[:_MAX_NAMED])
        more = " and more" if len(damaged) > _MAX_NAMED else ""
        are = "is" if len(damaged) == 1 else "are"
        raise DatabaseError(
            f"{counted(len(damaged), 'document')} of `{ACCOUNTS}` {are} damaged or of another version ({named}{more}); "
            "nothing was changed. `collector verify --repair` makes them anew from the documents of user_daily"
        )
    return states


async def read_states(database: Database) -> tuple[dict[str, AccountState], list[str]]:
    """Read all states, by appid, and the appids of those that are damaged or of another version."""
    states: dict[str, AccountState] = {}
    damaged: list[str] = []
    with translated():
        async for document in database.get_collection(ACCOUNTS, codec_options=AS_IT_IS).find(OURS):
            if state := _readable(document):
                states[state.account] = state
            else:
                damaged.append(document["_id"])
    return states, damaged


async def read_state(database: Database, account: str) -> AccountState | None:
    """Read the state of one account; None where there is none, or it is damaged or of another version."""
    with translated():
        document = await database.get_collection(ACCOUNTS, codec_options=AS_IT_IS).find_one({"_id": account})
    return None if document is None else _readable(document)


async def replace_state(database: Database, state: AccountState) -> None:
    """Store `state` in place of whatever document the account had, even a damaged one."""
    with translated():
        await database[ACCOUNTS].bulk_write([replacement(state)])


def replacement(state: AccountState) -> ReplaceOne[Document]:
    """Return the write that stores `state` in place of the account's earlier one."""
    return ReplaceOne({"_id": state.account}, to_document(state), upsert=True)


def to_document(state: AccountState) -> Document:
    """Return the document of a state."""
    known = {
        "_id": state.account,
        "version": VERSION,
        "name": state.name,
        "tags": list(state.tags),
        "born": state.born and str(state.born),
        "history_since": state.history_since and str(state.history_since),
        "authorizer": state.authorizer and {key: getattr(state.authorizer, key) for key in Authorizer.__slots__},
        "forced_tokens": state.forced_on and {"on": str(state.forced_on), "count": state.forced_tokens},
    }
    return _present(known | {name: _dataset(dataset) for name, dataset in state.datasets.items()})


def from_document(document: Mapping[str, Any]) -> AccountState:
    """Return the state that a document holds.

    Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` where it is damaged or of another version.
    """
    if document["version"] != VERSION or not isinstance(document["_id"], str):
        raise ValueError("another version")
    forced = document.get("forced_tokens", {})
    return AccountState(
        account=document["_id"],
        name=document["name"],
        tags=tuple(document["tags"]),
        born=_date(document.get("born")),
        history_since=_date(document.get("history_since")),
        authorizer=_authorizer(document.get("authorizer")),
        forced_on=_date(forced.get("on")),
        forced_tokens=int(forced.get("count", 0)),
        # In the document's order: that of a set differs from process to process.
        datasets={name: _dataset_state(document[name]) for name in document if name not in _NOT_DATASETS},
    )


def _readable(document: Mapping[str, Any]) -> AccountState | None:
    try:
        return from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None  # damage can be of any form: a text in the place of a list, an infinite count


def _authorizer(document: Mapping[str, Any] | None) -> Authorizer | None:
    if document is None:
        return None
    # Only a plain true leaves an account out of all runs.
    return Authorizer(document["component"], document["nick_name"], document["mini_program"] is True)


def _dataset(dataset: DatasetState) -> Document:
    calls = {"on": str(dataset.calls_on), "count": dataset.calls} if dataset.calls_on else None
    error = dataset.last_error
    return _present(
        {
            "covered": _ranges(dataset.covered),
            "void": _ranges(dataset.void),
            "empty": [span | {"on": str(on)} for on, days in dataset.empty.items() for span in _ranges(days)],
            "refreshed_to": dataset.refreshed_to and str(dataset.refreshed_to),
            "looked": _ranges(dataset.looked) or None,
            "not_before": dataset.not_before,
            "calls": calls,
            "last_success": dataset.last_success,
            "last_error": error and {key: getattr(error, key) for key in Trouble.__slots__},
        }
    )


def _dataset_state(document: Mapping[str, Any]) -> DatasetState:
    calls = document.get("calls", {})
    error = document.get("last_error")
    empty: dict[date, list[Window]] = {}
    for span in document["empty"]:
        empty.setdefault(date.fromisoformat(span["on"]), []).append(_window(span))
    return DatasetState(
        covered=Days.joined(map(_window, document["covered"])),
        void=Days.joined(map(_window, document["void"])),
        empty={on: Days.joined(windows) for on, windows in empty.items()},
        refreshed_to=_date(document.get("refreshed_to")),
        looked=Days.joined(map(_window, document.get("looked", ()))),
        not_before=_utc(document.get("not_before")),
        calls_on=_date(calls.get("on")),
        calls=int(calls.get("count", 0)),
        last_success=_utc(document.get("last_success")),
        last_error=Trouble(**{**error, "since": _utc(error["since"]), "at": _utc(error["at"])}) if error else None,
    )


def _present(values: Mapping[str, Any]) -> Document:
    return {key: value for key, value in values.items() if value is not None}


def _ranges(days: Days) -> list[Document]:
    return [{"begin": str(window.begin), "end": str(window.end)} for window in days.ranges]


def _window(span: Mapping[str, str]) -> Window:
    return Window(date.fromisoformat(span["begin"]), date.fromisoformat(span["end"]))


def _date(day: str | None) -> date | None:
    return None if day is None else date.fromisoformat(day)


def _utc(instant: datetime | None) -> datetime | None:
    """Add the zone: MongoDB keeps instants in UTC and gives them without one."""
    return None if instant is None else instant.replace(tzinfo=UTC)
