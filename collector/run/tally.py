"""Count a run, account by account."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field, fields, replace

import structlog

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Plan
from collector.console.progress import Watch
from collector.errors import UnreachableError, WaitKind
from collector.model.accounts import Account
from collector.model.results import AccountResult, Failure, Notice, Outcome, RunResult
from collector.runtime import CircuitBreaker, LoopLag
from collector.store.database import FAILED_VALIDATION
from collector.store.writer import Writer
from collector.text import counted
from collector.wechat.client import Client
from collector.wechat.session import Session

log = structlog.get_logger()


_VALIDATOR_HINT = "look at the document and at the validator of user_daily"
_REFUSED_HINT = "MongoDB refused a write: look into its log"

SOUND = (Outcome.OK, Outcome.PENDING)
"""The outcomes of accounts that were asked for all that was wanted."""


@dataclass(slots=True)
class _Found:
    """How the accounts came out, by appid; failures also by dataset, notices by kind."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    ended: dict[str, frozenset[str | None]] = field(default_factory=dict)
    failures: dict[tuple[str, str | None], Failure] = field(default_factory=dict)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    windows_left: Counter[str] = field(default_factory=Counter)

    def copy(self) -> _Found:
        return _Found(*(copy(getattr(self, each.name)) for each in fields(self)))


