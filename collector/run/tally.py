"""Count a run, account by account."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime

import structlog

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Plan
from collector.console.progress import Watch
from collector.kinds import WaitKind
from collector.model.accounts import Account, BrokenEntry, Entry
from collector.model.results import AccountResult, Failure, Notice, Outcome, RunResult
from collector.run.counts import Counts, merged, result_of
from collector.run.reactions import failure_of_entry
from collector.runtime import LoopLag
from collector.store.database import FAILED_VALIDATION
from collector.store.writer import Writer
from collector.wechat.client import Client

log = structlog.get_logger()


_VALIDATOR_HINT = "look at the document and at the validator of user_daily"
_REFUSED_HINT = "MongoDB refused a write: look into its log"

SOUND = (Outcome.OK, Outcome.PENDING)
"""The outcomes of accounts that were asked for all that was wanted."""


class Tally:
    """The outcome of each account, what failed, what waits, and the counts of the client and the writer."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._began = time.monotonic()
        self._names: dict[str, str] = {}
        self._answered: set[str] = set()
        self._broken: list[Failure] = []
        self._outcomes: dict[str, Outcome] = {}
        self._ended: dict[str, frozenset[str | None]] = {}
        # By the account that failed, also where the failure is a platform's.
        self._failures: dict[str, list[Failure]] = defaultdict(list)
        self._told: set[tuple[str | None, str, str | None]] = set()
        self._new: set[tuple[str, str | None]] = set()
        self._notices: dict[str, dict[str, Notice]] = defaultdict(dict)
        self._silent: dict[str, str] = {}
        self._unreachable: set[str] = set()
        self._pending_before: frozenset[str] = frozenset()
        self._lacking_history: set[str] = set()
        self._windows_left: dict[str, int] = {}
        self._earlier = Counts()
        self._taken: list[Counts] = []
        self.lag = LoopLag()
        self._client: Client | None = None
        self._writer: Writer | None = None

    def expect(self, entries: Sequence[Entry]) -> None:
        """Expect results of accounts: without one, an account counts as skipped. Broken entries have failed."""
        accounts = [entry for entry in entries if isinstance(entry, Account)]
        self._broken = [failure_of_entry(entry) for entry in entries if isinstance(entry, BrokenEntry)]
        for failure in self._broken:
            self._tell(failure)
        self._names = {account.appid: account.name for account in accounts}
        self._outcomes = dict.fromkeys(self._names, Outcome.SKIPPED)

    def attach(self, client: Client | None, writer: Writer | None = None) -> None:
        """Take the counts of `client` and `writer` into the result, as they stand when it is made."""
        self._client, self._writer = client, writer
        if writer:
            self.watch.follow_days(lambda: writer.days)

    def date_broken(self, since: Mapping[str, datetime | None], new: Container[str]) -> None:
        """Note since when the accounts of broken entries fail, by appid, and which of them are new."""
        for place, failure in enumerate(self._broken):
            if (appid := failure.account) and appid in since:
                if appid in new:
                    self._new.add((appid, None))  # in a later round of the run it isn't new any more
                self._broken[place] = replace(failure, since=since[appid], new=(appid, None) in self._new)

    def ended(self, account: Account) -> frozenset[str | None]:
        """The datasets of an account that are not to be asked any more in this run."""
        return self._ended.get(account.appid, frozenset())

    def may_ask_history(self, account: Account) -> bool:
        """Return True where an account's newest days were asked for, and a dataset may still be asked."""
        return self._outcomes[account.appid] is not Outcome.SKIPPED and self.ended(account) != frozenset(DATASETS)

    def may_gain_history(self, account: Account) -> bool:
        """Return True unless an account has failed as a whole: then its history would fail, too."""
        return self._outcomes[account.appid] in SOUND or self.may_ask_history(account)

    def has_history(self, account: Account) -> None:
        """Note that an account lacks none of its history."""
        self._windows_left[account.appid] = 0

    def uncounted(self, accounts: Iterable[Account]) -> list[Account]:
        """Return the accounts of which it isn't known yet how many windows of history they lack."""
        return [account for account in accounts if account.appid not in self._windows_left]

    def leave(self, windows: Mapping[str, int]) -> None:
        """Note how many windows of history accounts lack at the end."""
        self._windows_left |= windows

    def note_waits(self, account: Account, planned: Plan) -> None:
        """Note the waits for which an account's history waits. Does nothing for a failed account."""
        if self._outcomes[account.appid] not in SOUND:
            return
        if any(kind in self._notices[account.appid] for kind in WaitKind if kind.outlasts_run):
            return  # told already
        for notice in planned.notices(account):
            self.note(notice)

    def add(self, result: AccountResult) -> None:
        """Count how an account came out with its newest days, in the place of what was counted for an older day."""
        appid = result.account.appid
        for older in (self._ended, self._failures, self._notices, self._silent, self._windows_left):
            older.pop(appid, None)
        self._outcomes[appid] = result.outcome
        if result.silent:
            self._silent[appid] = result.account.name
        self._unreachable.discard(appid)
        if result.unreachable:
            self._unreachable.add(appid)
        self._add(result)
        self.watch.account(result)

    def add_history(self, result: AccountResult) -> None:
        """Count how an account came out with its history, which can only make it fail."""
        appid = result.account.appid
        if result.outcome is Outcome.FAILED:
            self._outcomes[appid] = result.outcome
        self._add(result)

    def _add(self, result: AccountResult) -> None:
        appid = result.account.appid
        self._ended[appid] = self.ended(result.account) | result.ended
        if result.answered:
            self._answered.add(appid)
        for notice in result.notices:
            self.note(notice)
        for failure in result.failures:
            self.fail(failure, of=appid)

    def fail(self, failure: Failure, *, of: str) -> None:
        """Note a failure of the account `of`."""
        self._failures[of].append(failure)
        if failure.new:
            self._new.add((of, failure.dataset))
        self._tell(failure)

    def _tell(self, failure: Failure) -> None:
        """Log a failure, the first time in the run."""
        if (subject := (failure.account, failure.name, failure.dataset)) not in self._told:
            self._told.add(subject)
            log.info("account.failed", **asdict(failure))

    def note(self, notice: Notice) -> None:
        """Note a wait, which is no failure."""
        self._notices[notice.account][notice.kind] = notice

    def take(self, counts: Counts) -> None:
        """Take over the counts of accounts that were at work elsewhere; the last ones of an account are valid."""
        self._taken.append(counts)
        self._new.update(
            (of, each.dataset) for of, failures in counts.failures.items() for each in failures if each.new
        )

    def counts(self) -> Counts:
        """Return the counts as far as the run came. Accounts with a document that MongoDB refused have failed."""
        client, writer = self._client, self._writer
        rejected = writer.rejected if writer else {}
        unsaved = dict.fromkeys(writer.unsaved if writer else (), Outcome.SKIPPED)
        sound = {appid for appid, outcome in self._outcomes.items() if outcome in SOUND}
        failures = {appid: list(each) for appid, each in self._failures.items()}
        for appid, failure in self._rejections(rejected):
            failures.setdefault(appid, []).append(failure)
        return Counts(
            outcomes={**self._outcomes, **unsaved, **dict.fromkeys(rejected, Outcome.FAILED)},
            got_through=(self._answered | sound) - rejected.keys() - unsaved.keys(),
            failures=failures,
            notices={appid: [*each.values()] for appid, each in self._notices.items()},
            silent=dict(self._silent),
            windows_left=dict(self._windows_left),
            unreachable=frozenset(self._unreachable),
            calls=client.calls if client else 0,
            token_calls=client.token_calls if client else 0,
            retries=client.retries if client else 0,
            days=writer.days if writer else 0,
            lag_s=self.lag.max_s,
        )

    def result(self, run: str, *, error: str | None, stopped_by: int | None) -> RunResult:
        """Return the run's result as far as it came."""
        counts = self.so_far
        # A failure stays new where the account fails once more: for a newer day, or in another round.
        failures = {
            of: [replace(failure, new=(of, failure.dataset) in self._new) for failure in each]
            for of, each in counts.failures.items()
        }
        counts, seconds = replace(counts, failures=failures), time.monotonic() - self._began
        names, broken = self._names, self._broken
        return result_of(counts, names, broken, run=run, seconds=seconds, error=error, stopped_by=stopped_by)

    @property
    def total(self) -> int:
        """The number of accounts expected."""
        return len(self._names)

    @property
    def pending(self) -> frozenset[str]:
        """The accounts whose newest day isn't there yet, but for those that wait.

        An account that was pending is so still where no connection could be made for it in a later round.
        """
        counts = self.so_far
        return counts.pending | (self._pending_before & counts.unreachable)

    @property
    def skipped(self) -> frozenset[str]:
        """The expected accounts that haven't had a turn."""
        return self.so_far.of(Outcome.SKIPPED) & self._names.keys()

    @property
    def unfinished(self) -> frozenset[str]:
        """The accounts of which something is left to ask: they aren't ok, or lack history."""
        counts = self.so_far
        return frozenset(counts.outcomes.keys() - counts.of(Outcome.OK)) | self._lacking_history

    def leave_history(self, appids: Iterable[str]) -> None:
        """Note whose history this round leaves to the last one."""
        self._lacking_history.update(appids)

    def begin_round(self) -> None:
        """Count anew; of accounts that have no turn in this round, the earlier counts are valid."""
        earlier, self._pending_before = self.so_far, self.pending
        # Those of platforms come again where they aren't over.
        failures = {appid: each for appid, each in earlier.failures.items() if appid in earlier.outcomes}
        notices = {appid: each for appid, each in earlier.notices.items() if appid in earlier.outcomes}
        self._earlier = replace(earlier, failures=failures, notices=notices)
        self._taken, self._client, self._writer = [], None, None
        for counted_before in (
            *(self._answered, self._ended, self._failures, self._notices),
            *(self._silent, self._windows_left, self._unreachable),
        ):
            counted_before.clear()
        self._outcomes = dict.fromkeys(self._names, Outcome.SKIPPED)

    @property
    def so_far(self) -> Counts:
        """The counts of all rounds, and of accounts that were at work elsewhere."""
        return merged([self._earlier, self.counts(), *self._taken])

    def _rejections(self, rejected: Mapping[str, str]) -> Iterator[tuple[str, Failure]]:
        for appid, reason in rejected.items():
            hint = _VALIDATOR_HINT if FAILED_VALIDATION in reason else _REFUSED_HINT
            yield appid, Failure(appid, self._names.get(appid, appid), None, reason, hint=hint)
