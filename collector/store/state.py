"""State of the accounts: the collection `accounts`, read whole at the start and written after the data.

A document holds the whole value, so writing it twice is harmless::

    { _id: "wx…", version: 1, epoch: 1795487410123, name: "acme-shoes", tags: ["retail"], born: "2019-03-02",
      history_since: "2015-01-01",
      authorizer: { component: "agency", nick_name: "Acme 鞋", mini_program: false },
      forced_tokens: { on: "2026-11-24", count: 1 }, held: [{ begin: "2026-11-23", end: "2026-11-24" }],
      user_summary: { covered: [{ begin: "2026-11-01", end: "2026-11-23" }], void: [],
                      empty: [{ begin: …, end: …, on: "2026-11-24" }], refreshed_to: "2026-11-23",
                      not_before: ISODate(), wait: { kind: "quota", errcode: 45009 },
                      calls: { on: "2026-11-24", count: 2 }, last_success: ISODate(),
                      last_error: { errmsg: …, errcode: …, rid: …, hint: …, since: ISODate(), at: ISODate() } },
      user_cumulate: { … } }

`epoch` is that of the lease under which it was written: no run replaces what was written under a later lease than its
own. Earlier versions write back what they read. Fields of the state without a value are absent. Keys that this version
doesn't know are read and written back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReplaceOne

from collector.errors import DatabaseError
from collector.kinds import WaitKind
from collector.model.days import FIRST_DAY, OLDEST, Days, Window
from collector.model.state import DATASET_NAMES, AccountState, Authorizer, DatasetState, Trouble, UnusableState
from collector.model.waits import Wait
from collector.store.database import AS_IT_IS, Database, Document, outlasting
from collector.store.held import Held

ACCOUNTS = "accounts"
VERSION = 1
UPGRADES: Mapping[int, Callable[[Document], Document]] = {}
"""Pure upgrades of a document, by its version: each returns the document as the next version has it."""

OURS = {"_id": {"$regex": "^wx"}}
"""Query for the collector's own documents, whose `_id` is an appid; other tools may keep theirs beside them."""

_NOT_DATASETS = frozenset(
    {"_id", "version", "epoch", "name", "tags", "born", "history_since", "authorizer", "forced_tokens", "held"}
)
_KNOWN = _NOT_DATASETS.union(DATASET_NAMES)
_KNOWN_OF_DATASET = frozenset(DatasetState._fields) - {"calls_on", "unknown"} | {"not_before"}

_OUTLINE = ("version", "name", "tags", "authorizer")

_BATCH_SIZE = 100
"""Documents read before other tasks get their turn. MongoDB's own batches hold thousands, which take a second."""


async def load(database: Database) -> dict[str, AccountState]:
    """Read the states that can be used, of all accounts ever collected, by appid."""
    states, _ = await read_states(database)
    return states


async def read_states(
    database: Database, appids: Sequence[str] | None = None
) -> tuple[dict[str, AccountState], dict[str, UnusableState]]:
    """Read the states of all accounts ever collected, or of `appids`, and those that can't be used, in one query."""
    query = OURS if appids is None else {"_id": {"$in": appids}}
    return await outlasting(lambda: _read_all(_accounts(database), query))


async def read_outlines(database: Database) -> dict[str, AccountState]:
    """Read the name and the platform of each account ever collected, by appid: a state without its datasets."""
    states, _ = await outlasting(lambda: _read_all(_accounts(database), OURS, _OUTLINE))
    return states


async def read_state(database: Database, account: str) -> AccountState | UnusableState | None:
    """Read the state of one account; None where there is none."""
    document = await outlasting(lambda: _accounts(database).find_one({"_id": account}))
    return None if document is None else _read(document)


async def replace_state(database: Database, state: AccountState, held: Held) -> None:
    """Store `state` in place of whatever document the account had, even a damaged one.

    Raises `DatabaseError` where the lease is lost.
    """

    async def call() -> None:
        held.check()
        await database[ACCOUNTS].replace_one(*_replacement(state, held.epoch), upsert=True)

    try:
        await outlasting(call)
    except DatabaseError:
        await lose_if_taken_over(database, [state.account], held)
        raise


def replacement(state: AccountState, epoch: int) -> ReplaceOne[Document]:
    """Return the write that stores `state` in place of the account's earlier one.

    MongoDB refuses it as a duplicate where that was written under a later lease than the one of `epoch`.
    """
    return ReplaceOne(*_replacement(state, epoch), upsert=True)


def change_of_platform(state: AccountState, before: AccountState | None, epoch: int) -> ReplaceOne[Document]:
    """Return the write that stores the state of an account that a platform has found or lost since `before` was read.

    MongoDB refuses it as a duplicate where another run has given the account to another platform meanwhile.
    """
    earlier, document = _replacement(state, epoch)
    # With the platform that this run gives it: a write whose answer never came is repeated.
    platforms = [each.authorizer.component if each and each.authorizer else None for each in (before, state)]
    return ReplaceOne(earlier | {"authorizer.component": {"$in": platforms}}, document, upsert=True)


