"""The table of datasets: where each is asked, how many days a call spans, and how rows become fields of a day.

docs/architecture.md lists what else a third dataset needs.
"""

from __future__ import annotations

import re
import reprlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard

from collector.errors import RowError
from collector.model.days import FIRST_DAY, Window
from collector.model.state import DATASET_NAMES, Fields
from collector.text import printable

Row = Mapping[str, Any]

# More people than live on earth: a count above it is no count.
MAX_USERS = 10_000_000_000

_INT64 = range(-(2**63), 2**63)
_SUMMARY_FIELDS = {"ref_date", "user_source", "new_user", "cancel_user"}
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_LENGTH = len("2014-12-01")
# Accounts at work together are mostly less than three years apart, so they name the same dates.
_MAX_DATES = 1_024


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of WeChat: its name here, the path of its call, the most days a call spans.

    `fold` turns the rows of one day into the fields stored for it; it raises `RowError`.
    """

    name: str
    path: str
    span_days: int
    fold: Callable[[Sequence[Row]], Fields]


class Folded(NamedTuple):
    """The fields of each day of an answer that had a row, and how many rows were dropped.

    `malformed` has the days of which a row isn't of the right shape, each with its error: none of their rows is used.
    """

    days: Mapping[date, Fields]
    dropped: int
    malformed: Mapping[date, RowError] = MappingProxyType({})


def fold(dataset: Dataset, rows: Sequence[object], window: Window) -> Folded:
    """Turn an answer's rows into the fields of its days.

    Rows outside `window` or before 2014-12-01 are dropped and counted: WeChat's page calls the latter
    dirty. A malformed row spoils its own day alone. Raises `RowError` for a row without a date, which may belong to any
    day: then nothing of the answer is used.
    """
    by_day: dict[object, list[Row]] = defaultdict(list)
    row: Any = None
    try:
        for row in rows:
            by_day[row["ref_date"]].append(row)
    except (TypeError, LookupError):
        raise _wrong(row, "has no date as ref_date" if isinstance(row, dict) else "isn't an object") from None
    first, last = max(window.begin, FIRST_DAY), window.end
    days: dict[date, Fields] = {}
    malformed: dict[date, RowError] = {}
    dropped = 0
    for rows_of_day in by_day.values():
        day = _ref_date(rows_of_day[0])
        if not first <= day <= last:
            dropped += len(rows_of_day)
            continue
        try:
            days[day] = dataset.fold(rows_of_day)
        except RowError as error:
            malformed[day] = RowError(f"{day}: {error.errmsg}", hint=error.hint)
    return Folded(days, dropped, malformed)


def _fold_summary(rows: Sequence[Row]) -> Fields:
    """Sum a day's sources; source 0 is the channel "other", not the total, and may be absent."""
    sources: dict[int, dict[str, Any]] = {}
    new_sum = cancel_sum = 0
    for row in rows:
        user_source, new_user, cancel_user = row.get("user_source"), row.get("new_user"), row.get("cancel_user")
        known = {"user_source": user_source, "new_user": new_user, "cancel_user": cancel_user}
        # This is `_is_count` for each of them: three calls for every row would double the time of a fold.
        if not (
            type(user_source) is type(new_user) is type(cancel_user) is int
            and 0 <= user_source <= MAX_USERS
            and 0 <= new_user <= MAX_USERS
            and 0 <= cancel_user <= MAX_USERS
        ):
            raise _no_count(row, next(key for key, value in known.items() if not _is_count(value)))
        # A row of four fields has these and its ref_date, so there is nothing unknown to keep.
        source = known if len(row) == len(_SUMMARY_FIELDS) else {**_unknown(row), **known}
        if user_source in sources:
            raise _wrong(source, f"names user_source {user_source} a second time for its day")
        sources[user_source] = source
        new_sum += new_user
        cancel_sum += cancel_user
    return {
        "new_user": new_sum,
        "cancel_user": cancel_sum,
        "net_user": new_sum - cancel_sum,
        "sources": [sources[user_source] for user_source in sorted(sources)],
    }


def _fold_cumulate(rows: Sequence[Row]) -> Fields:
    total = _total(rows[0])
    for row in rows[1:]:
        if _total(row) != total:
            raise _wrong(row, "gives its day a second total")
    return {"cumulate_user": total}


def _unknown(row: Row) -> dict[str, Any]:
    """Return the fields of a row that the collector doesn't know, as they came."""
    return {_key(key): _storable(value) for key, value in row.items() if key not in _SUMMARY_FIELDS}


def _total(row: Row) -> int:
    total = row.get("cumulate_user")
    if not _is_count(total):
        raise _no_count(row, "cumulate_user")
    return total


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MAX_USERS


def _ref_date(row: Row) -> date:
    value = row["ref_date"]
    day = _date(value) if isinstance(value, str) and len(value) == _DATE_LENGTH else None
    if day is None:
        raise _wrong(row, "has no date as ref_date")
    return day


@lru_cache(_MAX_DATES)
def _date(text: str) -> date | None:
    """Return the day that `text` names in WeChat's form, or None."""
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _storable(value: object, depth: int = 8) -> object:
    """Return an unknown value in a form that BSON holds: integers of 64 bits, whole characters, no endless nesting."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int) and value not in _INT64:
        return str(value)
    if isinstance(value, list):
        return [_storable(item, depth - 1) for item in value] if depth else None
    if isinstance(value, dict):
        return {_key(key): _storable(item, depth - 1) for key, item in value.items()} if depth else None
    return value


def _key(key: str) -> str:
    """Return a field's name as BSON holds it, which ends a name at a null character."""
    return key.encode(errors="replace").decode().replace("\0", "")


def _no_count(row: Row, key: str) -> RowError:
    return _wrong(row, f"has no whole number from 0 to {MAX_USERS:,} as {key}")


def _wrong(row: object, what: str) -> RowError:
    return RowError(
        f"a row {what}: {printable(reprlib.repr(row), 200)}",
        hint="WeChat's answer isn't of the form it documents; the next run asks again",
    )


SUMMARY, CUMULATE = DATASET_NAMES

QUIET: Fields = {"new_user": 0, "cancel_user": 0, "net_user": 0, "sources": []}
"""The fields of a quiet day: summary has no row, because nobody came or went."""

DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(SUMMARY, "/datacube/getusersummary", 7, _fold_summary),
        Dataset(CUMULATE, "/datacube/getusercumulate", 7, _fold_cumulate),
    )
}
"""The datasets by name, in the order in which they are asked."""
