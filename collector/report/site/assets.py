"""Style, scripts and templates that all pages of a site share.

The names of the files change with their content, so no browser keeps an old one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from collector.report.charts.specs import specifications
from collector.report.charts.vega import javascript_bundle
from collector.report.page.page import Assets, asset, json_block, policy
from collector.report.site.names import INDEX
from collector.report.templates import template
from collector.report.terms import Terms

# From disk, some browsers count a page's own folder as `self`, others go by the scheme.
_POLICY = policy("'self' file:", "'self' file:")


class Shared(NamedTuple):
    """A function for each kind of page that renders it, and the shared files by their names.

    `before` and `after` are the scripts around that of a page's own data.
    """

    renderers: Mapping[str, Callable[[Mapping[str, object]], str]]
    files: Mapping[str, bytes]
    style: str
    before: Sequence[str]
    after: str

    def of(self, page: str) -> Assets:
        """Return the style and the scripts of a page, as addresses from there."""
        root = root_of(page)
        scripts = [*(f"{root}{name}" for name in self.before), f"{page.rpartition('/')[2]}.js", f"{root}{self.after}"]
        return Assets(inline=False, styles=[f"{root}{self.style}"], scripts=scripts, policy=_POLICY)


def root_of(page: str) -> str:
    """Return the way from a page to the folder of the index."""
    return "" if page == INDEX else "../"


def shared(terms: Terms) -> Shared:
    """Return what all pages share.

    Raises:
        UsageError: vl-convert or Jinja2 isn't installed.
    """
    renderers = {kind: template(f"site/{kind}.html.j2").render for kind in ("index", "account", "tag")}
    charts = f"window.collectorCharts = {json_block(specifications(terms))};"
    texts = {
        "style": ("css", asset("page/page.css") + asset("site/site.css")),
        "vega": ("js", javascript_bundle()),
        "charts": ("js", charts),
        "page": ("js", asset("page/page.js") + asset("site/table.js")),
    }
    names = {name: f"assets/{name}-{_hash(text)}.{suffix}" for name, (suffix, text) in texts.items()}
    files = {names[name]: text.encode() for name, (_, text) in texts.items()}
    return Shared(renderers, files, names["style"], (names["vega"], names["charts"]), names["page"])


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]
