"""The figures on a page, read off by a browser, are those of the documents, computed apart in plain Python."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import clients
import pytest
from clients import BREAK, BROKEN, HOLES, NAMES, NEWEST, SILENT, WHOLE, YOUNG
from playwright.async_api import Page

from collector.commands.report import Order, report
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.model.language import Language
from collector.report.figures.periods import parse
from collector.report.terms import Terms
from collector.report.writers import write_page

NOW = datetime(2026, 11, 11, 2, tzinfo=UTC)
BEGIN, END = clients.OCTOBER
DAY = timedelta(1)
LIVE = [WHOLE, HOLES, BROKEN, YOUNG]

Written = Callable[..., Awaitable[Path]]


@pytest.fixture
def written(settings: Settings, tmp_path: Path) -> Written:
    """Write a page on some accounts, or on all."""

    async def page(*accounts: str, period: str = "2026-10", language: Language = Language.ZH) -> Path:
        out = tmp_path / "report.html"
        order = Order(Selection(accounts), parse(period), Target(NEWEST, 7), Terms(language), NOW)
        await report(settings, order, out, write_page)
        return out

    return page


def _number(text: str) -> float | None:
    """Return a number as the page has it: a percentage as its hundredth, None for what is absent."""
    plain = text.replace(",", "").replace("−", "-")
    if plain == "–":
        return None
    return float(plain[:-1]) / 100 if plain.endswith("%") else float(plain)


async def _cards(page: Page) -> dict[str, float | None]:
    cards = page.locator(".card")
    return {
        str(await card.get_attribute("id")).removeprefix("card-"): _number(await card.locator(".value").inner_text())
        for card in await cards.all()
    }


async def _comparisons(page: Page, metric: str) -> dict[str, str]:
    rows = await page.locator(f"#card-{metric} .comparisons tr").all()
    return {await row.locator("th").inner_text(): await row.locator("td").inner_text() for row in rows}


async def _table(page: Page, table: str) -> list[list[str]]:
    rows: list[list[str]] = await page.locator(f"#{table} tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
    )
    return rows


def _expected(accounts: Sequence[str]) -> dict[str, Any]:
    """Return the cards of October, whose last day all living accounts have."""
    found = clients.of(accounts, BEGIN, END)
    new, lost = clients.summed(found, "new_user"), clients.summed(found, "cancel_user")
    both = [each for each in found if "new_user" in each]
    ends = [clients.total(account, END) or 0 for account in accounts]
    begins = [clients.total(account, BEGIN - DAY) or 0 for account in accounts]
    return {
        "cumulate_user": sum(ends),
        "new_user": new,
        "cancel_user": lost,
        "net_user": new - lost,
        "unfollow_rate": pytest.approx(
            clients.summed(both, "cancel_user") / clients.summed(both, "cumulate_user"), 1e-2
        ),
        "growth_rate": pytest.approx((sum(ends) - sum(begins)) / sum(begins), 1e-2) if sum(begins) else None,
    }


@pytest.mark.parametrize("accounts", [[WHOLE], [HOLES], [BROKEN], [YOUNG], LIVE])
async def test_cards(written: Written, open_page: Any, accounts: list[str]) -> None:
    page = await open_page(await written(*accounts))
    assert await _cards(page) == _expected(accounts)


async def test_silent_account(written: Written, open_page: Any) -> None:
    """It is named as silent, and its figures are those of the days that it has."""
    page = await open_page(await written())
    assert await _table(page, "silent") == [[NAMES[SILENT], str(clients.LAST_OF_SILENT)]]
    assert (await _cards(page))["new_user"] == _expected(LIVE)["new_user"]
    standings = await page.locator(".standing").all_inner_texts()
    assert standings == ["失败 0", "待补 1", "完整 3", "沉默 1"]


async def test_missing_days(written: Written, open_page: Any) -> None:
    """They stand beside each sum that lacks them, and by name among the gaps."""
    page = await open_page(await written(*LIVE))
    under = {
        metric: await page.locator(f"#card-{metric} .under").inner_text() for metric in ("new_user", "cumulate_user")
    }
    assert under == {"new_user": "缺 4 个账号日", "cumulate_user": "截至 2026-10-31"}
    holes = "2026-10-05 ~ 2026-10-07、2026-10-20"
    assert await _table(page, "gaps") == [[NAMES[HOLES], holes, "2026-10-20", "", ""]]


async def test_breaks(written: Written, open_page: Any) -> None:
    page = await open_page(await written(BROKEN))
    found = clients.total(BROKEN, BREAK) or 0
    expected = [NAMES[BROKEN], str(BREAK), f"{found - 100:,}", f"{found:,}", "100"]
    assert await _table(page, "breaks") == [expected]


async def test_comparisons(written: Written, open_page: Any) -> None:
    """Each is that of two whole windows, or says why it is left out."""
    page = await open_page(await written(WHOLE))

    def change(this: tuple[date, date], base: tuple[date, date]) -> str:
        one, other = (clients.summed(clients.of([WHOLE], *window), "new_user") for window in (this, base))
        ratio = (one - other) / other
        return f"{'▲' if ratio > 0 else '▼'} {abs(ratio) * 100:,.1f}%"

    october, september = clients.OCTOBER, (date(2026, 9, 1), date(2026, 9, 30))
    weeks = (date(2026, 10, 19), date(2026, 10, 25)), (date(2026, 10, 12), date(2026, 10, 18))
    assert await _comparisons(page, "new_user") == {
        "日环比": change((END, END), (END - DAY, END - DAY)),
        "周环比": change(*weeks),
        "月环比": change(october, september),
        "环比": change(october, september),
        "同比": "无基期数据",
    }


@pytest.mark.parametrize(("account", "reason"), [(HOLES, "本期不完整"), (YOUNG, "基期未开通")])
async def test_comparison_left_out(written: Written, open_page: Any, account: str, reason: str) -> None:
    page = await open_page(await written(account))
    assert (await _comparisons(page, "new_user"))["环比"] == reason


async def test_colours_have_a_meaning(written: Written, open_page: Any) -> None:
    """More lost followers are a rise, and bad news."""
    page = await open_page(await written(WHOLE))
    for metric, rise in (("new_user", "good"), ("cancel_user", "bad")):
        cells = await page.locator(f"#card-{metric} .comparisons td span").evaluate_all(
            "cells => cells.map((cell) => [cell.textContent[0], cell.className])"
        )
        tones = {"▲": rise, "▼": {"good": "bad", "bad": "good"}[rise]}
        assert all(tone == tones[sign] for sign, tone in cells if sign in tones)
        assert {sign for sign, _ in cells} & {*tones}


async def test_comparison_of_a_group(written: Written, open_page: Any) -> None:
    """It is over the accounts that are whole in both windows, and says how many aren't."""
    page = await open_page(await written(*LIVE))
    october, september = (
        clients.summed(clients.of([WHOLE, BROKEN, YOUNG], *window), "new_user")
        for window in (clients.OCTOBER, (date(2026, 9, 1), date(2026, 9, 30)))
    )
    change = f"▲ {(october - september) / september * 100:,.1f}%"
    assert (await _comparisons(page, "new_user"))["环比"] == f"不含 1 个账号 {change}"
    assert "不含" not in (await _comparisons(page, "cumulate_user"))["环比"]
    assert await page.locator("#channels thead .left-out").inner_text() == "不含 1 个账号"
    titles = await page.locator("#card-new_user .comparisons tr").evaluate_all("rows => rows.map((row) => row.title)")
    assert titles[3] == "2026-10-01 ~ 2026-10-31 对比 2026-09-01 ~ 2026-09-30，不含 1 个账号"


