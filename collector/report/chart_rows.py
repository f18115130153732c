"""The rows that charts draw, of the figures of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from collector.model.channels import CHANNELS
from collector.model.days import ONE_DAY, Window
from collector.report.account import Mark
from collector.report.figures import Figures
from collector.report.frame import SPANS
from collector.report.lines import Line
from collector.report.metrics import Metric
from collector.report.series import Series
from collector.report.terms import Terms

Record = dict[str, Any]

MAX_COMPARED = 8
"""Lines of a comparison: more can't be told apart."""

MAX_CHANNELS = 9
"""Channels with an area of their own; the rest of a longer list is one more."""

_BEFORE = frozenset({Mark.UNCOLLECTED, Mark.UNBORN})


def datasets(figures: Figures, terms: Terms) -> Mapping[str, Any]:
    """Return the rows of all charts by the names that their specifications have for them."""
    days = _days(figures)
    return {
        "days": day_records(figures, terms, days),
        "marks": mark_records(terms, days),
        "channels": channel_records(figures, terms, days),
        "compare": compared(figures.lines, figures.frame.shown),
        "tags": compared(figures.tags, figures.frame.shown),
    }


def _days(figures: Figures) -> Window:
    """Return the days that are drawn: of the longest span, from the first day on that was collected."""
    span = figures.frame.spans[SPANS[-1]]
    marks = figures.series.marks[figures.series.slice(span)]
    begin = next((day for day, mark in zip(span, marks, strict=True) if mark not in _BEFORE), span.end)
    return Window(begin, span.end)


def day_records(figures: Figures, terms: Terms, days: Window) -> list[Record]:
    """Return a row for each day. `total` and `mean` are those of days that no account lacks, `all` is any total."""
    series = figures.series
    part = series.slice(days)
    means = series.mean(Metric.NET_USER)[part]
    totals = series.whole(Metric.CUMULATE_USER)[part]
    cut = series.of(days)
    return [
        {
            "day": str(day),
            "total": totals[place],
            "all": cut.cumulate_user[place],
            "new": cut.new_user[place],
            "lost": cut.cancel_user[place],
            "net": net,
            "mean": _rounded(means[place], 1),
            "lacking": cut.lacking_summary[place],
            "breaks": cut.breaks[place],
            "mark": cut.marks[place],
            "remark": remark(cut, place, terms),
        }
        for place, (day, net) in enumerate(zip(days, cut.net_user, strict=True))
    ]


def remark(series: Series, place: int, terms: Terms) -> str:
    """Return what is to be said about a day of a series."""
    lacking = max(series.lacking_summary[place], series.lacking_cumulate[place])
    parts = [
        terms("remark_lacking", count=lacking)
        if lacking and series.marks[place] is Mark.PARTIAL
        else terms(f"mark_{series.marks[place]}"),
        terms("remark_breaks") if series.breaks[place] else "",
    ]
    return terms("comma").join(filter(None, parts))


def mark_records(terms: Terms, days: Window) -> list[Record]:
    """Return the days on which WeChat gave channels figures of their own, or took them away."""
    begun, ended = defaultdict[date, list[int]](list), defaultdict[date, list[int]](list)
    for channel in CHANNELS.values():
        if channel.begin:
            begun[channel.begin].append(channel.code)
        if channel.end:
            ended[channel.end + ONE_DAY].append(channel.code)
    return [
        {"day": str(day), "label": terms(key, names=terms("comma").join(map(terms.channel, codes)))}
        for key, found in (("mark_begins", begun), ("mark_ends", ended))
        for day, codes in sorted(found.items())
        if day in days
    ]


def channel_records(figures: Figures, terms: Terms, days: Window) -> Record:
    """Return the new followers by day and channel: `series` names the channels in the order of `values`."""
    names, columns = _drawn_channels(figures, terms, days)
    there = [any(values[place] is not None for values in columns) for place in range(len(days))]
    records, run = [], 0
    for place, day in enumerate(days):
        if not there[place]:
            run += 1
            continue
        is_lone = not any(there[max(0, place - 1) : place] + there[place + 1 : place + 2])
        values = [values[place] or 0 for values in columns]
        records.append({"day": str(day), "run": run, "lone": is_lone, "values": values})
    return {"series": names, "name": "channel", "value": "new", "records": records}


def _drawn_channels(figures: Figures, terms: Terms, days: Window) -> tuple[list[str], list[Sequence[int | None]]]:
    part = figures.series.slice(days)
    drawn = [(terms.channel(each.code), each.by_day[part]) for each in figures.channels if any(each.by_day[part])]
    names, columns = [name for name, _ in drawn], [values for _, values in drawn]
    if len(drawn) <= MAX_CHANNELS + 1:
        return names, columns
    rest = [_sum(values) for values in zip(*columns[MAX_CHANNELS:], strict=True)]
    others = terms("other_channels", count=len(drawn) - MAX_CHANNELS)
    return [*names[:MAX_CHANNELS], others], [*columns[:MAX_CHANNELS], rest]


def _sum(values: Iterable[int | None]) -> int | None:
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def compared(lines: Iterable[Line], days: Window) -> Record:
    """Return the totals of the largest lines by day, with that of the first day set to 100."""
    indexed = [(line, index) for line in lines if (index := line.index)]
    largest = sorted(indexed, key=lambda each: -(each[0].total.followers if each[0].total else 0))[:MAX_COMPARED]
    values: Sequence[Sequence[float | None]] = [index for _, index in largest]
    records = [
        {"day": str(day), "values": [_rounded(index[place], 2) for index in values]} for place, day in enumerate(days)
    ]
    return {"series": [line.name for line, _ in largest], "name": "series", "value": "index", "records": records}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
