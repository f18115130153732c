"""Numbers and days as people read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from collector.model.daily import Mark
from collector.model.days import Days, Window
from collector.model.language import Language
from collector.report import formats
from collector.report.figures.comparing import Comparison, Reason
from collector.report.figures.metrics import Metric
from collector.report.figures.periods import parse
from collector.report.figures.series import Series
from collector.report.terms import Terms

ZH, EN = Terms(Language.ZH), Terms(Language.EN)
NEWEST = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (1234567, "1,234,567"), (-5, "−5"), (-1234, "−1,234")]
)
def test_number(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0.00%"),
        (0.00083, "0.083%"),
        (0.01, "1.00%"),
        (0.0123, "1.23%"),
        (0.5, "50.0%"),
        (12, "1,200.0%"),
        (-0.02, "−2.00%"),
    ],
)
def test_percent(value: float | None, text: str) -> None:
    """Small rates have more digits."""
    assert formats.percent(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.045, "▲ 4.5%"), (-0.1, "▼ 10.0%"), (0, "0.0%"), (0.0004, "0.0%")])
def test_change(value: float, text: str) -> None:
    assert formats.change(value) == text


@pytest.mark.parametrize(
    ("metric", "value", "kind"),
    [
        (Metric.NEW_USER, 0.1, "good"),
        (Metric.NEW_USER, -0.1, "bad"),
        (Metric.CANCEL_USER, 0.1, "bad"),
        (Metric.UNFOLLOW_RATE, -0.1, "good"),
        (Metric.CANCEL_USER, 0, "flat"),
        (Metric.NEW_USER, -0.0004, "flat"),
    ],
)
def test_kind_of_a_change(metric: Metric, value: float, kind: str) -> None:
    """A fall of lost followers is good news."""
    day = Window(NEWEST, NEWEST)
    assert formats.outcome(Comparison(day, day, change=value), metric, ZH) == (kind, formats.change(value))
    assert formats.outcome(Comparison(day, day, reason=Reason.INCOMPLETE), metric, ZH) == ("reason", "本期不完整")


def test_figure() -> None:
    assert formats.figure(Metric.NEW_USER, 1000) == "1,000"
    assert formats.figure(Metric.GROWTH_RATE, 0.1) == "10.0%"


def test_ranges() -> None:
    """Many ranges are cut, with the number of their days."""
    days = Days.of(NEWEST - timedelta(2 * age) for age in range(8))
    assert formats.ranges(Days.of([NEWEST, NEWEST - timedelta(1)]), ZH) == "2026-11-24 ~ 2026-11-25"
    assert formats.ranges(Days.of([*days][:6]), ZH).endswith("、2026-11-21")
    text = formats.ranges(days, ZH)
    assert text.startswith("2026-11-11、2026-11-13、")
    assert text.endswith(" …（共 8 天）")


@pytest.mark.parametrize(
    ("text", "chinese", "english"),
    [
        ("2026-W07", "2026 年第 7 周", "Week 7 of 2026"),
        ("2026-02", "2026 年 2 月", "2026-02"),
        ("10", "10 天", "10 days"),
        ("1", "1 天", "1 day"),
    ],
)
def test_period(text: str, chinese: str, english: str) -> None:
    period = parse(text)(NEWEST)
    assert (formats.period(period, ZH), formats.period(period, EN)) == (chinese, english)


def test_comparison() -> None:
    """It says what was compared with what, and who is incomplete."""
    day, before = Window(NEWEST, NEWEST), Window(NEWEST - timedelta(7), NEWEST - timedelta(1))
    left_out = Comparison(day, before, reason=Reason.INCOMPLETE, accounts=3)
    assert formats.windows(left_out, ZH) == "2026-11-25 对比 2026-11-18 ~ 2026-11-24，3 个账号不完整"
    assert formats.reason(left_out, EN) == "incomplete"
    assert formats.left_out(left_out, ZH) == ""
    compared = Comparison(day, before, 2, 1, 1.0, accounts=1_200)
    assert formats.windows(compared, ZH) == "2026-11-25 对比 2026-11-18 ~ 2026-11-24，不含 1,200 个账号"
    assert formats.left_out(compared, EN) == "without 1,200 accounts"
    assert formats.windows(Comparison(day, None, reason=Reason.NO_PERIOD), ZH) == "2026-11-25"


def test_partial_day_that_no_account_lacks() -> None:
    """Such as one of which half is stored before the first day wanted: no number of accounts is to be said."""
    series = Series(Window(NEWEST, NEWEST), [1], [0], [None], [0], [0], [Mark.PARTIAL], [0])
    assert formats.day_remark(series, 0, ZH, is_group=True) == "部分缺失"
    lacking = replace(series, lacking_cumulate=[2], breaks=[1])
    assert formats.day_remark(lacking, 0, ZH, is_group=True) == f"缺 2 个账号，{ZH('remark_breaks')}"


def test_names() -> None:
    assert formats.names(["a", "b"], EN) == "a, b"
    assert formats.names(["a", "b", "c", "d", "e"], EN) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("品牌 服务号", "品牌_服务号-2026-10.csv"),
        ("../../etc/passwd", "etc_passwd-2026-10.csv"),
        ('<b>:"|?*\0', "b_-2026-10.csv"),
        ("长" * 200, f"{'长' * 80}.csv"),
    ],
)
def test_file_name(title: str, name: str) -> None:
    """Any system takes it."""
    assert formats.file_name(title, parse("2026-10")(NEWEST), "") == name
