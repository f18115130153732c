"""What `--dry-run` shows: the windows that a run would ask for, account by account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from collector.console.summary import waiting
from collector.model.accounts import Account
from collector.model.days import Window
from collector.model.results import Notice
from collector.text import counted


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be asked for one account: windows, newest first, each with its datasets.

    `notices` say why not all that is missing would be, `windows_held` how many windows of history wait with that.
    """

    account: Account
    windows: Sequence[tuple[Window, Sequence[str]]]
    notices: Sequence[Notice] = ()
    windows_held: int = 0

    @property
    def calls(self) -> int:
        """Data calls, if none has to be repeated."""
        return sum(len(datasets) for _, datasets in self.windows)


def as_json(plans: Sequence[Planned]) -> dict[str, object]:
    """The plans as `run --dry-run --json` prints them; `waits` stand where there are any."""
    accounts = [
        {
            "account": planned.account.appid,
            "name": planned.account.name,
            "calls": planned.calls,
            "windows": [
                {"begin": str(window.begin), "end": str(window.end), "datasets": list(datasets)}
                for window, datasets in planned.windows
            ],
        }
        | ({"waits": _waits(planned), "windows_held": planned.windows_held} if planned.notices else {})
        for planned in plans
    ]
    return {"calls": sum(planned.calls for planned in plans), "accounts": accounts}


def as_table(plans: Sequence[Planned]) -> str:
    """The plans as lines for people, the totals below."""
    asked = [planned for planned in plans if planned.windows]
    width = max((cell_len(str(planned.account)) for planned in asked), default=0)
    lines = [
        f"{set_cell_size(str(planned.account), width)}  {_days(planned)}  {counted(planned.calls, 'call'):>11}"
        for planned in asked
    ]
    calls = sum(planned.calls for planned in plans)
    totals = f"{counted(len(asked), 'account')}, {counted(calls, 'data call')}. Nothing was asked."
    if complete := sum(not planned.windows and not planned.notices for planned in plans):
        totals += f"\n{counted(complete, 'other account')}: nothing is missing."
    held = sum(planned.windows_held for planned in plans)
    parts = [
        "\n".join(lines),
        totals,
        waiting([notice for planned in plans for notice in planned.notices]),
        f"History waits with that: {counted(held, 'window')}." if held else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _waits(planned: Planned) -> list[dict[str, object]]:
    return [{"kind": notice.kind, "until": notice.until} for notice in planned.notices]


def _days(planned: Planned) -> str:
    begin = min(window.begin for window, _ in planned.windows)
    end = max(window.end for window, _ in planned.windows)
    return f"{begin} to {end}"
