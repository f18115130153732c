"""Calendar of a report (周历): weekday × week."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from collector.model.daily import Mark
from collector.model.days import ONE_DAY, Window
from collector.report.figures.series import Series


class Cell(NamedTuple):
    """A day in the calendar: the `monday` of its week, its weekday (0 is Monday), its net growth and mark."""

    ref_date: date
    monday: date
    weekday: int
    net_user: int | None
    mark: Mark


def calendar(series: Series, days: Window) -> list[Cell]:
    """Return the cells of some days of a series, oldest first."""
    part = series.of(days)
    return [
        Cell(day, day - ONE_DAY * day.weekday(), day.weekday(), net_user, mark)
        for day, net_user, mark in zip(days, part.net_user, part.marks, strict=True)
    ]
