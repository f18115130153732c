"""Values of discovery: what it has found so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.errors import CallError
from collector.model.accounts import Component
from collector.model.results import Failure, Notice
from collector.model.state import AccountState
from collector.run.reactions import wait_ordered_by
from collector.runtime import Clock
from collector.text import counted


@dataclass(slots=True)
class Discovered:
    """Result of discovery as it grows: all states, those that changed, failures, and waits of platforms by `clock`.

    A platform's failure counts no account: its accounts fail by themselves, each with its own failure. `elsewhere`
    counts the listed accounts that are left to other runs.
    """

    states: dict[str, AccountState]
    clock: Clock
    changed: Sequence[AccountState] = ()
    elsewhere: int = 0
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def leave(self, appids: Iterable[str], before: Mapping[str, AccountState]) -> None:
        """Take these accounts' states as they were `before`: another run has given them to another platform."""
        for appid in appids:
            self.elsewhere += 1
            if appid in before:
                self.states[appid] = before[appid]
            else:
                del self.states[appid]

    def fail_platform(self, component: Component, error: CallError, *, unasked: int = 0) -> None:
        """Note a platform's failure, which counts no account, or its wait."""
        if wait := wait_ordered_by(error, self.clock.now()):
            self.notices.append(Notice(component.appid, component.name, wait.kind, wait.until))
        else:
            more = f" ({counted(unasked, 'new account')} not known yet)" if unasked else ""
            self.fail(component.appid, component.name, error, errmsg=error.errmsg + more, accounts=0)

    def fail(self, appid: str, name: str, error: CallError, *, errmsg: str, accounts: int) -> None:
        """Note a failure that counts for `accounts` accounts."""
        failure = Failure(appid, name, None, errmsg, error.errcode, error.rid, error.hint, accounts=accounts)
        self.failures.append(failure)


def is_remembered(appid: str, states: Mapping[str, AccountState]) -> bool:
    """Return True where an account is known to have authorised a platform."""
    return appid in states and states[appid].authorizer is not None
