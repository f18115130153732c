"""The sheet 趋势: the figures of each day with their charts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from collector.report.charts.colours import GAP, LOST, MEAN, NEW, TOTAL
from collector.report.charts.rows import Record, day_rows, drawn_days
from collector.report.report import Report
from collector.report.workbook.book import AXIS, Book, Sheet, finish

_WIDTHS = (12, 14, 14, 14, 14, 18, 30, 2)
_DAY, _WHOLE, _LOST_DOWN, _TOTAL_GAP, _FLOW_GAP, _WHOLE_MEAN = 0, 8, 9, 10, 11, 12
_ALL, _NEW, _MEAN = 1, 2, 5


class Trend(NamedTuple):
    """The written days, for the charts of any sheet. Columns behind the last visible one are for charts alone."""

    book: Book
    sheet: Sheet
    records: list[Record]

    def total(self, days: int) -> Any:
        """Return the chart of 累积关注 over the last `days`.

        Sums that lack accounts are a pale line, and days without any total pale bars.
        """
        terms, chart = self.book.terms, self.book.workbook.add_chart({"type": "line"})
        if any(record["all"] != record["total"] for record in self.records[-days:]):
            line = {"color": TOTAL, "width": 1.5, "dash_type": "round_dot", "transparency": 40}
            chart.add_series(self._series(_ALL, terms("key_pale"), days) | {"line": line})
        line = {"color": TOTAL, "width": 2}
        # Else a day between two gaps would be nowhere.
        spot = {"type": "circle", "size": 3, "fill": {"color": TOTAL}, "border": {"color": TOTAL}}
        chart.add_series(self._series(_WHOLE, terms.label("cumulate_user"), days) | {"line": line, "marker": spot})
        gaps = self.book.workbook.add_chart({"type": "column"})
        if self._add_gaps(gaps, "all", _TOTAL_GAP, days):
            chart.combine(gaps)
        totals: list[int] = [each for record in self.records[-days:] if (each := record["all"]) is not None]
        finish(chart, terms.label("cumulate_user"), least=_floor(totals) if totals else None)
        return chart

    def flow(self, days: int) -> Any:
        """Return the chart of 新增 upwards and 取消 downwards over the last `days`, with the 7-day mean of 净增.

        Means of days that lack accounts are a pale line.
        """
        terms, chart = self.book.terms, self.book.workbook.add_chart({"type": "column"})
        for column, name, color in ((_NEW, "new_user", NEW), (_LOST_DOWN, "cancel_user", LOST)):
            look = {"fill": {"color": color}, "overlap": 100, "gap": 40}
            chart.add_series(self._series(column, terms.label(name), days) | look)
        mean = self.book.workbook.add_chart({"type": "line"})
        name = f"{terms.label('net_user')} {terms('mean')}"
        if any(record["mean"] != record["whole_mean"] for record in self.records[-days:]):
            pale = {"color": MEAN, "width": 1.25, "dash_type": "round_dot", "transparency": 40}
            mean.add_series(self._series(_MEAN, f"{name}{terms('comma')}{terms('key_pale')}", days) | {"line": pale})
        mean.add_series(self._series(_WHOLE_MEAN, name, days) | {"line": {"color": MEAN, "width": 1.5}})
        chart.combine(mean)
        self._add_gaps(chart, "net", _FLOW_GAP, days)
        finish(chart, f"{terms.label('new_user')}{terms('list')}{terms('cancel_user')}")
        return chart

    def _add_gaps(self, chart: Any, field: str, column: int, days: int) -> bool:
        """Show days without a figure as pale bars over the whole height, which no 0 looks like, if there are any."""
        if all(record[field] is not None for record in self.records[-days:]):
            return False
        series = self._series(column, self.book.terms("key_gap"), days)
        chart.add_series(series | {"fill": {"color": GAP}, "gap": 0, "y2_axis": True})
        # An axis that isn't visible wouldn't count for LibreOffice.
        chart.set_y2_axis(AXIS | {"min": 0, "max": 1, "label_position": "none", "major_tick_mark": "none"})
        return True

    def _series(self, column: int, name: str, days: int) -> dict[str, object]:
        last = len(self.records)
        first = max(1, last - days + 1)
        categories, values = self.sheet.cells(_DAY, first, last), self.sheet.cells(column, first, last)
        return {"name": name, "categories": categories, "values": values}


def _floor(totals: Sequence[int]) -> int:
    """Return a round number below some totals from which their changes can be seen; an axis would begin with 0."""
    low, spread = min(totals), max(totals) - min(totals)
    digits = len(str(spread)) - 1
    step: int = 10**digits
    return max(0, (low - spread // 4) // step * step)


def add_trend(book: Book, report: Report) -> Trend:
    """Add the sheet of all days that the report looks at, oldest first."""
    terms, figures = book.terms, report.figures
    sheet = book.sheet(terms("trend"), _WIDTHS)
    names = ("cumulate_user", "new_user", "cancel_user", "net_user")
    mean = f"{terms.label('net_user')} {terms('mean')}"
    sheet.head([terms.label("date"), *map(terms.label, names), mean, terms.label("remark")])
    records = day_rows(figures, terms, drawn_days(figures)).records()
    for record in records:
        _add_day(sheet, record)
    sheet.sheet.freeze_panes(1, 1)
    sheet.sheet.repeat_rows(0)
    # `finish` lets charts show what is hidden.
    sheet.sheet.set_column(_WHOLE, _WHOLE_MEAN, None, None, {"hidden": True})
    trend = Trend(book, sheet, records)
    for row, chart in ((1, trend.total(len(records))), (20, trend.flow(len(records)))):
        sheet.chart(chart, _WHOLE_MEAN + 1, row=row, width=900, height=340)
    return trend


def _add_day(sheet: Sheet, record: Record) -> None:
    lost = record["lost"]
    sheet.line(
        [
            ("day", date.fromisoformat(record["day"])),
            *(("number", record[field]) for field in ("all", "new", "lost", "net")),
            ("mean", record["mean"]),
            ("warn", record["remark"]),
        ],
        is_gap=record["all"] is None and record["net"] is None,
    )
    # Cells for charts alone go into the row just written, without the colour of a gap.
    sheet.row -= 1
    gaps = (1 if record[field] is None else None for field in ("all", "net"))
    hidden = (record["total"], None if lost is None else -lost, *gaps, record["whole_mean"])
    sheet.line([("number", value) for value in hidden], begin=_WHOLE)
