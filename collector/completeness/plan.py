"""What to ask for: settings, what is known and the instant in, windows out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from collector.completeness.datasets import CUMULATE, DATASETS
from collector.errors import WaitKind
from collector.model.accounts import Account
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window, beijing_day, next_beijing_midnight
from collector.model.results import Notice
from collector.model.state import AccountState, DatasetState

SPAN_DAYS = min(dataset.span_days for dataset in DATASETS.values())

LONGEST_WAIT = ONE_DAY
"""No wait is ordered for longer: one that ends later was noted while this host's clock was ahead."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a run is for: `newest` published day, days to look back, and, in a backfill, the history that is wanted.

    `refetch` asks for the days from `since` to `until` even where they are settled; `exhaustive` goes on where an
    account seems to begin.
    """

    newest: date
    lookback_days: int
    since: date | None = None
    until: date | None = None
    refetch: bool = False
    exhaustive: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a dataset isn't asked now, and until when (UTC): `kind` is that of the notice."""

    kind: WaitKind
    until: datetime


class Ask(NamedTuple):
    """One window and the datasets to ask it of."""

    window: Window
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask one account for, newest first: the `daily` windows, then those of `history`.

    `lookback` are the days, by dataset, that are asked for again though they may be settled; when all of them
    were answered, `refreshed_to` moves. A dataset for which that isn't due has none. `waits` are the datasets that
    lack something and mustn't be asked now, `windows_held` how many windows of history wait with them.
    """

    daily: tuple[Ask, ...]
    history: tuple[Ask, ...]
    lookback: Mapping[str, Days]
    waits: Mapping[str, Wait]
    windows_held: int = 0

    def notices(self, account: Account) -> tuple[Notice, ...]:
        """What `account` waits for: each kind once, until no dataset waits for it any more."""
        ends: dict[WaitKind, datetime] = {}
        for wait in self.waits.values():
            ends[wait.kind] = max(wait.until, ends.get(wait.kind, wait.until))
        return tuple(Notice(account.appid, account.name, kind, until) for kind, until in ends.items())


def plan(account: Account, state: AccountState, target: Target, now: datetime, *, before: date | None = None) -> Plan:
    """The fewest windows that hold all days wanted and not settled, and the look-back; each asks what lacks in it.

    A window reaches back its full span: it costs the same call, brings its neighbours, and requests of a single
    day were seen empty when two days were not. Datasets that mustn't be asked before some later instant are left
    out. With `before`, the days from it on were asked already in this run: what they still lack isn't there yet.
    """
    wanted = _wanted(account, state, target)
    lookback = {name: _lookback(state.dataset(name), target, now) & wanted for name in DATASETS}
    again = _refetched(target) & wanted
    asked: dict[str, Days] = {}
    held: dict[str, Days] = {}
    waits: dict[str, Wait] = {}
    for name, looked_at in lookback.items():
        dataset = state.dataset(name)
        lacking = (wanted - dataset.settled) | looked_at | again
        if lacking and (wait := _wait(account, dataset, now)):
            waits[name], held[name] = wait, lacking
        else:
            asked[name] = lacking
    first = before or min(filter(None, (days.oldest for days in lookback.values())), default=_last_days(target))
    daily = [] if before else _asks(asked, Days.between(first, target.newest))
    older = Days.between(FIRST_DAY, first - ONE_DAY) - Days.joined([ask.window for ask in daily])
    return Plan(
        tuple(daily),
        tuple(_asks(asked, older)),
        {name: days for name, days in lookback.items() if days and name in asked},
        waits,
        len(_asks(held, older)),
    )


def _asks(lacking: Mapping[str, Days], among: Days) -> list[Ask]:
    """The fewest windows that hold what is `lacking` of the days `among`, newest first."""
    wanted = NO_DAYS
    for days in lacking.values():
        wanted |= days
    return [
        Ask(window, tuple([name for name, days in lacking.items() if days.touches(window)]))
        for window in (wanted & among).windows(SPAN_DAYS)
    ]


def begins(account: Account, state: AccountState, target: Target) -> date:
    """The oldest day wanted: the account's `since`, else the oldest stored, else the look-back's.

    A backfill can only extend it. Never before the account was born, or before WeChat keeps anything.
    """
    older = [day for day in (state.history_since, target.since) if day]
    # Windows reach back further than what they are asked for; a day that summary alone has must not want more of them.
    stored = state.dataset(CUMULATE).covered.oldest
    begin = min([account.since or stored or _last_days(target), *older])
    return max(begin, state.born or FIRST_DAY, FIRST_DAY)


def _wanted(account: Account, state: AccountState, target: Target) -> Days:
    wanted = Days.between(begins(account, state, target), target.newest)
    if target.until is None or target.since is None:
        return wanted
    # A backfill of a part of history: that part, and what a plain run wants.
    plain = Days.between(begins(account, state, Target(target.newest, target.lookback_days)), target.newest)
    return wanted & (plain | Days.between(target.since, target.until))


def _lookback(dataset: DatasetState, target: Target, now: datetime) -> Days:
    """The last days once more, when a newer one has been published, since WeChat revises them.

    All days are looked at whose age was below `lookback_days - 1` when they were looked at last; once on a Beijing
    day, where the newest one doesn't come.
    """
    refreshed_to, newest_stored = dataset.refreshed_to, dataset.covered.newest
    if refreshed_to and refreshed_to > target.newest:
        refreshed_to = newest_stored  # this host's clock was ahead then: what came is all that is sure
    elif refreshed_to and newest_stored and refreshed_to >= newest_stored and _was_heard_today(dataset, now):
        return NO_DAYS
    if refreshed_to is None:
        return Days.between(_last_days(target), target.newest)
    if refreshed_to >= target.newest:
        return NO_DAYS
    unfinished = refreshed_to - ONE_DAY * (target.lookback_days - 2)
    return Days.between(min(unfinished, _last_days(target)), target.newest) - dataset.looked


def _was_heard_today(dataset: DatasetState, now: datetime) -> bool:
    return dataset.last_success is not None and beijing_day(dataset.last_success) == beijing_day(now)


def _last_days(target: Target) -> date:
    return target.newest - ONE_DAY * (target.lookback_days - 1)


def _refetched(target: Target) -> Days:
    if not target.refetch or target.since is None:
        return NO_DAYS
    return Days.between(target.since, target.until or target.newest)


def _wait(account: Account, dataset: DatasetState, now: datetime) -> Wait | None:
    if dataset.not_before is not None and now < dataset.not_before <= now + LONGEST_WAIT:
        return Wait(WaitKind.NOT_BEFORE, dataset.not_before)
    if account.daily_calls is not None:
        used = dataset.calls if dataset.calls_on == beijing_day(now) else 0
        if used >= account.daily_calls:
            return Wait(WaitKind.DAILY_CALLS, next_beijing_midnight(now))
    return None
