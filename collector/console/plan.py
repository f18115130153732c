"""Text and JSON of `--dry-run`: what a run would ask for, account by account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from collector.console.summary import database_line, waits_text
from collector.console.table import Table
from collector.console.wrapping import wrapped
from collector.model.accounts import Account
from collector.model.days import Window
from collector.model.results import Notice
from collector.text import counted, paragraphs


@dataclass(frozen=True, slots=True)
class History:
    """The part of a plan that isn't the daily job: its oldest and newest missing day, its windows and data calls."""

    begin: date
    end: date
    windows: int
    calls: int


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one account: the windows of the daily job, newest first, each with its datasets, and the history.

    `notices` are the waits that keep some windows out of it, `windows_held` counts the windows of history among those.
    It repeats the fields of a `Plan` that are printed, since `console/` may not import `completeness/`.
    """

    account: Account
    windows: Sequence[tuple[Window, Sequence[str]]]
    notices: Sequence[Notice] = ()
    windows_held: int = 0
    history: History | None = None

    @property
    def calls(self) -> int:
        """The data calls of the plan, without retries."""
        return sum(len(datasets) for _, datasets in self.windows) + (self.history.calls if self.history else 0)

    @property
    def days(self) -> Sequence[date]:
        """The days at which the plan's parts begin and end."""
        ends = [day for window, _ in self.windows for day in (window.begin, window.end)]
        return [*ends, self.history.begin, self.history.end] if self.history else ends


@dataclass(slots=True)
class Totals:
    """Totals of the plans, counted as they pass."""

    asked: int = 0
    complete: int = 0
    calls: int = 0
    windows_held: int = 0
    notices: list[Notice] = field(default_factory=list)

    def counting(self, planned: Planned) -> Planned:
        """Count a plan, and return it."""
        self.asked += bool(planned.calls)
        # An account that waits has no windows either, but days of it may well be missing.
        self.complete += not planned.calls and not planned.notices
        self.calls += planned.calls
        self.windows_held += planned.windows_held
        self.notices += planned.notices
        return planned

    def as_json(self, database: str) -> dict[str, object]:
        """Return the totals that `run --dry-run --json` prints."""
        return {"calls": self.calls, "database": database}


def as_text(plans: Iterable[Planned], database: str = "", *, width: int | None = None) -> str:
    """Return the plans for people, made by what is stored in `database`: a line for each account, then the totals."""
    totals = Totals()
    # The last cell is for a problem, which a plan never has.
    rows = [
        (str(planned.account), f"{min(days)} to {max(days)}", f"{counted(planned.calls, 'call'):>11}", "")
        for planned in map(totals.counting, plans)
        if (days := planned.days)
    ]
    summary = f"{counted(totals.asked, 'account')}, {counted(totals.calls, 'data call')}. Nothing was asked."
    if totals.complete:
        summary += f"\n{counted(totals.complete, 'other account')}: nothing is missing."
    text = paragraphs(
        database_line(database),
        summary,
        waits_text(totals.notices),
        f"History waits with that: {counted(totals.windows_held, 'window')}." if totals.windows_held else "",
    )
    return paragraphs(Table(rows, None).lines(rows) if rows else "", wrapped(text, width))


def account_json(planned: Planned) -> dict[str, object]:
    """Return what `run --dry-run --json` prints about an account; `history` and `waits` only where there are any."""
    fields: dict[str, object] = {
        "account": planned.account.appid,
        "name": planned.account.name,
        "calls": planned.calls,
        "windows": [
            {"begin": str(window.begin), "end": str(window.end), "datasets": list(datasets)}
            for window, datasets in planned.windows
        ],
    }
    if planned.history:
        fields["history"] = planned.history
    if planned.notices:
        fields["waits"] = [{"kind": notice.kind, "until": notice.until} for notice in planned.notices]
        fields["windows_held"] = planned.windows_held
    return fields