async def lose_if_taken_over(database: Database, refused: Iterable[str], held: Held) -> None:
    """Lose the lease if MongoDB `refused` these accounts' states since a later run has written one of them.

    Raises `DatabaseError` then.
    """
    later = {"_id": {"$in": list(refused)}, "epoch": {"$gt": held.epoch}}
    if await outlasting(lambda: database[ACCOUNTS].find_one(later, {"_id": True})):
        raise held.lose("another run has taken over its accounts").copy()


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
        "held": _ranges(state.held) or None,
    }
    return _present(known | {name: _dataset(dataset) for name, dataset in state.datasets.items()}) | dict(state.unknown)


def from_document(document: Mapping[str, Any]) -> AccountState:
    """Return the state that a document holds.

    Raises `ValueError`, `TypeError`, `KeyError`, `AttributeError` or `OverflowError` where it is damaged or of a newer
    version.
    """
    document = _upgraded(document)
    if not isinstance(document["name"], str):
        raise TypeError("a name that is no text")
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
        held=Days.joined(map(_window, document.get("held", ()))),
        # In the document's order: that of a set differs from process to process.
        datasets={name: _dataset_state(document[name]) for name in document if name in DATASET_NAMES},
        unknown=_beyond(_KNOWN, document),
    )


def _replacement(state: AccountState, epoch: int) -> tuple[Document, Document]:
    earlier = {"_id": state.account, "epoch": {"$not": {"$gt": epoch}}}  # also true without an epoch
    return earlier, to_document(state) | {"epoch": epoch}


def _accounts(database: Database) -> AsyncIOMotorCollection[Document]:
    return database.get_collection(ACCOUNTS, codec_options=AS_IT_IS)


async def _read_all(
    accounts: AsyncIOMotorCollection[Document], query: Document, fields: Sequence[str] | None = None
) -> tuple[dict[str, AccountState], dict[str, UnusableState]]:
    states: dict[str, AccountState] = {}
    unusable: dict[str, UnusableState] = {}
    async for document in accounts.find(query, fields, batch_size=_BATCH_SIZE):
        state = _read(document)
        if isinstance(state, AccountState):
            states[state.account] = state
        else:
            unusable[state.account] = state
    return states, unusable


def _upgraded(document: Mapping[str, Any]) -> Mapping[str, Any]:
    while (version := document["version"]) != VERSION:
        document = {**UPGRADES[version](dict(document)), "version": version + 1}
    return document


def _read(document: Mapping[str, Any]) -> AccountState | UnusableState:
    try:
        if document["version"] > VERSION:
            return UnusableState(document["_id"], is_newer=True)
        return from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        # Damage can be of any form: a text in the place of a list, an infinite count.
        return UnusableState(document["_id"])


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
            "not_before": dataset.wait and dataset.wait.until,
            "wait": dataset.wait and _reason(dataset.wait),
            "calls": calls,
            "last_success": dataset.last_success,
            "last_error": error and {key: getattr(error, key) for key in Trouble.__slots__},
        }
    ) | dict(dataset.unknown)


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
        wait=_wait(document),
        calls_on=_date(calls.get("on")),
        calls=int(calls.get("count", 0)),
        last_success=_utc(document.get("last_success")),
        last_error=_trouble(error) if error else None,
        unknown=_beyond(_KNOWN_OF_DATASET, document),
    )


def _reason(wait: Wait) -> Document | None:
    """Return why a dataset waits, apart from the end; None where that isn't known."""
    known = _present({"kind": str(wait.kind), "errcode": wait.errcode})
    return None if wait.kind is WaitKind.NOT_BEFORE else known


def _wait(document: Mapping[str, Any]) -> Wait | None:
    """Return the wait of a dataset; an earlier version has stored nothing but its end."""
    if not (until := _utc(document.get("not_before"))):
        return None
    reason = document.get("wait", {"kind": WaitKind.NOT_BEFORE})
    # A later version knows more kinds.
    kind = next((kind for kind in WaitKind if kind == reason["kind"]), WaitKind.NOT_BEFORE)
    return Wait(kind, until, reason.get("errcode"))


def _trouble(document: Mapping[str, Any]) -> Trouble:
    known = {key: document[key] for key in Trouble.__slots__}
    return Trouble(**{**known, "since": _utc(document["since"]), "at": _utc(document["at"])})


def _beyond(known: frozenset[str], document: Mapping[str, Any]) -> Document:
    """Return what another version has added to a document."""
    return {key: document[key] for key in document if key not in known}


def _present(values: Mapping[str, Any]) -> Document:
    return {key: value for key, value in values.items() if value is not None}


def _ranges(days: Days) -> list[Document]:
    return [{"begin": str(window.begin), "end": str(window.end)} for window in days.ranges]


def _window(span: Mapping[str, str]) -> Window:
    window = Window(date.fromisoformat(span["begin"]), date.fromisoformat(span["end"]))
    if window.begin < FIRST_DAY:
        raise ValueError("days before WeChat's first one")
    return window


def _date(day: str | None) -> date | None:
    """Return the day that a text names. Raises `ValueError` for one before there was any official account."""
    found = None if day is None else date.fromisoformat(day)
    if found and found < OLDEST:
        raise ValueError("a day before 2012")
    return found


def _utc(instant: datetime | None) -> datetime | None:
    """Add the zone: MongoDB keeps instants in UTC and gives them without one."""
    return None if instant is None else instant.replace(tzinfo=UTC)
