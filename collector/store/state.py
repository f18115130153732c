"""State of the accounts: the collection `accounts`, read whole at the start and written after the data.

A state is written under a lease, whose epoch its document bears: no run replaces what was written under a later lease
than its own. The form of the documents is in `state_document.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import DESCENDING, ReplaceOne

from collector.errors import DatabaseError
from collector.model.state import AccountState, UnusableState
from collector.store.database import AS_IT_IS, Database, Document, outlasting
from collector.store.held import Held
from collector.store.lease_document import surpass
from collector.store.state_document import read, to_document

ACCOUNTS = "accounts"
OURS = {"_id": {"$regex": "^wx"}}
"""Query for the collector's own documents, whose `_id` is an appid; other tools may keep theirs beside them."""

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
    return None if document is None else read(document)


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


async def delete_state(database: Database, account: str, held: Held) -> None:
    """Delete the document of an account, even a damaged one, if there is one.

    Raises `DatabaseError` where the lease is lost.
    """

    async def call() -> None:
        held.check()
        await database[ACCOUNTS].delete_one(_earlier(account, held.epoch))

    await outlasting(call)
    await lose_if_taken_over(database, [account], held)


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
    found = await outlasting(lambda: database[ACCOUNTS].find_one(later, {"epoch": True}, sort=[("epoch", DESCENDING)]))
    if found:
        # Nobody has taken over where the server's clock was ahead once, and the document of leases was deleted since
        # then: without this all runs would end here.
        await outlasting(lambda: surpass(database, found["epoch"]))
        raise held.lose("another run has taken over its accounts").copy()


def _replacement(state: AccountState, epoch: int) -> tuple[Document, Document]:
    return _earlier(state.account, epoch), to_document(state) | {"epoch": epoch}


def _earlier(account: str, epoch: int) -> Document:
    return {"_id": account, "epoch": {"$not": {"$gt": epoch}}}  # also true without an epoch


def _accounts(database: Database) -> AsyncIOMotorCollection[Document]:
    return database.get_collection(ACCOUNTS, codec_options=AS_IT_IS)


async def _read_all(
    accounts: AsyncIOMotorCollection[Document], query: Document, fields: Sequence[str] | None = None
) -> tuple[dict[str, AccountState], dict[str, UnusableState]]:
    states: dict[str, AccountState] = {}
    unusable: dict[str, UnusableState] = {}
    async for document in accounts.find(query, fields, batch_size=_BATCH_SIZE):
        state = read(document)
        if isinstance(state, AccountState):
            states[state.account] = state
        else:
            unusable[state.account] = state
    return states, unusable
