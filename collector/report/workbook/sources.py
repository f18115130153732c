"""The sheet 来源: channels over the period, and the new followers of each by day."""

from __future__ import annotations

from collector.report.charts.colours import NEW, PALETTE
from collector.report.charts.rows import channel_rows, drawn_days
from collector.report.figures.values import Figures
from collector.report.report import Report, opening_span
from collector.report.terms import Terms
from collector.report.workbook.book import Book, Sheet, change_cell, finish

_WIDTHS = (24, *(16,) * 10)
_TITLES = ("channel", "new_user", "share", "change", "left_out", "cancel_user", "net_user", "lost_to_new")
_ROW_HEIGHT = 20
_CHARTS_AT = len(_WIDTHS) + 1


def add_sources(book: Book, report: Report) -> None:
    """Add the sheet of channels."""
    terms, figures = book.terms, report.figures
    sheet = book.sheet(terms("sources"), _WIDTHS)
    if not figures.channels:
        sheet.line([("text", terms("no_figures"))])
        return
    _add_channels(sheet, figures, terms)
    _add_bars(book, sheet, len(figures.channels))
    if figures.days_without_channels:
        sheet.line([("warn", terms("issues_no_channels", count=figures.days_without_channels))])
    sheet.row += 1
    _add_days(book, sheet, report)


def _add_channels(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    sheet.head([*map(terms.label, _TITLES)])
    for channel in figures.channels:
        sheet.line(
            [
                ("text", terms.channel(channel.code)),
                ("number", channel.new_user),
                ("rate", channel.share.value),
                change_cell(channel.change, terms),
                ("number", None if channel.change.change is None else channel.change.accounts),
                ("number", channel.cancel_user),
                ("number", channel.net_user),
                ("rate", channel.lost_to_new.value),
            ]
        )


def _add_bars(book: Book, sheet: Sheet, last: int) -> None:
    """Add a bar for the new followers of each channel, whose rows are those up to `last`."""
    terms, chart = book.terms, book.workbook.add_chart({"type": "bar"})
    chart.add_series(
        {
            "name": terms.label("new_user"),
            "categories": sheet.cells(0, 1, last),
            "values": sheet.cells(1, 1, last),
            "fill": {"color": NEW},
            "gap": 40,
            "data_labels": {"value": True, "num_format": "#,##0"},
        }
    )
    finish(chart, f"{terms('sources')}{terms('colon')}{terms('new_user')}", dates=False)
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "major_tick_mark": "none"})  # most first, from the top
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
    sheet.chart(chart, _CHARTS_AT, row=0, width=900, height=_bars_height(last))


def _bars_height(channels: int) -> int:
    return max(240, 60 + 26 * channels)


def _add_days(book: Book, sheet: Sheet, report: Report) -> None:
    """Add the new followers by day and channel, and stacked columns of them: an area would show a gap as 0."""
    terms, figures = book.terms, report.figures
    sheet.line([("section", terms("sources_caption"))])
    head = sheet.row
    days = drawn_days(figures)
    found = channel_rows(figures, terms, days)
    sheet.head([terms.label("date"), *found.series])
    values = dict(zip(found.columns["day"], zip(*found.values, strict=True), strict=True))
    nothing = (None,) * len(found.series)
    for day in days:
        there = values.get(str(day))
        sheet.line([("day", day), *(("number", value) for value in there or nothing)], is_gap=there is None)
    first = max(head + 1, sheet.row - opening_span(figures))
    chart = book.workbook.add_chart({"type": "column", "subtype": "stacked"})
    for place, name in enumerate(found.series):
        chart.add_series(
            {
                "name": name,
                "categories": sheet.cells(0, first, sheet.row - 1),
                "values": sheet.cells(place + 1, first, sheet.row - 1),
                "fill": {"color": PALETTE[place]},
                "gap": 30,
            }
        )
    finish(chart, terms("sources_caption"))
    sheet.chart(chart, _CHARTS_AT, row=_bars_height(len(figures.channels)) // _ROW_HEIGHT + 2, width=900, height=380)
