"""The table of accounts of an index or a tag, as the data that `table.js` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collector.report.figures.lines import Coverage, Line
from collector.report.figures.metrics import CARDS, RATES, Metric
from collector.report.formats import percent
from collector.report.site.names import account_page
from collector.report.terms import Terms

COLUMNS = ("name", "tag", "standing", *CARDS, "lacking_days", "data_until")
"""The columns of the table by the keys of their titles."""

NUMBERS = frozenset({*CARDS, "lacking_days"})
"""Those of figures."""


def table(lines: Sequence[Line], terms: Terms) -> dict[str, Any]:
    """Return the rows of a table of accounts, largest first, with the tags and standings that they refer to.

    A row is the account's page, its name, the indexes of its tags, its standing, and the other columns. None is absent.
    """
    tags = sorted({tag for line in lines for tag in line.tags})
    places = {tag: place for place, tag in enumerate(tags)}
    return {
        "tags": tags,
        "standings": {each.value: terms(f"coverage_{each}") for each in Coverage},
        "rows": [_row(line, places) for line in sorted(lines, key=_size)],
    }


def _row(line: Line, places: dict[str, int]) -> list[Any]:
    missing = line.tally.missing
    return [
        account_page(line.account or ""),
        line.name,
        [places[tag] for tag in dict.fromkeys(line.tags)],
        line.coverage,
        *(_figure(metric, line.value(metric)) for metric in CARDS),
        missing.days,
        str(line.total.day) if line.total else None,
    ]


def _figure(metric: Metric, value: float | None) -> float | str | None:
    return percent(value) if metric in RATES and value is not None else value


def _size(line: Line) -> tuple[float, str, str]:
    # Those without a total come after those with 0.
    return -(line.total.followers if line.total else -1), line.name, line.account or ""
