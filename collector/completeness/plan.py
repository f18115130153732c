"""Plan what to ask for: settings, state and an instant in, windows out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY
from collector.completeness.evidence import probable_end_of_history
from collector.kinds import WaitKind
from collector.model.accounts import Account
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window, beijing_day, next_beijing_midnight
from collector.model.results import Notice, notices_of
from collector.model.state import AccountState, DatasetState
from collector.model.waits import Wait

SPAN_DAYS = min(dataset.span_days for dataset in DATASETS.values())


@dataclass(frozen=True, slots=True)
class Target:
    """Target of a run: the `newest` published day, the days of the lookback and, in a backfill, the history wanted.

    `refetch` asks for the days from `since` to `until` even where they are settled; `exhaustive` goes on where an
    account seems to begin. With `newest_first`, an account that lacks the newest day alone is asked for its total
    first, and for the rest once that is there.
    """

    newest: date
    lookback_days: int
    since: date | None = None
    until: date | None = None
    refetch: bool = False
    exhaustive: bool = False
    newest_first: bool = False

    @property
    def lookback_begin(self) -> date:
        """The oldest day of the lookback."""
        return self.newest - ONE_DAY * (self.lookback_days - 1)


class Ask(NamedTuple):
    """A window and the datasets to ask for it."""

    window: Window
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asks:
    """The fewest windows that hold the days `to_ask`, by dataset, as far as they are `among` some days; newest first.

    The windows are made as they are asked for: twelve years of an account are hundreds of them. One that reaches back
    over a dataset's days that aren't `among` them is asked of that dataset as well.
    """

    to_ask: Mapping[str, Days]
    among: Days

    def __iter__(self) -> Iterator[Ask]:
        for window in self.days.windows(SPAN_DAYS):
            yield Ask(window, tuple([name for name, days in self.to_ask.items() if days.touches(window)]))

    def __bool__(self) -> bool:
        return bool(self.days)

    @property
    def begin(self) -> date | None:
        """The oldest day to ask for."""
        return self.days.oldest

    @property
    def end(self) -> date | None:
        """The newest day to ask for."""
        return self.days.newest

    @property
    def windows(self) -> int:
        """The number of windows."""
        return self.days.window_count(SPAN_DAYS)

    @property
    def calls(self) -> int:
        """The number of calls: one for each window and each dataset that it is asked of."""
        sets = [days for days in self.to_ask.values() if days]
        # Mostly all datasets lack the same days, and then the windows needn't be made.
        return self.windows * len(sets) if len(set(sets)) == 1 else sum(len(ask.datasets) for ask in self)

    @property
    def days(self) -> Days:
        """The days to ask for."""
        return Days.union(self.to_ask.values()) & self.among


NO_ASKS = Asks({}, NO_DAYS)


@dataclass(frozen=True, slots=True)
class Plan:
    """Windows to ask one account for, newest first: the `daily` ones, then those of `history`.

    `lookback` are the days, by dataset, that are asked for again though they may be settled; when all of them
    were answered, `refreshed_to` moves. A dataset for which that isn't due has none. `waits` are the datasets that
    lack something and mustn't be asked now, `held` the windows of history that wait with them.
    """

    daily: tuple[Ask, ...]
    history: Asks
    lookback: Mapping[str, Days]
    waits: Mapping[str, Wait]
    held: Asks = NO_ASKS

    def __bool__(self) -> bool:
        return bool(self.daily or self.history or self.waits)

    @property
    def windows_held(self) -> int:
        """The number of windows of history that wait."""
        return self.held.windows

    @property
    def windows_of_history(self) -> int:
        """The number of windows of history, those that wait included; one that two datasets need counts once."""
        return (self.history.days | self.held.days).window_count(SPAN_DAYS)

    def notices(self, account: Account) -> tuple[Notice, ...]:
        """Return the waits of `account`: each kind once, until no dataset waits any more."""
        return notices_of(account.appid, account.name, self.waits.values())


def plan(account: Account, state: AccountState, target: Target, now: datetime, *, before: date | None = None) -> Plan:
    """Return the fewest windows that hold all pending days and the lookback, each with the datasets to ask.

    A window reaches back its full span: it costs the same call, brings its neighbours, and requests of a single
    day were seen empty when two days were not. Datasets that mustn't be asked before some later instant are left
    out, and so are old days that were answered without a row today. With `before`, the days from it on were asked
    already in this run: what is still pending isn't there yet.
    """
    # A second answer of the same Beijing day proves nothing about an old day.
    missing_today = {name: state.dataset(name).empty.get(beijing_day(now), NO_DAYS) for name in DATASETS}
    wanted = _wanted(account, state, target)
    if any(missing_today.values()) and not target.exhaustive:
        # Most likely there is nothing before 28 days without a row, even if no second day has confirmed them yet.
        wanted -= _before_end_of_history(state, missing_today)
    due = {name: _lookback(state.dataset(name), target) & (wanted - missing) for name, missing in missing_today.items()}
    lookback = {name: NO_DAYS if _looked_today(state.dataset(name), target, now) else due[name] for name in due}
    again = _refetched(target) & wanted
    to_ask = {
        name: (wanted - missing_today[name] - state.dataset(name).settled) | days | again
        for name, days in lookback.items()
    }
    # A dataset with nothing to ask needs no notice of its wait.
    waiting = {name: wait for name, wait in waits(account, state, now).items() if to_ask[name]}
    asked = {name: days for name, days in to_ask.items() if name not in waiting}
    held = {name: days for name, days in to_ask.items() if name in waiting}
    # The lookback and everything newer is the daily job; what lies before it is history.
    first = before or min(filter(None, (days.oldest for days in lookback.values())), default=target.lookback_begin)
    daily = () if before else tuple(Asks(asked, Days.between(first, target.newest)))
    older = Days.between(FIRST_DAY, first - ONE_DAY) - Days.joined([ask.window for ask in daily])
    in_windows = {name: Days.joined(ask.window for ask in daily if name in ask.datasets) for name in asked}
    return Plan(
        daily,
        Asks(asked, older),
        # Also where it isn't due, but asked for with a newest day that was late.
        {name: due[name] for name, days in in_windows.items() if due[name] and not due[name] - days},
        waiting,
        Asks(held, older),
    )


def begins(since: date | None, state: AccountState, target: Target) -> date:
    """Return the oldest day wanted: `since`, which is the account's, else the oldest stored, else the lookback's.

    A backfill can only extend it. Never before the account was born, or before WeChat keeps anything.
    """
    older = [day for day in (state.history_since, target.since) if day]
    # Windows reach back further than what they are asked for. If a day that summary alone has counted as well, each
    # run would want a week more.
    stored = state.dataset(CUMULATE).covered.oldest
    begin = min([since or stored or target.lookback_begin, *older])
    return max(begin, state.born or FIRST_DAY, FIRST_DAY)


def may_ask_newest_first(account: Account, state: AccountState, target: Target, asks: Sequence[Ask]) -> bool:
    """Return True where the total of the newest day tells whether it is worth asking for the rest of `asks`.

    Not where older totals of the lookback are missing: those are most likely there.
    """
    if not target.newest_first or not asks or CUMULATE not in asks[0].datasets:
        return False
    wanted = Days.between(max(begins(account.since, state, target), target.lookback_begin), target.newest)
    return wanted - state.dataset(CUMULATE).settled == Days.of([target.newest])


def _wanted(account: Account, state: AccountState, target: Target) -> Days:
    wanted = Days.between(begins(account.since, state, target), target.newest)
    if target.until is None or target.since is None:
        return wanted
    # A backfill of a part of history: that part, and what a plain run wants.
    plain = Days.between(begins(account.since, state, Target(target.newest, target.lookback_days)), target.newest)
    return wanted & (plain | Days.between(target.since, target.until))


def _before_end_of_history(state: AccountState, missing_today: Mapping[str, Days]) -> Days:
    """Return the days before the probable end of history, where today's answers have found it."""
    summary, cumulate = (state.dataset(name).void | missing_today[name] for name in (SUMMARY, CUMULATE))
    end = probable_end_of_history(state, summary & cumulate)
    return Days.between(FIRST_DAY, end) if end else NO_DAYS


