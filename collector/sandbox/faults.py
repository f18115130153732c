"""What goes wrong on demand: by rate and seed, so that the same run has the same troubles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from enum import Enum, StrEnum

from collector.sandbox.dice import Dice


class Fault(StrEnum):
    """One call that goes wrong; each is the name of its rate in `Faults`."""

    SYSTEM_ERROR = "system_error"
    HTTP_5XX = "http_5xx"
    RESET = "reset"
    HANG = "hang"
    CUT_BODY = "cut_body"
    HTML = "html"
    LIST_NULL = "list_null"
    TOKEN_REVOKED = "token_revoked"
    TOKEN_STUCK = "token_stuck"
    DAILY_QUOTA = "daily_quota"
    MINUTE_QUOTA = "minute_quota"


_DATA_CALLS_ONLY = frozenset(
    {Fault.LIST_NULL, Fault.TOKEN_REVOKED, Fault.TOKEN_STUCK, Fault.DAILY_QUOTA, Fault.MINUTE_QUOTA}
)

_ON_TOKEN_CALLS = frozenset({40002, 40013, 40125, 40164, 40243, 41002, 41004, 50002, 50004})


class Late(StrEnum):
    """How a day that isn't there yet is missing: the list stops short of it, or 61503 says it outright."""

    SHORT = "short"
    REFUSED = "refused"


class Gap(StrEnum):
    """How an entry of the list of authorised accounts lacks its refresh token."""

    ABSENT = "absent"
    EMPTY = "empty"


class TokenServerFault(Enum):  # no StrEnum, whose "html" would be equal to that of `Fault`
    """What is wrong with the token server's answers about one appid."""

    EMPTY = "empty"
    HTML = "html"
    EXPIRED = "expired"
    LATE = "late"
    WRONG_PATH = "wrong_path"
    ERROR = "error"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of calls that go wrong, each from 0 to 1 and 1 at most in all, and the accounts that always do.

    * `system_error`: -1. `http_5xx`: an HTML page with status 502. `html`: one with status 200.
    * `reset`: the connection ends without an answer. `hang`: no answer until the client gives up.
    * `cut_body`: the connection ends in the middle of the answer.

    On data calls alone:

    * `list_null`: `{"list": null}`.
    * `token_revoked`: the token in use dies, so 40001. `token_stuck`: the same, and the stable call keeps giving it.
    * `daily_quota`: 45009. `minute_quota`: 45011.
    * `late_yesterday`: the share of accounts and datasets whose yesterday is there only from `late_until` on,
      Beijing time: mostly the list stops short, less often 61503.

    `broken` gives accounts, by appid, an errcode for good. Codes that concern the account (40125, 40164 and the
    like) fail its token calls, others its data calls; `broken_data` fails its data calls whatever the code.

    On the component's side:

    * `list_gaps`: the share of authorised accounts and mini programs that the list gives without `refresh_token`.
    * `list_ends_at`: the offset from which on the list is empty, although `total_count` says more.
    * `stale_ticket`: `api_component_token` answers 61006 whatever comes.

    `refused_ips` gives appids the addresses that their allow-lists refuse, one or several that take turns: an
    account's token and data calls answer 40164, all calls of the component, by its appid, 61004.

    `token_server` spoils the token server's answers about an appid, the component's among them. `EMPTY`: no body.
    `HTML`: a page to sign in on. `ERROR`: status 500. `LATE`: no answer until the client gives up. `WRONG_PATH`: JSON
    of another shape. `EXPIRED`: a token at its end, so 42001 and `expires_in` 0. `STUCK`: always the same token, which
    WeChat refuses, so 40001. The last two concern tokens alone, not the ticket.

    Raises:
        ValueError: the rates add up to more than 1.
    """

    seed: int = 0
    system_error: float = 0.0
    http_5xx: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    cut_body: float = 0.0
    html: float = 0.0
    list_null: float = 0.0
    token_revoked: float = 0.0
    token_stuck: float = 0.0
    daily_quota: float = 0.0
    minute_quota: float = 0.0
    late_yesterday: float = 0.0
    late_until: time = time(12)
    broken: Mapping[str, int] = field(default_factory=dict)
    broken_data: Mapping[str, int] = field(default_factory=dict)
    list_gaps: float = 0.0
    list_ends_at: int | None = None
    stale_ticket: bool = False
    refused_ips: Mapping[str, Sequence[str]] = field(default_factory=dict)
    token_server: Mapping[str, TokenServerFault] = field(default_factory=dict)
    rates: tuple[tuple[Fault, float], ...] = field(init=False)

    def __post_init__(self) -> None:
        rates = tuple((fault, getattr(self, fault)) for fault in Fault if getattr(self, fault))
        if sum(rate for _, rate in rates) > 1:
            raise ValueError("the rates of the faults add up to more than 1: lower some of them")
        object.__setattr__(self, "rates", rates)

    def draw(self, appid: str, path: str, nth: int, *, data_call: bool) -> Fault | None:
        """What goes wrong with an account's `nth` call of `path`."""
        if not self.rates:
            return None
        point = Dice(self.seed, "fault", appid, path, nth).fraction()
        for fault, rate in self.rates:
            if point < rate:
                return fault if data_call or fault not in _DATA_CALLS_ONLY else None
            point -= rate
        return None

    def late(self, appid: str, path: str, day: date) -> Late | None:
        """How `day` of an account and dataset is missing until `late_until` of the day after, if it is."""
        if not self.late_yesterday:
            return None
        dice = Dice(self.seed, "late", appid, path, day)
        if dice.fraction() >= self.late_yesterday:
            return None
        return Late.REFUSED if dice.below(6) == 0 else Late.SHORT

    def list_gap(self, appid: str) -> Gap | None:
        """How the list's entry of an appid lacks its refresh token, if it does."""
        if not self.list_gaps:
            return None
        dice = Dice(self.seed, "list gap", appid)
        if dice.fraction() >= self.list_gaps:
            return None
        return Gap.EMPTY if dice.below(2) else Gap.ABSENT

    def token_errcode(self, appid: str) -> int | None:
        """The errcode that the account's token calls answer for good."""
        errcode = self.broken.get(appid)
        return errcode if errcode in _ON_TOKEN_CALLS else None

    def data_errcode(self, appid: str) -> int | None:
        """The errcode that the account's data calls answer for good."""
        errcode = self.broken.get(appid)
        return self.broken_data.get(appid) or (errcode if errcode not in _ON_TOKEN_CALLS else None)
