"""Counts of a run, or of a part of its accounts, as values: they add up, and become the run's result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from collector.model.results import Failure, Notice, Outcome, RunResult


@dataclass(frozen=True, slots=True)
class Counts:
    """Outcomes of some accounts by appid, and counts of the calls and writes made for them.

    `got_through` are the accounts with an answer of at least one dataset. `failures` are by the account that failed,
    also where the failure is a platform's. `silent` are the names of silent accounts, `windows_left` the windows of
    history that accounts still lack at the end, `unreachable` the accounts that failed since no connection could be
    made. `lag_s` is the longest time in seconds for which an event loop was held.
    """

    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    got_through: AbstractSet[str] = frozenset()
    failures: Mapping[str, Sequence[Failure]] = field(default_factory=dict)
    notices: Mapping[str, Sequence[Notice]] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    windows_left: Mapping[str, int] = field(default_factory=dict)
    unreachable: AbstractSet[str] = frozenset()
    calls: int = 0
    token_calls: int = 0
    retries: int = 0
    days: int = 0
    lag_s: float = 0.0

    def of(self, outcome: Outcome) -> frozenset[str]:
        """Return the accounts with an outcome."""
        return frozenset(appid for appid, found in self.outcomes.items() if found is outcome)

    @property
    def pending(self) -> frozenset[str]:
        """The pending accounts, but for those that wait."""
        return self.of(Outcome.PENDING) - {appid for appid, waits in self.notices.items() if waits}

    @property
    def complete(self) -> frozenset[str]:
        """The accounts whose newest day is there: those that are ok, but for silent ones."""
        return self.of(Outcome.OK) - self.silent.keys()


def merged(parts: Iterable[Counts]) -> Counts:
    """Return the counts of all parts.

    An account that is in several parts came out as the last one says in which its turn had come before a stop, and
    lacks what the last one says that counts it.
    """
    outcomes: dict[str, Outcome] = {}
    got_through: set[str] = set()
    failures: dict[str, Sequence[Failure]] = {}
    notices: dict[str, Sequence[Notice]] = {}
    silent: dict[str, str] = {}
    windows_left: dict[str, int] = {}
    unreachable: AbstractSet[str] = frozenset()
    sums: Counter[str] = Counter()
    lag_s = 0.0
    for part in parts:
        came_out = {
            appid: outcome
            for appid, outcome in part.outcomes.items()
            if outcome is not Outcome.SKIPPED or appid not in outcomes
        }
        for older in (failures, notices, silent):
            for appid in older.keys() & came_out.keys():
                del older[appid]
        outcomes |= came_out
        got_through |= part.got_through
        failures |= part.failures
        notices |= part.notices
        silent |= part.silent
        windows_left |= part.windows_left
        unreachable = (unreachable - came_out.keys()) | part.unreachable
        sums.update(calls=part.calls, token_calls=part.token_calls, retries=part.retries, days=part.days)
        lag_s = max(lag_s, part.lag_s)
    return Counts(outcomes, got_through, failures, notices, silent, windows_left, unreachable, **sums, lag_s=lag_s)


def result_of(  # noqa: PLR0913 - what a result is made of, by its names
    counts: Counts,
    names: Mapping[str, str],
    broken: Sequence[Failure] = (),
    *,
    run: str,
    seconds: float,
    error: str | None,
    stopped_by: int | None,
) -> RunResult:
    """Return the result of a run over the accounts of `names`, by appid, in the order of the configuration.

    `broken` are the failures of entries of the configuration that can't be used.
    """
    places = {appid: number for number, appid in enumerate(names)}

    def place(of: Failure | Notice) -> int:
        """The order of the configuration makes two results comparable; platforms come last."""
        return places.get(of.account or "", len(places))

    # Discovery writes states of accounts that weren't selected, too: they aren't counted.
    outcomes = Counter(outcome for appid, outcome in counts.outcomes.items() if appid in names)
    outcomes[Outcome.FAILED] += len(broken)
    return RunResult(
        run=run,
        seconds=seconds,
        outcomes={outcome: outcomes[outcome] for outcome in Outcome},
        got_through=len(counts.got_through),
        calls=counts.calls,
        token_calls=counts.token_calls,
        retries=counts.retries,
        days=counts.days,
        failures=(*broken, *sorted(_by_subject(counts.failures), key=place)),
        notices=tuple(sorted((notice for each in counts.notices.values() for notice in each), key=place)),
        pending=tuple(name for appid, name in names.items() if counts.outcomes.get(appid) is Outcome.PENDING),
        silent=tuple(counts.silent.values()),
        windows_left=sum(counts.windows_left.values()),
        loop_lag_s=counts.lag_s,
        error=error,
        stopped_by=stopped_by,
    )


def _by_subject(failures: Mapping[str, Sequence[Failure]]) -> Iterable[Failure]:
    """Return the first failure of each dataset, and a platform's once for all its accounts."""
    found: dict[tuple[str | None, str | None], Failure] = {}
    for of, each in failures.items():
        for failure in each:
            subject = (failure.account, failure.dataset)
            first = found.get(subject)
            # A platform's failure that fails accounts matters more than one that only keeps new ones unknown.
            if not first or not first.accounts:
                found[subject] = failure
            elif failure.account != of:
                accounts, windows = first.accounts + failure.accounts, first.windows + failure.windows
                since = min((each.since for each in (first, failure) if each.since), default=None)
                new = first.new and failure.new
                found[subject] = replace(first, accounts=accounts, windows=windows, since=since, new=new)
    return found.values()
