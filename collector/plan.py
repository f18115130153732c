"""What to ask for: settings and the instant in, windows out. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from collector.datasets import DATASETS
from collector.days import FIRST_DAY, ONE_DAY, Window, windows
from collector.model import Account

SPAN_DAYS = min(dataset.span_days for dataset in DATASETS.values())


@dataclass(frozen=True, slots=True)
class Ask:
    """One window and the datasets to ask it of."""

    window: Window
    datasets: tuple[str, ...]


def plan(account: Account, newest: date, lookback_days: int) -> list[Ask]:
    """From the account's `since`, else the last `lookback_days`, to `newest`: the fewest windows, newest first.

    The oldest window is extended backwards to its full span: it costs the same call, and requests of
    a single day were seen empty when two days were not.
    """
    begin = account.since or newest - ONE_DAY * (lookback_days - 1)
    cut = windows(max(begin, FIRST_DAY), newest, SPAN_DAYS)
    return [Ask(_full(window), tuple(DATASETS)) for window in cut]


def _full(window: Window) -> Window:
    return Window(max(FIRST_DAY, window.end - ONE_DAY * (SPAN_DAYS - 1)), window.end)
