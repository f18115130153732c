"""The ledger: one document a run in the collection `runs`, kept for 400 days.

::

    { _id: "20261124T023010Z-1f9a3c", command: "run", version: "0.3.0", host: "collector-1", pid: 4711,
      began: ISODate(), ended: ISODate(), status: "partial", exit: 3, stop_signal: 15,
      accounts: { total: 50, ok: 48, pending: 0, failed: 2, skipped: 0 },
      calls: 104, token_calls: 50, retries: 4, days: 96, failures: [{ account: …, errmsg: …, … }],
      failures_left_out: 17, error: "…" }

`status` is "running" until the run ends, then that of `RunResult.status`. The next run closes an entry that is still
"running" and has no lease any more: as "stopped" if a signal had come, else as "crashed". Its `ended` is then the
instant at which it was closed, and the fields of an outcome are absent. A run that asks again for pending accounts has
no lease between two rounds, and `pauses_until` then: it isn't closed before. `stop_signal`, `failures_left_out` and
`error` are absent where there was none. The instants are those of the server's clock.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ASCENDING, DESCENDING, IndexModel

from collector.model.ledger import COMPLETED, RunRecord
from collector.model.results import Failure, RunResult
from collector.store.database import AS_IT_IS, Database, Document, outlasting
from collector.store.leases import live_runs

RUNS = "runs"

KEPT_DAYS = 400

PAUSE_S = 1_800
"""Seconds that a run may be between two rounds; it comes back every ten minutes, unless MongoDB is out of reach."""

_PAUSES = {"$gt": ["$pauses_until", "$$NOW"]}

MAX_FAILURES = 1_000
"""Failures in one document, which MongoDB limits to 16 MB: a run may fail for ten thousand accounts."""


_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("command", "status", "version", "host", "error"), str),
    **dict.fromkeys(("pid", "exit", "calls", "token_calls", "retries", "days", "failures_left_out"), int),
    **dict.fromkeys(("began", "ended", "pauses_until"), datetime),
    "accounts": dict,
    "failures": list,
}

_TYPES_OF_FAILURE: Mapping[str, type] = {
    **dict.fromkeys(("account", "name", "dataset", "errmsg", "rid", "hint"), str),
    **dict.fromkeys(("errcode", "windows", "accounts"), int),
    "since": datetime,
    "new": bool,
}


def new_run_id(now: datetime) -> str:
    """Return an id for a run that begins `now` (UTC): the instant, so that ids sort by time, and random digits."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


async def prepare_runs(database: Database) -> None:
    """Create the index by which MongoDB deletes entries after `KEPT_DAYS`, and delete those that have expired."""
    indexes = (await outlasting(database[RUNS].index_information)).values()
    # An operator may have chosen another time, or none, so any index on that field is left as it is.
    found = [index for index in indexes if index["key"] == [("began", ASCENDING)]]
    kept_s = found[0].get("expireAfterSeconds") if found else KEPT_DAYS * 86_400
    if not found:
        expiry = IndexModel([("began", ASCENDING)], name="began", expireAfterSeconds=kept_s)
        await outlasting(lambda: database[RUNS].create_indexes([expiry]))
    if kept_s is not None:
        # MongoDB itself deletes once a minute, and a local mongod may never live for that long.
        is_old = {"$lt": ["$began", {"$subtract": ["$$NOW", kept_s * 1000]}]}
        expired = {"began": {"$type": "date"}, "$expr": is_old}
        await outlasting(lambda: database[RUNS].delete_many(expired))


async def begin(database: Database, run: str, *, command: str, version: str, accounts: int) -> None:
    """Close entries of dead runs, and enter this run, which holds its lease, over `accounts` accounts."""
    # The entries before the leases: a run enters the ledger only when it has its lease. So whatever is open here, and
    # has no lease then, is dead.
    is_over = {"$expr": {"$not": _PAUSES}}
    is_open = {"status": "running", "ended": {"$exists": False}} | is_over
    entered = await outlasting(lambda: database[RUNS].find(is_open, {"_id": True}).to_list(None))
    alive = await live_runs(database)
    is_dead = {"_id": {"$in": [each["_id"] for each in entered if each["_id"] not in alive]}}
    status = {"$cond": [{"$gt": ["$stop_signal", None]}, "stopped", "crashed"]}
    origin = {"command": command, "version": version, "host": socket.gethostname(), "pid": os.getpid()}
    entry = origin | {"status": "running", "accounts": {"total": accounts}}
    closed = [{"$set": {"status": status, "ended": "$$NOW"}}]
    await outlasting(lambda: database[RUNS].update_many(is_dead | is_open, closed))
    begun = {"$set": entry, "$currentDate": {"began": True}}
    await outlasting(lambda: database[RUNS].update_one({"_id": run}, begun, upsert=True))


async def pause(database: Database, run: str) -> None:
    """Note that the run has no lease, and will try to take it within `PAUSE_S`, even if it was taken for dead."""
    until = {"$add": ["$$NOW", PAUSE_S * 1000]}
    pausing: list[Document] = [{"$set": {"status": "running", "pauses_until": until}}, {"$unset": "ended"}]
    await outlasting(lambda: database[RUNS].update_one({"_id": run}, pausing))


