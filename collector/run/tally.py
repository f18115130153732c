"""What a run counts, account by account."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, replace

import structlog

from collector.completeness.datasets import DATASETS
from collector.completeness.plan import Plan
from collector.console.progress import Watch
from collector.errors import UnreachableError, WaitKind
from collector.model.accounts import Account
from collector.model.results import AccountResult, Failure, Notice, Outcome, RunResult
from collector.store.database import FAILED_VALIDATION
from collector.store.writer import Writer
from collector.text import counted
from collector.wechat.client import Client
from collector.wechat.session import Session

log = structlog.get_logger()


_REMEDY = "look at the document and at the validator of user_daily"
_LOOK = "MongoDB refused a write: look into its log"

SOUND = (Outcome.OK, Outcome.PENDING)
"""How accounts come out that nothing kept from being asked."""


class Tally:
    """The outcome of each account, what failed, what waits, and the counts of the client and the writer."""

    def __init__(self, watch: Watch) -> None:
        self.accounts: Sequence[Account] = ()
        self.watch = watch
        self.unreachable = 0
        self._began = time.monotonic()
        self._places: Mapping[str, int] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._answered: set[str] = set()
        self._ended: dict[str, AbstractSet[str | None]] = {}
        self._failures: dict[tuple[str, str | None], Failure] = {}
        self._notices: dict[tuple[str, str], Notice] = {}
        self._held: dict[str, int] = {}
        self._silent: list[str] = []
        self._windows_left = 0
        self._client: Client | None = None
        self._writer: Writer | None = None

    def expect(self, accounts: Sequence[Account]) -> None:
        """Count `accounts`, all of them skipped until they are heard of."""
        self.accounts = accounts
        self._places = {account.appid: place for place, account in enumerate(accounts)}
        self._outcomes = {account.appid: Outcome.SKIPPED for account in accounts}

    def count(self, client: Client, writer: Writer | None = None) -> None:
        """Take the counts of `client` and `writer` into the result, as they stand when it is made."""
        self._client, self._writer = client, writer

    def ended(self, account: Account) -> AbstractSet[str | None]:
        """The datasets of an account that are not to be asked any more in this run."""
        return self._ended.get(account.appid, frozenset())

    def can_go_on(self, account: Account) -> bool:
        """Whether an account was heard with its newest days, and is free to go on with its history."""
        return self._outcomes[account.appid] is not Outcome.SKIPPED and self._ended.get(account.appid) != set(DATASETS)

    def hold(self, account: Account, planned: Plan) -> None:
        """Note what history of an account waits, and until when; one that didn't get through waits for nothing."""
        if self._outcomes[account.appid] not in SOUND:
            return
        self._held[account.appid] = planned.windows_held
        self._windows_left += planned.windows_held
        if any((account.appid, kind) in self._notices for kind in WaitKind if kind.outlasts_run):
            return  # told already
        for notice in planned.notices(account):
            self.note(notice)

    def add(self, result: AccountResult, *, history: bool) -> None:
        """Note how an account came out; its history can only make it fail."""
        appid = result.account.appid
        if not history or result.outcome is Outcome.FAILED:
            self._outcomes[appid] = result.outcome
        self._ended[appid] = self.ended(result.account) | result.ended
        if result.answered:
            self._answered.add(appid)
        self._notices |= {(appid, notice.kind): notice for notice in result.notices}
        self.unreachable += result.unreachable
        # Of the windows that one dataset left, most are those that were held of the other.
        self._windows_left += max(0, result.windows_left - (self._held.get(appid, 0) if history else 0))
        if not history:
            self._silent += [result.account.name] if result.silent else []
            self.watch.account(result)
        for failure in result.failures:
            self.fail(failure, of=appid)

    def fail(self, failure: Failure, *, of: str) -> None:
        """Note a failure of the account `of`: the first of its kind, and what befell a platform once for all."""
        key = (failure.account, failure.dataset)
        first = self._failures.setdefault(key, failure)
        if first is failure:
            log.info("account.failed", **asdict(failure))
        elif not first.accounts:
            self._failures[key] = failure  # what fails accounts matters more than that new ones weren't found
        elif failure.account != of:
            accounts, windows = first.accounts + failure.accounts, first.windows + failure.windows
            self._failures[key] = replace(first, accounts=accounts, windows=windows)

    def note(self, notice: Notice) -> None:
        """Note something worth knowing that is no failure."""
        self._notices[notice.account, notice.kind] = notice

    def give_up_if_unreachable(self, access: Session, workers: int) -> None:
        """Raise `UnreachableError` when no account had an answer, and twice as many as `workers` no connection."""
        enough = min(2 * workers, len(self.accounts))
        if not access.client.answered and self.unreachable >= enough:
            raise UnreachableError(
                f"WeChat can't be reached: {counted(self.unreachable, 'account')} tried "
                f"{', '.join(access.route.hosts)} and none had an answer ({access.client.trouble}). "
                "Check this host's network, the proxy and api.hosts"
            )

    def result(self, run: str, *, error: str | None, stopped_by: int | None) -> RunResult:
        """The run's result, as far as it came; accounts with a document that MongoDB refused have failed."""
        client, writer = self._client, self._writer
        rejected = writer.rejected if writer else {}
        unsaved = dict.fromkeys(writer.unsaved if writer else (), Outcome.SKIPPED)
        sound = {appid for appid, outcome in self._outcomes.items() if outcome in SOUND}
        outcomes = Counter({**self._outcomes, **unsaved, **dict.fromkeys(rejected, Outcome.FAILED)}.values())
        return RunResult(
            run=run,
            seconds=time.monotonic() - self._began,
            outcomes={outcome: outcomes[outcome] for outcome in Outcome},
            got_through=len((self._answered | sound) - rejected.keys() - unsaved.keys()),
            calls=client.calls if client else 0,
            token_calls=client.token_calls if client else 0,
            retries=client.retries if client else 0,
            days=writer.days if writer else 0,
            failures=tuple(sorted((*self._failures.values(), *self._rejections(rejected)), key=self._place)),
            notices=tuple(sorted(self._notices.values(), key=self._place)),
            silent=tuple(self._silent),
            windows_left=self._windows_left,
            error=error,
            stopped_by=stopped_by,
        )

    def _place(self, told: Failure | Notice) -> int:
        """Results come in the order of the configuration, so that two of them can be compared; platforms come last."""
        return self._places.get(told.account, len(self._places))

    def _rejections(self, rejected: Mapping[str, str]) -> list[Failure]:
        names = {account.appid: account.name for account in self.accounts}
        return [
            Failure(appid, names[appid], None, reason, hint=_REMEDY if FAILED_VALIDATION in reason else _LOOK)
            for appid, reason in rejected.items()
        ]
