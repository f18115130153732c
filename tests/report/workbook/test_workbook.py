"""Workbooks, read back by openpyxl: their figures are those of the documents, computed apart in plain Python."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import clients
import openpyxl
import pytest
from clients import BREAK, BROKEN, HOLES, NAMES, NEWEST, NO_SUMMARY, NOTHING, PROVEN, SILENT, WHOLE, YOUNG

from collector.commands.report import Order, report
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.errors import UsageError
from collector.model.daily import Daily, Source
from collector.model.language import Language
from collector.report import formats
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Frame
from collector.report.figures.periods import parse
from collector.report.report import Report
from collector.report.terms import Terms
from collector.report.workbook.writing import write_workbook
from collector.shell import install_line

NOW = datetime(2026, 11, 11, 2, tzinfo=UTC)
BEGIN, END = clients.OCTOBER
DAY = timedelta(1)
LIVE = [WHOLE, HOLES, BROKEN, YOUNG]
ZH = Terms(Language.ZH)
HOSTILE = (
    '=HYPERLINK("http://evil.example","x")',
    "<r><t>&</t></r>",
    "<script>alert(1)</script>",
    "https://evil.example",
    "🧧 茶\u202e馆",
    "长" * 200,
    "_x0041_",
)

Lines = list[tuple[Any, ...]]
Opened = Callable[..., Awaitable[Any]]


@pytest.fixture
def opened(settings: Settings, tmp_path: Path) -> Opened:
    """Write a workbook on some accounts in October, and open it."""

    async def workbook(*accounts: str, language: Language = Language.ZH) -> Any:
        order = Order(Selection(accounts), parse("2026-10"), Target(NEWEST, 7), Terms(language), NOW)
        await report(settings, order, tmp_path / "report.xlsx", write_workbook)
        return openpyxl.load_workbook(tmp_path / "report.xlsx")

    return workbook


def _lines(sheet: Any) -> Lines:
    return [tuple(_value(value) for value in line) for line in sheet.values]


def _value(value: object) -> object:
    return value.date() if isinstance(value, datetime) else value


def _below(sheet: Any, title: str, columns: int) -> Lines:
    """Return the lines of the table under a title, the last of that name, up to the first empty line."""
    lines = [line[:columns] for line in _lines(sheet)]
    begin = max(place for place, line in enumerate(lines) if line[0] == title) + 1
    end = next((place for place in range(begin, len(lines)) if not any(lines[place])), len(lines))
    return lines[begin:end]


def _expected(accounts: list[str]) -> list[object]:
    """Return the cards of October, whose last day all of these accounts have."""
    found = clients.of(accounts, BEGIN, END)
    new, lost = clients.summed(found, "new_user"), clients.summed(found, "cancel_user")
    both = [each for each in found if "new_user" in each]
    ends, begins = (sum(clients.total(each, day) or 0 for each in accounts) for day in (END, BEGIN - DAY))
    rate = clients.summed(both, "cancel_user") / clients.summed(both, "cumulate_user")
    return [ends, new, lost, new - lost, pytest.approx(rate), pytest.approx((ends - begins) / begins)]


@pytest.mark.parametrize("accounts", [[WHOLE], [HOLES], [BROKEN], LIVE])
async def test_cards(opened: Opened, accounts: list[str]) -> None:
    sheet = (await opened(*accounts))["概览"]
    cards = _below(sheet, "关键指标", 2)[:6]
    assert [line[1] for line in cards] == _expected(accounts)


async def test_comparisons(opened: Opened) -> None:
    """A change is a number; one that is left out says why."""
    sheet = (await opened(WHOLE))["概览"]
    october, september = (
        clients.summed(clients.of([WHOLE], *window), "new_user")
        for window in (clients.OCTOBER, (date(2026, 9, 1), date(2026, 9, 30)))
    )
    new_user = _below(sheet, "关键指标", 7)[1]
    assert new_user[4:] == (
        *(pytest.approx((october - september) / september),) * 2,
        "无基期数据",
    )


async def test_comparison_of_a_group(opened: Opened) -> None:
    """It is over the accounts that are whole in both windows, and a column says how many aren't."""
    book = await opened(*LIVE)
    october, september = (
        clients.summed(clients.of([WHOLE, BROKEN, YOUNG], *window), "new_user")
        for window in (clients.OCTOBER, (date(2026, 9, 1), date(2026, 9, 30)))
    )
    total, new_user = _below(book["概览"], "关键指标", 9)[:2]
    assert new_user[5] == pytest.approx((october - september) / september)
    assert (total[8], new_user[8]) == (None, "周环比 1、月环比 1、环比 1")
    assert {line[4] for line in _below(book["来源"], "渠道", 8)} == {1}


