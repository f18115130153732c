"""A page as its reader uses it: in a browser, without scripts, in print; and what hostile names do to it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page as Opened
from playwright.async_api import expect

from collector.model.daily import Daily, Source
from collector.model.days import Window
from collector.model.language import Language
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Frame
from collector.report.figures.metrics import CARDS
from collector.report.figures.periods import parse
from collector.report.page import page as pages
from collector.report.page.page import render
from collector.report.report import Report, opening_span
from collector.report.terms import Terms

NEWEST = date(2026, 11, 25)
NOW = datetime(2026, 11, 26, 2, tzinfo=UTC)
HOSTILE = (
    "</script><script>document.title='hacked'</script>",
    "<img src=x onerror=alert(1)>",
    "\"'`{{7*7}}{%raw%}",
    '=HYPERLINK("http://evil.example","x")',
    "🧧🐉 茶\u202e馆",
    "长" * 200,
    "M" * 200,
    "<!--<script>",
)

Write = Callable[..., Path]


def days(count: int, *, step: int = 1, without: Iterable[int] = ()) -> list[Daily]:
    """Return that many days up to the newest; `without` are the ages of days that are missing."""
    return [
        Daily(NEWEST - timedelta(age), step + age % 3, 1, 1_000 + 10 * (count - age), (Source(30, step + age % 3, 1),))
        for age in reversed(range(count))
        if age not in without
    ]


def report_of(accounts: Mapping[str, list[Daily]], period: str = "30", language: Language = Language.ZH) -> Report:
    frame = Frame(parse(period)(NEWEST), NEWEST)
    fold = Fold(frame)
    for number, (name, stored) in enumerate(accounts.items()):
        begin = stored[0].ref_date if stored else NEWEST
        fold.add(columns_of(Facts(f"wx{number:016}", name, (), begin), stored, frame))
    title = next(iter(accounts)) if len(accounts) == 1 else "clients"
    return Report(title, fold.figures(), Terms(language), NOW)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(*arguments: Any, **options: Any) -> Path:
        path = tmp_path / "report.html"
        path.write_text(render(report_of(*arguments, **options)), encoding="utf-8")
        return path

    return written


async def _shown(page: Opened, table: str = "details-table", column: int = 1) -> list[str]:
    cells: list[str] = await page.locator(f"#{table} tbody tr:not([hidden])").evaluate_all(
        f"rows => rows.map((row) => row.cells[{column}].textContent.trim())"
    )
    return cells


async def _bars(page: Opened) -> int:
    return await page.locator(".chart.flow .layer_1_marks path").count()


async def test_span(write: Write, open_page: Any) -> None:
    """The buttons change the days of the trend, which begins with 30 of them."""
    page = await open_page(write({"a": days(400)}))
    assert await _bars(page) == 30
    for label, count in (("7 天", 7), ("90 天", 90), ("一年", 365)):
        await page.get_by_role("button", name=label, exact=True).click()
        await page.wait_for_function(
            f"document.querySelectorAll('.chart.flow .layer_1_marks path').length === {count}", timeout=5_000
        )
        assert await page.locator(".spans [aria-pressed=true]").all_inner_texts() == [label]


async def test_gap_is_no_zero(write: Write, open_page: Any) -> None:
    """A missing day has a band and no bar, and breaks the line of totals."""
    page = await open_page(write({"a": days(60, without=[3, 4])}))
    assert await page.locator(".chart.flow .layer_0_marks path").count() == 2
    assert await _bars(page) == 28
    line = await page.locator(".chart.total .layer_2_marks path").get_attribute("d")
    assert line.count("M") == 2


async def test_pointer_shows_figures(write: Write, open_page: Any) -> None:
    """The figures of a day, and what is to be said about it."""
    page = await open_page(write({"a": days(60, without=[0])}))
    await page.locator(".chart.flow .layer_6_marks path").last.hover()
    tooltip = page.locator("#vg-tooltip-element")
    await expect(tooltip).to_contain_text("2026-11-25")
    await expect(tooltip).to_contain_text("待补")
    await expect(tooltip).to_be_visible()
    await page.locator(".chart.flow .layer_6_marks path").nth(-2).hover()
    await expect(tooltip).to_contain_text("2026-11-24")
    await expect(tooltip.locator("tr")).to_have_count(6)
    assert await tooltip.evaluate("tip => getComputedStyle(tip).position") == "fixed"


async def test_mean_of_partial_days_is_dashed(write: Write, open_page: Any) -> None:
    """It is drawn over all days that have a sum, and as a whole line over those that nobody lacks."""
    page = await open_page(write({"a": days(60), "b": days(60, without=[3])}))
    pale, whole = page.locator(".chart.flow .layer_4_marks path"), page.locator(".chart.flow .layer_5_marks path")
    assert await pale.get_attribute("stroke-dasharray") == "3,3"
    assert (await pale.get_attribute("d")).count("L") == 29
    assert (await whole.get_attribute("d")).count("L") == 25


async def test_zeros_look_different(write: Write, open_page: Any) -> None:
    """The dot of a proven zero is hollow, that of one that WeChat sent is full."""
    stored = days(40)
    stored[-2] = stored[-2]._replace(new_user=0, cancel_user=0, sources=())
    stored[-3] = stored[-3]._replace(new_user=0, cancel_user=0, sources=(Source(0, 0, 0),))
    page = await open_page(write({"a": stored}))
    dots = page.locator(".chart.flow .layer_3_marks path")
    assert await dots.evaluate_all("dots => dots.map((dot) => dot.getAttribute('fill'))") == ["#6b7280", "white"]


async def test_sort(write: Write, open_page: Any) -> None:
    """A click on a column sorts by its numbers, the largest first; another one turns that round."""
    stored = days(30)
    stored[5] = stored[5]._replace(new_user=1_200)
    page = await open_page(write({"a": stored, "b": days(30, step=9, without=[0])}))
    head = page.locator("#details-table thead").get_by_role("button", name="新增关注")
    await head.click()
    first = await _shown(page, column=2)
    assert (first[0], first[-1]) == ("1,200", "–")
    await head.click()
    assert await _shown(page, column=2) == first[::-1]
    assert await page.locator("#details-table [aria-sort]").get_attribute("aria-sort") == "ascending"


async def test_search(write: Write, open_page: Any) -> None:
    """Rows with all words are left, in any case; the number of rows says so."""
    page = await open_page(write({"Shoes 北": days(30), "tea": days(30)}))
    assert await page.locator(".count").inner_text() == "60 / 60 行"
    await page.get_by_role("searchbox").fill("shoes 11-2")
    assert set(await _shown(page)) == {"Shoes 北"}
    assert await page.locator(".count").inner_text() == "6 / 60 行"


async def test_download(write: Write, open_page: Any, tmp_path: Path) -> None:
    """The CSV has the rows that are shown, in their order: numbers plain, absent ones empty, formulas as texts."""
    page = await open_page(write({"=1+1": days(30, step=1_500, without=[1]), 'a "b", c': days(30)}))
    await page.get_by_role("searchbox").fill("=1+1 11-2")
    async with page.expect_download() as download:
        await page.locator(".tools[data-for=details] [data-download]").click()
    file = await download.value
    assert file.suggested_filename == "clients-2026-10-27..2026-11-25-accounts.csv"
    await file.save_as(tmp_path / "down.csv")
    content = (tmp_path / "down.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = [*csv.reader(io.StringIO(content.decode("utf-8-sig")))]
    assert rows[0] == ["日期", "账号", "新增关注", "取消关注", "净增关注", "累积关注", "备注"]
    assert rows[1] == ["2026-11-25", "'=1+1", "1500", "1", "1499", "1300", ""]
    assert rows[2] == ["2026-11-24", "'=1+1", "", "", "", "", "待补"]
    assert len(rows) == 7


async def test_without_scripts(write: Write, open_page: Any) -> None:
    """All tables can be read, and a note says what charts need."""
    page = await open_page(write({"a": days(30), "b": days(30)}), scripts=False)
    assert len(await _shown(page)) == 60
    assert len(await _shown(page, "channels")) == 1
    await expect(page.locator(".no-charts")).to_have_css("opacity", "1")
    assert await page.locator("button:visible").count() == 0


async def test_charts_that_cannot_be_drawn(write: Write, browser: Any) -> None:
    """In a browser without the bundle the note stays, and tables can be sorted; else it goes."""
    page = await browser.new_page()
    await page.add_init_script("Object.defineProperty(window, 'vegaEmbed', {get: () => undefined, set: () => {}})")
    await page.goto(write({"a": days(30)}).as_uri())
    await expect(page.locator(".no-charts")).to_have_css("opacity", "1")
    assert await page.locator("#daily thead button").count() == 6
    page = await browser.new_page()
    await page.goto(write({"a": days(30)}).as_uri())
    await expect(page.locator(".no-charts")).to_be_hidden()


@pytest.mark.parametrize("language", Language)
async def test_hostile_names(write: Write, open_page: Any, language: Language) -> None:
    """Names stand on the page as they are, and run nothing."""
    page = await open_page(write({name: days(30) for name in HOSTILE}, language=language))
    assert await page.title() != "hacked"
    assert await page.locator("main img, main script").count() == 0
    assert set(await _shown(page)) == set(HOSTILE)
    assert await page.evaluate("document.documentElement.scrollWidth") == 1280


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_name_alone(write: Write, open_page: Any, name: str) -> None:
    """As the title, in a table and in the rows of a chart: together, two of them may undo each other."""
    page = await open_page(write({name: days(30)}))
    assert await page.locator("h1").inner_text() == name
    assert (await page.title()).startswith(name)
    assert await page.evaluate("document.documentElement.scrollWidth") == 1280


async def test_nothing_else_runs(write: Write, browser: Any) -> None:
    """The policy stops scripts that aren't the page's own."""
    page = await browser.new_page()
    await page.goto(write({"a": days(10)}).as_uri())
    await page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        " document.body.append(script); }"
    )
    assert await page.evaluate("window.ran") is None


@pytest.mark.parametrize("width", [390, 1280])
async def test_no_sideways_scrolling(write: Write, open_page: Any, width: int) -> None:
    """The page fits a phone; tables that are wider scroll by themselves."""
    page = await open_page(write({"a": days(100, step=99_999), "b": days(100)}), width=width)
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_legend_is_whole_on_a_phone(write: Write, open_page: Any) -> None:
    """However many lines it takes, the chart is as high as it needs."""
    sources = tuple(Source(code, 9, 1) for code in (0, 1, 17, 30, 57, 100, 149, 161, 200))
    page = await open_page(write({"a": [day._replace(sources=sources) for day in days(30)]}), width=390)
    heights = "svg => [svg.getBoundingClientRect().height, svg.firstElementChild.getBBox().height]"
    chart = page.locator(".chart.channels svg")
    given, needed = await chart.evaluate(heights)
    assert given >= needed > 300
    # As where a phone's address bar goes away.
    await page.evaluate("() => { dispatchEvent(new Event('resize')); return new Promise(go => setTimeout(go, 300)); }")
    given, needed = await chart.evaluate(heights)
    assert given >= needed > 300


async def test_print(write: Write, open_page: Any) -> None:
    """On paper there are no buttons, no rows of accounts, and charts are no wider than the sheet."""
    page = await open_page(write({"a": days(30), "b": days(30)}))
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": 695, "height": 1000})  # A4 without its margins
    assert await page.locator(".spans:visible, .tools:visible, #details-table:visible").count() == 0
    assert await page.locator(".print-only:visible").count() == 1
    widths = await page.locator(".chart svg").evaluate_all("all => all.map((svg) => svg.getBoundingClientRect().right)")
    assert max(widths) <= 695


def test_many_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that would be too large has the sums by day, and says where the rest is."""
    accounts = {f"client-{number}": days(30) for number in range(20)}
    whole = render(report_of(accounts))
    assert 'id="details-table"' in whole
    assert len(whole.encode()) < pages.MAX_BYTES
    monkeypatch.setattr(pages, "MAX_BYTES", len(whole.encode()) - 1)
    cut = render(report_of(accounts))
    assert 'id="details-table"' not in cut
    assert "collector export" in cut
    assert 'id="daily"' in cut


