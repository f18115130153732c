"""Calendar of a report (周历): weekday × week."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from collector.model.days import Window
from collector.report.account import Mark
from collector.report.series import Series


class Cell(NamedTuple):
    """A day in the calendar: the `monday` of its week, its weekday (0 is Monday), its net growth and mark."""

    ref_date: date
    monday: date
    weekday: int
    net_user: int | None
    mark: Mark


def calendar(series: Series, days: Window) -> list[Cell]:
    """Return the cells of some days of a series, oldest first."""
    raise NotImplementedError
