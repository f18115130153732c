"""What `--dry-run` shows: the windows that a run would ask for, account by account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from collector.days import Window
from collector.model import Account
from collector.report.words import counted


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be asked for one account: windows, newest first, each with its datasets."""

    account: Account
    windows: Sequence[tuple[Window, Sequence[str]]]

    @property
    def calls(self) -> int:
        """Data calls, if none has to be repeated."""
        return sum(len(datasets) for _, datasets in self.windows)


def as_json(plans: Sequence[Planned]) -> dict[str, object]:
    """The plans as `run --dry-run --json` prints them."""
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
    if len(asked) < len(plans):
        totals += f"\n{counted(len(plans) - len(asked), 'other account')}: nothing is missing."
    return "\n".join([*lines, *([""] if lines else []), totals])


def _days(planned: Planned) -> str:
    begin = min(window.begin for window, _ in planned.windows)
    end = max(window.end for window, _ in planned.windows)
    return f"{begin} to {end}"
