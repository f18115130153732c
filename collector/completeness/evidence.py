"""Decide what answers prove about the days of a dataset, and where an account began.

Only a successful answer whose window held a day proves anything about that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window
from collector.model.state import AccountState, DatasetState, Fields

# Nothing later than this was ever seen to come, so from this age on a missing row speaks against the day.
EMPTY_AGE_DAYS = 6

# Summary was seen to be a day later than cumulate, never two.
QUIET_AGE_DAYS = 2

# No account was seen to pause for four weeks in both datasets and then to have older figures.
BIRTH_DAYS = 28

# WeChat's console calls an account inactive after two weeks. A silent account is reported, but it is no failure.
SILENT_DAYS = 14


class Answer(NamedTuple):
    """Answer of a dataset: the days of `window` that had rows, with their fields.

    `asked` is the window of the plan. `window` lacks its newest day where WeChat said that it isn't there yet.
    The answer says nothing about `malformed` days, but that they have a row.
    """

    asked: Window
    window: Window
    days: Mapping[date, Fields]
    malformed: Days = NO_DAYS

    @property
    def known(self) -> Days:
        """The days that the answer says something about."""
        days = Days.between(self.window.begin, self.window.end)
        return days - self.malformed if self.malformed else days

    def came(self, known: Days) -> Days:
        """Return the days that had rows; `known` are those that the answer says something about."""
        return known if len(self.days) == len(known) else Days.of(self.days)


def answered(
    dataset: DatasetState, asked: Days, came: Days, *, today: date, newest: date, **others: Any
) -> DatasetState:
    """Return the state after an answer for the days `asked`, with rows for those that `came`.

    A day without a row is void once answers on two Beijing days (`today` is the one of this answer) lacked it, both
    at age `EMPTY_AGE_DAYS` or more, counted from `newest`. Younger days stay pending. An answer ends an error;
    `others` are fields of the state that change as well.
    """
    known = reopened_by(dataset, came)
    covered, void, empty = known.covered | came, known.void, known.empty
    if void or empty:  # which most datasets never have
        void, empty = void - came, _without(empty, came)
    if missing := asked - covered - void:
        old = missing & Days.between(FIRST_DAY, newest - ONE_DAY * EMPTY_AGE_DAYS)
        # Two answers of one Beijing day may come from the same cache of WeChat's, so they count as one.
        # Only a host whose clock is wrong, and isn't checked, notes a later day than this one.
        before = Days.union(days for on, days in empty.items() if on < today)
        void |= old & before
        empty = _without(empty, old)
        if first_time := old - before:
            empty |= {today: first_time | empty.get(today, Days())}
    return known._replace(covered=covered, void=void, empty=empty, last_error=None, **others)


def reopened_by(dataset: DatasetState, came: Days) -> DatasetState:
    """Return the state in which the days that the rows of `came` contradict are pending again.

    A row newer than all rows before shows that WeChat has published again. Days behind the last row were perhaps
    not published yet when they were answered without a row: WeChat was late, or the account was frozen for a while.
    """
    if not came or not (dataset.void or dataset.empty):
        return dataset
    newest_row = dataset.covered.newest
    begin = newest_row - ONE_DAY * (EMPTY_AGE_DAYS - 1) if newest_row else FIRST_DAY
    reopened = Days.between(begin, came.newest or FIRST_DAY)
    return dataset._replace(void=dataset.void - reopened, empty=_without(dataset.empty, reopened))


def reopened_malformed(dataset: DatasetState, malformed: Days, lookback: Days) -> DatasetState:
    """Return the state in which `malformed` days are pending, since they have a row, if a wrong one.

    Figures from before stay covered, except for days of the `lookback`: WeChat may have revised these.
    """
    void, empty = dataset.void - malformed, _without(dataset.empty, malformed)
    return dataset._replace(covered=dataset.covered - (malformed & lookback), void=void, empty=empty)


def covering(dataset: DatasetState, days: Days) -> DatasetState:
    """Return the state with the figures of `days` stored."""
    if not days - dataset.covered:
        return dataset
    return dataset._replace(
        covered=dataset.covered | days, void=dataset.void - days, empty=_without(dataset.empty, days)
    )


def with_zeros(dataset: DatasetState, days: Days) -> DatasetState:
    """Return the state with zeros stored for quiet `days`. They reopen what a row of them would."""
    return covering(reopened_by(dataset, days), days)


def _without(empty: Mapping[date, Days], days: Days) -> dict[date, Days]:
    return {on: left for on, was in empty.items() if (left := was - days)}


def is_quiet(day: date, totals: Mapping[date, int]) -> bool | None:
    """Return True where the total of `day` is that of the day before, None where one of the two isn't known."""
    total, before = totals.get(day), totals.get(day - ONE_DAY)
    return None if total is None or before is None else total == before


