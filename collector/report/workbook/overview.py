"""The sheet 概览: whom the report is about, the key figures, the trend, what is missing, and all accounts."""

from __future__ import annotations

from collector.report import formats
from collector.report.figures.frame import Against
from collector.report.figures.lines import Coverage, Line
from collector.report.figures.metrics import CARDS, Metric
from collector.report.figures.values import Card, Figures
from collector.report.report import Report, opening_span
from collector.report.terms import Terms
from collector.report.workbook.book import Book, Cell, Sheet, change_cell
from collector.report.workbook.trend import Trend

_WIDTHS = (26, 16, 14, 14, 14, 14, 14, 44, 44)
_CHART_ROWS = 19

FORMS: dict[Metric, str] = dict.fromkeys(Metric, "number") | {
    Metric.UNFOLLOW_RATE: "small_rate",
    Metric.GROWTH_RATE: "small_rate",
    Metric.LOST_TO_NEW: "rate",
}
"""The forms of key figures."""


def add_overview(book: Book, report: Report) -> Sheet:
    """Add the sheet, but for its chart: the charts take their figures from a later one."""
    sheet = book.sheet(book.terms("overview"), _WIDTHS)
    _add_head(sheet, report)
    _add_cards(sheet, report)
    return sheet


def end_overview(sheet: Sheet, report: Report, trend: Trend) -> None:
    """Add the chart of the trend, and below it what is missing, and the accounts of a group."""
    sheet.row += 1
    sheet.chart(trend.total(opening_span(report.figures)), 0, width=1140, height=340)
    sheet.row += _CHART_ROWS
    _add_issues(sheet, report.figures, report.terms)
    if report.figures.is_group:
        _add_accounts(sheet, report.figures, report.terms)


def _add_head(sheet: Sheet, report: Report) -> None:
    figures, terms = report.figures, report.terms
    frame = figures.frame
    days = terms("from_to", begin=frame.period.days.begin, end=frame.period.days.end)
    day = figures.total.day if figures.total else terms("no_figures")
    accounts = [f"{name} {count}" for _, name, count in formats.coverages(figures, terms)]
    sheet.line([("title", report.title)])
    sheet.line([("muted", terms("report"))])
    sheet.row += 1
    for name, value in (
        ("period", f"{formats.period(frame.period, terms)} ({days})"),
        ("data_until", str(day)),
        ("accounts", terms("list").join(accounts)),
    ):
        sheet.line([("muted", terms.label(name)), ("text", value)])
    if not frame.is_over:
        sheet.line([("warn", terms("not_over", end=frame.end))])
    sheet.row += 1


def _add_cards(sheet: Sheet, report: Report) -> None:
    terms, figures = report.terms, report.figures
    against = [terms.label(f"against_{each}") for each in Against]
    sheet.head([terms("key_figures"), terms.label("value"), *against, terms.label("remark"), terms.label("left_out")])
    for card in figures.cards:
        value: Cell = ("reason", formats.ABSENT) if card.value is None else (FORMS[card.metric], card.value)
        comparisons = [change_cell(card.comparisons[each], terms) for each in Against]
        on = terms("total_on", day=figures.total.day) if card.metric is Metric.CUMULATE_USER and figures.total else ""
        remark = terms("comma").join(filter(None, (on, *formats.card_remarks(card, figures, terms))))
        sheet.line(
            [
                ("text", terms.label(card.metric)),
                value,
                *comparisons,
                ("warn", remark),
                ("reason", _left_out(card, terms)),
            ]
        )


def _left_out(card: Card, terms: Terms) -> str:
    """Return how many accounts each comparison is made without: `日环比 10、周环比 3`."""
    counts = [
        f"{terms(f'against_{against}')} {formats.number(comparison.accounts)}"
        for against, comparison in card.comparisons.items()
        if comparison.change is not None and comparison.accounts
    ]
    return terms("list").join(counts)


def _add_issues(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    sheet.line([("section", terms("issues"))])
    if not (figures.gaps or figures.breaks or figures.silent or figures.unknown_channels):
        sheet.line([("text", terms("issues_none"))])
    _add_gaps(sheet, figures, terms)
    _add_breaks(sheet, figures, terms)
    _add_silent(sheet, figures, terms)
    _add_unknown_channels(sheet, figures, terms)
    sheet.row += 1


def _add_gaps(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    if figures.gaps:
        sheet.row += 1
        sheet.head([terms.label("issues_missing"), terms.label("remark")])
    for gap in figures.gaps:
        kinds = (("issues_summary", gap.summary), ("issues_cumulate", gap.cumulate), ("issues_void", gap.void))
        parts = [f"{terms.label(kind)} {formats.ranges(days, terms)}" for kind, days in kinds if days]
        if gap.collected_since:
            parts.append(terms("issues_since", day=gap.collected_since))
        sheet.line([("text", gap.name), ("warn", terms("semicolon").join(parts))])


def _add_breaks(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    if figures.breaks:
        sheet.row += 1
        sheet.line([("text", terms.label("issues_breaks"))])
        titles = ("account", "date", "issues_expected", "issues_found", "issues_difference")
        sheet.head([*map(terms.label, titles)], texts=2)
    for each in figures.breaks:
        found = each.found
        counts = (found.expected, found.found, found.difference)
        sheet.line([("text", each.name), ("day", found.day), *(("number", count) for count in counts)])


def _add_silent(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    if figures.silent:
        sheet.row += 1
        sheet.line([("text", terms.label("issues_silent"))])
        sheet.head([terms.label("account"), terms.label("issues_newest")], texts=2)
    for silent in figures.silent:
        sheet.line([("text", silent.name), ("day", silent.newest)])


def _add_unknown_channels(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    if figures.unknown_channels:
        sheet.row += 1
        sheet.head([terms.label("issues_channels"), terms.label("new_user"), terms.label("accounts")])
    for channel in figures.unknown_channels:
        counts = (channel.new_user, channel.accounts)
        sheet.line([("text", terms.channel(channel.code)), *(("number", count) for count in counts)])


def _add_accounts(sheet: Sheet, figures: Figures, terms: Terms) -> None:
    """Add a line for each account, which can be sorted and filtered."""
    sheet.line([("section", terms.label("accounts"))])
    first = sheet.row
    titles = [terms.label("name"), *map(terms.label, CARDS), terms.label("remark")]
    sheet.head(titles)
    for line in figures.lines:
        figures_of = [(FORMS[metric], line.value(metric)) for metric in CARDS]
        sheet.line([("text", line.name), *figures_of, ("warn", _remark(line, terms))])
    sheet.sheet.autofilter(first, 0, sheet.row - 1, len(titles) - 1)


def _remark(line: Line, terms: Terms) -> str:
    missing = line.tally.missing.days
    parts = [
        "" if line.coverage is Coverage.COMPLETE else terms(f"coverage_{line.coverage}"),
        terms("missing_days", count=formats.number(missing)) if missing else "",
    ]
    return terms("comma").join(filter(None, parts))
