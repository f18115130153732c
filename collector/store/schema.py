"""Form of the documents of `user_daily`: its validator and its indexes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from pymongo import ASCENDING, IndexModel

USER_DAILY = "user_daily"

_COUNT = {"bsonType": ["int", "long"], "minimum": 0}
VALIDATOR: Mapping[str, Any] = {
    "$jsonSchema": {
        "bsonType": "object",
        "required": ["account", "ref_date", "name"],
        "properties": {
            "account": {"bsonType": "string", "minLength": 1},
            "ref_date": {"bsonType": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "name": {"bsonType": "string", "minLength": 1},
            "new_user": _COUNT,
            "cancel_user": _COUNT,
            "net_user": {"bsonType": ["int", "long"]},
            "cumulate_user": _COUNT,
            "sources": {
                "bsonType": "array",
                "items": {
                    "bsonType": "object",
                    "required": ["user_source", "new_user", "cancel_user"],
                    "properties": {"user_source": _COUNT, "new_user": _COUNT, "cancel_user": _COUNT},
                },
            },
            "fetched_at": {"bsonType": "object"},
        },
    }
}
"""Validator of `user_daily`; it allows more fields."""

UNIQUE = IndexModel([("account", ASCENDING), ("ref_date", ASCENDING)], unique=True)
INDEXES = (UNIQUE, IndexModel([("ref_date", ASCENDING)]), IndexModel([("date", ASCENDING)]))


@lru_cache(maxsize=8192)  # the days of 22 years
def midnight(day: date) -> datetime:
    """Return a day as the field `date` holds it: its midnight in UTC.

    Without a zone, which means UTC to PyMongo, and which it encodes in less than half the time.
    """
    return datetime.combine(day, time.min)
