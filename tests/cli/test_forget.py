"""`forget` as a user meets it: what it asks, prints, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Ended, collector, on_a_terminal

from collector.model.state import AccountState
from collector.store.database import Database
from collector.store.leases import lease
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, replacement

GONE, SHOP = "wx0000000000000001", "wx0000000000000002"


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> Path:
    """A folder with a configuration of `shop`; the state of `gone` is stored, too, with two documents."""
    file = tmp_path / "accounts.yaml"
    file.touch(mode=0o600)
    secret = "0123456789abcdef0123456789abcdef"
    account = f"{{name: shop, appid: {SHOP}, secret: {secret}}}"
    file.write_text(f"mongodb: {{uri: '{mongod}', database: {database.name}}}\naccounts: [{account}]\n")
    await database[ACCOUNTS].bulk_write([replacement(AccountState(GONE, "gone"), 1)])
    days = ({"account": GONE, "ref_date": f"2026-11-2{day}", "name": "gone"} for day in range(2))
    await database[USER_DAILY].insert_many(days)
    return tmp_path


async def _left(database: Database) -> tuple[int, int]:
    """Return the number of states and of documents."""
    return await database[ACCOUNTS].count_documents({}), await database[USER_DAILY].count_documents({})


async def test_without_a_terminal(folder: Path, database: Database) -> None:
    """It needs --yes."""
    refused = await collector("forget", "gone", cwd=folder)
    assert refused == Ended(
        2, "", "collector: nobody can be asked without a terminal: add --yes to delete what is stored\n"
    )
    assert await _left(database) == (1, 2)
    done = await collector("forget", "gone", "--yes", cwd=folder)
    assert (done.code, done.err) == (0, "")
    assert f"`collector forget {GONE} --with-documents` deletes them, too." in done.out
    assert await _left(database) == (0, 2)
    rest = await collector("forget", GONE, "--with-documents", "--yes", "--json", cwd=folder)
    assert (rest.code, rest.json["documents_deleted"], await _left(database)) == (0, 2, (0, 0))


@pytest.mark.parametrize(
    ("typed", "code", "said", "left"),
    [
        ("y\n", 0, f"gone ({GONE}) is forgotten: deleted its state and 2 documents of user_daily.", (0, 0)),
        ("n\n", 1, "collector: nothing was deleted", (1, 2)),
        ("\n", 1, "collector: nothing was deleted", (1, 2)),
    ],
)
async def test_question(
    folder: Path, database: Database, typed: str, code: int, said: str, left: tuple[int, int]
) -> None:
    """Only a yes deletes."""
    ended = await on_a_terminal("forget", "gone", "--with-documents", cwd=folder, typed=typed)
    assert (ended.code, await _left(database)) == (code, left)
    assert "Delete its state and 2 documents of user_daily? [y/N]" in ended.out
    assert said in ended.out


async def test_exit_codes(folder: Path, database: Database) -> None:
    """Still configured: 1. Unknown: 2. A run at work: 11. A file that can't be read: 78."""
    configured = await collector("forget", "shop", "--yes", cwd=folder)
    unknown = await collector("forget", "nobody", "--yes", cwd=folder)
    async with lease(database, "r1", "run"):
        held = await collector("forget", "gone", "--yes", "--wait", "1", cwd=folder)
    with (folder / "accounts.yaml").open("a") as file:
        file.write("include: more.yaml\n")
    (folder / "more.yaml").write_text("accounts: [")
    unread = await collector("forget", "gone", "--yes", cwd=folder)
    assert [ended.code for ended in (configured, unknown, held, unread)] == [1, 2, 11, 78]
    assert "It didn't end in the 1 second of --wait" in held.err
    assert f"so it isn't known whether gone ({GONE}) is still configured" in unread.err
    assert await _left(database) == (1, 2)