def _lookback(dataset: DatasetState, target: Target) -> Days:
    """Return the last days, to be asked for again when a newer one has been published, since WeChat revises them.

    All days count whose age was below `lookback_days - 1` when they were last asked for.
    """
    refreshed_to = _refreshed_to(dataset, target)
    if refreshed_to is None:
        return Days.between(target.lookback_begin, target.newest)
    if refreshed_to >= target.newest:
        return NO_DAYS
    # Of the last lookback, days younger than `lookback_days - 1` then: `refreshed_to` itself had age 0, hence - 2.
    unfinished = refreshed_to - ONE_DAY * (target.lookback_days - 2)
    return Days.between(min(unfinished, target.lookback_begin), target.newest) - dataset.looked


def _looked_today(dataset: DatasetState, target: Target, now: datetime) -> bool:
    """Return True where WeChat is late: nothing newer has come since the lookback of this Beijing day."""
    refreshed_to, newest_stored = _refreshed_to(dataset, target), dataset.covered.newest
    was_answered_today = dataset.last_success is not None and beijing_day(dataset.last_success) == beijing_day(now)
    return bool(refreshed_to and newest_stored and refreshed_to >= newest_stored and was_answered_today)


def _refreshed_to(dataset: DatasetState, target: Target) -> date | None:
    # A host whose clock is ahead, and isn't checked, has noted a day that hasn't come.
    is_ahead = dataset.refreshed_to and dataset.refreshed_to > target.newest
    return dataset.covered.newest if is_ahead else dataset.refreshed_to


def _refetched(target: Target) -> Days:
    if not target.refetch or target.since is None:
        return NO_DAYS
    return Days.between(target.since, target.until or target.newest)


def waits(account: Account, state: AccountState, now: datetime) -> dict[str, Wait]:
    """Return the datasets that must not be asked now: WeChat ordered a wait, or `daily_calls` are used up."""
    return {name: wait for name in DATASETS if (wait := _wait(account, state.dataset(name), now))}


def without_waits(state: AccountState) -> AccountState:
    """Return the state as if the waits that WeChat ordered were over."""
    datasets = {name: dataset._replace(wait=None) for name, dataset in state.datasets.items()}
    return state._replace(datasets=datasets)


def _wait(account: Account, dataset: DatasetState, now: datetime) -> Wait | None:
    # WeChat orders no wait of more than a day: a longer one was stored by a clock that was ahead.
    if (wait := dataset.wait) and wait.until and now < wait.until <= now + ONE_DAY:
        return wait
    if account.daily_calls is not None:
        used = dataset.calls if dataset.calls_on == beijing_day(now) else 0
        if used >= account.daily_calls:
            return Wait(WaitKind.DAILY_CALLS, next_beijing_midnight(now))
    return None
