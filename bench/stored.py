"""Documents and states as daily runs have left them, stored in bulk without asking anybody."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database

from bench.job import COLLECTION, STATES, Job
from bench.measure import BenchError
from bench.world import Account, cumulate, days, summary
from collector.model.days import Days
from collector.model.state import DATASET_NAMES, AccountState, DatasetState
from collector.store.schema import midnight
from collector.store.state_document import to_document
from collector.store.views import VIEWS

AT_ONCE = 10_000
TEAMS = 20
"""Tags that accounts share."""


def fill(database: Database[dict[str, Any]], job: Job) -> None:
    """Store all days of a job but its newest, and make the views."""
    for view, stages in VIEWS.items():
        database.create_collection(view, viewOn=COLLECTION, pipeline=stages)
    _store(database, job, _days(job)[:-1])


def add_newest(database: Database[dict[str, Any]], job: Job) -> None:
    """Store the newest day of a job."""
    _store(database, job, _days(job)[-1:])


def _days(job: Job) -> Sequence[date]:
    """Return the days of a job, oldest first."""
    return [day for window in reversed(job.windows) for day in days(window)]


def _store(database: Database[dict[str, Any]], job: Job, some: Sequence[date]) -> None:
    """Store days, one of all accounts after the other, and the states that all days up to the last of them justify."""
    made = _documents(job, some)
    while batch := list(islice(made, AT_ONCE)):
        database[COLLECTION].insert_many(batch, ordered=False, bypass_document_validation=True)
    database[STATES].delete_many({})
    database[STATES].insert_many(_states(job, some[-1]))


def _documents(job: Job, some: Sequence[date]) -> Iterator[RawBSONDocument]:
    """Return the documents. Those of a day differ in account and name alone, so it is encoded once."""
    first, *_ = accounts = job.accounts
    keys = [(account.appid.encode(), account.name.encode()) for account in accounts]
    appid, name = keys[0]
    for day in some:
        encoded = bson.encode(_document(first, day))
        for other_appid, other_name in keys:
            yield RawBSONDocument(encoded.replace(appid, other_appid).replace(name, other_name))


def _document(account: Account, day: date) -> dict[str, Any]:
    sources = [{key: value for key, value in row.items() if key != "ref_date"} for row in summary(day)]
    new, cancelled = sum(row["new_user"] for row in sources), sum(row["cancel_user"] for row in sources)
    now = datetime.now(UTC)
    return {
        "account": account.appid,
        "ref_date": str(day),
        "date": midnight(day),
        "name": account.name,
        "new_user": new,
        "cancel_user": cancelled,
        "net_user": new - cancelled,
        "sources": sorted(sources, key=lambda row: row["user_source"]),
        "cumulate_user": cumulate(day),
        "fetched_at": dict.fromkeys(DATASET_NAMES, now),
    }


def _states(job: Job, newest: date) -> Iterator[dict[str, Any]]:
    covered, now = Days.between(_days(job)[0], newest), datetime.now(UTC)
    dataset = DatasetState(covered, refreshed_to=newest, last_success=now)
    for number, account in enumerate(job.accounts):
        tags = ("client", f"team-{number % TEAMS}")
        state = AccountState(account.appid, account.name, tags, datasets=dict.fromkeys(DATASET_NAMES, dataset))
        yield to_document(state) | {"epoch": 1}


def month_s(database: Database[dict[str, Any]], view: str, by: str, newest: date) -> float:
    """Return the seconds of a query for a month of a view, summed up `by` a column.

    Raises `BenchError` where the index of dates doesn't answer it.
    """
    end = midnight(newest)
    sums = {name: {"$sum": f"${name}"} for name in ("new_user", "cancel_user", "net_user")}
    stages: list[dict[str, Any]] = [
        {"$match": {"date": {"$gt": end - timedelta(days=30), "$lte": end}}},
        {"$group": {"_id": f"${by}", **sums}},
    ]
    query = {"aggregate": view, "pipeline": stages, "cursor": {}}
    if "date_1" not in str(database.command("explain", query, verbosity="queryPlanner")):
        raise BenchError(f"no index answers a month of {view}")
    began_s = time.perf_counter()
    list(database[view].aggregate(stages))
    return time.perf_counter() - began_s
