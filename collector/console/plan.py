"""Text and JSON of `--dry-run`: the windows that a run would ask for, account by account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector.console.summary import waits_text
from collector.console.table import Table
from collector.model.accounts import Account
from collector.model.days import Window
from collector.model.results import Notice
from collector.text import counted, paragraphs


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one account: windows to ask for, newest first, each with its datasets.

    `notices` are the waits that keep some windows out of it, `windows_held` counts the windows of history among those.
    It repeats the fields of a `Plan` that are printed, since `console/` may not import `completeness/`.
    """

    account: Account
    windows: Sequence[tuple[Window, Sequence[str]]]
    notices: Sequence[Notice] = ()
    windows_held: int = 0

    @property
    def calls(self) -> int:
        """The data calls of the plan, without retries."""
        return sum(len(datasets) for _, datasets in self.windows)


def as_json(plans: Sequence[Planned]) -> dict[str, object]:
    """Return the object that `run --dry-run --json` prints; an account has `waits` only if there are any."""
    return {"calls": sum(planned.calls for planned in plans), "accounts": [_account_json(planned) for planned in plans]}


def as_text(plans: Sequence[Planned]) -> str:
    """Return the plans for people: a line for each account, then the totals."""
    asked = [planned for planned in plans if planned.windows]
    # The last cell is for a problem, which a plan never has.
    rows = [(str(planned.account), _days(planned), f"{counted(planned.calls, 'call'):>11}", "") for planned in asked]
    calls = sum(planned.calls for planned in plans)
    totals = f"{counted(len(asked), 'account')}, {counted(calls, 'data call')}. Nothing was asked."
    # An account that waits has no windows either, but days of it may well be missing.
    if complete := sum(not planned.windows and not planned.notices for planned in plans):
        totals += f"\n{counted(complete, 'other account')}: nothing is missing."
    held = sum(planned.windows_held for planned in plans)
    return paragraphs(
        Table(rows, None).lines(rows) if rows else "",
        totals,
        waits_text([notice for planned in plans for notice in planned.notices]),
        f"History waits with that: {counted(held, 'window')}." if held else "",
    )


def _account_json(planned: Planned) -> dict[str, object]:
    windows = [
        {"begin": str(window.begin), "end": str(window.end), "datasets": list(datasets)}
        for window, datasets in planned.windows
    ]
    fields = {
        "account": planned.account.appid,
        "name": planned.account.name,
        "calls": planned.calls,
        "windows": windows,
    }
    if not planned.notices:
        return fields
    waits = [{"kind": notice.kind, "until": notice.until} for notice in planned.notices]
    return fields | {"waits": waits, "windows_held": planned.windows_held}


def _days(planned: Planned) -> str:
    begin = min(window.begin for window, _ in planned.windows)
    end = max(window.end for window, _ in planned.windows)
    return f"{begin} to {end}"
