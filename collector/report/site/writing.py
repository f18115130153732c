"""Write the pages of a site, those of an account as soon as its days are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from collector.model.standings import Status
from collector.report.account import Columns, Facts
from collector.report.figures import Figures
from collector.report.fold import Fold, share_of
from collector.report.frame import Frame
from collector.report.page import Page, chart_data, context, json_block
from collector.report.site.assets import Shared, root_of
from collector.report.site.folder import Folder
from collector.report.site.names import INDEX, Links, account_page, pages, tag_page
from collector.report.site.standing import collecting
from collector.report.site.table import COLUMNS, NUMBERS, table
from collector.report.templates import template
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
        self._all = Fold(frame, max_rows=0)
        self._tags: dict[str, Fold] = {}
        self._known: set[str] = set()
        for name, content in assets.files.items():
            folder.write(name, content)

    def add(self, account: Columns) -> None:
        """Write the page of an account, and add it to all accounts and to its tags."""
        facts, own, share = account.facts, Fold(self._frame, max_rows=0), share_of(account, self._frame)
        own.add_share(share)
        page, figures = account_page(facts.account), own.figures()
        self._write(page, "account", facts.name, figures, chart_data(figures, self._terms), tags=facts.tags)
        self._known.add(facts.account)
        self._all.add_share(share)
        for tag in dict.fromkeys(facts.tags):
            self._tags.setdefault(tag, Fold(self._frame, max_rows=0)).add_share(share)

    def finish(self, title: str, status: Status) -> Figures:
        """Write the pages of the tags and the index; return the figures of all accounts."""
        for tag, fold in self._tags.items():
            self._write_group(tag_page(tag), "tag", tag, fold.figures())
        figures = self._all.figures()
        self._write_group(INDEX, "index", title, figures, collecting=collecting(status, self._known))
        return figures

    def _write_group(self, page: str, form: str, title: str, figures: Figures, **values: object) -> None:
        data = chart_data(figures, self._terms) | {"accounts": table(figures.lines, self._terms)}
        self._write(page, form, title, figures, data, columns=COLUMNS, numbers=NUMBERS, **values)

    def _write(
        self, page: str, form: str, title: str, figures: Figures, data: Mapping[str, Any], **values: object
    ) -> None:
        root = root_of(page)
        # Without the instant of writing, a page changes with its figures alone.
        written = self._now if page == INDEX else None
        shown = context(Page(title, figures, self._terms, written), self._assets.of(page))
        text = template(f"site/{form}.html.j2").render(
            shown | {"links": Links(root), "root": root, "by_account": False} | values
        )
        script = f"window.collectorReport = {{specs: window.collectorCharts, ...{json_block(data)}}};"
        self._folder.write(f"{page}.html", text.encode())
        self._folder.write(f"{page}.js", script.encode())
