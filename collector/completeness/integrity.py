"""Read the documents of an account: the days they cover, whether their figures add up, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from collector.completeness.datasets import CUMULATE, DATASETS, QUIET, SUMMARY
from collector.completeness.evidence import covering
from collector.completeness.plan import SPAN_DAYS
from collector.model.daily import day_of
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days
from collector.model.findings import Break, Difference
from collector.model.state import AccountState, DatasetState

FIGURES: Mapping[str, frozenset[str]] = {SUMMARY: frozenset(QUIET), CUMULATE: frozenset({"cumulate_user"})}
"""The fields that each dataset gives a day. A document without one of them doesn't hold the dataset."""

FIELDS = frozenset({"ref_date", "name"}).union(*FIGURES.values())
"""The fields of a document that `read` needs."""

# A hole that ends so close to the newest day is taken for the end of an old dump, with a few runs since it was
# restored: a dump older than four weeks is hardly ever restored.
RESTORED_WITHIN = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class StoredDay:
    """A document of `user_daily`: the datasets that it holds whole, and the figures that must add up."""

    day: date
    datasets: frozenset[str]
    cumulate: int | None = None
    net: int | None = None


def read(documents: Iterable[Mapping[str, object]], newest: date) -> tuple[list[StoredDay], int]:
    """Return the days of an account's documents, and how many documents aren't of the collector's form.

    Those have no date of WeChat's as `ref_date` (up to a day after `newest`, the newest published day: the hour of
    publication may have been set to another one), or hold no dataset whole. `sources` stands for its length.
    """
    days, foreign = [], 0
    for document in documents:
        day = day_of(document.get("ref_date"))
        figures = {key: value for key, value in document.items() if type(value) is not bool and isinstance(value, int)}
        datasets = frozenset(name for name, fields in FIGURES.items() if fields <= figures.keys())
        if day is None or not FIRST_DAY <= day <= newest + ONE_DAY or not datasets:
            foreign += 1
        else:
            net = figures["net_user"] if SUMMARY in datasets else None
            days.append(StoredDay(day, datasets, figures.get("cumulate_user"), net))
    return days, foreign


def covered(days: Sequence[StoredDay]) -> dict[str, Days]:
    """Return the days of which each dataset is stored."""
    return {name: Days.of(stored.day for stored in days if name in stored.datasets) for name in DATASETS}


def breaks(days: Iterable[StoredDay]) -> tuple[Break, ...]:
    """Return the days whose total isn't that of the day before plus their net, where all three are stored.

    `days` are sorted.
    """
    return tuple(
        Break(stored.day, expected, stored.cumulate)
        for before, stored in pairwise(days)
        if stored.day - before.day == ONE_DAY
        and before.cumulate is not None
        and stored.net is not None
        and stored.cumulate is not None
        and stored.cumulate != (expected := before.cumulate + stored.net)
    )


def differences(state: AccountState, found: Mapping[str, Days]) -> dict[str, Difference]:
    """Return, by dataset, where the covered days aren't those that were `found`; datasets that agree are left out."""
    compared = {
        name: Difference(lost=state.dataset(name).covered - days, unknown=_unknown(state.dataset(name), days))
        for name, days in found.items()
    }
    return {name: difference for name, difference in compared.items() if difference != Difference()}


def _unknown(dataset: DatasetState, found: Days) -> Days:
    """Return the days found and not covered, but for a few right before the oldest settled one.

    Windows reach back further than what is wanted, so a run that was killed may have left days that none wants.
    """
    unknown, oldest = found - dataset.covered, dataset.settled.oldest
    if oldest is None:
        return unknown
    reach = Days.between(oldest - ONE_DAY * (SPAN_DAYS - 1), oldest - ONE_DAY)
    older = unknown & Days.between(FIRST_DAY, oldest - ONE_DAY)
    return unknown if older - reach else unknown - reach


def mended(state: AccountState, found: Mapping[str, Days], since: date | None) -> AccountState:
    """Return the state in which exactly the days `found` are covered; everything else that was known stays.

    Lost days stay wanted, even if they are older than every day left and than the account's `since`.
    """
    datasets = {name: _mended(state.dataset(name), days) for name, days in found.items()}
    lost = Days.union(state.dataset(name).covered - days for name, days in found.items()).oldest
    asked = [day for day in (since, state.history_since) if day]
    begin = min(asked or [day for days in found.values() if (day := days.oldest)], default=None)
    history_since = lost if lost and (begin is None or lost < begin) else state.history_since
    return state._replace(datasets=datasets, history_since=history_since)


def void_between(state: DatasetState, found: Days) -> Days:
    """Return the void days that lie between stored ones."""
    if found.oldest is None or found.newest is None:
        return NO_DAYS
    return (state.void & Days.between(found.oldest, found.newest)) - found


def _mended(known: DatasetState, found: Days) -> DatasetState:
    return covering(known._replace(covered=NO_DAYS), found)._replace(refreshed_to=_refreshed_to(known, found))


def _refreshed_to(known: DatasetState, found: Days) -> date | None:
    """Return the day to which the lookback is done, as far as the days `found` can tell.

    An old dump ends with days that WeChat has revised since, so the lookback begins there again.
    """
    lost = known.covered - found
    if known.refreshed_to is None or not lost:
        return known.refreshed_to
    hole = lost.ranges[-1]
    if found.newest and found.newest - hole.end > RESTORED_WITHIN:
        return known.refreshed_to
    left = (found & Days.between(FIRST_DAY, hole.begin - ONE_DAY)).newest
    return min(left, known.refreshed_to) if left else None
