"""A report as one picture to be sent in a chat: the key figures as cards, and the trend."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import NamedTuple

from collector.model.daily import Mark
from collector.model.days import Window
from collector.report import formats
from collector.report.charts.colours import GAP, INK, LOST, MARK, MEAN, MUTED, NEW, TOTAL, WARN
from collector.report.charts.parts import BEGIN, Spec
from collector.report.charts.rows import Record, day_rows, drawn_days, mark_rows
from collector.report.charts.specs import flow, total
from collector.report.charts.vega import png, svg
from collector.report.figures.comparing import Comparison
from collector.report.figures.metrics import Metric
from collector.report.figures.values import Card
from collector.report.picture.drawing import FONTS, Drawing, Look, drawable, fitted, width_of
from collector.report.report import Report, opening_span
from collector.report.terms import Terms

WIDTH = 1080

_MARGIN, _GAP, _INSIDE = 48, 24, 32
_COLUMNS = 2
_CARD_WIDTH = (WIDTH - 2 * _MARGIN - _GAP) // _COLUMNS
_CHART_SCALE = 2
"""Charts are made for screens, and a picture is looked at on a phone."""

_CHART_HEIGHT = 190

_SIGN_WIDTH, _KEY_SPACE, _KEYS_HEIGHT = 32, 28, 38

_GROUND, _PANEL, _RULE = "#f5f7fa", "#ffffff", "#e5e8ee"
_PALE = "#9ddcc6"
_REASON = "#8b93a1"
_KINDS = {"good": "#0b8560", "bad": "#c4611f", "flat": MUTED, "reason": _REASON}
_TITLE, _VALUE = Look(48, INK, bold=True), Look(56, INK, bold=True)
_NAME, _ROW, _FINE, _SMALL = Look(26, MUTED), Look(24, MUTED), Look(22, MUTED), Look(20, _REASON)


def write_picture(report: Report, path: Path) -> None:
    """Write a report as a PNG of `WIDTH` pixels, as high as it becomes. `use_fonts` has looked for a font by then.

    Raises:
        UsageError: vl-convert isn't installed.
        OSError: it can't be written.
    """
    path.write_bytes(png(drawn(report)))


def drawn(report: Report) -> str:
    """Return the picture as SVG."""
    drawing = Drawing(WIDTH)
    bottom = _draw_head(drawing, report)
    bottom = _draw_cards(drawing, report, bottom + _GAP)
    bottom = _draw_trend(drawing, report, bottom + _GAP)
    drawing.text(_MARGIN, bottom + 46, report.signature, _FINE)
    return drawing.svg(bottom + 80, _GROUND)


def _draw_head(drawing: Drawing, report: Report) -> int:
    terms, frame = report.terms, report.figures.frame
    drawing.text(_MARGIN, 78, terms("report"), Look(26, TOTAL, bold=True))
    y = 78
    for line in fitted(drawable(report.title) or terms("report"), _TITLE.size, WIDTH - 2 * _MARGIN, lines=2):
        y += 64
        drawing.text(_MARGIN, y, line, _TITLE)
    days = terms("from_to", begin=frame.period.days.begin, end=frame.period.days.end)
    facts = [f"{formats.period(frame.period, terms)} · {days}", _facts(report)]
    for fact in facts:
        y += 42
        drawing.text(_MARGIN, y, fact, _NAME)
    if not frame.is_over:
        y += 42
        drawing.text(_MARGIN, y, terms("not_over", end=frame.end), Look(24, WARN))
    return y + 12


def _facts(report: Report) -> str:
    """Return up to when there are figures, and how many accounts are of each coverage."""
    figures, terms = report.figures, report.terms
    day = figures.total.day if figures.total else terms("no_figures")
    # There is room for one line, so nothing is said of 0 accounts.
    counts = [f"{name} {count}" for kind, name, count in formats.coverages(figures, terms) if figures.coverage[kind]]
    accounts = f"{terms.label('accounts')}{terms('colon')}{terms('list').join(counts)}"
    return f"{terms.label('data_until')} {day} · {accounts}"


def _draw_cards(drawing: Drawing, report: Report, top: int) -> int:
    cards = report.figures.cards
    height = max(_card_height(card, report.terms) for card in cards)
    for place, card in enumerate(cards):
        column, row = place % _COLUMNS, place // _COLUMNS
        x, y = _MARGIN + column * (_CARD_WIDTH + _GAP), top + row * (height + _GAP)
        drawing.box(x, y, _CARD_WIDTH, height, _PANEL, radius=20)
        _draw_card(drawing, report, card, x + _INSIDE, y)
    rows = -(-len(cards) // _COLUMNS)
    return top + rows * (height + _GAP) - _GAP


def _card_height(card: Card, terms: Terms) -> int:
    return 216 + 38 * (1 if formats.common_reason(card, terms) else len(card.comparisons))


def _draw_card(drawing: Drawing, report: Report, card: Card, x: int, y: int) -> None:
    terms, inside = report.terms, _CARD_WIDTH - 2 * _INSIDE
    drawing.text(x, y + 50, terms.label(card.metric), _NAME)
    drawing.text(x, y + 116, formats.figure(card.metric, card.value), _VALUE)
    remark, color = _remark(card, report)
    for line in fitted(drawable(remark), _FINE.size, inside):
        drawing.text(x, y + 156, line, Look(_FINE.size, color))
    drawing.line(x, y + 178, inside, _RULE)
    if reason := formats.common_reason(card, terms):
        drawing.text(x, y + 218, terms.label("term_change"), _ROW)
        drawing.text(x + inside, y + 218, reason, Look(_ROW.size, _REASON), "end")
        return
    for place, (against, comparison) in enumerate(card.comparisons.items()):
        name = terms.label(f"against_{against}")
        _draw_comparison(drawing, terms, card.metric, (name, comparison), (x, y + 218 + 38 * place))


def _draw_comparison(
    drawing: Drawing, terms: Terms, metric: Metric, named: tuple[str, Comparison], at: tuple[int, int]
) -> None:
    """Draw a comparison in a line, and how many accounts it is made without where there is room."""
    (name, comparison), (x, y) = named, at
    end = x + _CARD_WIDTH - 2 * _INSIDE
    kind, text = formats.outcome(comparison, metric, terms)
    drawing.text(x, y, name, _ROW)
    drawing.text(end, y, text, Look(_ROW.size, _KINDS[kind]), "end")
    remark, width = formats.left_out(comparison, terms), width_of(text, _ROW.size)
    if remark and x + width_of(name, _ROW.size) + width_of(remark, _SMALL.size) + 24 <= end - width:
        drawing.text(end - width - 12, y, remark, _SMALL, "end")


def _remark(card: Card, report: Report) -> tuple[str, str]:
    """Return what a key figure lacks, else the day of the total; and the colour for it."""
    terms, total_of = report.terms, report.figures.total if card.metric is Metric.CUMULATE_USER else None
    remark = terms("comma").join(formats.card_remarks(card, report.figures, terms))
    if total_of and not remark:
        return terms("total_on", day=total_of.day), MUTED
    if total_of and width_of(remark, _FINE.size) > _CARD_WIDTH - 2 * _INSIDE:  # the names of some accounts
        remark = terms("lacking_accounts", count=formats.number(len(total_of.lacking)))
    return remark, WARN


class _Key(NamedTuple):
    """A name in the legend of a chart, and the sign of what it names."""

    name: str
    color: str
    sign: str = "■"


def _draw_trend(drawing: Drawing, report: Report, top: int) -> int:
    terms, figures = report.terms, report.figures
    every, shown = drawn_days(figures), figures.frame.spans[opening_span(figures)]
    days = Window(max(shown.begin, every.begin), every.end)
    records, marks = day_rows(figures, terms, days).records(), mark_rows(terms, days).records()
    for spec, keys in ((total(terms), _total_keys(terms, records)), (flow(terms), _flow_keys(terms, records))):
        top = _draw_panel(drawing, _with_rows(spec, records, marks, days), keys, top) + _GAP
    return top - _GAP


def _draw_panel(drawing: Drawing, spec: Spec, keys: Sequence[_Key], top: int) -> int:
    rows = _key_rows(keys)
    bottom = top + 60 + _KEYS_HEIGHT * len(rows) + _CHART_SCALE * _CHART_HEIGHT
    drawing.box(_MARGIN, top, WIDTH - 2 * _MARGIN, bottom - top, _PANEL, radius=20)
    y = top + 16
    for row in rows:
        x, y = float(_MARGIN + _INSIDE), y + _KEYS_HEIGHT
        for key in row:
            drawing.text(x, y, key.sign, Look(_ROW.size, key.color))
            drawing.text(x + _SIGN_WIDTH, y, key.name, _ROW)
            x += _key_width(key)
    drawing.chart(_MARGIN + _INSIDE, y + 22, svg(spec), _CHART_SCALE)
    return bottom


def _key_rows(keys: Sequence[_Key]) -> list[list[_Key]]:
    """Return the keys in as many rows as they need."""
    rows: list[list[_Key]] = [[]]
    for key in keys:
        if sum(map(_key_width, [*rows[-1], key])) > WIDTH - 2 * (_MARGIN + _INSIDE) + _KEY_SPACE:
            rows.append([])
        rows[-1].append(key)
    return rows


def _key_width(key: _Key) -> float:
    return _SIGN_WIDTH + width_of(key.name, _ROW.size) + _KEY_SPACE


def _total_keys(terms: Terms, records: Sequence[Record]) -> list[_Key]:
    keys = [_Key(terms.label("cumulate_user"), TOTAL)]
    if any(record["all"] != record["total"] for record in records):
        keys.append(_Key(terms.label("key_pale"), TOTAL, "┄"))
    if any(record["all"] is None for record in records):
        keys.append(_Key(terms.label("key_gap"), GAP))
    if any(record["breaks"] for record in records):
        keys.append(_Key(terms.label("key_break"), MARK, "◆"))
    return keys


def _flow_keys(terms: Terms, records: Sequence[Record]) -> list[_Key]:
    keys = [_Key(terms.label("new_user"), NEW), _Key(terms.label("cancel_user"), LOST)]
    keys.append(_Key(f"{terms.label('net_user')} {terms('mean')}", MEAN, "━"))
    if any(record["net"] is None for record in records):
        keys.append(_Key(terms.label("key_gap"), GAP))
    if any(record["lacking"] and record["net"] is not None for record in records):
        keys.append(_Key(terms.label("key_pale"), _PALE))
    zeros = {record["mark"] == Mark.PROVEN for record in records if record["new"] == 0 and record["lost"] == 0}
    keys += [_Key(terms.label("key_zero"), MUTED, "●")] if False in zeros else []
    keys += [_Key(terms.label("key_proven"), MUTED, "○")] if True in zeros else []
    return keys


def _with_rows(spec: Spec, records: Sequence[Record], marks: Sequence[Record], days: Window) -> Spec:
    """Return a chart with its rows, of the size that a panel has room for."""
    begin = datetime.combine(days.begin, time(0), UTC).timestamp() * 1_000
    return spec | {
        "datasets": {"days": records, "marks": marks},
        "params": [{"name": BEGIN, "value": begin}],
        "width": (WIDTH - 2 * (_MARGIN + _INSIDE)) / _CHART_SCALE,
        "height": _CHART_HEIGHT,
        "padding": {"left": 0, "right": 4, "top": 8, "bottom": 4},
        "config": spec["config"] | {"font": FONTS},
    }