async def test_young_account(opened: Opened) -> None:
    """A change without a base is no 0."""
    cards = _below((await opened(YOUNG))["概览"], "关键指标", 8)
    assert [line[1] for line in cards[:4]] == [
        clients.total(YOUNG, END),
        *(clients.summed(clients.of([YOUNG], BEGIN, END), field) for field in ("new_user", "cancel_user", "net_user")),
    ]
    assert (cards[5][1], cards[1][5]) == (formats.ABSENT, "基期未开通")


async def test_what_is_missing(opened: Opened) -> None:
    """It stands beside each sum, and by account below."""
    sheet = (await opened())["概览"]
    assert [line[7] for line in _below(sheet, "关键指标", 8)][:2] == ["截至 2026-10-31，未计入 老号", "缺 4 个账号日"]
    gaps = "缺新增/取消 2026-10-05 ~ 2026-10-07、2026-10-20；缺累积 2026-10-20"
    assert _below(sheet, "缺失的日期", 2) == [(NAMES[HOLES], gaps)]
    found = clients.total(BROKEN, BREAK) or 0
    breaks = _below(sheet, "数据断裂（累积 ≠ 前日累积 + 新增 − 取消）", 5)
    assert breaks[1:] == [(NAMES[BROKEN], BREAK, found - 100, found, 100)]
    silent = _below(sheet, "沉默账号（近 14 天无数据）", 2)
    assert silent[1:] == [(NAMES[SILENT], clients.LAST_OF_SILENT)]
    assert [line[:1] for line in _below(sheet, "未知渠道", 3)] == [("渠道 4",)]


async def test_accounts(opened: Opened) -> None:
    """A line for each account of a group, to be sorted and filtered."""
    sheet = (await opened(*LIVE))["概览"]
    lines = {line[0]: line[1:] for line in _below(sheet, "账号", 8)[1:]}
    for account in (WHOLE, HOLES, BROKEN):
        assert [*lines[NAMES[account]][:6]] == _expected([account])
    assert lines[NAMES[HOLES]][6] == "待补，缺 4 天数据"
    assert re.fullmatch(r"A\d+:H\d+", sheet.auto_filter.ref)


async def test_trend(opened: Opened) -> None:
    """Each day with its sums, oldest first; a day that isn't stored is empty, and said to be missing."""
    lines = _lines((await opened(HOLES))["趋势"])
    assert lines[0][:7] == ("日期", "累积关注", "新增关注", "取消关注", "净增关注", "净增关注 7日均线", "备注")
    stored = {date.fromisoformat(each["ref_date"]): each for each in clients.of([HOLES], clients.SINCE, END)}
    fields = ("cumulate_user", "new_user", "cancel_user", "net_user")
    assert [line[:5] for line in lines[1:]] == [
        (day, *(stored.get(day, {}).get(field) for field in fields)) for day in clients.days_between(clients.SINCE, END)
    ]
    remarks = {line[0]: line[6] for line in lines[1:] if line[6]}
    assert remarks.keys() == {*NO_SUMMARY, NOTHING, PROVEN}
    assert (remarks[NOTHING], remarks[PROVEN]) == ("待补", "已证实为 0")
    nets = [stored[END - age * DAY]["net_user"] for age in range(7)]
    assert lines[-1][5] == pytest.approx(sum(nets) / 7, abs=0.06)


