"""The charts of a report as Vega-Lite specifications, without their data.

A specification names a set of rows, such as `days`, which whoever draws it adds as its `datasets`. So all pages of a
site share one copy of each. A day without figures has a row with nulls, which breaks lines and areas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collector.report.terms import Terms

Spec = dict[str, Any]

FONT = '"PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", system-ui, sans-serif'
INK, MUTED, GRID = "#1f2937", "#6b7280", "#e8ebf0"
TOTAL, NEW, LOST, MEAN, GAP, MARK = "#2f5fd0", "#12a97d", "#f08a4b", "#24344f", "#f6dcd9", "#8a63d2"
PALETTE = (
    *("#2f5fd0", "#12a97d", "#f08a4b", "#8a63d2", "#e0b23c", "#3fb6d6", "#d9557f", "#7a8b3c", "#9b6a4a"),
    "#b9bfca",  # of what is left
)

BEGIN = "begin"
"""The parameter of a chart with a span: the first instant that it shows, in milliseconds since 1970 (UTC)."""

_DAY_MS = 86_400_000


def specifications(terms: Terms) -> Mapping[str, Spec]:
    """Return each chart by its name: `total`, `flow`, `channels`, `compare`, `calendar`."""
    return {
        "total": total(terms),
        "flow": flow(terms),
        "channels": channels(terms),
        "compare": compare(terms),
        "calendar": calendar(terms),
    }


def total(terms: Terms) -> Spec:
    """Return the line of 累积 over `days`, with the days on which figures break and WeChat's changes as `marks`.

    Sums that lack accounts (`all`, where `total` has none) are a pale dashed line.
    """
    y = _axis("total", scale={"zero": False, "nice": True, "padding": 8})
    line = {"type": "line", "color": TOTAL, "strokeWidth": 2, "interpolate": "monotone"}
    pale = line | {"strokeDash": [3, 3], "opacity": 0.7}
    tooltip = [_day(terms), _number("all", terms("cumulate_user")), _remark(terms)]
    return _dated(
        terms,
        _gaps("all"),
        {"mark": pale, "encoding": {"x": _X, "y": y | {"field": "all"}}},
        {"mark": line, "encoding": {"x": _X, "y": y}},
        _lone(y | {"field": "all"}, TOTAL),
        {
            "transform": [{"filter": "datum.breaks > 0"}],
            "mark": _BREAK,
            "encoding": {"x": _X, "y": y | {"field": "all"}},
        },
        *_MARKS,
        _hover(tooltip),
    )


def flow(terms: Terms) -> Spec:
    """Return 新增 upwards and 取消 downwards over `days`, and the 7-day mean of 净增.

    Days on which accounts are missing are pale. Days of 0 have a dot: a full one where WeChat said so, a hollow one
    where it was proven.
    """
    tooltip = [
        _day(terms),
        _number("new", terms("new_user")),
        _number("lost", terms("cancel_user")),
        _number("net", terms("net_user")),
        _number("mean", terms("mean"), ",.1f"),
        _remark(terms),
    ]
    bar = {"type": "rect"}
    pale = {"condition": {"test": "datum.lacking > 0", "value": 0.45}, "value": 1}
    spot = {"type": "point", "size": 22, "strokeWidth": 1.2, "stroke": MUTED, "opacity": 1}
    fill = {"condition": {"test": "datum.mark == 'proven'", "value": "white"}, "value": MUTED}
    mean = {"type": "line", "color": MEAN, "strokeWidth": 1.6, "interpolate": "monotone"}
    down = {"calculate": "isValid(datum.lost) ? -datum.lost : null", "as": "down"}
    return _dated(
        terms,
        _gaps("net"),
        {"mark": bar | {"color": NEW}, "encoding": _SPAN | _FROM_ZERO | {"y": _axis("new"), "opacity": pale}},
        {
            "transform": [down],
            "mark": bar | {"color": LOST},
            "encoding": _SPAN | _FROM_ZERO | {"y": _axis("down"), "opacity": pale},
        },
        {
            "transform": [{"filter": "datum.new === 0 && datum.lost === 0"}],
            "mark": spot,
            "encoding": {"x": _X, "y": {"datum": 0}, "fill": fill},
        },
        {"mark": mean, "encoding": {"x": _X, "y": _axis("mean")}},
        _hover(tooltip),
    )


def channels(terms: Terms) -> Spec:
    """Return 新增 of each channel over the days of `channels`, as stacked areas.

    `run` numbers the runs of days without a gap, so that no area spans one; `lone` days are a run of their own.
    """
    area = {"y": _axis("low") | {"stack": None}, "y2": {"field": "high"}}
    color = _series("channel")
    tooltip = [_day(terms), _name("channel", terms("channel")), _number("new", terms("new_user"))]
    # Stacked here: left to the mark, Vega-Lite would fill in zeros where a run has no day.
    stack = {"stack": "new", "groupby": ["t"], "sort": [{"field": "rank"}], "as": ["low", "high"]}
    return _sized(terms, 240) | {
        "data": {"name": "channels"},
        "params": [{"name": BEGIN, "value": 0}],
        "transform": [*_SINCE, stack],
        "layer": [
            {
                "transform": [{"filter": "!datum.lone"}],
                "mark": {"type": "area", "opacity": 0.88, "interpolate": "monotone"},
                "encoding": area | {"x": _X, "color": color, "detail": {"field": "run"}},
            },
            {"transform": [{"filter": "datum.lone"}], "mark": "bar", "encoding": area | _SPAN | {"color": color}},
            {
                "mark": {"type": "bar", "opacity": 0},
                "encoding": area | _DAY_SPAN | {"tooltip": tooltip},
            },
        ],
    }


def compare(terms: Terms) -> Spec:
    """Return the totals of several accounts or tags over the days of `compare`, the first of each set to 100."""
    place = {"x": _X, "y": _axis("index", scale={"zero": False, "padding": 8}), "color": _series("series")}
    tooltip = [_day(terms), _name("series", terms("name")), _number("index", terms("index"), ",.1f")]
    return _sized(terms, 240) | {
        "data": {"name": "compare"},
        "transform": [_TIME],
        "layer": [
            {"mark": {"type": "rule", "color": MUTED, "strokeDash": [3, 3]}, "encoding": {"y": {"datum": 100}}},
            {"mark": {"type": "line", "strokeWidth": 1.8, "interpolate": "monotone"}, "encoding": place},
            {
                "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0},
                "encoding": place | {"tooltip": tooltip},
            },
        ],
    }


def calendar(terms: Terms) -> Spec:
    """Return 净增 of `days` as a map of weekdays and weeks; a day without figures is an empty cell."""
    plain = {"title": None, "ticks": False, "domain": False}
    weeks = {"labelExpr": f"utcFormat(toDate(datum.value), {_LABEL})", "labelAngle": 0, "labelOverlap": "greedy"}
    weekdays = {"labelExpr": f"{terms('weekdays').split()}[datum.value]"}
    place = {
        "x": {"field": "week", "type": "ordinal", "axis": plain | weeks | {"labelSeparation": 6}},
        "y": {"field": "weekday", "type": "ordinal", "axis": plain | weekdays},
        "tooltip": [_day(terms), _number("net", terms("net_user")), _remark(terms)],
    }
    color = {
        "field": "strength",
        "type": "quantitative",
        "scale": {"domain": [-1, 0, 1], "range": [LOST, "#f1f3f6", NEW], "interpolate": "rgb"},
        "legend": None,
    }
    cell = {"type": "rect", "cornerRadius": 2, "width": {"band": 0.9}, "height": {"band": 0.86}}
    empty = {"fill": GAP, "stroke": "#d8a9a3", "strokeDash": [2, 2], "strokeWidth": 1}
    return _sized(terms, 190) | {
        "data": {"name": "days"},
        "transform": [
            _TIME,
            {"calculate": "(utcday(datum.t) + 6) % 7", "as": "weekday"},
            {"calculate": f"datum.t - datum.weekday * {_DAY_MS}", "as": "week"},
            {"calculate": "abs(datum.net)", "as": "size"},
            {"joinaggregate": [{"op": "max", "field": "size", "as": "largest"}]},
            {"calculate": "datum.net / max(datum.largest, 1)", "as": "strength"},
        ],
        "layer": [
            {"transform": [{"filter": "!isValid(datum.net)"}], "mark": cell | empty, "encoding": place},
            {
                "transform": [{"filter": "isValid(datum.net)"}],
                "mark": cell,
                "encoding": place | {"color": color},
            },
        ],
    }


_LABEL = "'%-m/%-d'"
_TIME = {"calculate": "toDate(datum.day)", "as": "t"}
_SINCE = [
    _TIME,
    {"filter": f"datum.t >= {BEGIN}"},
    # A day lies around its midnight, so that its bar stands over its label.
    *(
        {"calculate": f"datum.t {by} * {_DAY_MS}", "as": name}
        for name, by in (("left", "- 0.36"), ("right", "+ 0.36"), ("from", "- 0.5"), ("to", "+ 0.5"))
    ),
]
_X = {
    "field": "t",
    "type": "temporal",
    "scale": {"type": "utc"},
    "axis": {
        "title": None,
        "grid": False,
        "labelExpr": "utcmonth(datum.value) == 0 && utcdate(datum.value) == 1 ? utcFormat(datum.value, '%Y')"
        f" : utcFormat(datum.value, {_LABEL})",
        "labelOverlap": True,
        "tickCount": {"expr": "max(3, min(12, floor(width / 90)))"},
    },
}
_SPAN = {"x": _X | {"field": "left"}, "x2": {"field": "right"}}
_FROM_ZERO = {"y2": {"datum": 0}}
_DAY_SPAN = {"x": _X | {"field": "from"}, "x2": {"field": "to"}}
_BREAK = {"type": "point", "shape": "diamond", "filled": True, "size": 70, "color": MARK, "opacity": 1}
_MARKS = [
    {"data": {"name": "marks"}, "transform": _SINCE} | layer
    for layer in (
        {"mark": {"type": "rule", "color": MARK, "strokeDash": [4, 3]}, "encoding": {"x": _X}},
        {
            "mark": {"type": "text", "align": "left", "dx": 4, "y": 8, "color": MARK, "fontSize": 11},
            "encoding": {"x": _X, "text": {"field": "label"}},
        },
    )
]
"""The days on which WeChat changed its channels."""

_CONFIG: Spec = {
    "font": FONT,
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


def _dated(terms: Terms, *layers: Spec) -> Spec:
    """Return a chart of `days` from `BEGIN` on."""
    return _sized(terms, 190) | {
        "data": {"name": "days"},
        "params": [{"name": BEGIN, "value": 0}],
        "transform": _SINCE,
        "layer": list(layers),
    }


def _sized(terms: Terms, height: int) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": terms("chart"),
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        "padding": 4,
        "config": _CONFIG,
    }


def _axis(field: str, **more: Any) -> Spec:
    axis = {"title": None, "format": ",d", "tickCount": 5, "domain": False, "ticks": False, "minExtent": 54}
    return {"field": field, "type": "quantitative", "title": None, "axis": axis, **more}


def _series(field: str) -> Spec:
    columns = {"expr": "max(1, floor(width / 150))"}
    legend = {"title": None, "orient": "bottom", "columns": columns, "symbolType": "square"}
    return {"field": field, "type": "nominal", "sort": None, "scale": {"range": list(PALETTE)}, "legend": legend}


def _day(terms: Terms) -> Spec:
    return _name("day", terms("date"))


def _remark(terms: Terms) -> Spec:
    return _name("remark", terms("remark"))


def _name(field: str, title: str) -> Spec:
    return {"field": field, "type": "nominal", "title": title}


def _number(field: str, title: str, form: str = ",d") -> Spec:
    return {"field": field, "type": "quantitative", "title": title, "format": form}


def _gaps(field: str) -> Spec:
    """Return the bands of days on which a field is missing."""
    return {
        "transform": [{"filter": f"!isValid(datum.{field})"}],
        "mark": {"type": "rect", "color": GAP, "opacity": 0.9},
        "encoding": _DAY_SPAN,
    }


def _lone(y: Spec, color: str) -> Spec:
    """Return points of days between two gaps, which no line shows."""
    field = y["field"]
    around = [{"op": "lag", "field": field, "as": "before"}, {"op": "lead", "field": field, "as": "after"}]
    return {
        "transform": [
            {"window": around, "sort": [{"field": "t"}]},
            {"filter": f"isValid(datum.{field}) && !isValid(datum.before) && !isValid(datum.after)"},
        ],
        "mark": {"type": "point", "filled": True, "size": 18, "color": color, "opacity": 1},
        "encoding": {"x": _X, "y": y},
    }


def _hover(tooltip: Sequence[Spec]) -> Spec:
    """Return a band over the whole height of each day, unseen, that shows the day's figures."""
    return {"mark": {"type": "rect", "opacity": 0}, "encoding": _DAY_SPAN | {"tooltip": [*tooltip]}}
