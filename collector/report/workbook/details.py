"""The sheet 明细: each day of each account, or the sums of a day."""

from __future__ import annotations

from collector.report import formats
from collector.report.figures.metrics import DAILY
from collector.report.report import Report
from collector.report.workbook.book import Book, Sheet

_WIDTHS = (12, 26, 22, 14, 14, 14, 14, 30)


def add_details(book: Book, report: Report) -> None:
    """Add the details of the period, newest day first; sums a day where there would be too many rows."""
    terms = book.terms
    sheet = book.sheet(terms("details"), _WIDTHS)
    is_by_account = report.figures.details is not None
    if not is_by_account:
        sheet.line([("warn", terms("details_too_many"))])
    head = sheet.row
    who = ("account", "appid") if is_by_account else ()
    titles = [*map(terms.label, ("date", *who, *DAILY, "remark"))]
    sheet.head(titles, texts=1 + len(who))
    _add_rows(sheet, report)
    # A filter needs a line below the titles.
    sheet.sheet.autofilter(head, 0, max(head + 1, sheet.row - 1), len(titles) - 1)
    sheet.sheet.freeze_panes(head + 1, 0)
    sheet.sheet.repeat_rows(head)


def _add_rows(sheet: Sheet, report: Report) -> None:
    figures, terms = report.figures, report.terms
    if figures.details is not None:
        for row in figures.details:
            sheet.line(
                [
                    ("day", row.ref_date),
                    ("text", row.name),
                    ("text", row.account),
                    *(("number", count) for count in row.daily),
                    ("warn", terms(f"mark_{row.mark}")),
                ],
                is_gap=all(count is None for count in row.daily),
            )
        return
    shown = figures.series.of(figures.frame.shown)
    columns = [shown.values(metric) for metric in DAILY]
    for day in formats.newest_first(figures.frame.shown):
        at = (day - figures.frame.shown.begin).days
        counts = [values[at] for values in columns]
        sheet.line(
            [
                ("day", day),
                *(("number", count) for count in counts),
                ("warn", formats.day_remark(shown, at, terms, is_group=figures.is_group)),
            ],
            is_gap=all(count is None for count in counts),
        )