async def test_channels(opened: Opened) -> None:
    sheet = (await opened(WHOLE))["来源"]
    lines = _below(sheet, "渠道", 8)
    sums: dict[int, list[int]] = {}
    for document in clients.of([WHOLE], BEGIN, END):
        for source in document["sources"]:
            both = sums.setdefault(source["user_source"], [0, 0])
            both[0] += source["new_user"]
            both[1] += source["cancel_user"]
    new = sum(each for each, _ in sums.values())
    assert {line[0]: (line[1], line[2], *line[5:]) for line in lines} == {
        ZH.channel(code): (one, pytest.approx(one / new), other, one - other, pytest.approx(other / one))
        for code, (one, other) in sums.items()
    }
    by_day = _below(sheet, "每日新增关注，按渠道", 7)
    codes = {ZH.channel(code): code for code in sums}
    stored = {each["ref_date"]: each["sources"] for each in clients.of([WHOLE], clients.SINCE, END)}
    for line in by_day[1:]:
        values = dict(zip((codes[name] for name in by_day[0][1:]), line[1:], strict=True))
        there = {source["user_source"]: source["new_user"] for source in stored[str(line[0])]}
        assert values == dict.fromkeys(codes.values(), 0) | there


async def test_details(opened: Opened) -> None:
    """Every day of every account, newest first: what isn't stored is empty, and zeros that were proven say so."""
    sheet = (await opened(*LIVE))["明细"]
    lines = _lines(sheet)
    stored = {(each["account"], each["ref_date"]): each for each in clients.of(LIVE, BEGIN, END)}
    fields = ("new_user", "cancel_user", "net_user", "cumulate_user")
    for day, name, account, *counts in [line[:7] for line in lines[1:]]:
        assert name == NAMES[account]
        assert counts == [stored.get((account, str(day)), {}).get(field) for field in fields]
    days = [line[0] for line in lines[1:]]
    assert days == sorted(days, reverse=True)
    assert len(days) == 4 * 31
    assert {line[7] for line in lines if line[2] == YOUNG and line[0] < clients.BORN} == {"账号未开通"}
    marks = {(line[0], line[7]) for line in lines if line[2] == HOLES and line[7]}
    assert marks == {*((day, "部分缺失") for day in NO_SUMMARY), (NOTHING, "待补"), (PROVEN, "已证实为 0")}
    assert sheet.auto_filter.ref == f"A1:H{len(lines)}"


async def test_charts(opened: Opened) -> None:
    """They are native, and their figures are cells of the workbook."""
    workbook = await opened(*LIVE)
    assert workbook.sheetnames == ["概览", "趋势", "来源", "明细"]
    kinds = {sheet.title: [type(chart).__name__ for chart in sheet._charts] for sheet in workbook}
    assert kinds == {"概览": ["LineChart"], "趋势": ["LineChart", "BarChart"], "来源": ["BarChart"] * 2, "明细": []}
    for sheet in workbook:
        for chart in sheet._charts:
            for series in chart.series:
                name, _, cells = series.val.numRef.f.partition("!")
                assert [*workbook[name.strip("'")][cells.replace("$", "")]]


async def test_lost_followers_go_down_in_the_chart(opened: Opened) -> None:
    """Their cells for it are hidden: those that are read have no sign."""
    workbook = await opened(WHOLE)
    sheet = workbook["趋势"]
    new, lost = (series.val.numRef.f.partition("!")[2].replace("$", "") for series in sheet._charts[1].series)
    stored = clients.of([WHOLE], clients.SINCE, END)
    assert [line[0].value for line in sheet[new]] == [each["new_user"] for each in stored]
    assert [line[0].value for line in sheet[lost]] == [-each["cancel_user"] for each in stored]
    assert [name for name, column in sheet.column_dimensions.items() if column.hidden] == ["I"]  # up to L


