"""Specifications of charts, drawn by Vega-Lite as browsers and pictures draw them."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
import vl_convert

from collector.model.daily import Daily, Mark, Source
from collector.model.days import Window
from collector.model.language import Language
from collector.report.charts.rows import channel_rows, compared, datasets, mark_rows
from collector.report.charts.specs import specifications
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Frame
from collector.report.figures.periods import parse
from collector.report.figures.values import Figures
from collector.report.terms import Terms

NEWEST = date(2026, 11, 25)
ZH = Terms(Language.ZH)


def figures_of(days: list[Daily], **facts: Any) -> Figures:
    frame = Frame(parse("30")(NEWEST), NEWEST)
    fold = Fold(frame)
    fold.add(columns_of(Facts("wx1", "a", (), days[0].ref_date, **facts), days, frame))
    return fold.figures()


def days(count: int, without: tuple[int, ...] = ()) -> list[Daily]:
    return [
        Daily(NEWEST - timedelta(age), 5, 2, 1_000 + 3 * (count - age), (Source(30, 4, 2), Source(0, 1, 0)))
        for age in reversed(range(count))
        if age not in without
    ]


@pytest.mark.parametrize("language", Language)
def test_specifications_are_valid(language: Language) -> None:
    """Vega-Lite compiles each without a warning, and draws it without rows as well."""
    for name, spec in specifications(Terms(language)).items():
        assert json.loads(json.dumps(spec)) == spec
        empty = spec | {"datasets": {spec["data"]["name"]: [], "marks": []}, "width": 500}
        assert vl_convert.vegalite_to_svg(empty).startswith("<svg"), name


def test_rows_of_days() -> None:
    """A gap has nulls, and says what it is; the mean is that of the days that are there."""
    rows = datasets(figures_of(days(40, without=(2,))), ZH)["days"].records()
    assert len(rows) == 40
    assert rows[-3] == {
        "day": "2026-11-23", "total": None, "all": None, "run": 1, "new": None, "lost": None, "net": None, "mean": 3.0,
        "whole_mean": 3.0, "lacking": 1, "breaks": 0, "mark": Mark.MISSING, "remark": "待补",
    }  # fmt: skip
    assert rows[-1] == {
        "day": "2026-11-25", "total": 1120, "all": 1120, "run": 2, "new": 5, "lost": 2, "net": 3, "mean": 3.0,
        "whole_mean": 3.0, "lacking": 0, "breaks": 0, "mark": Mark.STORED, "remark": "",
    }  # fmt: skip


def test_day_that_lacks_a_dataset() -> None:
    """Of one account it is partly missing; of a group, as many accounts are."""
    half = days(40)
    half[-1] = half[-1]._replace(cumulate_user=None)
    frame = Frame(parse("30")(NEWEST), NEWEST)
    assert datasets(figures_of(half), ZH)["days"].records()[-1]["remark"] == "部分缺失"
    fold = Fold(frame)
    fold.add(columns_of(Facts("wx1", "a", (), half[0].ref_date), half, frame))
    fold.add(columns_of(Facts("wx2", "b", (), half[0].ref_date), [], frame))
    last = datasets(fold.figures(), ZH)["days"].records()[-1]
    assert (last["remark"], last["mean"], last["whole_mean"]) == ("缺 2 个账号", 3.0, None)


def test_totals_that_lack_another_number_of_accounts() -> None:
    """They are a line of their own: without the account the line would dip, and nobody left."""
    frame = Frame(parse("30")(NEWEST), NEWEST)
    fold = Fold(frame)
    for name, stored in (("a", days(40)), ("b", days(40, without=(0, 5, 6))), ("c", [])):
        fold.add(columns_of(Facts(f"wx{name}", name, (), NEWEST - timedelta(39)), stored, frame))
    rows = {"days": datasets(fold.figures(), ZH)["days"].records(), "marks": []}
    assert [row["run"] for row in rows["days"]] == [0] * 33 + [1] * 2 + [2] * 4 + [3]
    svg = vl_convert.vegalite_to_svg(specifications(ZH)["total"] | {"datasets": rows, "width": 500})
    assert len(re.findall('<path[^>]*stroke-dasharray="3,3"', svg)) == 4


def test_labels_of_an_axis_differ() -> None:
    """Of totals that differ by hundredths of a percent, by a percent, and by a few followers."""
    for followers, name, data, least in (
        *((each, "compare", "compare", 2) for each in (30_000, 3_000, 100)),
        *((each, "total", "days", 4) for each in (100_000, 3_000)),
    ):
        slow = [each._replace(cumulate_user=followers + place // 4) for place, each in enumerate(days(40))]
        drawn = {"datasets": {data: datasets(figures_of(slow), ZH)[data].records(), "marks": []}, "width": 700}
        labels = _labels(vl_convert.vegalite_to_svg(specifications(ZH)[name] | drawn))
        assert len(labels) >= least
        assert len({*labels}) == len(labels)


def _labels(svg: str) -> list[str]:
    """Return the numbers beside the vertical axis."""
    return re.findall(r'<text[^>]*text-anchor="end"[^>]*>([\d.,]+)</text>', svg)


def test_lines_have_no_curves() -> None:
    """Between two days is nothing that never was."""
    assert "monotone" not in json.dumps(specifications(ZH))


def test_days_begin_with_the_first_collected() -> None:
    """Days before it are no gap."""
    rows = datasets(figures_of(days(12), born=NEWEST - timedelta(11)), ZH)["days"].records()
    assert (rows[0]["day"], len(rows)) == ("2026-11-14", 12)


def test_runs_of_channels() -> None:
    """A gap ends a run, and a day between two gaps is a run of its own."""
    figures = figures_of(days(9, without=(2, 4)))
    found = channel_rows(figures, ZH, Window(NEWEST - timedelta(8), NEWEST))
    runs = [(row["day"][-2:], row["run"], row["lone"], row["channel"], row["new"]) for row in found.records()]
    assert runs == [
        (day, run, day == "22", channel, new)
        for day, run in (*((f"{day}", 0) for day in (17, 18, 19, 20)), ("22", 1), ("24", 2), ("25", 2))
        for channel, new in (("扫描二维码", 4), ("其他合计", 1))
    ]


def test_small_channels_are_drawn_together() -> None:
    sources = tuple(Source(code, 100 - code, 0) for code in range(14))
    figures = figures_of([Daily(NEWEST, 1, 0, 10, sources)])
    found = channel_rows(figures, ZH, Window(NEWEST, NEWEST))
    assert found.series[-1] == "其余 5 个渠道"
    assert sum(row["new"] for row in found.records()) == sum(source.new_user for source in sources)


def test_rest_of_one_channel_is_drawn_by_itself() -> None:
    """It would take as much room together; a channel without new followers takes none."""
    sources = (*(Source(code, 100 - code, 0) for code in range(10)), Source(17, 0, 5))
    figures = figures_of([Daily(NEWEST, 1, 0, 10, sources)])
    found = channel_rows(figures, ZH, Window(NEWEST, NEWEST))
    assert found.series == [ZH.channel(code) for code in range(10)]


def test_changes_of_channels() -> None:
    """Those of WeChat's that lie within the days."""
    marks = mark_rows(ZH, Window(date(2020, 1, 1), date(2024, 1, 1))).records()
    assert [(mark["day"], mark["label"]) for mark in marks] == [
        ("2020-04-01", "他人转载 单列"),
        ("2020-06-01", "微信广告、专辑页内账号名称 单列"),
        ("2023-06-01", "支付后关注 并入其他合计"),
    ]
    assert mark_rows(ZH, Window(date(2026, 1, 1), NEWEST)).records() == []


def test_comparison() -> None:
    """The first day is 100; an account without it can't be compared."""
    figures = figures_of(days(40))
    found = compared(figures.lines, figures.frame.shown)
    assert found.series == ["a"]
    assert [found.values[0][0], found.values[0][-1]] == pytest.approx([100, 108.4], abs=0.1)
    assert compared(figures_of(days(40, without=(29,))).lines, figures.frame.shown).records() == []


def test_comparison_is_of_the_largest_accounts() -> None:
    frame = Frame(parse("30")(NEWEST), NEWEST)
    fold = Fold(frame)
    for place in range(10):
        stored = [each._replace(cumulate_user=100 * (place + 1)) for each in days(40)]
        fold.add(columns_of(Facts(f"wx{place}", f"n{place}", (), stored[0].ref_date), stored, frame))
    assert compared(fold.figures().lines, frame.shown).series == [f"n{place}" for place in range(9, 1, -1)]
