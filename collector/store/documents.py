"""Reading what is stored as it is, whoever wrote it: no document is too damaged to be passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection

from collector.model.state import AccountState
from collector.store.database import AS_IT_IS, USER_DAILY, Database, Document, translated
from collector.store.state import ACCOUNTS, OURS, VERSION, from_document, replacement

_SOURCES = {"$cond": [{"$isArray": "$sources"}, {"$size": "$sources"}, None]}


@dataclass(frozen=True, slots=True)
class KnownState:
    """What the collection `accounts` holds of an account: nothing, a state, or what can be read of a damaged one."""

    state: AccountState | None
    damaged: bool = False


async def read_documents(database: Database, account: str, fields: Iterable[str]) -> list[Document]:
    """The documents of an account, sorted by `ref_date`: these `fields` alone, of `sources` how many there are."""
    wanted = {"_id": False, **dict.fromkeys(fields, True), "sources": _SOURCES}
    with translated():
        found = _collection(database, USER_DAILY).find({"account": account}, wanted).sort("ref_date")
        return await found.to_list(None)


async def count_ownerless(database: Database) -> int:
    """How many documents of `user_daily` belong to no account."""
    no_text = {"account": {"$not": {"$gte": ""}}}  # unlike {"$not": {"$type": "string"}} it is answered by the index
    with translated():
        return await database[USER_DAILY].count_documents(no_text)


async def read_state(database: Database, account: str) -> KnownState:
    """What is known of an account; of a damaged state, or one of another version, all that can be read."""
    with translated():
        document = await _collection(database, ACCOUNTS).find_one({"_id": account})
    if document is None:
        return KnownState(None)
    state = _state(document)
    return KnownState(_salvaged(document), damaged=True) if state is None else KnownState(state)


async def read_states(database: Database) -> tuple[dict[str, AccountState], list[str]]:
    """All states, by appid, and the appids of those that are damaged or of another version."""
    states: dict[str, AccountState] = {}
    damaged: list[str] = []
    with translated():
        async for document in _collection(database, ACCOUNTS).find(OURS):
            if state := _state(document):
                states[state.account] = state
            else:
                damaged.append(document["_id"])
    return states, damaged


async def replace_state(database: Database, state: AccountState) -> None:
    """Put `state` in the place of what was known."""
    with translated():
        await database[ACCOUNTS].bulk_write([replacement(state)])


def _collection(database: Database, name: str) -> AsyncIOMotorCollection[Document]:
    return database.get_collection(name, codec_options=AS_IT_IS)


def _state(document: Mapping[str, Any]) -> AccountState | None:
    try:
        return from_document(document)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _salvaged(document: Mapping[str, Any]) -> AccountState:
    """What can be read of a damaged document, part by part; name and tags aren't known."""
    sound: Document = {"_id": document["_id"], "version": VERSION, "name": document["_id"], "tags": []}
    for key in document.keys() - sound.keys():
        value = document[key]
        if isinstance(value, Mapping) and key != "authorizer":
            sound[key] = _salvaged_dataset(sound, key, value)
        elif _state({**sound, key: value}):
            sound[key] = value
    return from_document(sound)


def _salvaged_dataset(sound: Mapping[str, Any], name: str, document: Mapping[str, Any]) -> Document:
    kept: Document = {"covered": [], "void": [], "empty": []}
    for key, value in document.items():
        if _state({**sound, name: {**kept, key: value}}):
            kept[key] = value
    return kept
