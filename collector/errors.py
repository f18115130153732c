"""The errors of the collector, sorted by what the caller does next.

::

    CollectorError
    ├── UsageError              the command was called wrongly: exit 2
    ├── ConfigError             the configuration has faults, all of them listed: exit 78
    ├── DatabaseError           MongoDB is out of reach or refuses: the run ends, exit 1
    ├── LeaseHeldError          another run is at work in the database: exit 11
    ├── UnreachableError        WeChat is out of reach for everybody: the run ends, exit 1
    ├── ClockError              this host's clock is wrong: the run ends, exit 1
    ├── UnwantedError           the call's account or dataset ended while it waited: nothing more to do
    ├── StoppedError            a stop signal came: no further call, what is in flight is finished
    └── CallError               one call of one account gave no answer: `reaction` says what follows
        ├── TransientError      worth another try: HTTP 5xx, cut bodies
        │   └── HostError       the host gave no whole answer: refused, broken, too late; the next host is tried
        ├── ApiError            WeChat answered with an errcode
        ├── BudgetError         the account's own `daily_calls` are used up
        ├── RowError            a row of an answer isn't of the right shape
        ├── OriginError         a secret or a token can't be had where it lives
        │   └── SlowCommandError    the command that should print it takes too long
        └── ComponentError      a third-party platform failed, and all its accounts with it

Messages name what is wrong, where, and the remedy. None of them holds a secret: addresses of calls
carry tokens, so errors of the HTTP library are translated where they appear, without their cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CollectorError(Exception):
    """The base of all errors that the collector raises on purpose."""


class UsageError(CollectorError):
    """The command was called wrongly; the message says how to call it."""


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


class DatabaseError(CollectorError):
    """MongoDB is out of reach, refuses, or can't be started; the message says how to go on."""


class LeaseHeldError(CollectorError):
    """Another run is at work in the database; `since` is in the zone in which people read it."""

    def __init__(self, *, command: str, run: str, host: str, pid: int, since: datetime) -> None:
        super().__init__(
            f"another run is at work: {command} {run} on {host} (pid {pid}) since {since:%Y-%m-%d %H:%M:%S} Beijing "
            "time. Wait for it, or start with --wait"
        )
        self.run = run
        self.host = host
        self.pid = pid
        self.since = since


class UnreachableError(CollectorError):
    """No host of WeChat could be reached by any account so far; the message names the hosts tried."""


class ClockError(CollectorError):
    """This host's clock is wrong; nothing is stored by it. `wechat` is WeChat's instant, where it is known."""

    def __init__(self, host: datetime, wechat: datetime | None = None) -> None:
        right = f", by WeChat's answer it is {wechat:%Y-%m-%d %H:%M:%S} UTC" if wechat else ""
        super().__init__(
            f"This host's clock is wrong: it says {host:%Y-%m-%d %H:%M:%S} UTC{right}. Set the clock (timedatectl "
            "set-ntp true); if a proxy rewrites the Date of WeChat's answers, set api.check_clock: false"
        )


class UnwantedError(CollectorError):
    """While a call waited for its turn, its account or dataset came to an end."""


class StoppedError(CollectorError):
    """A stop signal came while the caller waited, or before it began."""

    def __init__(self) -> None:
        super().__init__("the run is stopping")


class CallKind(StrEnum):
    """What a call asks for; the same errcode can mean different things on each."""

    TOKEN = "token"  # noqa: S105 - a kind of call, no secret
    COMPONENT = "component"
    """One that carries the token of a third-party platform."""
    DATA = "data"


class Reaction(StrEnum):
    """What follows from a call that gave no answer."""

    RETRY = "retry"
    """Back off and try again; in the end the dataset has failed for this run."""
    REFRESH = "refresh"
    """Get a newer access_token, once."""
    COMPONENT = "component"
    """The third-party platform's own credentials are stale."""
    LIST_AGAIN = "list again"
    """The account's authorisation must be read anew."""
    SLOW = "slow"
    """Pause the account until the next minute and halve its rate."""
    STOP_FOR_DAY = "stop for the day"
    """The quota is used up until the next Beijing day; no failure."""
    LATER = "later"
    """Not there yet; the next run asks again; no failure."""
    NOT_BEFORE = "not before"
    """The account's admin refused this host; don't ask before the time is over."""
    ACCOUNT = "account"
    """The account can't be asked until somebody mends it; no retry."""
    DATASET = "dataset"
    """The dataset of the account can't be asked until somebody mends it."""
    BUG = "our bug"
    """The call itself was wrong."""
    UNKNOWN = "unknown"
    """Nothing is known of it: fail and show everything."""


TROUBLE_HINT = "WeChat, or a proxy before it, is in trouble: the next run asks again"


class CallError(CollectorError):
    """One call gave no answer that can be used.

    `errcode`, `errmsg` and `rid` are WeChat's own where it answered with them. `hint` is the remedy
    in plain words, or empty. `kind` says which call it was.
    """

    reaction = Reaction.UNKNOWN

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

    `is_common` says whether that was on the way that most accounts go, or on one account's own.
    """

    is_common = True


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
    """The data calls that the configuration allows a dataset of the account on one Beijing day are used up."""

    reaction = Reaction.STOP_FOR_DAY


class RowError(CallError):
    """A row isn't of the right shape, so nothing of its window can be trusted."""

    reaction = Reaction.DATASET


class OriginError(CallError):
    """A secret or a token can't be had where it lives: in a file, from a command, from a server."""

    reaction = Reaction.ACCOUNT

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, kind=CallKind.TOKEN, hint=f"{message}: {remedy}")
        self.remedy = remedy

    def __str__(self) -> str:
        return self.hint


class SlowCommandError(OriginError):
    """A command takes too long to print what it is asked for."""


class ComponentError(CallError):
    """A third-party platform can't be worked with; `appid` and `name` are the platform's, the rest its trouble's.

    `unreachable` says whether that was for want of a connection to WeChat.
    """

    reaction = Reaction.COMPONENT

    def __init__(self, appid: str, name: str, trouble: CallError) -> None:
        super().__init__(trouble.errmsg, kind=CallKind.COMPONENT, hint=trouble.hint)
        self.appid = appid
        self.name = name
        self.errcode = trouble.errcode
        self.rid = trouble.rid
        self.unreachable = isinstance(trouble, HostError) and trouble.is_common
