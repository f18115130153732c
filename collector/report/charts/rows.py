"""The rows that charts draw, of the figures of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate, compress
from operator import ne
from typing import Any, NamedTuple

from collector.model.channels import CHANNELS
from collector.model.daily import Mark
from collector.model.days import ONE_DAY, Window
from collector.report import formats
from collector.report.figures.frame import SPANS
from collector.report.figures.lines import Line
from collector.report.figures.metrics import Metric
from collector.report.figures.values import Figures
from collector.report.terms import Terms

Record = dict[str, Any]


class Rows(NamedTuple):
    """The rows that a chart draws, as a column for each field.

    Where there are several series, a row stands for one of each: `values` has a column for each of `series`, and the
    chart's fields for its name and its value are `name` and `value`.
    """

    columns: Mapping[str, Sequence[Any]]
    series: Sequence[str] = ()
    values: Sequence[Sequence[float | None]] = ()
    name: str = ""
    value: str = ""

    def records(self) -> list[Record]:
        """Return the rows one by one, as Vega-Lite takes them."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]
        if not self.name:
            return rows
        return [
            row | {"rank": rank, self.name: name, self.value: values[place]}
            for place, row in enumerate(rows)
            for rank, (name, values) in enumerate(zip(self.series, self.values, strict=True))
        ]


MAX_COMPARED = 8
"""Lines of a comparison: more can't be told apart."""

MAX_CHANNELS = 9
"""Channels with an area of their own; the rest of a longer list is one more."""

_BEFORE = frozenset({Mark.UNCOLLECTED, Mark.UNBORN})


def datasets(figures: Figures, terms: Terms) -> Mapping[str, Rows]:
    """Return the rows of all charts by the names that their specifications have for them."""
    days = drawn_days(figures)
    return {
        "days": day_rows(figures, terms, days),
        "marks": mark_rows(terms, days),
        "channels": channel_rows(figures, terms, days),
        "compare": compared(figures.lines, figures.frame.shown),
        "tags": compared(figures.tags, figures.frame.shown),
    }


def drawn_days(figures: Figures) -> Window:
    """Return the days that are drawn: of the longest span, from the first day on that was collected."""
    span = figures.frame.spans[SPANS[-1]]
    marks = figures.series.marks[figures.series.slice(span)]
    begin = next((day for day, mark in zip(span, marks, strict=True) if mark not in _BEFORE), span.end)
    return Window(begin, span.end)


def day_rows(figures: Figures, terms: Terms, days: Window) -> Rows:
    """Return a row for each day.

    `total` and `whole_mean` are those that no account lacks a day of, `all` and `mean` are any. `run` numbers
    the runs of days whose totals lack as many accounts: between two, the sum changes though nobody came or left.
    """
    series = figures.series
    part, cut = series.slice(days), series.of(days)
    means = whole_means = [_rounded(mean, 1) for mean in series.mean(Metric.NET_USER)[part]]
    # Else both are the same, and the mean of a year is computed once.
    if any(series.lacking_summary):
        whole_means = [_rounded(mean, 1) for mean in series.whole_mean(Metric.NET_USER)[part]]
    return Rows(
        {
            "day": _texts(days),
            "total": series.whole(Metric.CUMULATE_USER)[part],
            "all": cut.cumulate_user,
            "run": [*accumulate(map(ne, cut.lacking_cumulate, cut.lacking_cumulate[1:]), initial=0)],
            "new": cut.new_user,
            "lost": cut.cancel_user,
            "net": cut.net_user,
            "mean": means,
            "whole_mean": whole_means,
            "lacking": cut.lacking_summary,
            "breaks": cut.breaks,
            "mark": cut.marks,
            "remark": [
                formats.day_remark(cut, place, terms, is_group=figures.is_group)
                if broken or mark is not Mark.STORED
                else ""
                for place, (mark, broken) in enumerate(zip(cut.marks, cut.breaks, strict=True))
            ],
        }
    )


def mark_rows(terms: Terms, days: Window) -> Rows:
    """Return the days on which WeChat gave channels figures of their own, or took them away."""
    begun, ended = defaultdict[date, list[int]](list), defaultdict[date, list[int]](list)
    for channel in CHANNELS.values():
        if channel.begin:
            begun[channel.begin].append(channel.code)
        if channel.end:
            ended[channel.end + ONE_DAY].append(channel.code)
    marks = [
        (str(day), terms(key, names=terms("list").join(map(terms.channel, codes))))
        for key, found in (("mark_begins", begun), ("mark_ends", ended))
        for day, codes in sorted(found.items())
        if day in days
    ]
    return Rows({"day": [day for day, _ in marks], "label": [label for _, label in marks]})


def channel_rows(figures: Figures, terms: Terms, days: Window) -> Rows:
    """Return the new followers by day and channel, without the days that have none.

    `run` numbers the runs of days without a gap between them; a day that is a run of its own is `lone`.
    """
    names, columns = _drawn_channels(figures, terms, days)
    # All channels have the same days.
    there = [value is not None for value in columns[0]] if columns else []
    runs = [*accumulate(not here for here in there)]
    # The last day is before no other one, so the first list is longer.
    around = zip([False, *there], [*there[1:], False], strict=False)
    lone = [not (before or after) for before, after in around]
    return Rows(
        {
            "day": [*compress(_texts(days), there)],
            "run": [*compress(runs, there)],
            "lone": [*compress(lone, there)],
        },
        names,
        [[*compress(values, there)] for values in columns],
        "channel",
        "new",
    )


def _drawn_channels(figures: Figures, terms: Terms, days: Window) -> tuple[list[str], list[Sequence[int | None]]]:
    part = figures.series.slice(days)
    drawn = [(terms.channel(each.code), each.by_day[part]) for each in figures.channels if any(each.by_day[part])]
    names, columns = [name for name, _ in drawn], [values for _, values in drawn]
    # The rest of one channel would take as much room as the channel.
    if len(drawn) <= MAX_CHANNELS + 1:
        return names, columns
    rest = [_sum(values) for values in zip(*columns[MAX_CHANNELS:], strict=True)]
    others = terms("other_channels", count=len(drawn) - MAX_CHANNELS)
    return [*names[:MAX_CHANNELS], others], [*columns[:MAX_CHANNELS], rest]


def _sum(values: Iterable[int | None]) -> int | None:
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def compared(lines: Iterable[Line], days: Window) -> Rows:
    """Return the totals of the largest lines by day, with that of the first day set to 100."""
    indexed = [(line, index) for line in lines if (index := line.index)]
    largest = sorted(indexed, key=lambda each: -(each[0].total.followers if each[0].total else 0))[:MAX_COMPARED]
    values = [[_rounded(value, 2) for value in index] for _, index in largest]
    return Rows({"day": _texts(days)}, [line.name for line, _ in largest], values, "series", "index")


@lru_cache(maxsize=4)
def _texts(days: Window) -> Sequence[str]:
    return [str(day) for day in days]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
