"""What an error amounts to: a failure, a wait that WeChat ordered, or WeChat out of reach. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from collector.errors import BudgetError, CallError, ComponentError, HostError, Reaction
from collector.model.accounts import Account
from collector.model.days import next_beijing_midnight
from collector.model.results import Failure
from collector.wechat.errcodes import NOT_BEFORE_S

NOT_THERE_YET = frozenset({61501, 61503})
"""What WeChat says of a window whose newest day it hasn't got."""


def failure_of(account: Account, dataset: str | None, error: CallError, windows: int = 0) -> Failure:
    """The failure that an error amounts to; that of a third-party platform bears the platform's name."""
    whose = error if isinstance(error, ComponentError) else account
    return Failure(whose.appid, whose.name, dataset, error.errmsg, error.errcode, error.rid, error.hint, windows)


def ordered_wait(error: CallError, now: datetime) -> tuple[str, datetime | None] | None:
    """The wait that an error orders: the kind of its notice, and its end; None where the error is a failure."""
    match error.reaction:
        case Reaction.STOP_FOR_DAY:
            return "daily_calls" if isinstance(error, BudgetError) else "quota", next_beijing_midnight(now)
        case Reaction.NOT_BEFORE:
            return "ip_refused", now + timedelta(seconds=NOT_BEFORE_S[error.errcode or 0])
        case Reaction.SLOW:
            return "rate", now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        case Reaction.LATER:
            return "ip_unconfirmed", None
        case _:
            return None


def is_unreachable(error: CallError | None) -> bool:
    """Whether an error says that WeChat can't be reached on the way that most accounts go."""
    if isinstance(error, HostError):
        return error.is_common
    return isinstance(error, ComponentError) and error.unreachable


def crash_of(account: Account, error: Exception, *, windows: int = 0) -> Failure:
    """Return the failure of an account on which the collector itself made a mistake."""
    message = f"the collector failed on this account ({type(error).__name__})"
    hint = "this is a mistake of the collector: please report it with the log"
    return Failure(account.appid, account.name, None, message, hint=hint, windows=windows)
