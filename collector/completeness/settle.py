"""One account while its answers come, window after window: what to store, and what is known by then. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from collector.completeness.datasets import CUMULATE, DATASETS, QUIET, SUMMARY
from collector.completeness.evidence import (
    answered,
    born_after_silence,
    first_stored,
    heard_empty,
    is_left_out,
    is_quiet,
    known_empty,
    quiet,
    walked_into_silence,
)
from collector.completeness.plan import Plan, Target
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window, beijing_day
from collector.model.state import NOTHING, AccountState, DatasetState, Day, Fields, Trouble

SILENT_DAYS = 14
"""An account without any row in so many published days is silent: nothing failed, but it is worth a look."""

NO_CALLS: Mapping[str, tuple[date, int]] = MappingProxyType({})

MOST_EDGES = 16
"""Totals kept of neighbouring windows, which are answered nearly in order."""

_ZEROS: Mapping[str, Fields] = MappingProxyType({SUMMARY: QUIET})


class Answer(NamedTuple):
    """What a dataset answered: the days of `window` that had rows, with their fields.

    `asked` is the window of the plan: `window` may lack its newest day, where that wasn't there yet.
    """

    asked: Window
    window: Window
    days: Mapping[date, Fields]

    def came(self, asked: Days) -> Days:
        """The days that had rows, of the window's, which are `asked`: mostly all of them."""
        return asked if len(self.days) == len(asked) else Days.of(self.days)


