"""Settle the answers of one account, window after window: which days to store, and what is known by then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from collector.completeness.datasets import CUMULATE, DATASETS, QUIET, SUMMARY
from collector.completeness.evidence import (
    SILENT_DAYS,
    Answer,
    answered,
    birth_after_void_days,
    first_stored,
    is_certain,
    is_quiet,
    missing_everywhere,
    missing_rows,
    probable_end_of_history,
    reopened_malformed,
    with_zeros,
)
from collector.completeness.plan import Plan, Target
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window, beijing_day
from collector.model.state import NOTHING, AccountState, DatasetState, Day, Fields, Trouble

MAX_HELD_DAYS = 3
"""Days running on which a wait may hold the newest published day back before that is a failure."""

# Up to four calls are in flight, so windows are answered nearly in order: neighbours come within a few answers.
MAX_EDGES = 16

_ZEROS: Mapping[str, Fields] = MappingProxyType({SUMMARY: QUIET})


class Settling:
    """Everything that a run learns of one account from its answers, newest window first.

    `state` is what is known so far. `take` returns the days to be stored, under the account's `name`. `unresolved` days
    are those of which this run's answers can't tell whether they are quiet; `resolve` settles them with the stored
    documents.
    """

    def __init__(self, state: AccountState, plan: Plan, target: Target, name: str | None = None) -> None:
        self.state = state
        self._name = name or state.name
        self.unresolved: set[date] = set()
        self._target = target
        self._lookback_left = dict(plan.lookback)
        self._newest_covered = max(state.dataset(name).covered.newest or FIRST_DAY for name in DATASETS)
        # Totals at the ends of answered windows, to compare with their neighbours.
        self._edges: dict[date, int] = {}
        self._newest_summary_row: date | None = None
        self._newest_may_be_quiet = False
        # Missing rows of this run, by dataset, at any age.
        self._missing = dict.fromkeys(DATASETS, NO_DAYS)
        # The oldest day with a total in an answer to both datasets, and whether its total equals its net.
        self._first: tuple[date, bool] | None = None

    def take(self, answers: Mapping[str, Answer], now: datetime) -> list[Day]:
        """Learn from the answers to one window; return the days to be stored, which justify the new `state`."""
        asked = {name: answer.known for name, answer in answers.items()}
        came = {name: answer.came(asked[name]) for name, answer in answers.items()}
        self._learn_from(answers, asked, came, now)
        totals = _totals(answers[CUMULATE].days) if CUMULATE in answers else {}
        if SUMMARY in answers and (missing := asked[SUMMARY] - came[SUMMARY]):
            self._reopen_moved_days(missing, self._edges | totals)
        candidates = self._days_without_summary(answers, asked.get(SUMMARY, NO_DAYS))
        if self.unresolved:
            candidates |= {day for day in self.unresolved if day - ONE_DAY in totals}
        zeros = self._settle_quiet(candidates, self._edges | totals) if candidates else []
        self._keep_edges(answers, totals)
        self._find_birth(answers, totals)
        fields: dict[date, dict[str, Fields]] = defaultdict(dict)
        for name, answer in answers.items():
            for day, values in answer.days.items():
                fields[day][name] = values
        return self._as_days(fields, zeros, now)

    def resolvable(self, still_asked: Days) -> AbstractSet[date]:
        """Return the `unresolved` days whose total, and that of the day before, stand in the documents.

        A total that this run has `still_asked` for comes first: WeChat may have revised the stored one.
        """
        if not self.unresolved:
            return frozenset()
        stored = self.state.dataset(CUMULATE).covered - still_asked
        return {day for day in self.unresolved if day in stored and day - ONE_DAY in stored}

    def resolve(self, days: AbstractSet[date], stored: Mapping[date, Mapping[str, object]], now: datetime) -> list[Day]:
        """Settle `unresolved` days with the documents of these days and of the days before them."""
        zeros = self._settle_quiet(days, _totals(stored) | self._edges)
        self.unresolved -= days
        return self._as_days({}, zeros, now)

    def fail(self, name: str, trouble: Trouble) -> None:
        """Note why a dataset failed, and since when."""
        self._learn({name: self.state.dataset(name).failed(trouble)})

    def change(self, name: str, **known: Any) -> None:
        """Change fields of a dataset's state."""
        self._learn({name: self.state.dataset(name)._replace(**known)})

    def count(self, used: Mapping[str, tuple[date, int]]) -> None:
        """Note how many calls of each dataset were made, and on which Beijing day."""
        known = self.state.dataset
        self._learn(
            {
                name: known(name)._replace(calls_on=calls_on, calls=calls)
                for name, (calls_on, calls) in used.items()
                if (calls_on, calls) != (known(name).calls_on, known(name).calls)
            }
        )

    def count_forced_tokens(self, forced_on: date | None, tokens: int) -> None:
        """Note how many new tokens were forced, and on which Beijing day."""
        if (self.state.forced_on, self.state.forced_tokens) != (forced_on, tokens):
            self.state = self.state._replace(forced_on=forced_on, forced_tokens=tokens)

    @property
    def is_renamed(self) -> bool:
        """True while the stored documents have the account's old name."""
        return self.state.name != self._name

    def rename(self) -> None:
        """Note that the stored documents have the new name."""
        self.state = self.state._replace(name=self._name)

    def hold(self, today: date, *, is_held: bool) -> bool:
        """Note whether a wait holds the newest published day back on the Beijing day `today`.

        A day counts unless the newest day comes on it after all. Returns True once this is the last of `MAX_HELD_DAYS`
        such days running.
        """
        this, last = Days.between(today, today), Days.between(today - ONE_DAY * (MAX_HELD_DAYS - 1), today)
        held = self.state.held & last
        if is_held:
            held |= this
        elif not self.newest_is_pending and self.newest == today - ONE_DAY:
            held -= this
        if held != self.state.held:
            self.state = self.state._replace(held=held)
        return is_held and len(held) == MAX_HELD_DAYS

    def lacks_newest(self, name: str) -> bool:
        """Return True where a dataset lacks the newest published day."""
        return self._target.newest not in self.state.dataset(name).covered

    @property
    def newest_is_pending(self) -> bool:
        """True where the newest published day is pending.

        A day that summary has no row for doesn't count while its total is unchanged or unknown.
        """
        newest = self._target.newest
        cumulate, summary = self.state.dataset(CUMULATE), self.state.dataset(SUMMARY)
        return newest not in cumulate.covered or (newest not in summary.covered and not self._newest_may_be_quiet)

    @property
    def newest(self) -> date:
        """The newest published day."""
        return self._target.newest

    @property
    def is_silent(self) -> bool:
        """True where the newest day was asked for, and no row came of the last `SILENT_DAYS` published days."""
        if self.newest not in self._missing[CUMULATE]:
            return False
        last = Days.between(self.newest - ONE_DAY * (SILENT_DAYS - 1), self.newest)
        return not self.state.dataset(CUMULATE).covered & last

    def is_before_birth(self, window: Window) -> bool:
        """Return True where the account's history ends before it reaches back to `window`, as far as is known."""
        if self.state.born:
            return window.end < self.state.born
        if self._target.exhaustive:
            return False
        # Missing rows that aren't old enough for the state count as well here: history is walked newest day first.
        missing = missing_everywhere(self.state) | self._missing[SUMMARY] & self._missing[CUMULATE]
        end = probable_end_of_history(self.state, missing) if missing else None
        return end is not None and window.end <= end

    def _learn(self, datasets: Mapping[str, DatasetState]) -> None:
        """Put `datasets` in the place of what was known of them."""
        if datasets:
            self.state = self.state._replace(datasets={**self.state.datasets, **datasets})

    def _learn_from(
        self, answers: Mapping[str, Answer], asked: Mapping[str, Days], came: Mapping[str, Days], now: datetime
    ) -> None:
        """Note what each answer proves about its own days, of which those `came` that have a row."""
        self._newest_covered = max([self._newest_covered, *(days.newest or FIRST_DAY for days in came.values())])
        today, newest = beijing_day(now), self._ages_count_from
        learnt = {}
        for name, answer in answers.items():
            if missing := asked[name] - came[name]:
                self._missing[name] |= missing
            before, looked_at = self.state.dataset(name), self._lookback_left.get(name, NO_DAYS)
            others = {"last_success": now, **self._lookback_done(name, answer, asked[name])}
            if answer.malformed:
                before = reopened_malformed(before, answer.malformed, looked_at)
            after = answered(before, asked[name], came[name], today=today, newest=newest, **others)
            # Malformed days are a failure, which began when the one before it did.
            learnt[name] = after._replace(last_error=before.last_error) if answer.malformed else after
        self._learn(learnt)
        if SUMMARY in answers:
            self.unresolved.difference_update(answers[SUMMARY].malformed)
        if SUMMARY in came and (newest_row := came[SUMMARY].newest):
            self._newest_summary_row = max(self._newest_summary_row or FIRST_DAY, newest_row)

    def _lookback_done(self, name: str, answer: Answer, asked: Days) -> dict[str, Any]:
        """Return the fields of a dataset's state that say how far its lookback is, where the answer moves them."""
        if name not in self._lookback_left:
            return {}
        left = self._lookback_left.pop(name) - Days.between(answer.asked.begin, answer.asked.end)
        if not left:
            return {"refreshed_to": self._ages_count_from, "looked": NO_DAYS}
        self._lookback_left[name] = left
        # The oldest days of a lookback are fetched for the last time; younger ones are in the next lookback too.
        for_the_last_time = Days.between(FIRST_DAY, self._ages_count_from - ONE_DAY * (self._target.lookback_days - 1))
        return {"looked": self.state.dataset(name).looked | asked & for_the_last_time}

    @property
    def _ages_count_from(self) -> date:
        """The newest day that came, from which ages are counted.

        Where WeChat is late for days, a missing row proves nothing yet. Of a silent account nothing comes at all, so
        its ages are counted from the newest published day.
        """
        is_silent = self.newest - self._newest_covered >= ONE_DAY * SILENT_DAYS
        return self.newest if is_silent else self._newest_covered

    def _days_without_summary(self, answers: Mapping[str, Answer], asked_summary: Days) -> set[date]:
        """Return the days that summary lacks, in this answer or one before, though cumulate has them.

        They are days of these answers, or the day after them, since its total is compared with theirs.
        """
        summary = self.state.dataset(SUMMARY)
        missing = asked_summary
        if before := missing_rows(summary):
            windows = (answer.window for answer in answers.values())
            missing |= before & Days.joined(Window(window.begin, window.end + ONE_DAY) for window in windows)
        return set((missing - summary.covered) & self.state.dataset(CUMULATE).covered)

    def _reopen_moved_days(self, missing: Days, totals: Mapping[date, int]) -> None:
        """Reopen days stored as zeros whose total has moved after all, and of which summary has no row still."""
        covered = self.state.dataset(SUMMARY).covered
        if moved := Days.of(day for day in missing & covered if is_quiet(day, totals) is False):
            self.change(SUMMARY, covered=covered - moved)

    def _settle_quiet(self, days: Iterable[date], totals: Mapping[date, int]) -> list[date]:
        """Return the `days` that are quiet for certain, which count as covered from now on."""
        newest, zeros = self._target.newest, []
        for day in days:
            self.unresolved.discard(day)
            quiet = is_quiet(day, totals)
            if quiet is None:
                self.unresolved.add(day)
            # An account whose newest day may well be quiet isn't pending: most such days are.
            if day == newest:
                self._newest_may_be_quiet = quiet is not False
            if quiet and is_certain(day, self._newest_summary_row, newest):
                zeros.append(day)
        if zeros:
            self._learn({SUMMARY: with_zeros(self.state.dataset(SUMMARY), Days.of(zeros))})
        return zeros

    def _keep_edges(self, answers: Mapping[str, Answer], totals: Mapping[date, int]) -> None:
        """Keep the totals at the window's ends, for the neighbours that are answered before or after it."""
        for answer in answers.values() if totals else ():
            for day in (answer.window.begin, answer.window.end):
                if day in totals:
                    self._edges[day] = totals[day]
        while len(self._edges) > MAX_EDGES:
            del self._edges[next(iter(self._edges))]

    def _find_birth(self, answers: Mapping[str, Answer], totals: Mapping[date, int]) -> None:
        """Find where the account began: behind void days, or at the oldest row, where total and net say so."""
        if born := self.state.born:
            rows = [day for answer in answers.values() for day in (*answer.days, *answer.malformed)]
            if min(rows, default=born) < born:
                self.state = self.state._replace(born=None)  # there is something older after all
        if self.state.born or self._target.exhaustive:
            return
        born = birth_after_void_days(self.state)
        # An account begins at 0, so on its first day the total is the net. The day before must have been asked as well.
        if totals and SUMMARY in answers and (self._first is None or min(totals) < self._first[0]):
            first = min(totals)
            row = answers[SUMMARY].days.get(first, QUIET)
            self._first = (first, row["net_user"] == totals[first] > 0)
        if self._first and self._first[1] and self._first[0] == first_stored(self.state):
            missing = missing_rows(self.state.dataset(CUMULATE)) | self._missing[CUMULATE]
            born = self._first[0] if self._first[0] - ONE_DAY in missing else born
        if born:
            self.state = self.state._replace(born=born)

    def _as_days(self, fields: Mapping[date, Mapping[str, Fields]], zeros: list[date], now: datetime) -> list[Day]:
        account, name = self.state.account, self._name
        days = {day: Day(account, name, day, came, now) for day, came in fields.items()}
        for day in zeros:
            days[day] = Day(account, name, day, fields.get(day, NOTHING), now, _ZEROS)
        return [days[day] for day in sorted(days)]


def _totals(days: Mapping[date, Mapping[str, object]]) -> dict[date, int]:
    """Return the totals of the days that have one."""
    return {day: total for day, fields in days.items() if isinstance(total := fields.get("cumulate_user"), int)}
