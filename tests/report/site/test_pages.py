"""The pages of a site in a real browser, opened from disk."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clients
import pytest
from clients import BREAK, BROKEN, HOLES, NAMES, NEWEST, SILENT, WHOLE, YOUNG
from playwright.async_api import Page, expect

from collector.config import Settings
from collector.model.language import Language
from collector.model.reported import Reported
from collector.model.state import DATASET_NAMES, AccountState, DatasetState, Trouble
from collector.report.site.names import tag_page
from collector.store.database import Database
from collector.store.runs import RUNS
from collector.store.state import ACCOUNTS
from collector.store.state_document import to_document

NOW = datetime(2026, 11, 11, 2, tzinfo=UTC)
SHOWN = clients.days_between(NEWEST - timedelta(29), NEWEST)

Write = Callable[..., Awaitable[Reported]]
OpenPage = Callable[..., Awaitable[Page]]


async def _rows(page: Page) -> list[list[str]]:
    rows: list[list[str]] = await page.locator("#accounts-table tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    )
    return rows


async def _names(page: Page) -> list[str]:
    return [row[0] for row in await _rows(page)]


async def test_table_has_the_figures(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    """Those of the documents, for accounts with and without holes."""
    await write()
    page = await open_page(tmp_path / "site" / "index.html")
    rows = {row[0]: row for row in await _rows(page)}
    assert [*rows] == [NAMES[account] for account in (BROKEN, HOLES, WHOLE, YOUNG, SILENT)]
    for account in (WHOLE, HOLES, BROKEN, YOUNG):
        found = clients.of([account], SHOWN[0], SHOWN[-1])
        new, lost = (clients.summed(found, field) for field in ("new_user", "cancel_user"))
        lacking = sum("new_user" not in each for each in found) + (len(SHOWN) - len(found))
        assert rows[NAMES[account]][1:7] == [
            clients.TAGS[account][0],
            {HOLES: "待补"}.get(account, "完整"),
            f"{clients.total(account, NEWEST):,}",
            f"{new:,}",
            f"{lost:,}",
            f"{new - lost:,}".replace("-", "−"),
        ]
        assert rows[NAMES[account]][9:] == [str(lacking), str(NEWEST)]
    assert rows[NAMES[SILENT]][2:] == ["沉默", *["–"] * 6, "0", "–"]


async def test_search_filter_and_sort(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    """The address keeps them, so they are still there on the way back from an account."""
    await write()
    page = await open_page(tmp_path / "site" / "index.html")
    count, search = page.locator("#accounts-tools .count"), page.locator("#accounts-tools input")
    assert await count.inner_text() == "5 / 5 行"
    await search.fill(" BROKEN  food ")
    assert await _names(page) == [NAMES[BROKEN]]
    await search.fill(YOUNG)
    assert await _names(page) == [NAMES[YOUNG]]
    await search.fill("nobody")
    assert await _rows(page) == [["没有符合条件的账号"]]
    assert await count.inner_text() == "0 / 5 行"
    await search.fill("")
    await page.select_option("#of-tag", "food")
    assert await _names(page) == [NAMES[account] for account in (BROKEN, YOUNG, SILENT)]
    await page.select_option("#of-standing", "silent")
    assert await _names(page) == [NAMES[SILENT]]
    await page.select_option("#of-standing", "")
    total = page.locator("#accounts-table").get_by_role("button", name="累积关注")
    await total.click()
    assert await _names(page) == [NAMES[account] for account in (BROKEN, YOUNG, SILENT)]
    await total.click()  # what is absent stays last
    assert await _names(page) == [NAMES[account] for account in (YOUNG, BROKEN, SILENT)]
    assert await page.locator("th[aria-sort=ascending]").inner_text() == "累积关注"
    await page.get_by_role("link", name=NAMES[YOUNG]).last.click()
    await expect(page.locator("h1")).to_have_text(NAMES[YOUNG])
    await page.go_back()
    await expect(page.locator("h1")).to_have_text("5 个公众号")
    await expect(page.locator("#accounts-table tbody th")).to_have_text(
        [NAMES[account] for account in (YOUNG, BROKEN, SILENT)]
    )
    assert await page.locator("#of-tag").input_value() == "food"


async def test_every_link_leads_somewhere(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    await write()
    folder = tmp_path / "site"
    pages = list(folder.rglob("*.html"))
    assert len(pages) == 1 + len(NAMES) + 2
    for file in pages:
        page = await open_page(file)
        links: list[str] = await page.locator("a[href]").evaluate_all("all => all.map((each) => each.href)")
        inner = [link.partition("#")[2] for link in links if "#" in link]
        assert [place for place in inner if not await page.locator(f"#{place}").count()] == []
        assert {link.partition("#")[0] for link in links} <= {each.as_uri() for each in pages}
        await page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
async def test_no_page_is_wider_than_the_screen(width: int, write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    await write()
    for name in ("index", f"accounts/{HOLES}", tag_page("food")):
        page = await open_page(tmp_path / "site" / f"{name}.html", width=width)
        assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_page_of_an_account(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    """It has its own figures, and the ways to the index and to its tags."""
    await write()
    page = await open_page(tmp_path / "site" / "accounts" / f"{BROKEN}.html")
    found = clients.of([BROKEN], SHOWN[0], SHOWN[-1])
    value = await page.locator("#card-new_user .value").inner_text()
    assert value == f"{clients.summed(found, 'new_user'):,}"
    assert str(BREAK) in await page.locator("#breaks").inner_text()
    assert await page.locator(".ways").inner_text() == "← 全部公众号\nfood"
    assert await page.get_by_text("每个账号的每日数据").count() == 0
    await page.get_by_role("link", name="food").click()
    await expect(page.locator("h1")).to_have_text("food")
    await expect(page.locator("#details")).to_contain_text("每个账号的每日数据见该账号的页面")
    await expect(page.locator("#accounts-table tbody th")).to_have_text(
        [NAMES[account] for account in (BROKEN, YOUNG, SILENT)]
    )
    await page.get_by_role("link", name="全部公众号").click()
    await expect(page.locator("h1")).to_have_text("5 个公众号")


async def test_standing_of_a_collector_that_never_ran(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    await write()
    page = await open_page(tmp_path / "site" / "index.html")
    text = await page.locator("#collector").inner_text()
    assert "尚无运行记录" in text
    assert "没有采集失败的账号" in text
    assert f"微信已发布至\n{NEWEST}" in text


async def test_failing_accounts(write: Write, database: Database, open_page: OpenPage, tmp_path: Path) -> None:
    """Each with its error and the remedy; and the last run with the one before it that was completed."""
    hour = timedelta(hours=1)
    for run, status, failed, began in (("1", "partial", 2, NOW - 2 * hour), ("2", "crashed", 0, NOW - hour)):
        accounts = {"total": 5, "failed": failed}
        await database[RUNS].insert_one(
            {"_id": run, "status": status, "began": began, "ended": began, "accounts": accounts}
        )
    trouble = Trouble("<b>invalid ip", 40164, None, "allow 203.0.113.7", NOW - 48 * hour, NOW - hour)
    await database[ACCOUNTS].replace_one(*_replacement(BROKEN, trouble))
    await write()
    page = await open_page(tmp_path / "site" / "index.html")
    facts = await page.locator("#collector .facts").inner_text()
    assert "最近一次运行\n异常退出 2026-11-11 09:00 · 5 个账号，0 个失败" in facts
    assert "最近完成的运行\n部分失败 2026-11-11 08:00 · 5 个账号，2 个失败" in facts
    cells = await page.locator("#failing tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    )
    assert cells == [[NAMES[BROKEN], "2026-11-09 10:00", "40164 <b>invalid ip", "allow 203.0.113.7"]]
    assert await page.locator("#failing a").get_attribute("href") == f"accounts/{BROKEN}.html"


def _replacement(account: str, trouble: Trouble) -> tuple[dict[str, str], dict[str, Any]]:
    states = {name: DatasetState(last_error=trouble) for name in DATASET_NAMES}
    return {"_id": account}, to_document(AccountState(account, NAMES[account], datasets=states))


async def test_english(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    await write(language=Language.EN)
    page = await open_page(tmp_path / "site" / "index.html")
    assert not re.search("[\u4e00-\u9fff]", await page.locator("#collector").inner_text())
    assert await page.locator("#accounts-tools .count").inner_text() == "5 of 5 rows"


async def test_hostile_names_and_tags(write: Write, settings: Settings, open_page: OpenPage, tmp_path: Path) -> None:
    """They are text, wherever they stand; no file has a name of theirs."""
    hostile = ["</script><script>document.title=1</script>", "../../x", "😀'\"&{{7*7}}", "名" * 200, "=HYPERLINK(1)"]
    accounts = tuple(
        replace(account, name=name, tags=(name, "__proto__", "constructor"))
        for account, name in zip(settings.accounts, hostile, strict=True)
    )
    await write(replace(settings, accounts=accounts))
    folder = tmp_path / "site"
    for file in folder.rglob("*"):
        assert re.fullmatch(r"[0-9a-z.-]+", file.name)
    page = await open_page(folder / "index.html")
    assert sorted(await _names(page)) == sorted(hostile)
    for name in (*hostile, "__proto__"):
        await page.select_option("#of-tag", name)
        expected = hostile if name == "__proto__" else [name]
        assert sorted(await _names(page)) == sorted(expected)
    page = await open_page(folder / f"{tag_page(hostile[0])}.html")
    assert await page.locator("h1").inner_text() == hostile[0]
    assert await page.title() != "1"


async def test_ten_thousand_rows_are_drawn_by_the_page(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    """Whatever their number, 50 of them are in the page; search and order are those of all."""
    await write()
    data = tmp_path / "site" / "index.js"
    head, _, rest = data.read_text().partition('"rows":')
    (row, *_), end = json.JSONDecoder().raw_decode(rest)
    rows = [[*row[:1], f"n{number:05}", *row[2:4], number, *row[5:]] for number in range(10_000)]
    data.write_text(f'{head}"rows":{json.dumps(rows)}{rest[end:]}')
    page = await open_page(tmp_path / "site" / "index.html")
    assert len(await _rows(page)) == 50
    assert await page.locator(".pager span").inner_text() == "第 1 / 200 页"
    await page.locator("#accounts-table").get_by_role("button", name="累积关注").click()
    assert (await _names(page))[0] == "n09999"
    await page.get_by_role("button", name="下一页").click()
    assert (await _names(page))[0] == "n09949"
    await page.locator("#accounts-tools input").fill("n0123")
    assert await _names(page) == [f"n0123{digit}" for digit in range(9, -1, -1)]


async def test_without_scripts(write: Write, open_page: OpenPage, tmp_path: Path) -> None:
    """The figures can be read, and the page says what is missing."""
    await write()
    page = await open_page(tmp_path / "site" / "index.html", scripts=False)
    assert await page.locator("#card-new_user .value").inner_text() != ""
    assert "JavaScript" in await page.locator("#accounts").inner_text()