class Settling:
    """What the answers of a run tell of one account, one window after the other, newest first. No I/O.

    `state` is what is known so far. `take` gives the days to be stored. Days whose quietness can't be told from
    this run are in `unsettled` until `recall` is told what is stored of them and of the days before them.
    """

    def __init__(self, state: AccountState, plan: Plan, target: Target) -> None:
        self.state = state
        self.unsettled: set[date] = set()
        self._target = target
        self._look_left = dict(plan.lookback)
        covered = (state.dataset(name).covered.newest or FIRST_DAY for name in DATASETS)
        self._newest_day = min(max(covered), target.newest)
        self._edges: dict[date, int] = {}
        self._newest_row: date | None = None
        self._newest_is_quiet = False
        self._empty_now = dict.fromkeys(DATASETS, NO_DAYS)
        self._first: tuple[date, bool] | None = None

    def take(
        self, answers: Mapping[str, Answer], now: datetime, used: Mapping[str, tuple[date, int]] = NO_CALLS
    ) -> list[Day]:
        """Learn from the answers to one window; returns the days to be stored, with the state that they justify.

        `used` are the calls of each dataset by now, as `count` has them.
        """
        asked = {name: Days.between(answer.window.begin, answer.window.end) for name, answer in answers.items()}
        came = {name: answer.came(asked[name]) for name, answer in answers.items()}
        self._learn(answers, asked, came, now, used)
        if len(answers) < len(used):
            self.count(used)  # of the others too
        totals = _totals(answers[CUMULATE].days) if CUMULATE in answers else {}
        if SUMMARY in answers and (silent := asked[SUMMARY] - came[SUMMARY]):
            self._doubt(silent, totals | self._edges)
        unclear = self._left_out(answers, asked.get(SUMMARY, NO_DAYS)) | self._waiting_for(totals)
        inferred = self._settle(unclear, totals | self._edges) if unclear else []
        self._keep_edges(answers, totals)
        self._find_birth(answers, totals)
        fields: dict[date, dict[str, Fields]] = defaultdict(dict)
        for name, answer in answers.items():
            for day, values in answer.days.items():
                fields[day][name] = values
        return self._as_days(fields, inferred, now)

    @property
    def told_by_documents(self) -> AbstractSet[date]:
        """The `unsettled` days of which documents tell the total, and that of the day before."""
        covered = self.state.dataset(CUMULATE).covered
        return {day for day in self.unsettled if day in covered and day - ONE_DAY in covered}

    def recall(self, days: AbstractSet[date], stored: Mapping[date, Mapping[str, object]], now: datetime) -> list[Day]:
        """Settle `unsettled` days with the documents of these days and of the days before them, as far as they tell."""
        inferred = self._settle(days, _totals(stored) | self._edges)
        self.unsettled -= days
        return self._as_days({}, inferred, now)

    def fail(self, name: str, trouble: Trouble) -> None:
        """Note why a dataset failed, and since when."""
        before = self.state.dataset(name).last_error
        self.change(name, last_error=replace(trouble, since=before.since) if before else trouble)

    def change(self, name: str, **known: Any) -> None:
        """Know something else of a dataset."""
        self._know({name: replace(self.state.dataset(name), **known)})

    def count(self, used: Mapping[str, tuple[date, int]]) -> None:
        """Know how many calls of each dataset were made on which Beijing day."""
        for name, (calls_on, calls) in used.items():
            known = self.state.dataset(name)
            if (calls_on, calls) != (known.calls_on, known.calls):
                self.change(name, calls_on=calls_on, calls=calls)

    @property
    def lacks_newest(self) -> bool:
        """Whether the newest published day is missing; summary may leave it out where the total didn't move."""
        newest = self._target.newest
        cumulate, summary = self.state.dataset(CUMULATE), self.state.dataset(SUMMARY)
        return newest not in cumulate.covered or (newest not in summary.covered and not self._newest_is_quiet)

    @property
    def newest(self) -> date:
        """The newest published day."""
        return self._target.newest

    @property
    def is_silent(self) -> bool:
        """Whether the account was heard and gave no row in the last `SILENT_DAYS` published days."""
        if self.newest not in self._empty_now[CUMULATE]:
            return False
        last = Days.between(self.newest - ONE_DAY * (SILENT_DAYS - 1), self.newest)
        return not self.state.dataset(CUMULATE).covered & last

    def is_before_birth(self, window: Window) -> bool:
        """Whether the account's history ends before it reaches back to `window`, as far as is known."""
        if self.state.born:
            return window.end < self.state.born
        if self._target.exhaustive:
            return False
        empty = known_empty(self.state) | self._empty_now[SUMMARY] & self._empty_now[CUMULATE]
        if not empty:
            return False
        silence = walked_into_silence(self.state, empty & Days.between(FIRST_DAY, self.newest))
        return silence is not None and window.end <= silence

    def _know(self, datasets: Mapping[str, DatasetState]) -> None:
        if datasets:
            self.state = self.state.knowing(datasets)

    def _learn(
        self,
        answers: Mapping[str, Answer],
        asked: Mapping[str, Days],
        came: Mapping[str, Days],
        now: datetime,
        used: Mapping[str, tuple[date, int]],
    ) -> None:
        """Know what each answer says of its own days, of which those `came` that have a row."""
        for days in came.values():
            self._newest_day = max(self._newest_day, days.newest or FIRST_DAY)
        today, newest = beijing_day(now), self._heard_to
        known = {}
        for name, answer in answers.items():
            if silent := asked[name] - came[name]:
                self._empty_now[name] |= silent
            looked, refreshed_to = self._looked(name, answer, asked[name])
            calls_on, calls = used.get(name, (None, None))
            known[name] = answered(
                self.state.dataset(name),
                asked[name],
                came[name],
                today=today,
                newest=newest,
                refreshed_to=refreshed_to,
                looked=looked,
                calls_on=calls_on,
                calls=calls,
                last_success=now,
            )
        self._know(known)
        if SUMMARY in came and (newest_row := came[SUMMARY].newest):
            self._newest_row = max(self._newest_row or FIRST_DAY, newest_row)

    def _looked(self, name: str, answer: Answer, asked: Days) -> tuple[Days | None, date | None]:
        """How far a dataset's look-back has come with an answer: its `looked` and `refreshed_to`, where they move."""
        if name not in self._look_left:
            return None, None
        left = self._look_left.pop(name) - Days.between(answer.asked.begin, answer.asked.end)
        if not left:
            return NO_DAYS, self._heard_to
        self._look_left[name] = left
        last_look = Days.between(FIRST_DAY, self._heard_to - ONE_DAY * (self._target.lookback_days - 1))
        return self.state.dataset(name).looked | asked & last_look, None

    @property
    def _heard_to(self) -> date:
        """The day from which ages are counted: the newest that came; for a silent account, the newest published one.

        If this host's clock is ahead, WeChat hasn't got what it takes for the newest one.
        """
        is_silent = self.newest - self._newest_day >= ONE_DAY * SILENT_DAYS
        return self.newest if is_silent else self._newest_day

    def _left_out(self, answers: Mapping[str, Answer], asked_summary: Days) -> set[date]:
        """The days that summary has said nothing of, now or before, though cumulate has them.

        They are days of these answers, or the day after them, whose quietness shows with these.
        """
        summary = self.state.dataset(SUMMARY)
        heard = asked_summary
        if before := heard_empty(summary):
            windows = (answer.window for answer in answers.values())
            heard |= before & Days.joined(Window(window.begin, window.end + ONE_DAY) for window in windows)
        left_out = heard - summary.covered
        return set(left_out & self.state.dataset(CUMULATE).covered) if left_out else set()

    def _doubt(self, silent: Days, totals: Mapping[date, int]) -> None:
        """Days that summary leaves out though their total moved after all can't be zeros: they are pending again."""
        covered = self.state.dataset(SUMMARY).covered
        if moved := Days.of(day for day in silent & covered if is_quiet(day, totals) is False):
            self.change(SUMMARY, covered=covered - moved)

    def _waiting_for(self, totals: Mapping[date, int]) -> set[date]:
        return {day for day in self.unsettled if day - ONE_DAY in totals}

    def _settle(self, days: Iterable[date], totals: Mapping[date, int]) -> list[date]:
        """The quiet ones among `days` that summary has left out for good; they count as covered from now on."""
        newest, found = self._target.newest, []
        for day in days:
            self.unsettled.discard(day)
            match is_quiet(day, totals):
                case None:
                    self.unsettled.add(day)
                    self._newest_is_quiet |= day == newest  # as far as can be told
                case still:
                    self._newest_is_quiet = still if day == newest else self._newest_is_quiet
                    if still and is_left_out(day, self._newest_row, newest):
                        found.append(day)
        if found:
            self._know({SUMMARY: quiet(self.state.dataset(SUMMARY), Days.of(found))})
        return found

    def _keep_edges(self, answers: Mapping[str, Answer], totals: Mapping[date, int]) -> None:
        """Remember the totals at the window's ends, for the neighbours that come before or after it."""
        for answer in answers.values() if totals else ():
            for day in (answer.window.begin, answer.window.end):
                if day in totals:
                    self._edges[day] = totals[day]
        while len(self._edges) > MOST_EDGES:
            del self._edges[next(iter(self._edges))]

    def _find_birth(self, answers: Mapping[str, Answer], totals: Mapping[date, int]) -> None:
        """Find where the account began: at the oldest row, if that says so and the day before it is empty."""
        if (born := self.state.born) and any(min(answer.days, default=born) < born for answer in answers.values()):
            self.state = replace(self.state, born=None)  # there is something older after all
        if self.state.born or self._target.exhaustive:
            return
        born = born_after_silence(self.state)
        if totals and SUMMARY in answers and (self._first is None or min(totals) < self._first[0]):
            first = min(totals)
            row = answers[SUMMARY].days.get(first, QUIET)
            self._first = (first, row["net_user"] == totals[first] > 0)
        if self._first and self._first[1] and self._first[0] == first_stored(self.state):
            empty = heard_empty(self.state.dataset(CUMULATE)) | self._empty_now[CUMULATE]
            born = self._first[0] if self._first[0] - ONE_DAY in empty else born
        if born:
            self.state = replace(self.state, born=born)

    def _as_days(self, fields: Mapping[date, Mapping[str, Fields]], zeros: list[date], now: datetime) -> list[Day]:
        account, name = self.state.account, self.state.name
        days = {day: Day(account, name, day, came, now) for day, came in fields.items()}
        for day in zeros:
            days[day] = Day(account, name, day, fields.get(day, NOTHING), now, _ZEROS)
        return [days[day] for day in sorted(days)]


def _totals(days: Mapping[date, Mapping[str, object]]) -> dict[date, int]:
    """The totals of days that have one."""
    return {day: total for day, fields in days.items() if isinstance(total := fields.get("cumulate_user"), int)}