def test_largest_page() -> None:
    """A page of many accounts with long names and many breaks, over a year, stays below its limit."""
    accounts = {f"{number:03}{'长' * 190}": days(366) for number in range(60)}
    assert len(render(report_of(accounts, "366")).encode()) <= pages.MAX_BYTES


@pytest.mark.parametrize("language", Language)
def test_all_texts_are_of_one_language(language: Language) -> None:
    """An English page has no Chinese text but for names."""
    text = render(report_of({"a": days(60, without=[3]), "b": []}, language=language))
    body = re.sub("<(script|style).*?</\\1>", "", text, flags=re.DOTALL)
    assert bool(re.search("[\u4e00-\u9fff]", body)) == (language is Language.ZH)


def test_period_of_one_day() -> None:
    assert "2026-11-25" in render(report_of({"a": days(2)}, "1"))


def test_account_without_figures() -> None:
    """It has a page that says so."""
    page = report_of({"a": []})
    assert not page.figures.has_figures
    assert "无数据" in render(page)


def test_one_reason_in_one_line() -> None:
    """A reason that all comparisons of a card have in common stands there once."""
    assert render(report_of({"a": []})).count("本期不完整") == len(CARDS)
    assert render(report_of({"a": days(2)})).count('<th scope="row">同比</th>') == len(CARDS)


def test_span_covers_the_period() -> None:
    """A page opens with at least 30 days, and with all of a longer period."""
    spans = [opening_span(report_of({"a": days(9)}, period).figures) for period in ("7", "30", "31", "366")]
    assert spans == [30, 30, 90, 365]
    assert Window(NEWEST, NEWEST) == Frame(parse("1")(NEWEST), NEWEST).shown
