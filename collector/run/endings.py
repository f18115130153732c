"""Ended parts of an account, and the errors and waits that ended them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from collector.completeness.datasets import DATASETS
from collector.errors import CallError
from collector.kinds import Scope
from collector.model.accounts import Account
from collector.model.results import Notice
from collector.model.waits import Wait
from collector.run.reactions import scope_of, wait_ordered_by


class Endings:
    """Ended scopes of one account in one pass. A scope is the name of a dataset, or None for the whole account.

    `notices` are the waits, by kind. It is true once anything has ended.
    """

    def __init__(self, account: Account) -> None:
        self.notices: dict[str, Notice] = {}
        self._account = account
        # The error that ended a scope, or None for a wait.
        self._ended: dict[str | None, CallError | None] = {}
        # The first error of a dataset that failed a window only.
        self._rejected: dict[str | None, CallError] = {}
        self._waits: dict[str | None, Wait] = {}

    def wait(self, scope: str | None, wait: Wait) -> None:
        """Ask a scope no more, and note its wait, which is no failure."""
        self._ended.setdefault(scope, None)
        self._waits[scope] = wait
        self.notices[wait.kind] = Notice(self._account.appid, self._account.name, wait.kind, wait.until)

    def wait_of(self, dataset: str) -> Wait | None:
        """Return the wait of a dataset, if it waits."""
        return self._waits.get(dataset) or self._waits.get(None)

    def fail_wait(self, scope: str, message: str) -> None:
        """Count the wait of a dataset as a failure as well."""
        if wait := self.wait_of(scope):
            error = CallError(f"{message}: {wait.kind.words}", hint=wait.kind.remedy)
            error.errcode = wait.errcode
            self._ended[None if None in self._waits else scope] = error

    def end(self, dataset: str | None, error: CallError, now: datetime) -> tuple[Collection[str], Wait | None]:
        """Choose what ends with this error: the window, its dataset or the account; as a failure or with a notice.

        Returns the datasets whose wait later runs must keep as well, and the wait.
        """
        ends = scope_of(error)
        if ends is Scope.WINDOW:
            # Its days stay pending. A window that failed says nothing of the next one, which may be sound.
            if error.reaction.is_failure and dataset:
                self._rejected.setdefault(dataset, error)
            return (), None
        scope = dataset if ends is Scope.DATASET else None
        wait = wait_ordered_by(error, now)
        if wait is None:
            self._ended.setdefault(scope, error)
            return (), None
        self.wait(scope, wait)
        return ([scope] if scope else DATASETS) if wait.kind.is_stored else (), wait

    def take_over(self, failed: Mapping[str | None, CallError]) -> None:
        """Take over the errors of an earlier pass."""
        self._rejected |= failed

    def wants(self, dataset: str) -> bool:
        """Return True while a dataset is asked."""
        return not self.account_has_ended and dataset not in self._ended

    @property
    def errors(self) -> dict[str, CallError]:
        """The error by which each dataset has failed."""
        return {
            name: error
            for name in DATASETS
            if (error := self._ended.get(name) or self._ended.get(None) or self._rejected.get(name))
        }

    def __bool__(self) -> bool:
        return bool(self._ended)

    @property
    def account_has_ended(self) -> bool:
        """True once nothing of the account is asked any more."""
        return None in self._ended

    @property
    def failed(self) -> dict[str | None, CallError]:
        """The errors, by scope."""
        return self._rejected | {scope: error for scope, error in self._ended.items() if error is not None}

    @property
    def datasets(self) -> frozenset[str | None]:
        """The datasets that aren't asked any more."""
        return frozenset(DATASETS if self.account_has_ended else self._ended)

    @property
    def is_unreachable(self) -> bool:
        """True if something ended since no connection could be made."""
        return any(error.unreachable for error in self._ended.values() if error)
