"""Write the pages of a site, those of an account as soon as its days are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from collector.model.standings import Status
from collector.report.figures.account import Columns, Facts
from collector.report.figures.fold import Fold, contribution_of
from collector.report.figures.frame import Frame
from collector.report.figures.values import Figures
from collector.report.page.page import chart_data, context, json_block
from collector.report.report import Report
from collector.report.site.assets import Shared, root_of
from collector.report.site.folder import Folder
from collector.report.site.names import INDEX, Links, account_page, pages, tag_page
from collector.report.site.standing import collecting
from collector.report.site.table import COLUMNS, NUMBERS, table
from collector.report.terms import Terms


def files_of(accounts: Iterable[Facts], assets: Shared) -> list[str]:
    """Return the names of all files of a site."""
    return [*assets.files, *(f"{page}.{suffix}" for page in pages(accounts) for suffix in ("html", "js"))]


class Site:
    """The site of some accounts in an open folder, whose pages are written while the accounts are added.

    The shared files come first and the index last, so whatever page is there can be opened.
    """

    def __init__(self, folder: Folder, frame: Frame, terms: Terms, assets: Shared, now: datetime) -> None:
        self._folder = folder
        self._frame = frame
        self._terms = terms
        self._assets = assets
        self._now = now
        # No rows by account: each account has them on its own page.
        self._all = Fold(frame, max_rows=0)
        self._tags: dict[str, Fold] = {}
        self._known: set[str] = set()
        for name, content in assets.files.items():
            folder.write(name, content)

    def add(self, account: Columns) -> None:
        """Write the page of an account, and add it to all accounts and to its tags."""
        facts, own, contribution = account.facts, Fold(self._frame, max_rows=0), contribution_of(account, self._frame)
        own.add_contribution(contribution)
        # Without the instant of writing, a page changes with its figures alone.
        report = Report(facts.name, own.figures(), self._terms, None)
        self._write(account_page(facts.account), "account", report, tags=facts.tags)
        self._known.add(facts.account)
        self._all.add_contribution(contribution)
        # A tag may be given twice.
        for tag in dict.fromkeys(facts.tags):
            self._tags.setdefault(tag, Fold(self._frame, max_rows=0)).add_contribution(contribution)

    def finish(self, title: str, status: Status) -> Figures:
        """Write the pages of the tags and the index; return the figures of all accounts."""
        for tag, fold in self._tags.items():
            self._write_group(tag_page(tag), "tag", Report(tag, fold.figures(), self._terms, None))
        figures, found = self._all.figures(), collecting(status, self._known)
        self._write_group(INDEX, "index", Report(title, figures, self._terms, self._now), collecting=found)
        return figures

    def _write_group(self, name: str, kind: str, report: Report, **values: object) -> None:
        accounts = table(report.figures.lines, self._terms)
        self._write(name, kind, report, {"accounts": accounts}, columns=COLUMNS, numbers=NUMBERS, **values)

    def _write(
        self, name: str, kind: str, report: Report, data: Mapping[str, Any] | None = None, **values: object
    ) -> None:
        """Write the HTML and the data of a page, which has a template of its own."""
        root = root_of(name)
        more = {"links": Links(root), "root": root, "by_account": False, **values}
        text = self._assets.renderers[kind]({**context(report, self._assets.of(name)), **more})
        shown = json_block({**chart_data(report.figures, self._terms), **(data or {})})
        script = f"window.collectorReport = {{specs: window.collectorCharts, ...{shown}}};"
        self._folder.write(f"{name}.html", text.encode())
        self._folder.write(f"{name}.js", script.encode())
