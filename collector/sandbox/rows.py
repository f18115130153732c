"""The rows of one day.

They have the shapes of recorded answers: several sources a day, unknown ones too, source 0 often but not always, keys
in any order, and days without movement as zeros or without a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from collector.sandbox.dice import Dice

Row = dict[str, int | str]
"""A row of an answer."""

_SOURCES = (1, 3, 10, 11, 17, 30, 35, 39, 43, 51, 57, 75, 78, 100, 149, 161, 200, 201)
"""The values of `user_source` except 0; 10 and 11 are in recorded answers and not documented."""

_KEY_ORDERS = (
    ("ref_date", "user_source", "new_user", "cancel_user"),
    ("user_source", "ref_date", "cancel_user", "new_user"),
    ("ref_date", "new_user", "cancel_user", "user_source"),
)


@dataclass(frozen=True, slots=True)
class Truth:
    """The final figures of an account's day.

    `rows` are those of summary, with their keys in any order; `cumulate_user` is None on a day without a total.
    """

    rows: tuple[Row, ...]
    cumulate_user: int | None

    @property
    def new_user(self) -> int:
        """New followers of all sources."""
        return sum(int(row["new_user"]) for row in self.rows)

    @property
    def cancel_user(self) -> int:
        """Lost followers of all sources."""
        return sum(int(row["cancel_user"]) for row in self.rows)

    @property
    def net_user(self) -> int:
        """New followers minus lost ones."""
        return self.new_user - self.cancel_user

    @property
    def sources(self) -> list[Row]:
        """The rows without `ref_date`, sorted by `user_source`."""
        rows = [{key: value for key, value in row.items() if key != "ref_date"} for row in self.rows]
        return sorted(rows, key=lambda row: row["user_source"])


def zeros(day: date) -> list[Row]:
    """Return the row of a day without movement: source 0 with zeros."""
    return [_row(day, 0, 0, 0, _KEY_ORDERS[0])]


def draw_rows(dice: Dice, day: date, new: int, cancelled: int) -> list[Row]:
    """Draw rows of up to five sources that add up to `new` and `cancelled`."""
    others = [_SOURCES[dice.below(len(_SOURCES))] for _ in range(dice.below(5))]
    sources = list(dict.fromkeys(others if others and dice.below(8) == 0 else [0, *others]))
    order = _KEY_ORDERS[dice.below(len(_KEY_ORDERS))]
    news = _shares(dice, new, len(sources))
    cancels = _shares(dice, cancelled, len(sources))
    # WeChat lists a source without movement only if it is source 0.
    figures = zip(sources, news, cancels, strict=True)
    return [_row(day, *figure, order) for figure in figures if figure[0] == 0 or figure[1:] != (0, 0)]


def _shares(dice: Dice, total: int, count: int) -> list[int]:
    weights = [1 + dice.below(8) for _ in range(count)]
    shares = [total * weight // sum(weights) for weight in weights]
    # Rounding down leaves a rest, which goes to any one of them.
    shares[dice.below(count)] += total - sum(shares)
    return shares


def _row(day: date, source: int, new: int, cancelled: int, order: tuple[str, ...]) -> Row:
    values: Row = {"ref_date": day.isoformat(), "user_source": source, "new_user": new, "cancel_user": cancelled}
    return {key: values[key] for key in order}