async def test_channels(written: Written, open_page: Any) -> None:
    """Sums by channel; a code without a name is shown by its number, and named among the anomalies."""
    page = await open_page(await written(HOLES))
    sums: dict[int, list[int]] = {}
    for document in clients.of([HOLES], BEGIN, END):
        for source in document.get("sources", ()):
            both = sums.setdefault(source["user_source"], [0, 0])
            both[0] += source["new_user"]
            both[1] += source["cancel_user"]
    names = {0: "其他合计", 1: "公众号搜索", 17: "名片分享", 30: "扫描二维码", 161: "他人转载", 4: "渠道 4"}
    new = sum(both[0] for both in sums.values())
    ranked = sorted(sums.items(), key=lambda each: -each[1][0])
    assert [[row[0], row[1], *row[5:7]] for row in await _table(page, "channels")] == [
        [names[code], f"{one:,}", f"{other:,}", f"{one - other:,}".replace("-", "−")] for code, (one, other) in ranked
    ]
    shares = [_number(row[3]) for row in await _table(page, "channels")]
    assert shares == [pytest.approx(one / new, abs=1e-3) for _, (one, _) in ranked]
    assert await _table(page, "unknown-channels") == [["渠道 4", f"{sums[4][0]:,}", "1"]]


async def test_details(written: Written, open_page: Any) -> None:
    """Every day of every account: gaps are no zeros, and zeros that were proven say so."""
    page = await open_page(await written(*LIVE))
    rows = {(row[0], row[1]): row[2:] for row in await _table(page, "details-table")}
    assert len(rows) == 31 * len(LIVE)
    for account in LIVE:
        stored = {each["ref_date"]: each for each in clients.of([account], BEGIN, END)}
        for day in clients.days_between(BEGIN, END):
            row, document = rows[str(day), NAMES[account]], stored.get(str(day), {})
            fields = ("new_user", "cancel_user", "net_user", "cumulate_user")
            assert [_number(cell) for cell in row[:4]] == [document.get(field) for field in fields]
    remarks = {day: rows[f"2026-10-{day}", NAMES[HOLES]] for day in ("05", "12", "13", "20")}
    assert [remarks[day][0] for day in remarks] == ["–", "0", "0", "–"]
    assert [remarks[day][4] for day in remarks] == ["部分缺失", "已证实为 0", "", "待补"]
    assert rows["2026-10-10", NAMES[YOUNG]][4] == "账号未开通"


async def test_sums_by_day(written: Written, open_page: Any) -> None:
    """They say how many accounts lack the day."""
    page = await open_page(await written(*LIVE))
    rows = {row[0]: row[1:] for row in await _table(page, "daily")}
    for day in clients.days_between(BEGIN, END):
        found = clients.of(LIVE, day, day)
        new = clients.summed(found, "new_user")
        assert _number(rows[str(day)][0]) == new
        lacks = day in clients.NO_SUMMARY or day == clients.NOTHING
        assert ("缺 1 个账号" in rows[str(day)][4]) == lacks


async def test_tags(written: Written, open_page: Any) -> None:
    page = await open_page(await written())
    rows = {row[0]: row[1:] for row in await _table(page, "tags")}
    assert [*rows] == ["food", "零售"]
    for tag, row in rows.items():
        accounts = [each for each in NAMES if tag in clients.TAGS[each]]
        new = clients.summed(clients.of(accounts, BEGIN, END), "new_user")
        assert (row[0], row[2].split("缺")[0]) == (str(len(accounts)), f"{new:,}")


async def test_ranking(written: Written, open_page: Any) -> None:
    page = await open_page(await written(*LIVE))
    names = await page.locator("#ranking-gains .name").all_inner_texts()
    net = {NAMES[each]: clients.summed(clients.of([each], BEGIN, END), "net_user") for each in LIVE}
    assert names == sorted(net, key=lambda name: -net[name])
