"""What answers prove about the days of a dataset: covered, empty, void, quiet; and where an account began. Pure.

Only a successful answer whose window held a day says anything about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days
from collector.model.state import AccountState, DatasetState

EMPTY_AGE_DAYS = 6
"""From this age on, an answer without a row speaks against a day: nothing that late was seen to come."""

QUIET_AGE_DAYS = 2
"""From this age on, a day without movement that summary leaves out counts as left out for good."""

BIRTH_DAYS = 28
"""So many days in a row without anything are older than the account."""


def answered(  # noqa: PLR0913 - the fields that an answer may change, by their names
    dataset: DatasetState,
    asked: Days,
    came: Days,
    *,
    today: date,
    newest: date,
    refreshed_to: date | None = None,
    looked: Days | None = None,
    calls_on: date | None = None,
    calls: int | None = None,
    last_success: datetime | None = None,
) -> DatasetState:
    """The state after an answer of `asked` days that brought rows for those that `came`, and with what else is known.

    Days without a row are void once answers on two Beijing days (`today` is the one of this answer) had none,
    both at `EMPTY_AGE_DAYS` or more, counted from `newest`; younger ones stay as they are. An answer ends an error.
    """
    covered, void, empty = dataset.covered | came, dataset.void, dataset.empty
    if void or empty:
        spoken_for = came | _doubtful(dataset, came)
        void, empty = void - spoken_for, _without(empty, spoken_for)
    silent = asked - covered - void
    if silent.oldest and (old := silent & Days.between(silent.oldest, newest - ONE_DAY * EMPTY_AGE_DAYS)):
        before = joined(days for on, days in empty.items() if on < today)  # a clock that was ahead noted later ones
        void |= old & before
        empty = _without(empty, old)
        if old - before:
            empty[today] = old - before | empty.get(today, NO_DAYS)
    return DatasetState(  # spelt out for every answer of a run: `replace` takes three times as long
        covered,
        void,
        empty,
        refreshed_to or dataset.refreshed_to,
        dataset.looked if looked is None else looked,
        dataset.not_before,
        calls_on or dataset.calls_on,
        dataset.calls if calls is None else calls,
        last_success or dataset.last_success,
    )


def _doubtful(dataset: DatasetState, came: Days) -> Days:
    """The days behind all rows of before, if newer ones `came`: what was empty there perhaps wasn't published yet.

    So it was if this host's clock was ahead then. Of an account that was frozen for a while they are asked again.
    """
    if not came.newest or not (dataset.void or dataset.empty):
        return NO_DAYS
    newest_row = dataset.covered.newest
    return Days.between(newest_row - ONE_DAY * (EMPTY_AGE_DAYS - 1) if newest_row else FIRST_DAY, came.newest)


def covering(dataset: DatasetState, days: Days) -> DatasetState:
    """The state with the figures of `days` stored."""
    if not days - dataset.covered:
        return dataset
    return replace(
        dataset, covered=dataset.covered | days, void=dataset.void - days, empty=_without(dataset.empty, days)
    )


def quiet(dataset: DatasetState, days: Days) -> DatasetState:
    """The state with zeros inferred for `days`, which are as good as rows: what was empty before them is in doubt."""
    doubt = _doubtful(dataset, days)
    return covering(replace(dataset, void=dataset.void - doubt, empty=_without(dataset.empty, doubt)), days)


def _without(empty: Mapping[date, Days], days: Days) -> dict[date, Days]:
    return {on: left for on, was in empty.items() if (left := was - days)}


def is_quiet(day: date, totals: Mapping[date, int]) -> bool | None:
    """Whether the total of `day` is that of the day before; None where one of the two isn't known."""
    total, before = totals.get(day), totals.get(day - ONE_DAY)
    return None if total is None or before is None else total == before


def is_left_out(day: date, newest_row: date | None, newest: date) -> bool:
    """Whether summary has left a quiet `day` out for good, and its row isn't just late.

    Equal totals prove that as many came as went, not that nobody did; so zeros wait for `QUIET_AGE_DAYS`, or for
    a row of summary of a later day, of which `newest_row` is the newest.
    """
    return newest - day >= ONE_DAY * QUIET_AGE_DAYS or (newest_row is not None and newest_row > day)


def known_empty(state: AccountState) -> Days:
    """The days for which both datasets have answered without a row, if only once."""
    summary, cumulate = state.dataset(SUMMARY), state.dataset(CUMULATE)
    return heard_empty(summary) & heard_empty(cumulate)


def born_after_silence(state: AccountState) -> date | None:
    """The day on which the account began: behind `BIRTH_DAYS` void days in a row, older than all that is stored."""
    void = state.dataset(SUMMARY).void & state.dataset(CUMULATE).void
    first = first_stored(state) if void else None
    if first is None:
        return None
    ends = [window.end for window in void.ranges if len(window) >= BIRTH_DAYS and window.end < first]
    return max(ends) + ONE_DAY if ends else None


def walked_into_silence(state: AccountState, empty: Days) -> date | None:
    """The newest day behind `BIRTH_DAYS` days in a row that are `empty` and older than all that is stored.

    What is older still can wait until a second Beijing day has said the same: most likely there is nothing.
    """
    first = first_stored(state)
    long = [
        window.begin for window in empty.ranges if len(window) >= BIRTH_DAYS and (first is None or window.end < first)
    ]
    return max(long) - ONE_DAY if long else None


def first_stored(state: AccountState) -> date | None:
    """The oldest day of which a dataset is stored."""
    days = [day for name in (SUMMARY, CUMULATE) if (day := state.dataset(name).covered.oldest)]
    return min(days) if days else None


def heard_empty(dataset: DatasetState) -> Days:
    """The days that were answered without a row, if only once."""
    return dataset.void | joined(dataset.empty.values()) if dataset.empty else dataset.void


def joined(sets: Iterable[Days]) -> Days:
    """The union of any sets of days."""
    return Days.joined(window for days in sets for window in days.ranges)
