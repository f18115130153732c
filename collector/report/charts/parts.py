"""Parts that the charts of a report share: colours, axes, layers and columns of a tooltip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collector.report.charts.colours import GAP, GRID, INK, MARK, MUTED, PALETTE
from collector.report.terms import Terms

Spec = dict[str, Any]

FONT = '"PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", system-ui, sans-serif'
BEGIN = "begin"
"""The parameter of a chart with a span: the first instant that it shows, in milliseconds since 1970 (UTC)."""

DAY_MS = 86_400_000

LABEL = "'%-m/%-d'"
TIME = {"calculate": "toDate(datum.day)", "as": "t"}
SINCE = [
    TIME,
    {"filter": f"datum.t >= {BEGIN}"},
    # A day lies around its midnight, so that its bar stands over its label.
    *(
        {"calculate": f"datum.t {by} * {DAY_MS}", "as": name}
        for name, by in (("left", "- 0.36"), ("right", "+ 0.36"), ("from", "- 0.5"), ("to", "+ 0.5"))
    ),
]
X = {
    "field": "t",
    "type": "temporal",
    "scale": {"type": "utc"},
    "axis": {
        "title": None,
        "grid": False,
        "labelExpr": "utcmonth(datum.value) == 0 && utcdate(datum.value) == 1 ? utcFormat(datum.value, '%Y')"
        f" : utcFormat(datum.value, {LABEL})",
        "labelOverlap": True,
        "tickCount": {"expr": "max(3, min(12, floor(width / 90)))"},
    },
}
SPAN = {"x": X | {"field": "left"}, "x2": {"field": "right"}}
FROM_ZERO = {"y2": {"datum": 0}}
DAY_SPAN = {"x": X | {"field": "from"}, "x2": {"field": "to"}}
PALE_LINE = {"strokeDash": [3, 3], "opacity": 0.7}
"""The look of a line over days that some account lacks."""

BREAK = {"type": "point", "shape": "diamond", "filled": True, "size": 70, "color": MARK, "opacity": 1}
MARKS = [
    {"data": {"name": "marks"}, "transform": SINCE} | layer
    for layer in (
        {"mark": {"type": "rule", "color": MARK, "strokeDash": [4, 3]}, "encoding": {"x": X}},
        {
            "mark": {"type": "text", "align": "left", "dx": 4, "y": 8, "color": MARK, "fontSize": 11},
            "encoding": {"x": X, "text": {"field": "label"}},
        },
    )
]
"""The days on which WeChat changed its channels."""

_CONFIG: Spec = {
    "font": FONT,
    "aria": False,  # a page has a label for each chart, and tables
    "view": {"stroke": None},
    "mark": {"invalid": "break-paths-show-path-domains"},
    "axis": {
        "labelColor": MUTED,
        "labelFontSize": 11,
        "gridColor": GRID,
        "domainColor": "#d5dae2",
        "tickColor": "#d5dae2",
    },
    "legend": {"labelColor": INK, "labelFontSize": 11, "labelLimit": 140},
}


def dated(*layers: Spec) -> Spec:
    """Return a chart of `days` from `BEGIN` on."""
    return sized(190) | {
        "data": {"name": "days"},
        "params": [{"name": BEGIN, "value": 0}],
        "transform": SINCE,
        "layer": list(layers),
    }


def sized(height: int) -> Spec:
    """Return a chart of that height in pixels, as wide as its place."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        "padding": 4,
        "config": _CONFIG,
    }


WITH_LEGEND = {"autosize": {"type": "fit-x", "contains": "padding"}}
"""A legend of any height below the chart, which keeps its own: on a phone each series has a line."""


WHOLE_NUMBERS = {"format": ",d", "tickMinStep": 1}
BY_RANGE = {
    "labelExpr": "format(datum.value, span(domain('y')) < 1 ? ',.2f' : span(domain('y')) < 20 ? ',.1f' : ',d')",
    "tickMinStep": 0.01,
}
"""The labels of an axis: whole numbers, or as many decimals as its range needs."""


def axis(field: str, labels: Spec = WHOLE_NUMBERS, **more: Any) -> Spec:
    """Return the vertical place of a figure."""
    axis = {"title": None, **labels, "tickCount": 5, "domain": False, "ticks": False, "minExtent": 54}
    return {"field": field, "type": "quantitative", "title": None, "axis": axis, **more}


def series(field: str) -> Spec:
    """Return the colours of several series, in the order of their rows."""
    columns = {"expr": "max(1, floor(width / 150))"}
    legend = {"title": None, "orient": "bottom", "columns": columns, "symbolType": "square"}
    return {"field": field, "type": "nominal", "sort": None, "scale": {"range": list(PALETTE)}, "legend": legend}


def day(terms: Terms) -> Spec:
    """Return the date in a tooltip."""
    return name("day", terms("date"))


def remark(terms: Terms) -> Spec:
    """Return the remark on a day in a tooltip."""
    return name("remark", terms("remark"))


def name(field: str, title: str) -> Spec:
    """Return a text in a tooltip."""
    return {"field": field, "type": "nominal", "title": title}


def number(field: str, title: str, form: str = ",d") -> Spec:
    """Return a number in a tooltip."""
    return {"field": field, "type": "quantitative", "title": title, "format": form}


def gaps(field: str) -> Spec:
    """Return the bands of days on which a field is missing."""
    return {
        "transform": [{"filter": f"!isValid(datum.{field})"}],
        "mark": {"type": "rect", "color": GAP, "opacity": 0.9},
        "encoding": DAY_SPAN,
    }


def lone(y: Spec, color: str) -> Spec:
    """Return points of days that are a `run` of their own or between two gaps, which no line shows."""
    field = y["field"]
    around = [{"op": "lag", "field": field, "as": "before"}, {"op": "lead", "field": field, "as": "after"}]
    return {
        "transform": [
            {"window": around, "groupby": ["run"], "sort": [{"field": "t"}]},
            {"filter": f"isValid(datum.{field}) && !isValid(datum.before) && !isValid(datum.after)"},
        ],
        "mark": {"type": "point", "filled": True, "size": 18, "color": color, "opacity": 1},
        "encoding": {"x": X, "y": y},
    }


def hover(tooltip: Sequence[Spec]) -> Spec:
    """Return a band over the whole height of each day, unseen, that shows the day's figures."""
    return {"mark": {"type": "rect", "opacity": 0}, "encoding": DAY_SPAN | {"tooltip": [*tooltip]}}