def is_certain(day: date, newest_row: date | None, newest: date) -> bool:
    """Return True once the row of a quiet `day` isn't merely late, so that zeros may be stored.

    Equal totals prove net 0 only, not that nobody came or went. So zeros wait for age `QUIET_AGE_DAYS`, or for a row
    of summary of a later day; `newest_row` is the newest of them.
    """
    return newest - day >= ONE_DAY * QUIET_AGE_DAYS or (newest_row is not None and newest_row > day)


def perhaps_quiet(covered: Days, newest: date, totals: Mapping[date, int]) -> Days:
    """Return the `covered` days of cumulate of which nobody can tell yet whether they are quiet if summary lacks them.

    They are too young, or the oldest one, whose total has none before it to compare with. Those whose total has
    changed aren't quiet, as far as `totals` are known.
    """
    young = Days.between(newest - ONE_DAY * (QUIET_AGE_DAYS - 1), newest)
    days = covered & (young | Days.of(filter(None, [covered.oldest])))
    return days - Days.of(day for day in days if is_quiet(day, totals) is False)


def missing_rows(dataset: DatasetState) -> Days:
    """Return the days that were answered without a row, once or twice."""
    return Days.union((dataset.void, *dataset.empty.values())) if dataset.empty else dataset.void


def missing_everywhere(state: AccountState) -> Days:
    """Return the days that both datasets answered without a row, once or twice."""
    return missing_rows(state.dataset(SUMMARY)) & missing_rows(state.dataset(CUMULATE))


def birth_after_void_days(state: AccountState) -> date | None:
    """Return the day on which the account began: the one after `BIRTH_DAYS` void days in a row.

    They must be older than everything that is stored; None where there are none.
    """
    void = state.dataset(SUMMARY).void & state.dataset(CUMULATE).void
    first = first_stored(state) if void else None
    if first is None:
        return None
    ends = [window.end for window in void.ranges if len(window) >= BIRTH_DAYS and window.end < first]
    return max(ends) + ONE_DAY if ends else None


def probable_end_of_history(state: AccountState, missing: Days) -> date | None:
    """Return the newest day before `BIRTH_DAYS` days in a row that are `missing`, older than everything stored.

    Most likely nothing is there, so that day and older ones wait until a second Beijing day has confirmed it.
    """
    first = first_stored(state)
    begins = [
        window.begin for window in missing.ranges if len(window) >= BIRTH_DAYS and (first is None or window.end < first)
    ]
    return max(begins) - ONE_DAY if begins else None


def first_stored(state: AccountState) -> date | None:
    """Return the oldest day of which a dataset is stored."""
    return min((day for name in (SUMMARY, CUMULATE) if (day := state.dataset(name).covered.oldest)), default=None)


def is_silent(cumulate: DatasetState) -> bool:
    """Return True if the last lookback ended `SILENT_DAYS` or more after the newest row."""
    # Compared with the last lookback, not with today: days that no run has asked for prove nothing about the account.
    lookback_end, newest = cumulate.refreshed_to, cumulate.covered.newest
    return lookback_end is not None and (newest is None or (lookback_end - newest).days >= SILENT_DAYS)
