import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import AutoReconnect
from store.states import APPID, DOCUMENT, KNOWN
from structlog.testing import capture_logs
from support import MAX_CALLBACK_S

from collector.errors import DatabaseError
from collector.model.state import AccountState, UnusableState
from collector.store.database import Database, rename
from collector.store.held import Held
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, load, read_state, read_states, replace_state, replacement


async def test_replacement_is_whole(database: Database) -> None:
    later = AccountState(APPID, "acme-shoes")
    await database[ACCOUNTS].bulk_write([replacement(KNOWN, 1)])
    await database[ACCOUNTS].bulk_write([replacement(later, 1)])
    assert await load(database) == {APPID: later}


OTHERS: list[dict[str, Any]] = [{"_id": "wxold", "version": 0}, {"_id": "wxnewer", "version": 2, "more": 1}]
UNUSABLE = {"wxold": UnusableState("wxold"), "wxnewer": UnusableState("wxnewer", is_newer=True)}


async def test_read_states(database: Database) -> None:
    """Usable states, and those that are damaged or of a newer version."""
    await database[ACCOUNTS].insert_many([DOCUMENT, *OTHERS, {"_id": "other", "version": 1}])
    assert await read_states(database) == ({APPID: KNOWN}, UNUSABLE)
    assert await load(database) == {APPID: KNOWN}


async def test_read_states_of_some_accounts(database: Database) -> None:
    other = AccountState("wxother", "other")
    for state in (KNOWN, other):
        await replace_state(database, state, Held(1))
    assert await read_states(database, ["wxother", "wxnone"]) == ({"wxother": other}, {})


async def test_read_state(database: Database) -> None:
    """None where there is no document."""
    await database[ACCOUNTS].insert_many([DOCUMENT, *OTHERS])
    states = {appid: await read_state(database, appid) for appid in (APPID, "wxold", "wxnewer", "wxnone")}
    assert states == {APPID: KNOWN, **UNUSABLE, "wxnone": None}


async def test_states_are_read_in_small_pieces(database: Database, callbacks_s: list[float]) -> None:
    """However many there are, no callback of the loop uses more than 100 ms of its thread's CPU."""
    documents = ({**DOCUMENT, "_id": f"wx{number:016x}"} for number in range(10_000))
    await database[ACCOUNTS].insert_many(documents)
    callbacks_s.clear()
    assert len(await load(database)) == 10_000
    await asyncio.sleep(0)  # the last callback counts as well
    assert max(callbacks_s) < MAX_CALLBACK_S


async def test_replace_state(database: Database) -> None:
    """It makes a document, and takes the place of any other, even a damaged one."""
    await database[ACCOUNTS].insert_one({"_id": APPID, "version": 0, "odd": 1})
    new = AccountState("wxnew", "new")
    for state in (KNOWN, new):
        await replace_state(database, state, Held(1))
    assert await load(database) == {APPID: KNOWN, "wxnew": new}
    assert await database[ACCOUNTS].find_one({"_id": APPID}, {"odd": 1, "epoch": 1}) == {"_id": APPID, "epoch": 1}


@pytest.mark.parametrize(
    ("act", "call"),
    [
        (read_states, "find"),
        (lambda database: read_state(database, APPID), "find_one"),
        (lambda database: replace_state(database, KNOWN, Held(1)), "replace_one"),
    ],
    ids=["read_states", "read_state", "replace_state"],
)
async def test_mongodb_out_of_reach(
    act: Callable[[Database], Awaitable[object]], call: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(AsyncIOMotorCollection, call, broken)
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        await act(database)


async def test_documents_of_others(database: Database) -> None:
    await database[ACCOUNTS].insert_many([DOCUMENT, {"_id": 7}, {"odd": "one"}])
    assert await load(database) == {APPID: KNOWN}


async def test_rename(database: Database) -> None:
    days = [
        {"_id": 1, "account": APPID, "ref_date": "2026-11-22", "name": "acme", "new_user": 1},
        {"_id": 2, "account": APPID, "ref_date": "2026-11-23", "name": "acme", "new_user": 2},
        {"_id": 3, "account": "wxother", "ref_date": "2026-11-23", "name": "acme", "new_user": 3},
    ]
    await database[USER_DAILY].insert_many(days)
    await rename(database, APPID, "acme-shoes")
    stored = await database[USER_DAILY].find().sort("_id").to_list(None)
    assert stored == [days[0] | {"name": "acme-shoes"}, days[1] | {"name": "acme-shoes"}, days[2]]


async def test_rename_that_a_validator_refuses(database: Database) -> None:
    await database.create_collection(USER_DAILY, validator={"name": {"$ne": "refused"}})
    day = {"_id": 1, "account": APPID, "ref_date": "2026-11-22", "name": "acme"}
    await database[USER_DAILY].insert_one(day)
    with capture_logs() as logs:
        await rename(database, APPID, "refused")
    assert [{**entry, "reason": ...} for entry in logs] == [
        {"event": "name.refused", "log_level": "warning", "account": APPID, "name": "refused", "reason": ...}
    ]
    assert "failed validation" in logs[0]["reason"]
    assert await database[USER_DAILY].find_one() == day