async def resume(database: Database, run: str) -> None:
    """Note that a run that paused goes on, even if it was taken for dead."""
    going_on = {"$set": {"status": "running"}, "$unset": {"pauses_until": True, "ended": True}}
    await outlasting(lambda: database[RUNS].update_one({"_id": run}, going_on))


async def note_stop(database: Database, run: str, signal: int) -> None:
    """Enter the signal that stops the run, in case the run is killed before its end."""
    await outlasting(lambda: database[RUNS].update_one({"_id": run}, {"$set": {"stop_signal": signal}}))


async def end(database: Database, result: RunResult) -> None:
    """Enter the outcome of the run."""
    left_out = len(result.failures) - MAX_FAILURES
    fields = {
        "status": result.status,
        "exit": int(result.exit),
        "accounts": {"total": result.total} | {str(outcome): count for outcome, count in result.outcomes.items()},
        "calls": result.calls,
        "token_calls": result.token_calls,
        "retries": result.retries,
        "days": result.days,
        "failures": [_failure_document(failure) for failure in result.failures[:MAX_FAILURES]],
        **({"failures_left_out": left_out} if left_out > 0 else {}),
        **({"error": result.error} if result.error is not None else {}),
        **({"stop_signal": result.stopped_by} if result.stopped_by is not None else {}),
    }
    ended = {"$set": fields, "$currentDate": {"ended": True}, "$unset": {"pauses_until": True}}
    # No upsert: a run that failed before `begin` has no entry, and gets none.
    await outlasting(lambda: database[RUNS].update_one({"_id": result.run}, ended))


async def read_runs(database: Database, number: int) -> list[RunRecord]:
    """Return the last runs, that many at most, the newest first, without their failures.

    Raises `DatabaseError` when MongoDB is out of reach.
    """
    found = _as_it_is(database).find({}, {"failures": False}).sort("_id", DESCENDING).limit(number)
    return await _read(database, lambda: found.clone().to_list(number))


async def read_run(database: Database, run: str) -> RunRecord | None:
    """Return one run, with its failures; None where the ledger has none of that id.

    Raises `DatabaseError` when MongoDB is out of reach.
    """
    records = await _read(database, lambda: _as_it_is(database).find({"_id": run}).to_list(1))
    return records[0] if records else None


async def read_last_completed(database: Database) -> RunRecord | None:
    """Return the run that was completed last, for whatever part of the accounts, without its failures.

    Raises `DatabaseError` when MongoDB is out of reach.
    """
    query = {"status": {"$in": COMPLETED}, "ended": {"$type": "date"}}
    # By the end: a long backfill may have begun before the run that was completed before it.
    found = _as_it_is(database).find(query, {"failures": False}).sort("ended", DESCENDING).limit(1)
    records = await _read(database, lambda: found.clone().to_list(1))
    return records[0] if records else None


async def _read(database: Database, find: Callable[[], Awaitable[list[Document]]]) -> list[RunRecord]:
    # A run that ends in between has had its lease before, and one that begins has it afterwards: neither has crashed.
    before = await live_runs(database)
    documents = await outlasting(find)
    alive = {*before, *await live_runs(database)}
    return [_record(document, alive) for document in documents]


def _as_it_is(database: Database) -> AsyncIOMotorCollection[Document]:
    return database.get_collection(RUNS, codec_options=AS_IT_IS)


def _record(document: Mapping[str, Any], alive: Collection[str]) -> RunRecord:
    """Return the run of a document, of whatever version: what isn't there, or of another type, is absent."""
    known: Document = {"command": "", "status": ""} | _typed(_TYPES, document)
    for key in {"began", "ended", "pauses_until"} & known.keys():
        known[key] = known[key].replace(tzinfo=UTC)  # MongoDB gives instants without a zone
    if "accounts" in known:
        known["accounts"] = {key: count for key, count in known["accounts"].items() if isinstance(count, int)}
    known["failures"] = tuple(_failure(each) for each in known.get("failures", ()) if isinstance(each, dict))
    run = str(document["_id"])
    pauses = known.pop("pauses_until", None)
    return RunRecord(run, **known, at_work=run in alive or bool(pauses and pauses > datetime.now(UTC)))


def _failure_document(failure: Failure) -> Document:
    """Return a failure as it is stored, without the fields that say nothing."""
    left_out = ({"since"} if failure.since is None else set()) | (set() if failure.new else {"new"})
    return {key: value for key, value in asdict(failure).items() if key not in left_out}


def _failure(document: Mapping[str, Any]) -> Failure:
    required: Document = {"account": None, "name": "", "dataset": None, "errmsg": ""}
    known = required | _typed(_TYPES_OF_FAILURE, document)
    if "since" in known:
        known["since"] = known["since"].replace(tzinfo=UTC)
    return Failure(**known)


def _typed(types: Mapping[str, type], document: Mapping[str, Any]) -> Document:
    """Return those fields of a document that have their type."""
    return {key: document[key] for key, type_ in types.items() if isinstance(document.get(key), type_)}