class Tally:
    """The outcome of each account, what failed, what waits, and the counts of the client and the writer."""

    def __init__(self, watch: Watch, workers: int) -> None:
        self.watch = watch
        # Twice, so that accounts that were the first to meet a short outage don't end the run.
        self._max_unreachable = 2 * workers
        self._began = time.monotonic()
        self._names: dict[str, str] = {}
        self._answered: set[str] = set()
        self._found = _Found()
        self._before: _Found | None = None
        self.lag = LoopLag()
        self._client: Client | None = None
        self._writer: Writer | None = None

    def expect(self, accounts: Sequence[Account]) -> None:
        """Expect results of `accounts`: without one, an account counts as skipped."""
        self._names = {account.appid: account.name for account in accounts}
        self._found.outcomes = dict.fromkeys(self._names, Outcome.SKIPPED)
        # Of few accounts all must have failed.
        self._unreachable = CircuitBreaker[UnreachableError](min(self._max_unreachable, len(accounts)))

    def begin_day(self) -> None:
        """Begin with the daily job: forget how accounts came out with an older day, and keep what was noted before."""
        if self._before is None:
            self._before = self._found
        self._found = self._before.copy()

    def attach(self, client: Client, writer: Writer | None = None) -> None:
        """Take the counts of `client` and `writer` into the result, as they stand when it is made."""
        self._client, self._writer = client, writer

    def ended(self, account: Account) -> frozenset[str | None]:
        """The datasets of an account that are not to be asked any more in this run."""
        return self._found.ended.get(account.appid, frozenset())

    def may_ask_history(self, account: Account) -> bool:
        """Return True where an account's newest days were asked for, and a dataset may still be asked."""
        return self._found.outcomes[account.appid] is not Outcome.SKIPPED and self.ended(account) != frozenset(DATASETS)

    def note_waiting(self, account: Account, planned: Plan) -> None:
        """Count an account's windows of history that wait, and note the waits. Does nothing for a failed account."""
        if self._found.outcomes[account.appid] not in SOUND:
            return
        self._found.waiting[account.appid] = planned.windows_held
        self._found.windows_left[account.appid] += planned.windows_held
        if any((account.appid, kind) in self._found.notices for kind in WaitKind if kind.outlasts_run):
            return  # told already
        for notice in planned.notices(account):
            self.note(notice)

    def add(self, result: AccountResult) -> None:
        """Count how an account came out with its newest days."""
        appid = result.account.appid
        self._found.outcomes[appid] = result.outcome
        self._found.windows_left[appid] = result.windows_left
        if result.silent:
            self._found.silent[appid] = result.account.name
        self._add(result)
        self.watch.account(result)

    def add_history(self, result: AccountResult) -> None:
        """Count how an account came out with its history, which can only make it fail."""
        appid = result.account.appid
        if result.outcome is Outcome.FAILED:
            self._found.outcomes[appid] = result.outcome
        # A window left by one dataset mostly waits for the other too, and `note_waiting` has counted it then.
        self._found.windows_left[appid] += max(0, result.windows_left - self._found.waiting.get(appid, 0))
        self._add(result)

    def _add(self, result: AccountResult) -> None:
        appid = result.account.appid
        self._found.ended[appid] = self.ended(result.account) | result.ended
        if result.answered:
            self._answered.add(appid)
        self._found.notices |= {(appid, notice.kind): notice for notice in result.notices}
        for failure in result.failures:
            self.fail(failure, of=appid)

    def fail(self, failure: Failure, *, of: str) -> None:
        """Note a failure of the account `of`: the first of each dataset, and a platform's once for all its accounts."""
        key = (failure.account, failure.dataset)
        first = self._found.failures.setdefault(key, failure)
        if first is failure:
            log.info("account.failed", **asdict(failure))
        elif not first.accounts:
            # A platform's failure that fails accounts matters more than one that only kept new ones from being found.
            self._found.failures[key] = failure
        elif failure.account != of:
            accounts, windows = first.accounts + failure.accounts, first.windows + failure.windows
            self._found.failures[key] = replace(first, accounts=accounts, windows=windows)

    def note(self, notice: Notice) -> None:
        """Note a wait, which is no failure."""
        self._found.notices[notice.account, notice.kind] = notice

    def give_up_if_unreachable(self, result: AccountResult, session: Session) -> None:
        """Raise `UnreachableError` when no account had an answer, and twice as many as there are workers no connection.

        Hours of waiting for each of thousands of accounts would help nobody.
        """
        if result.unreachable:
            hosts, trouble = ", ".join(session.route.hosts), session.client.trouble
            self._unreachable.failed(
                UnreachableError(
                    f"Could not reach WeChat: {counted(self._unreachable.failures + 1, 'account')} tried {hosts} and "
                    f"none had an answer ({trouble}). Check this host's network, the proxy and api.hosts"
                )
            )
        if not session.client.answered:
            self._unreachable.check()

    def result(self, run: str, *, error: str | None, stopped_by: int | None) -> RunResult:
        """Return the run's result as far as it came. Accounts with a document that MongoDB refused have failed."""
        client, writer = self._client, self._writer
        places = {appid: number for number, appid in enumerate(self._names)}

        def place(of: Failure | Notice) -> int:
            """The order of the configuration makes two results comparable; platforms come last."""
            return places.get(of.account, len(places))

        rejected = writer.rejected if writer else {}
        unsaved = dict.fromkeys(writer.unsaved if writer else (), Outcome.SKIPPED)
        sound = {appid for appid, outcome in self._found.outcomes.items() if outcome in SOUND}
        final = {**self._found.outcomes, **unsaved, **dict.fromkeys(rejected, Outcome.FAILED)}
        # Discovery writes states of accounts that weren't selected, too: they aren't counted.
        outcomes = Counter(outcome for appid, outcome in final.items() if appid in self._names)
        return RunResult(
            run=run,
            seconds=time.monotonic() - self._began,
            outcomes={outcome: outcomes[outcome] for outcome in Outcome},
            got_through=len((self._answered | sound) - rejected.keys() - unsaved.keys()),
            calls=client.calls if client else 0,
            token_calls=client.token_calls if client else 0,
            retries=client.retries if client else 0,
            days=writer.days if writer else 0,
            failures=tuple(sorted((*self._found.failures.values(), *self._rejections(rejected)), key=place)),
            notices=tuple(sorted(self._found.notices.values(), key=place)),
            silent=tuple(self._found.silent.values()),
            windows_left=self._found.windows_left.total(),
            loop_lag_s=self.lag.max_s,
            error=error,
            stopped_by=stopped_by,
        )

    def _rejections(self, rejected: Mapping[str, str]) -> list[Failure]:
        return [
            Failure(appid, self._names.get(appid, appid), None, reason, hint=hint)
            for appid, reason in rejected.items()
            for hint in [_VALIDATOR_HINT if FAILED_VALIDATION in reason else _REFUSED_HINT]
        ]
