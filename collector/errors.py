"""Errors of the collector, sorted by what the caller does next.

::

    CollectorError
    ├── UsageError              the command was called wrongly: exit 2
    ├── OutputError             the result can't be printed or written: exit 1
    ├── ConfigError             the configuration has faults, all of them listed: exit 78
    ├── RefusedError            what was asked would do harm as things are: nothing is changed, exit 1
    ├── DatabaseError           MongoDB is out of reach or refuses: the run ends, exit 1
    ├── LeaseHeldError          another run is at work on the same accounts: exit 11
    ├── UnreachableError        WeChat is out of reach for everybody: the run ends, exit 1
    ├── ClockError              this host's clock is wrong: the run ends, exit 1
    ├── ClusterError            no worker of the cluster can do the work: the run ends, exit 1
    ├── UnwantedError           the call's account or dataset ended while it waited: nothing more to do
    ├── PostponedError          a server of the agency's own is unresponsive: the account is tried again later
    ├── StoppedError            a stop signal came: no further call, what is in flight is finished
    └── CallError               one call of one account gave no answer: `reaction` says what follows
        ├── TransientError      worth another try: HTTP 5xx, cut bodies
        │   ├── OpenFilesError     this host's limit of open files is reached
        │   └── HostError       the host gave no whole answer: refused, broken, too late; the next host is tried
        │       └── ProxyRefusedError    the proxy refused the account for good
        ├── ApiError            WeChat answered with an errcode
        ├── BudgetError         the account's own `daily_calls` are used up
        ├── RowError            a row of an answer isn't of the right shape
        ├── OriginError         a secret or a token is not available from its origin
        │   └── CommandTimeoutError    the command that prints it takes too long
        └── ComponentError      a third-party platform failed, and all its accounts with it

What follows from a failed call is its `Reaction`, in `kinds.py`.

Messages name what is wrong, where, and the remedy. None of them holds a secret: URLs of calls carry tokens, so errors
of the HTTP library are translated where they appear, without their cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Self

from collector.kinds import TROUBLE_HINT, CallKind, Reaction


class CollectorError(Exception):
    """The base of all errors that the collector raises on purpose."""

    def copy(self) -> Self:
        """Return the same error without its traceback, for another caller to raise.

        Each raise of one object lengthens its traceback, and whoever changes it changes it for everybody.
        """
        twin = type(self).__new__(type(self), *self.args)  # not __init__: subclasses take other arguments than `args`
        twin.__dict__.update(self.__dict__)
        return twin


class UsageError(CollectorError):
    """The command was called wrongly; the message says how to call it."""


class OutputError(CollectorError):
    """The result can't be printed or written, or there is none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the configuration: where it stands, what is wrong, what to do.

    `where` is `FILE:LINE`, or the file alone where no line is to blame.
    """

    where: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}\n    {self.remedy}"


class ConfigError(CollectorError):
    """The configuration can't be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class RefusedError(CollectorError):
    """The command would do harm as things are; the message says why, and what to do first."""


class DatabaseError(CollectorError):
    """MongoDB is out of reach, refuses, or can't be started; the message says how to go on."""


class LeaseHeldError(CollectorError):
    """Another run is at work on the same accounts; the message says which, where, on what part, since when."""


class UnreachableError(CollectorError):
    """No account could reach any host of WeChat so far; the message names the hosts tried."""


class ClockError(CollectorError):
    """This host's clock is wrong; nothing is stored by it. `wechat` is WeChat's instant, where it is known."""

    def __init__(self, host: datetime, wechat: datetime | None = None) -> None:
        right = f", by WeChat's answer it is {_instant(wechat)}" if wechat else ""
        super().__init__(
            f"This host's clock is wrong: it says {_instant(host)}{right}. Set the clock (timedatectl "
            "set-ntp true); if a proxy rewrites the Date of WeChat's answers, set api.check_clock: false"
        )


def _instant(instant: datetime) -> str:
    beijing = timezone(timedelta(hours=8))  # `model/days.py` isn't for errors to import
    return f"{instant.astimezone(beijing):%Y-%m-%d %H:%M:%S} Beijing time"


class ClusterError(CollectorError):
    """No worker process answers, or none can do this run's work; the message names them with the reason."""


class UnwantedError(CollectorError):
    """A call's account or dataset ended while the call waited for its turn."""


