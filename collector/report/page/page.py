"""One page about an account or a group: its figures as cards, charts and tables, for browsers and for print."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from typing import Any

import orjson

from collector.report import formats
from collector.report.charts.rows import Rows, datasets
from collector.report.charts.specs import specifications
from collector.report.charts.vega import javascript_bundle
from collector.report.figures.frame import SPANS
from collector.report.figures.metrics import CARDS, DAILY
from collector.report.figures.rankings import MIN_FOLLOWERS, RULES, Ranking, ranked
from collector.report.figures.values import Figures
from collector.report.report import Report, opening_span
from collector.report.templates import FOLDER, template
from collector.report.terms import Terms

MAX_BYTES = 3_000_000
"""The size of a page that mail and chats take. Details by account are left out of a larger one."""

TOP = 10
"""Lines of a ranking."""

LISTED = 200
"""Rows of each table of anomalies and gaps."""


@dataclass(frozen=True, slots=True)
class Assets:
    """The style and the scripts of a page: in it, or in files that pages share.

    `styles` and `scripts` are texts where `inline` is True, else addresses relative to the page. `policy` is the
    Content-Security-Policy, which lets nothing else run and nothing be fetched.
    """

    inline: bool
    styles: Sequence[str]
    scripts: Sequence[str]
    policy: str


@cache
def inline_assets() -> Assets:
    """Return style and scripts to put into a page, which its policy names by their hashes.

    Raises:
        UsageError: vl-convert isn't installed.
    """
    scripts, styles = (javascript_bundle(), asset("page/page.js")), (asset("page/page.css"),)
    return Assets(True, styles, scripts, policy(" ".join(map(_hash, scripts)), " ".join(map(_hash, styles))))


def asset(name: str) -> str:
    """Return the text of a style or a script of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


def policy(scripts: str, styles: str) -> str:
    """Return a Content-Security-Policy by which only these `scripts` and `styles` count."""
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def render(report: Report) -> str:
    """Return a page that needs no other file. The details by account are left out where it would be too large.

    Raises:
        UsageError: Jinja2 or vl-convert isn't installed.
    """
    data = json_block({"specs": specifications(report.terms), **chart_data(report.figures, report.terms)})
    text = html(report, inline_assets(), data)
    if len(text.encode()) > MAX_BYTES:
        text = html(report, inline_assets(), data, has_details=False)
    return text


def html(report: Report, assets: Assets, data: str = "", *, has_details: bool = True) -> str:
    """Return a page with these assets. `data` is the JSON of its charts; without it a script has to bring that."""
    return template("page/page.html.j2").render(**context(report, assets, data, has_details=has_details))


def context(report: Report, assets: Assets, data: str = "", *, has_details: bool = True) -> dict[str, Any]:
    """Return the values of the template of a page, and of those that extend it."""
    figures, terms = report.figures, report.terms
    return {
        "title": report.title,
        "f": figures,
        "t": terms,
        "fmt": formats,
        "assets": assets,
        "data": data,
        "signature": report.signature,
        "is_group": figures.is_group,
        "details": figures.details if has_details else None,
        "metrics": CARDS,
        "daily": DAILY,
        "rankings": [(ranking, RULES[ranking].metric, ranked(figures.lines, ranking, TOP)) for ranking in Ranking],
        "least": MIN_FOLLOWERS,
        "spans": SPANS,
        "span": opening_span(figures),
        "days": _days(figures, terms),
        "listed": LISTED,
        # A site has other values for these two.
        "by_account": True,
        "links": None,
    }


def chart_data(figures: Figures, terms: Terms) -> dict[str, Any]:
    """Return what the charts of a page draw: `data` by the name of each set of rows, and the first `span`."""
    return {
        "data": {name: _packed(rows) for name, rows in datasets(figures, terms).items()},
        "span": opening_span(figures),
    }


def json_block(value: Any) -> str:
    """Return a value as JSON that no `</script>` in it can end."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")


def _packed(rows: Rows) -> dict[str, Any]:
    """Return rows in few bytes; `unpacked` of page.js reads them.

    Instead of a column stands its value where all have the same, the first one where they are consecutive days, and
    the name of an earlier column that equals it.
    """
    count = len(next(iter(rows.columns.values())))
    columns: dict[str, Any] = {}
    for name, column in rows.columns.items():
        same = next((other for other, values in columns.items() if values == column), None)
        if same:
            columns[name] = {"same": same}
        elif count > 1 and name == "day" and _are_consecutive(column):
            columns[name] = {"first": column[0]}
        elif column and column.count(column[0]) == count:
            columns[name] = {"all": column[0]}
        else:
            columns[name] = column
    return {
        "count": count,
        "columns": columns,
        "series": rows.series,
        "values": rows.values,
        "name": rows.name,
        "value": rows.value,
    }


def _are_consecutive(days: Sequence[str]) -> bool:
    return (date.fromisoformat(days[-1]) - date.fromisoformat(days[0])).days == len(days) - 1


def _days(figures: Figures, terms: Terms) -> Sequence[Sequence[str]]:
    """Return the days of the period as texts, the newest first: mark, day, figures, remark."""
    shown = figures.series.of(figures.frame.shown)
    columns: list[Iterable[str]] = [
        shown.marks,
        [str(day) for day in shown.days],
        *(map(formats.number, shown.values(metric)) for metric in DAILY),
        [formats.day_remark(shown, place, terms, is_group=figures.is_group) for place in range(len(shown.days))],
    ]
    rows: list[tuple[str, ...]] = [*zip(*columns, strict=True)]
    return rows[::-1]


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"
