"""Exports of a real MongoDB, read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mongods import fill, small_disk

from collector.commands.export import Order, export
from collector.config import Selection, Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import Fault, OutputError, UsageError
from collector.model.accounts import Account, BrokenEntry, Component, Rate, Secret
from collector.model.days import Window
from collector.model.exported import Exported, Format, Per
from collector.model.state import AccountState, Authorizer
from collector.store.database import Database
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, replacement

SHOES, TEA, OLD, EMPTY, FOUND, LEFT = (f"wx000000000000000{number}" for number in range(1, 7))
ALL = Window(date(2014, 12, 1), date(2026, 11, 23))
PLATFORM = Component("agency", "wxagency", discover=True)
FAULT = Fault("accounts.d/x.yaml:3", "no appid", "Write one.")


def _account(name: str, appid: str, *tags: str, enabled: bool = True) -> Account:
    return Account(name, appid, Secret("s"), Rate(5, 1), tags=tags, enabled=enabled)


ACCOUNTS_OF_FILE = (
    _account("=shoes <b>", SHOES, "retail", "north"),
    _account("tea", TEA, "food"),
    _account("old", OLD, "retail", enabled=False),
    _account("empty", EMPTY, "food"),
)


def _document(account: str, day: str, **figures: Any) -> dict[str, Any]:
    return {"account": account, "ref_date": day, "name": "of a former name", **figures}


DOCUMENTS = (
    # with a hole on the 21st
    _document(SHOES, "2026-11-20", new_user=5, cancel_user=2, net_user=3, cumulate_user=100, sources=[
        {"user_source": 0, "new_user": 4, "cancel_user": 2}, {"user_source": 999, "new_user": 1, "cancel_user": 0},
    ]),
    _document(SHOES, "2026-11-22", new_user=0, cancel_user=0, net_user=0, sources=[]),
    _document(SHOES, "2026-11-23", cumulate_user=100),
    _document(TEA, "2026-11-22", new_user=2.5, cancel_user=1, cumulate_user="many"),
    _document(OLD, "2025-01-01", cumulate_user=7),
    _document(FOUND, "2026-11-23", cumulate_user=9),
    _document(LEFT, "2026-11-23", cumulate_user=11),
)  # fmt: skip


@pytest.fixture
async def settings(database: Database, mongod: str) -> Settings:
    """Accounts with documents, disabled and without; a discovered one, and one that left."""
    await database[USER_DAILY].insert_many([dict(document) for document in DOCUMENTS])
    found = AccountState(FOUND, "found", authorizer=Authorizer("agency", "Found"))
    await database[ACCOUNTS].bulk_write([replacement(state, 1) for state in (found, AccountState(LEFT, "left"))])
    mongodb = MongoSettings().model_copy(update={"uri": Secret(mongod), "database": database.name})
    return Settings(mongodb, ApiSettings(), RunSettings(), ACCOUNTS_OF_FILE, components=(PLATFORM,))


Lines = Callable[..., Any]


@pytest.fixture
def lines(settings: Settings) -> Lines:
    """Export as CSV, and read it back without its names."""

    async def exported(
        names: tuple[str, ...] = (), tags: tuple[str, ...] = (), days: Window = ALL, per: Per = Per.DAY
    ) -> list[list[str]]:
        file = io.BytesIO()
        await export(settings, Selection(names, tags), Order(days, Format.CSV, per, bom=False), file)
        return [*csv.reader(io.StringIO(file.getvalue().decode()))][1:]

    return exported


S = (SHOES, "'=shoes <b>", "retail;north")


async def test_rows(lines: Lines) -> None:
    """Those of all known accounts, in the order of the configuration, named as it names them.

    A disabled account is one of them, one that left isn't.
    """
    assert await lines() == [
        [*S, "2026-11-20", "5", "2", "3", "100"],
        [*S, "2026-11-22", "0", "0", "0", ""],
        [*S, "2026-11-23", "", "", "", "100"],
        [TEA, "tea", "food", "2026-11-22", "", "", "", ""],
        [OLD, "old", "retail", "2025-01-01", "", "", "", "7"],
        [FOUND, "Found", "", "2026-11-23", "", "", "", "9"],
    ]


async def test_rows_of_sources(lines: Lines) -> None:
    assert await lines(per=Per.SOURCE) == [
        [*S, "2026-11-20", "0", "其他合计", "4", "2", "2"],
        [*S, "2026-11-20", "999", "999", "1", "0", "1"],
    ]


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        ({"names": ("old", FOUND)}, [(OLD, "2025-01-01"), (FOUND, "2026-11-23")]),
        ({"tags": ("food", "nobody's")}, [(TEA, "2026-11-22")]),
        ({"tags": ("retail",), "names": ("old", "tea")}, [(OLD, "2025-01-01")]),
        ({"days": Window(date(2025, 1, 1), date(2026, 11, 20))}, [(SHOES, "2026-11-20"), (OLD, "2025-01-01")]),
    ],
)
async def test_choice(lines: Lines, choice: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    assert [(line[0], line[3]) for line in await lines(**choice)] == rows


async def test_what_was_written(settings: Settings, tmp_path: Path) -> None:
    """Values that no run writes are counted by documents, among days with rows and without."""
    result = await export(settings, Selection(), Order(ALL, Format.CSV), tmp_path / "a.csv")
    counts = Exported(6, 4, 4, date(2025, 1, 1), date(2026, 11, 23), 1, 0, result.database)
    assert result == counts
    result = await export(settings, Selection(), Order(ALL, Format.CSV, Per.SOURCE), tmp_path / "b.csv")
    assert result == replace(counts, rows=2, accounts=1, days=1, begin=date(2026, 11, 20), end=date(2026, 11, 20))


async def test_entries_that_cant_be_read(settings: Settings, tmp_path: Path) -> None:
    """They may be for any account, but not where all that are wanted are named and found."""
    broken = BrokenEntry("accounts.d/x.yaml:3", None, (FAULT,)), BrokenEntry("x", LEFT, (FAULT,), tags=("food",))
    settings = replace(settings, broken=broken)
    for selection, unread in ((Selection(), 1), (Selection(tags=["food"]), 1), (Selection(["tea"]), 0)):
        result = await export(settings, selection, Order(ALL, Format.CSV), tmp_path / "a.csv")
        assert result.unread == unread
    assert LEFT not in (await _csv(settings, Selection(["tea"])))
    assert LEFT in (await _csv(settings, Selection(["x"])))


async def _csv(settings: Settings, selection: Selection) -> str:
    file = io.BytesIO()
    await export(settings, selection, Order(ALL, Format.CSV), file)
    return file.getvalue().decode()


@pytest.mark.parametrize("form", Format)
async def test_nothing_is_stored(settings: Settings, tmp_path: Path, form: Format) -> None:
    """Then nothing is written, to a file or a stream."""
    path, stream = tmp_path / "out", io.BytesIO()
    path.write_text("old")
    for to in (path, stream):
        with pytest.raises(OutputError, match=r"nothing is stored for these accounts and days \(2014-12-01\.\."):
            await export(settings, Selection(["empty"]), Order(ALL, form), to)
    assert (path.read_text(), stream.getvalue()) == ("old", b"")


async def test_tag_of_nobody(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none of the accounts has the tag 'retale' \(did you mean retail\?\)"):
        await export(settings, Selection(tags=["retale"]), Order(ALL, Format.CSV), tmp_path / "a.csv")
    assert [*tmp_path.iterdir()] == []  # noqa: ASYNC240 - it is small


@pytest.mark.parametrize("form", Format)
async def test_full_disk(settings: Settings, tmp_path: Path, form: Format) -> None:
    """The old file stays, and nothing else."""
    disk = tmp_path / "disk"
    with small_disk(disk, "size=1m"):
        (disk / "out").write_text("old")
        fill(disk / "ballast")
        with pytest.raises(OutputError) as caught:
            await export(settings, Selection(), Order(ALL, form), disk / "out")
        assert str(caught.value) == f"could not write {disk / 'out'}: No space left on device"
        assert sorted(each.name for each in disk.iterdir()) == ["ballast", "out"]
        assert (disk / "out").read_text() == "old"