async def test_chart_of_the_overview_has_the_last_days(opened: Opened) -> None:
    """As many as the page opens with; the others are in the trend's own."""
    workbook = await opened(WHOLE)
    days = []
    for sheet in ("概览", "趋势"):
        chart = workbook[sheet]._charts[0]
        cells = workbook["趋势"][chart.series[-1].cat.numRef.f.partition("!")[2].replace("$", "")]
        days.append([cell.value.date() for line in cells for cell in line])
    assert days == [clients.days_between(END - 89 * DAY, END), clients.days_between(clients.SINCE, END)]


async def test_english(opened: Opened) -> None:
    workbook = await opened(WHOLE, language=Language.EN)
    assert workbook.sheetnames == ["Overview", "Trend", "Channels", "Details"]
    assert _below(workbook["Overview"], "Key figures", 1)[0] == ("Total followers",)


def _report(names: tuple[str, ...], *, max_rows: int = 1_000) -> Report:
    frame = Frame(parse("week")(NEWEST), NEWEST)
    fold = Fold(frame, max_rows)
    for number, name in enumerate(names):
        days = [Daily(day, 3, 1, 10, (Source(0, 3, 1),)) for day in frame.shown]
        fold.add(columns_of(Facts(f"wx{number:016}", name, (), frame.shown.begin), days, frame))
    return Report(names[0], fold.figures(), ZH, NOW)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(tmp_path: Path, name: str) -> None:
    """They are texts: no formulas, no links, no XML."""
    path = tmp_path / "report.xlsx"
    write_workbook(_report((name, "other")), path)
    workbook = openpyxl.load_workbook(path)
    assert _value(workbook["概览"]["A1"].value) == name
    assert {_value(line[1]) for line in _lines(workbook["明细"])[1:]} == {name, "other"}
    cells = [cell for sheet in workbook for line in sheet.iter_rows() for cell in line]
    assert not any(cell.data_type == "f" or cell.hyperlink for cell in cells)


def test_sums_of_a_day_where_there_are_too_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "report.xlsx"
    write_workbook(_report(("a", "b"), max_rows=3), path)
    said, names, *lines = _lines(openpyxl.load_workbook(path)["明细"])
    assert said[0] == ZH("details_too_many")
    assert names[:2] == ("日期", "新增关注")
    assert {line[1:5] for line in lines} == {(6, 2, 4, 20)}


def test_no_channels(tmp_path: Path) -> None:
    """The sheet says so."""
    frame = Frame(parse("week")(NEWEST), NEWEST)
    fold = Fold(frame)
    days = [Daily(day, cumulate_user=10) for day in frame.shown]
    fold.add(columns_of(Facts("wx0", "a", (), frame.shown.begin), days, frame))
    write_workbook(Report("a", fold.figures(), ZH, NOW), tmp_path / "report.xlsx")
    assert _lines(openpyxl.load_workbook(tmp_path / "report.xlsx")["来源"]) == [("无数据",)]


def test_gaps_have_bars_of_their_own(tmp_path: Path) -> None:
    """A gap isn't drawn as 0; a workbook without any has no legend of them."""
    frame = Frame(parse("week")(NEWEST), NEWEST)
    found = []
    for without in (0, 3):
        fold = Fold(frame)
        days = [Daily(day, 3, 1, 10, ()) for day in frame.days if (frame.end - day).days not in range(1, without)]
        fold.add(columns_of(Facts("wx0", "a", (), frame.days.begin), days, frame))
        write_workbook(Report("a", fold.figures(), ZH, NOW), tmp_path / "report.xlsx")
        with zipfile.ZipFile(tmp_path / "report.xlsx") as parts:
            charts = [parts.read(name).decode() for name in parts.namelist() if name.startswith("xl/charts/chart")]
        trend = [chart for chart in charts if "<c:dateAx>" in chart and "stacked" not in chart]
        # With an axis of their own, from 0 to 1, they are as high as the chart.
        found.append([(">缺失<" in chart, chart.count("<c:valAx>")) for chart in trend])
    assert found == [[(False, 1)] * 3, [(True, 2)] * 3]


def test_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(UsageError) as caught:
        write_workbook(_report(("a",)), tmp_path / "report.xlsx")
    assert install_line("report") in str(caught.value)
