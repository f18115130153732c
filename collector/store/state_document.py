"""The document of an account's state in the collection `accounts`.

It holds the whole value, so writing it twice is harmless::

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

`epoch` is that of the lease under which it was written (`state.py`); earlier versions write back what they read. Fields
of the state without a value are absent. Keys that this version doesn't know are read and written back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from collector.kinds import WaitKind
from collector.model.days import FIRST_DAY, OLDEST, Days, Window
from collector.model.state import DATASET_NAMES, AccountState, Authorizer, DatasetState, Trouble, UnusableState
from collector.model.waits import Wait
from collector.store.database import Document

VERSION = 1
UPGRADES: Mapping[int, Callable[[Document], Document]] = {}
"""Pure upgrades of a document, by its version: each returns the document as the next version has it."""

_NOT_DATASETS = frozenset(
    {"_id", "version", "epoch", "name", "tags", "born", "history_since", "authorizer", "forced_tokens", "held"}
)
_KNOWN = _NOT_DATASETS.union(DATASET_NAMES)
_KNOWN_OF_DATASET = frozenset(DatasetState._fields) - {"calls_on", "unknown"} | {"not_before"}


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


def read(document: Mapping[str, Any]) -> AccountState | UnusableState:
    """Return the state that a document holds, or why it can't be used."""
    try:
        if document["version"] > VERSION:
            return UnusableState(document["_id"], is_newer=True)
        return from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        # Damage can be of any form: a text in the place of a list, an infinite count.
        return UnusableState(document["_id"])


def _upgraded(document: Mapping[str, Any]) -> Mapping[str, Any]:
    while (version := document["version"]) != VERSION:
        document = {**UPGRADES[version](dict(document)), "version": version + 1}
    return document


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
