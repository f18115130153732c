"""Reading the documents of `user_daily` as they are, whoever wrote them: a strange one is returned, never an error."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from collector.store.database import AS_IT_IS, Database, Document, outlasting
from collector.store.schema import USER_DAILY

_SOURCES = {"$cond": [{"$isArray": "$sources"}, {"$size": "$sources"}, None]}


async def read_documents(database: Database, account: str, fields: Iterable[str]) -> list[Document]:
    """Return the documents of an account, sorted by `ref_date`: these `fields`, and the number of `sources`."""
    wanted = {"_id": False, **dict.fromkeys(fields, True), "sources": _SOURCES}
    collection = database.get_collection(USER_DAILY, codec_options=AS_IT_IS)
    return await outlasting(lambda: collection.find({"account": account}, wanted).sort("ref_date").to_list(None))


async def read_totals(database: Database, day: date) -> dict[str, int]:
    """Return the `cumulate_user` of a day, by account."""
    wanted = {"_id": False, "account": True, "cumulate_user": True}
    found = database[USER_DAILY].find({"ref_date": str(day), "cumulate_user": {"$type": "number"}}, wanted)
    documents = await outlasting(lambda: found.clone().to_list(None))
    return {document["account"]: document["cumulate_user"] for document in documents}


async def count_ownerless(database: Database) -> int:
    """Return the number of documents of `user_daily` whose `account` isn't a text."""
    no_text = {"account": {"$not": {"$gte": ""}}}  # unlike {"$not": {"$type": "string"}} it is answered by the index
    return await outlasting(lambda: database[USER_DAILY].count_documents(no_text))
