"""The writers of reports, each by the suffix of the file that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from collector.errors import UsageError
from collector.report.charts.vega import use_fonts
from collector.report.page.page import render
from collector.report.picture.picture import write_picture
from collector.report.report import Report
from collector.report.workbook.writing import write_workbook
from collector.text import alternatives

Write = Callable[[Report, Path], None]
"""Function that writes a report to a file. Raises `OSError`; `UsageError` where the extra `report` is missing."""


def write_page(report: Report, path: Path) -> None:
    """Write a report as one page that needs no other file."""
    path.write_text(render(report), encoding="utf-8")


WRITERS: Mapping[str, Write] = {".html": write_page, ".xlsx": write_workbook, ".png": write_picture}


def writer_of(out: str, font_dir: Path | None = None) -> Write:
    """Return the writer of a file by its suffix. Pictures take fonts of `font_dir`, too.

    Raises:
        UsageError: the file has none of the suffixes, or no font is fit for a picture.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(
            f"{out} has none of the suffixes of a report: name a file that ends with {alternatives(WRITERS)}, "
            "or a folder with a slash at its end for a site, such as site/"
        )
    # Now, and not when the figures are there: a host without fonts is told at once.
    if WRITERS[suffix] is write_picture:
        use_fonts(font_dir)
    return WRITERS[suffix]
