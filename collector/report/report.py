"""A report as it is given to a writer of pages, workbooks or pictures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from collector.model.days import beijing_minute
from collector.report.figures.frame import SPANS
from collector.report.figures.values import Figures
from collector.report.terms import Terms

SHORTEST_SPAN = 30
"""The days of trend that a report opens with, or more where its period is longer."""


@dataclass(frozen=True, slots=True)
class Report:
    """Title, figures and texts of a report. `written` is the instant that it shows, if any."""

    title: str
    figures: Figures
    terms: Terms
    written: datetime | None

    @property
    def signature(self) -> str:
        """The line at the end of a report."""
        at = self.written and beijing_minute(self.written)
        return f"{self.terms('written', time=at)} · wechat-collector" if at else "wechat-collector"


def opening_span(figures: Figures) -> int:
    """Return the days of trend that a report opens with."""
    wanted = max(SHORTEST_SPAN, len(figures.frame.shown))
    return next(days for days in SPANS if days >= wanted or days == SPANS[-1])
