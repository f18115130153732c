"""The charts of a report as Vega-Lite specifications, without their data.

A specification names a set of rows, such as `days`, which whoever draws it adds as its `datasets`. So all pages of a
site share one copy of each. A day without figures has a row with nulls, which breaks lines and areas.
"""

from __future__ import annotations

from collections.abc import Mapping

from collector.report.charts.colours import GAP, LOST, MEAN, MUTED, NEW, TOTAL
from collector.report.charts.parts import (
    BEGIN,
    BREAK,
    BY_RANGE,
    DAY_MS,
    DAY_SPAN,
    FROM_ZERO,
    LABEL,
    MARKS,
    PALE_LINE,
    SINCE,
    SPAN,
    TIME,
    WITH_LEGEND,
    Spec,
    X,
    axis,
    dated,
    day,
    gaps,
    hover,
    lone,
    name,
    number,
    remark,
    series,
    sized,
)
from collector.report.terms import Terms


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

    Sums that lack accounts (`all`, where `total` has none) are pale dashed lines, one for each `run` of days.
    """
    y = axis("total", scale={"zero": False, "nice": True, "padding": 8})
    line = {"type": "line", "color": TOTAL, "strokeWidth": 2}
    pale = line | PALE_LINE
    tooltip = [day(terms), number("all", terms("cumulate_user")), remark(terms)]
    return dated(
        gaps("all"),
        {"mark": pale, "encoding": {"x": X, "y": y | {"field": "all"}, "detail": {"field": "run"}}},
        {"mark": line, "encoding": {"x": X, "y": y}},
        lone(y | {"field": "all"}, TOTAL),
        {
            "transform": [{"filter": "datum.breaks > 0"}],
            "mark": BREAK,
            "encoding": {"x": X, "y": y | {"field": "all"}},
        },
        *MARKS,
        hover(tooltip),
    )


def flow(terms: Terms) -> Spec:
    """Return 新增 upwards and 取消 downwards over `days`, and the 7-day mean of 净增.

    Days on which accounts are missing are pale, and so is the mean of such days. Days of 0 have a dot: a full one where
    WeChat said so, a hollow one where it was proven.
    """
    tooltip = [
        day(terms),
        number("new", terms("new_user")),
        number("lost", terms("cancel_user")),
        number("net", terms("net_user")),
        number("mean", terms("mean"), ",.1f"),
        remark(terms),
    ]
    bar = {"type": "rect"}
    pale = {"condition": {"test": "datum.lacking > 0", "value": 0.45}, "value": 1}
    spot = {"type": "point", "size": 22, "strokeWidth": 1.2, "stroke": MUTED, "opacity": 1}
    fill = {"condition": {"test": "datum.mark == 'proven'", "value": "white"}, "value": MUTED}
    mean = {"type": "line", "color": MEAN, "strokeWidth": 1.6}
    down = {"calculate": "isValid(datum.lost) ? -datum.lost : null", "as": "down"}
    return dated(
        gaps("net"),
        {"mark": bar | {"color": NEW}, "encoding": SPAN | FROM_ZERO | {"y": axis("new"), "opacity": pale}},
        {
            "transform": [down],
            "mark": bar | {"color": LOST},
            "encoding": SPAN | FROM_ZERO | {"y": axis("down"), "opacity": pale},
        },
        {
            "transform": [{"filter": "datum.new === 0 && datum.lost === 0"}],
            "mark": spot,
            "encoding": {"x": X, "y": {"datum": 0}, "fill": fill},
        },
        {"mark": mean | PALE_LINE, "encoding": {"x": X, "y": axis("mean")}},
        {"mark": mean, "encoding": {"x": X, "y": axis("whole_mean")}},
        hover(tooltip),
    )


def channels(terms: Terms) -> Spec:
    """Return 新增 of each channel over the days of `channels`, as stacked areas.

    `run` numbers the runs of days without a gap, so that no area spans one; `lone` days are a run of their own.
    """
    area = {"y": axis("low") | {"stack": None}, "y2": {"field": "high"}}
    color = series("channel")
    tooltip = [day(terms), name("channel", terms("channel")), number("new", terms("new_user"))]
    # Stacked here: left to the mark, Vega-Lite would fill in zeros where a run has no day.
    stack = {"stack": "new", "groupby": ["t"], "sort": [{"field": "rank"}], "as": ["low", "high"]}
    return (
        sized(190)
        | WITH_LEGEND
        | {
            "data": {"name": "channels"},
            "params": [{"name": BEGIN, "value": 0}],
            "transform": [*SINCE, stack],
            "layer": [
                {
                    "transform": [{"filter": "!datum.lone"}],
                    "mark": {"type": "area", "opacity": 0.88},
                    "encoding": area | {"x": X, "color": color, "detail": {"field": "run"}},
                },
                {"transform": [{"filter": "datum.lone"}], "mark": "bar", "encoding": area | SPAN | {"color": color}},
                {
                    "mark": {"type": "bar", "opacity": 0},
                    "encoding": area | DAY_SPAN | {"tooltip": tooltip},
                },
            ],
        }
    )


def compare(terms: Terms) -> Spec:
    """Return the totals of several accounts or tags over the days of `compare`, the first of each set to 100."""
    place = {
        "x": X,
        "y": axis("index", BY_RANGE, scale={"zero": False, "padding": 8}),
        "color": series("series"),
    }
    tooltip = [day(terms), name("series", terms("name")), number("index", terms("index"), ",.2f")]
    return (
        sized(190)
        | WITH_LEGEND
        | {
            "data": {"name": "compare"},
            "transform": [TIME],
            "layer": [
                {"mark": {"type": "rule", "color": MUTED, "strokeDash": [3, 3]}, "encoding": {"y": {"datum": 100}}},
                {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": place},
                {
                    "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0},
                    "encoding": place | {"tooltip": tooltip},
                },
            ],
        }
    )


def calendar(terms: Terms) -> Spec:
    """Return 净增 of `days` as a map of weekdays and weeks; a day without figures is an empty cell."""
    plain = {"title": None, "ticks": False, "domain": False}
    weeks = {"labelExpr": f"utcFormat(toDate(datum.value), {LABEL})", "labelAngle": 0, "labelOverlap": "greedy"}
    weekdays = {"labelExpr": f"{terms('weekdays').split()}[datum.value]"}
    place = {
        "x": {"field": "week", "type": "ordinal", "axis": plain | weeks | {"labelSeparation": 6}},
        "y": {"field": "weekday", "type": "ordinal", "axis": plain | weekdays},
        "tooltip": [day(terms), number("net", terms("net_user")), remark(terms)],
    }
    color = {
        "field": "strength",
        "type": "quantitative",
        "scale": {"domain": [-1, 0, 1], "range": [LOST, "#f1f3f6", NEW], "interpolate": "rgb"},
        "legend": None,
    }
    cell = {"type": "rect", "cornerRadius": 2, "width": {"band": 0.9}, "height": {"band": 0.86}}
    empty = {"fill": GAP, "stroke": "#d8a9a3", "strokeDash": [2, 2], "strokeWidth": 1}
    return sized(190) | {
        "data": {"name": "days"},
        "transform": [
            TIME,
            {"calculate": "(utcday(datum.t) + 6) % 7", "as": "weekday"},
            {"calculate": f"datum.t - datum.weekday * {DAY_MS}", "as": "week"},
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
