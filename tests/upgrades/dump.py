"""Restore a dump of a database that an older version has written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from bson import json_util
from motor.motor_asyncio import AsyncIOMotorDatabase


async def restore(database: AsyncIOMotorDatabase[dict[str, Any]], folder: Path) -> None:
    """Fill an empty `database` with the collections in `folder`: their options, indexes and documents."""
    described = json.loads((folder / "collections.json").read_text())
    for name, collection in described.items():
        await database.create_collection(name, **collection["options"])
        for index, options in collection["indexes"].items():
            # An index that expires documents would empty an old dump.
            if index != "_id_" and "expireAfterSeconds" not in options:
                await database[name].create_index(options.pop("key"), name=index, **options)
        if documents := read(folder, name):
            await database[name].insert_many(documents)


def read(folder: Path, collection: str) -> list[dict[str, Any]]:
    """Return the documents of a collection in the dump in `folder`."""
    with gzip.open(folder / f"{collection}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json_util.loads(line) for line in lines]
