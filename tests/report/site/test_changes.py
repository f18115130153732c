"""Files that a later site writes anew, and those that a stop leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clients import BROKEN, HOLES, NAMES, NEWEST, SILENT, WHOLE, YOUNG
from playwright.async_api import Page

from collector.config import Settings
from collector.errors import Fault, OutputError
from collector.model.accounts import BrokenEntry
from collector.model.reported import Changed, Reported
from collector.report.site.names import tag_page
from collector.store.database import Database
from collector.store.schema import USER_DAILY

NOW = datetime(2026, 11, 11, 2, tzinfo=UTC)

Write = Callable[..., Awaitable[Reported]]
OpenPage = Callable[..., Awaitable[Page]]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _differing(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


async def test_nothing_changes_without_new_figures(write: Write, tmp_path: Path) -> None:
    """But the time on the index."""
    first = await write()
    before = _contents(tmp_path / "site")
    assert first.changed == Changed(written=len(before) - 1)  # without the manifest
    again = await write(now=NOW + timedelta(hours=1))
    assert again.changed == Changed(written=1, kept=len(before) - 2)
    assert _differing(before, _contents(tmp_path / "site")) == {"index.html"}


async def test_only_what_a_figure_is_on_changes(write: Write, database: Database, tmp_path: Path) -> None:
    """The account, its tags and the index."""
    await write()
    before = _contents(tmp_path / "site")
    day = {"account": WHOLE, "ref_date": str(NEWEST)}
    await database[USER_DAILY].update_one(day, {"$inc": {"new_user": 1, "net_user": 1, "cumulate_user": 1}})
    await write()
    pages = ("index", f"accounts/{WHOLE}", tag_page("零售"))
    expected = {f"{page}.{suffix}" for page in pages for suffix in ("html", "js")}
    assert _differing(before, _contents(tmp_path / "site")) == expected


async def test_client_that_left(write: Write, settings: Settings, open_page: OpenPage, tmp_path: Path) -> None:
    """Its page and the page of a tag that nobody has any more are removed."""
    await write()
    left = tuple(account for account in settings.accounts if account.appid not in {WHOLE, HOLES})
    changed = (await write(replace(settings, accounts=left))).changed
    assert changed
    assert changed.removed == 6
    folder = tmp_path / "site"
    assert not (folder / "accounts" / f"{WHOLE}.html").exists()
    assert not (folder / f"{tag_page('零售')}.html").exists()
    page = await open_page(folder / "index.html")
    assert await page.locator("#accounts-table tbody th").all_inner_texts() == [
        NAMES[account] for account in (BROKEN, YOUNG, SILENT)
    ]


async def test_stop_leaves_a_site_that_opens(
    write: Write, settings: Settings, database: Database, open_page: OpenPage, tmp_path: Path
) -> None:
    """A file in the way ends the second site at its third account."""
    await write()
    more = replace(settings.accounts[0], name="new", appid="wx00000000000000ff")
    (tmp_path / "site" / "accounts" / f"{more.appid}.html").write_text("mine")
    await database[USER_DAILY].update_many({}, {"$inc": {"new_user": 1, "net_user": 1}})
    with pytest.raises(OutputError, match="is in the way"):
        await write(replace(settings, accounts=(*settings.accounts[:2], more, *settings.accounts[2:])))
    folder = tmp_path / "site"
    for name in ("index", f"accounts/{WHOLE}", f"accounts/{SILENT}", tag_page("food")):
        page = await open_page(folder / f"{name}.html")
        assert await page.locator("h1").count() == 1
    (folder / "accounts" / f"{more.appid}.html").unlink()
    assert (await write()).accounts == len(NAMES)


async def test_nothing_stored(write: Write, database: Database, tmp_path: Path) -> None:
    await database[USER_DAILY].delete_many({"ref_date": {"$gte": "2026-10"}})
    with pytest.raises(OutputError, match="nothing is stored for these accounts in 2026-10: nothing was written"):
        await write(period="2026-10")
    assert not (tmp_path / "site").exists()


async def test_no_account_has_an_appid(write: Write, settings: Settings, tmp_path: Path) -> None:
    broken = BrokenEntry("accounts.yaml:3", None, (Fault("accounts.yaml:3", "no appid", "Write one."),))
    with pytest.raises(OutputError, match="nothing is stored for these accounts"):
        await write(replace(settings, accounts=(), broken=(broken,)))
    assert not (tmp_path / "site").exists()


async def test_shared_files_are_there_once(write: Write, tmp_path: Path) -> None:
    await write()
    kinds = sorted(file.name.partition("-")[0] for file in (tmp_path / "site" / "assets").iterdir())
    assert kinds == ["charts", "page", "style", "vega"]
    page = (tmp_path / "site" / "accounts" / f"{WHOLE}.html").read_text()
    assert "<script>" not in page
    assert len(page) < 40_000