class StoppedError(CollectorError):
    """A stop signal came while the caller waited, or before it began."""

    def __init__(self) -> None:
        super().__init__("the run is stopping")


class PostponedError(CollectorError):
    """A call wasn't made, or failed, as the circuit breaker of a server or a program is open: `trouble` says why.

    `at_s` is the second of the monotonic clock from which it makes sense to try again.
    """

    def __init__(self, trouble: CallError, *, at_s: float) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble
        self.at_s = at_s


class CallError(CollectorError):
    """One call gave no answer that can be used.

    `errcode`, `errmsg` and `rid` are WeChat's own where it answered with them. `hint` is the remedy
    in plain words, or empty. `kind` says which call it was. `wait_s` and `newest_missing` are those of the errcode's
    row in `wechat/errcodes.py`. `unreachable` is True if WeChat gave no connection on the route of most accounts.
    `sent_at` is the instant (UTC) at which a call was sent that WeChat refused. `may_recover` is True where the same
    may succeed later in the run, so that no caller remembers the error.
    """

    reaction = Reaction.UNKNOWN
    wait_s = 0
    newest_missing = False
    unreachable = False
    sent_at: datetime | None = None
    may_recover = False

    def __init__(self, message: str, *, kind: CallKind = CallKind.DATA, hint: str = "") -> None:
        super().__init__(message)
        self.errmsg = message
        self.kind = kind
        self.hint = hint
        self.errcode: int | None = None
        self.rid: str | None = None


class TransientError(CallError):
    """A passing trouble: the same call may succeed when it is made again."""

    reaction = Reaction.RETRY

    def __init__(self, message: str, *, kind: CallKind = CallKind.DATA, hint: str = "") -> None:
        super().__init__(message, kind=kind, hint=hint or TROUBLE_HINT)


class HostError(TransientError):
    """The host gave no whole answer: no connection, a broken one, or time ran out; another host may answer.

    `unreachable` is True on the route that most accounts share, False on one account's own.
    """

    unreachable = True


class OpenFilesError(TransientError):
    """This host's limit of open files is reached, which is nobody else's trouble."""

    may_recover = True

    def __init__(self, *, kind: CallKind = CallKind.DATA) -> None:
        remedy = "raise it with ulimit -n, or LimitNOFILE= in the unit, or lower run.workers"
        super().__init__("too many open files", kind=kind, hint=f"this host's limit of open files is reached: {remedy}")


class ProxyRefusedError(HostError):
    """The proxy refused the account for good (403, 407), so that a retry is of no use."""

    reaction = Reaction.ACCOUNT


class ApiError(CallError):
    """WeChat answered with an errcode other than 0; `reaction` comes from the table in `wechat/errcodes.py`."""

    def __init__(
        self, errcode: int, errmsg: str, *, kind: CallKind, reaction: Reaction, rid: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(errmsg, kind=kind, hint=hint)
        self.errcode = errcode
        self.rid = rid
        self.reaction = reaction

    def __str__(self) -> str:
        return f"{self.errcode} {self.errmsg}"


class BudgetError(CallError):
    """A dataset's data calls that the configuration allows on one Beijing day are used up."""

    reaction = Reaction.BUDGET


class RowError(CallError):
    """A row isn't of the right shape, so nothing of its day can be trusted; without a date, nothing of its answer."""

    reaction = Reaction.ROW


class OriginError(CallError):
    """A secret or a token is not available from its origin: a file, a command, a server."""

    reaction = Reaction.ACCOUNT

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, kind=CallKind.TOKEN, hint=f"{message}: {remedy}")
        self.remedy = remedy

    def __str__(self) -> str:
        return self.hint


class CommandTimeoutError(OriginError):
    """A command takes too long to print a secret or a token; its circuit breaker says how often it is tried."""

    may_recover = True


class ComponentError(CallError):
    """A third-party platform has failed; `appid` and `name` are the platform's, the rest is that of its error."""

    reaction = Reaction.COMPONENT

    def __init__(self, appid: str, name: str, trouble: CallError) -> None:
        super().__init__(trouble.errmsg, kind=CallKind.COMPONENT, hint=trouble.hint)
        self.appid = appid
        self.name = name
        self.errcode = trouble.errcode
        self.rid = trouble.rid
        self.unreachable = trouble.unreachable
        self.may_recover = trouble.may_recover
