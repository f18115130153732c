"""Consequences of an error: a failure, the end of a wait, the part of the run that ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from collector.errors import CallError, ComponentError
from collector.kinds import CallKind, Scope, WaitKind
from collector.model.accounts import Account, BrokenEntry
from collector.model.days import next_beijing_midnight
from collector.model.results import Failure
from collector.model.state import AccountState, Trouble, UnusableState
from collector.model.waits import Wait


def failure_of(
    account: Account,
    dataset: str | None,
    error: CallError,
    windows: int = 0,
    *,
    since: datetime | None = None,
    new: bool = False,
) -> Failure:
    """Return the failure that an error amounts to; that of a third-party platform has the platform's name."""
    whose = error if isinstance(error, ComponentError) else account
    known = (error.errmsg, error.errcode, error.rid, error.hint, windows)
    return Failure(whose.appid, whose.name, dataset, *known, since=since, new=new)


def failure_of_state(account: Account, unusable: UnusableState) -> Failure:
    """Return the failure of an account whose stored state can't be used."""
    return Failure(account.appid, account.name, None, unusable.reason, hint=unusable.remedy)


def failure_of_entry(entry: BrokenEntry) -> Failure:
    """Return the failure of an entry of the configuration that can't be used."""
    return Failure(entry.appid, entry.name, None, entry.message, hint=entry.remedy)


def failed_state(entry: BrokenEntry, known: AccountState | None, now: datetime) -> AccountState:
    """Return the state of the account of a broken entry, which has failed `now` as `known` was."""
    state = known or AccountState(entry.appid or "", entry.name, entry.tags)
    return state.failed(Trouble(entry.message, None, None, entry.remedy, since=now, at=now))


def wait_ordered_by(error: CallError, now: datetime) -> Wait | None:
    """Return the wait that an error orders; None where the error orders none."""
    match error.reaction.wait:
        case None:
            return None
        case WaitKind.QUOTA | WaitKind.DAILY_CALLS as kind:
            # An answer that comes after midnight speaks of the quota of the day before.
            until: datetime | None = next_beijing_midnight(error.sent_at or now)
            if kind is WaitKind.QUOTA and error.kind is CallKind.COMPONENT:
                kind = WaitKind.PLATFORM_QUOTA  # not the account's, though its call met it
        case WaitKind.RATE as kind:
            until = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        case kind:
            until = now + timedelta(seconds=error.wait_s) if error.wait_s else None
    return Wait(kind, until, error.errcode)


def scope_of(error: CallError) -> Scope:
    """Return the part of the run that ends with an error of a call that one dataset of an account needed."""
    if error.reaction.scope is Scope.DATASET and error.kind is not CallKind.DATA:
        return Scope.ACCOUNT  # a call for a token serves all datasets
    return error.reaction.scope


def crash_of(account: Account, error: Exception, *, windows: int = 0) -> Failure:
    """Return the failure of an account on which the collector itself made a mistake."""
    message = f"the collector failed on this account ({type(error).__name__})"
    hint = "this is a mistake of the collector: please report it with the log"
    return Failure(account.appid, account.name, None, message, hint=hint, windows=windows)
