"""`show` as a user meets it: what it prints on terminals and elsewhere, and its exit codes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import collector, on_a_terminal, write_configuration
from rich.cells import cell_len

from collector.model.days import beijing_day
from collector.store.database import Database
from collector.store.schema import USER_DAILY

SHOES = "wx0000000000000001"


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> Path:
    """A folder with a configuration of `鞋店`, of which the last 40 days are stored but for two."""
    today = beijing_day(datetime.now(UTC))
    await database[USER_DAILY].insert_many(
        {
            "account": SHOES,
            "ref_date": str(today - timedelta(age)),
            "name": "鞋店",
            "new_user": 1_234,
            "cancel_user": age,
            "net_user": 1_234 - age,
            "cumulate_user": 12_345_678 - age,
            "sources": [],
        }
        for age in range(40)
        if age not in {9, 10}
    )
    write_configuration(tmp_path, mongod, database, f"name: 鞋店, appid: {SHOES}, since: 2026-01-01")
    return tmp_path


async def test_account_by_name_or_appid(folder: Path, database: Database) -> None:
    by_name = await collector("show", "鞋店", cwd=folder)
    assert (by_name.code, by_name.err) == (0, "")
    assert by_name.out.startswith(f"鞋店 ({SHOES}): never collected\n")
    assert "▁" in by_name.out
    assert by_name.out.count("  missing\n") == 2
    assert by_name.out.endswith(f"Database: {database.name} on {_host(by_name.out)}\n")
    assert (await collector("show", SHOES, cwd=folder)).out == by_name.out


def _host(out: str) -> str:
    return out.rstrip("\n").rpartition(" on ")[2]


async def test_json(folder: Path) -> None:
    found = (await collector("show", "鞋店", "--json", cwd=folder)).json
    assert (found["account"], len(found["days"])) == (SHOES, 30)
    assert [day["state"] for day in found["days"]].count("missing") == 2


async def test_unknown_account(folder: Path) -> None:
    ended = await collector("show", "鞋", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("collector: no account has the name or appid '鞋'")


@pytest.mark.parametrize("columns", [60, 80, 120])
async def test_terminals(folder: Path, columns: int) -> None:
    """No line is wider than the terminal, but for a name that can't be broken."""
    shown = await on_a_terminal("show", "鞋店", cwd=folder, COLUMNS=str(columns), NO_COLOR="1")
    assert shown.code == 0
    lines = [line for line in shown.out.splitlines() if not line.startswith("Database")]
    assert max(map(cell_len, lines)) <= columns


async def test_c_locale(folder: Path) -> None:
    """Python prints UTF-8 in it, too."""
    assert "▁" in (await collector("show", "鞋店", cwd=folder, LC_ALL="C")).out


async def test_stdout_without_blocks(folder: Path) -> None:
    """Where the encoding has no blocks, curves are of other letters, not of escapes."""
    shown = await collector("show", SHOES, cwd=folder, PYTHONIOENCODING="latin-1")
    assert "\\u2581" not in shown.out
    assert "#" in shown.out
