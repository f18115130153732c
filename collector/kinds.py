"""Kinds of calls, of waits and of reactions: the tables of what follows from a failed call.

`Reaction` says what ends with it, `WaitKind` why and for how long something isn't asked.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Self


class CallKind(StrEnum):
    """Kind of a call; the same errcode can mean different things on each."""

    TOKEN = "token"  # noqa: S105 - a kind of call, no secret
    COMPONENT = "component"
    """One that carries the token of a third-party platform."""
    DATA = "data"


class WaitKind(StrEnum):
    """Kind of a wait, before whose end a dataset isn't asked: the `kind` of a notice, in `--json` too.

    `words` is the reason, for people, `remedy` what ends it for good. With `is_stored`, later runs must keep the wait
    as well, so it is stored with the dataset's state.
    """

    words: str
    remedy: str
    is_stored: bool

    QUOTA = (
        "quota",
        "WeChat's quota of the day is used up",
        "other systems use up the account's quota: let them leave some calls, or start the collector before them",
        True,
    )
    PLATFORM_QUOTA = (
        "platform_quota",
        "the third-party platform's own quota of the day is used up",
        "let one token server fetch the tokens for all runs, or ask WeChat for a larger quota",
        True,
    )
    DAILY_CALLS = "daily_calls", "the calls of the day that daily_calls allows are used up", "raise daily_calls"
    # Stored by an earlier version, which kept no reason.
    NOT_BEFORE = "not_before", "WeChat ordered an earlier run to wait", "look for the reason in the log of that run"
    RATE = "rate", "WeChat asked for fewer calls a minute: lower rate_limit", "lower rate_limit"
    IP_REFUSED = (
        "ip_refused",
        "the account's admin refused this host's IP",
        "ask the account's admin to allow this host's IP",
        True,
    )
    IP_UNCONFIRMED = (
        "ip_unconfirmed",
        "the account's admin must confirm this host's IP",
        "ask the account's admin to confirm this host's IP",
    )

    def __new__(cls, value: str, words: str, remedy: str, is_stored: bool = False) -> Self:  # noqa: FBT001, FBT002 - a row's cell
        """Make a member of a row of the table above."""
        kind = str.__new__(cls, value)
        kind._value_, kind.words, kind.remedy, kind.is_stored = value, words, remedy, is_stored
        return kind

    @property
    def is_own_limit(self) -> bool:
        """True if the configuration orders the wait, and not WeChat."""
        return self is WaitKind.DAILY_CALLS

    @property
    def outlasts_run(self) -> bool:
        """True if the plan of a later run would name the wait, too."""
        return self.is_stored or self in (WaitKind.DAILY_CALLS, WaitKind.NOT_BEFORE)


class Scope(StrEnum):
    """Part of a run that an error ends; `PLATFORM` is a third-party platform with all its accounts."""

    WINDOW = "window"
    DATASET = "dataset"
    ACCOUNT = "account"
    PLATFORM = "platform"


TROUBLE_HINT = "WeChat, or a proxy before it, is in trouble: the next run asks again"
_USED_UP = "the account's quota is used up; the next Beijing day brings a new one"
_NOT_THERE = "not there yet: the next run asks again"


class Reaction(Enum):
    """Reaction to a failed call, with its consequences.

    `label` is the name in `docs/errcodes.md`, `scope` what ends, `hint` the remedy where the errcode has none of its
    own, `wait` the wait that is ordered.
    `RETRY`, `REFRESH` (a newer access_token), `COMPONENT` (a newer token of the platform), `LIST_AGAIN` (the platform's
    list of accounts) and `SLOW` (half the rate) come into force when another attempt was of no use.
    """

    RETRY = "retry", Scope.DATASET, TROUBLE_HINT
    REFRESH = "refresh", Scope.ACCOUNT
    COMPONENT = "component", Scope.PLATFORM, "the third-party platform's own ticket or token is stale"
    LIST_AGAIN = "list again", Scope.ACCOUNT, "the client must authorise the platform again"
    SLOW = "slow", Scope.ACCOUNT, "calls came too fast for this account: lower its rate_limit", WaitKind.RATE
    STOP_FOR_DAY = "stop for the day", Scope.DATASET, _USED_UP, WaitKind.QUOTA
    BUDGET = "budget", Scope.DATASET, "", WaitKind.DAILY_CALLS
    NOT_YET = "not yet", Scope.WINDOW, _NOT_THERE
    IP_UNCONFIRMED = "ip unconfirmed", Scope.ACCOUNT, _NOT_THERE, WaitKind.IP_UNCONFIRMED
    IP_REFUSED = "ip refused", Scope.ACCOUNT, "", WaitKind.IP_REFUSED  # the errcode says for how long
    ACCOUNT = "account", Scope.ACCOUNT, "check the account's secret: WeChat doesn't take it for this appid"
    DATASET = "dataset", Scope.DATASET
    ROW = "row", Scope.WINDOW
    BUG = "our bug", Scope.DATASET, "the collector asked wrongly: please report this with the rid"
    UNKNOWN = "unknown", Scope.DATASET, "an errcode that the collector doesn't know: ask WeChat's support with the rid"

    def __init__(self, label: str, scope: Scope, hint: str = "", wait: WaitKind | None = None) -> None:
        self.label = label
        self.scope = scope
        self.hint = hint
        self.wait = wait

    @property
    def is_failure(self) -> bool:
        """True if the account has failed; else its days stay pending."""
        return self.wait is None and self is not Reaction.NOT_YET

    @property
    def is_shared(self) -> bool:
        """True if the next call about another account of the same platform would fail likewise."""
        return self.wait is not None or self in (Reaction.RETRY, Reaction.COMPONENT)

    @property
    def after_retries(self) -> Reaction:
        """Reaction once no retry is left: a call that needs the result mustn't be retried in turn."""
        return Reaction.ACCOUNT if self is Reaction.RETRY else self
