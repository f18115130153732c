"""Views of `user_daily` for BI tools, which can't read arrays: nothing is stored twice.

`user_daily_flat` has a row for each account and day, `user_source_daily` one for each channel of it. MongoDB puts a
filter by `date` before all their stages, so that the index of `date` answers it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from pymongo.errors import OperationFailure

from collector.model.channels import CHANNELS
from collector.store.database import NAMESPACE_EXISTS, PASSING, Database, Document, outlasting
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS
from collector.text import printable

Expression = Mapping[str, Any]
Pipeline = Sequence[Expression]
log = structlog.get_logger()


def _of_numbers(one: str, other: str, result: Expression) -> Expression:
    """Return a `result`, or null where one of its fields is no number: one error in a row would fail a whole query."""
    return {"$cond": [{"$and": [{"$isNumber": one}, {"$isNumber": other}]}, result, None]}


def _ratio(part: str, whole: str) -> Expression:
    """Return the quotient of two fields, or null where there is none."""
    return _of_numbers(part, whole, {"$cond": [{"$gt": [whole, 0]}, {"$divide": [part, whole]}, None]})


def _channel(names: Sequence[str]) -> Expression:
    """Return a channel's name, one of `names` in the order of the table of channels; of an unknown one its number."""
    # An unknown channel has the index -1, which is that of the last element.
    name = {"$arrayElemAt": [[*names, None], {"$indexOfArray": [[*CHANNELS], "$sources.user_source"]}]}
    number = {"$convert": {"input": "$sources.user_source", "to": "string", "onError": None}}
    return {"$ifNull": [name, number]}


_JOINED = {"$cond": [{"$eq": ["$$value", ""]}, "$$tag", {"$concat": ["$$value", ";", "$$tag"]}]}
_TAG = {"$convert": {"input": "$$this", "to": "string", "onError": "", "onNull": ""}}
_TAGS = {
    "$let": {
        "vars": {"tags": {"$first": "$state.tags"}},
        "in": {
            "$reduce": {
                "input": {"$cond": [{"$isArray": "$$tags"}, "$$tags", []]},
                "initialValue": "",
                "in": {"$let": {"vars": {"tag": _TAG}, "in": _JOINED}},
            }
        },
    }
}
"""The tags of the account's state, joined by `;`, and an empty text without any."""

_NEW, _LOST = "$sources.new_user", "$sources.cancel_user"
_DAY = {"_id": False, **dict.fromkeys(("account", "name", "date", "ref_date"), True)}

VIEWS: Mapping[str, Pipeline] = {
    "user_daily_flat": [
        # The first stage: MongoDB's faster engine, which knows few stages, takes it over then.
        {"$lookup": {"from": ACCOUNTS, "localField": "account", "foreignField": "_id", "as": "state"}},
        {
            "$project": {
                **_DAY,
                "tags": _TAGS,
                **dict.fromkeys(("new_user", "cancel_user", "net_user", "cumulate_user"), True),
                "unfollow_rate": _ratio("$cancel_user", "$cumulate_user"),
                "lost_to_new": _ratio("$cancel_user", "$new_user"),
            }
        },
    ],
    "user_source_daily": [
        {"$unwind": "$sources"},
        {
            "$project": {
                **_DAY,
                "user_source": "$sources.user_source",
                "channel": _channel([channel.chinese for channel in CHANNELS.values()]),
                "channel_en": _channel([channel.english for channel in CHANNELS.values()]),
                "new_user": _NEW,
                "cancel_user": _LOST,
                "net_user": _of_numbers(_NEW, _LOST, {"$subtract": [_NEW, _LOST]}),
            }
        },
    ],
}
"""The views by name: their stages over the documents of `user_daily`."""


async def prepare_views(database: Database) -> None:
    """Create the views, and those that differ anew; where MongoDB refuses, or a name is taken, only log that."""
    found = await outlasting(lambda: _found(database))
    for name, pipeline in VIEWS.items():
        options = found.get(name)
        if options is not None and options.get("viewOn") != USER_DAILY:
            what = f"{name} isn't the collector's view of {USER_DAILY}, and was left as it is (see docs/bi.md)"
            log.warning("database.differs", what=what)
        elif options is None or options["pipeline"] != pipeline:
            await outlasting(partial(_make, database, name, pipeline, is_there=options is not None))


async def _found(database: Database) -> dict[str, Document]:
    """Return the options of the collections and views that have these names."""
    cursor = await database.list_collections(filter={"name": {"$in": [*VIEWS]}})
    return {each["name"]: each.get("options", {}) async for each in cursor}


async def _make(database: Database, name: str, pipeline: Pipeline, *, is_there: bool) -> None:
    try:
        if is_there:  # `collMod` would change it in one step, but the role readWrite doesn't allow that
            await database.drop_collection(name)
        await database.create_collection(name, viewOn=USER_DAILY, pipeline=pipeline, check_exists=False)
    except OperationFailure as error:
        if error.code in PASSING:
            raise
        if error.code != NAMESPACE_EXISTS:  # another run was quicker
            reason = printable((error.details or {}).get("errmsg"), 200)
            log.warning("database.differs", what=f"MongoDB refused to make the view {name} ({reason}): see docs/bi.md")
