"""Form of the documents of `user_daily`: its validator and its indexes."""

from __future__ import annotations

from collections.abc import Mapping
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

INDEXES = (
    IndexModel([("account", ASCENDING), ("ref_date", ASCENDING)], unique=True),
    IndexModel([("ref_date", ASCENDING)]),
)
