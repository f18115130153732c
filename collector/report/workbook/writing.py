"""Write a report as a workbook."""

from __future__ import annotations

from pathlib import Path

from collector.report.report import Report
from collector.report.workbook.book import opened
from collector.report.workbook.details import add_details
from collector.report.workbook.overview import add_overview, end_overview
from collector.report.workbook.sources import add_sources
from collector.report.workbook.trend import add_trend


def write_workbook(report: Report, path: Path) -> None:
    """Write a report as a workbook of four sheets: 概览, 趋势, 来源, 明细.

    Raises:
        UsageError: XlsxWriter isn't installed.
        OSError: it can't be written.
    """
    with opened(path, report.terms) as book:
        overview = add_overview(book, report)
        end_overview(overview, report, add_trend(book, report))
        add_sources(book, report)
        add_details(book, report)
