"""The writers of reports, each by the suffix of the file that it writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from collector.errors import UsageError
from collector.report.page import Page, render

Write = Callable[[Page, Path], None]
"""Function that writes a report to a file. Raises `OSError`; `UsageError` where the extra `report` is missing."""


def write_page(page: Page, path: Path) -> None:
    """Write a report as one page that needs no other file."""
    path.write_text(render(page), encoding="utf-8")


WRITERS: Mapping[str, Write] = {".html": write_page}


def writer_of(out: str) -> Write:
    """Return the writer of a file by its suffix. Raises `UsageError` where it has none."""
    suffix = Path(out).suffix.lower()
    if suffix not in WRITERS:
        known = " or ".join(WRITERS)
        raise UsageError(f"{out} has none of the suffixes of a report: name a file that ends with {known}")
    return WRITERS[suffix]
