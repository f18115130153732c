"""Write a report as a workbook."""

from __future__ import annotations

from pathlib import Path

from collector.report.page.page import Page
from collector.report.workbook.book import opened
from collector.report.workbook.details import add_details
from collector.report.workbook.overview import add_overview, end_overview
from collector.report.workbook.sources import add_sources
from collector.report.workbook.trend import add_trend


def write_workbook(page: Page, path: Path) -> None:
    """Write a report as a workbook of four sheets: 概览, 趋势, 来源, 明细.

    Raises:
        UsageError: XlsxWriter isn't installed.
        OSError: it can't be written.
    """
    with opened(path, page.terms) as book:
        overview = add_overview(book, page)
        end_overview(overview, page, add_trend(book, page))
        add_sources(book, page)
        add_details(book, page)
