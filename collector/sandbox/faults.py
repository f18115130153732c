"""Faults on demand, by rate and seed: the same calls meet the same faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from enum import Enum, StrEnum

from collector.sandbox.dice import Dice


class Fault(StrEnum):
    """A fault of one call; its value is the name of its rate in `Faults`."""

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
"""The errcodes about an account itself, which fail its token calls; all others fail its data calls."""


class Late(StrEnum):
    """The two answers without a day that isn't published yet: a list that ends before it, or 61503."""

    SHORT = "short"
    REFUSED = "refused"


class Gap(StrEnum):
    """The two forms of an entry without a refresh token in the list of authorised accounts."""

    ABSENT = "absent"
    EMPTY = "empty"


class TokenServerFault(Enum):
    """A fault of the token server's answers about one appid."""

    # Not a StrEnum: its "html" would equal that of `Fault`, and a set or dict with both would mix them up.

    EMPTY = "empty"
    HTML = "html"
    EXPIRED = "expired"
    LATE = "late"
    WRONG_PATH = "wrong_path"
    ERROR = "error"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Faults:
    """The rates of faults, each from 0 to 1 and together at most 1, and the accounts that always fail.

    * `system_error`: -1. `http_5xx`: an HTML page with status 502. `html`: one with status 200.
    * `reset`: the connection ends without an answer. `hang`: no answer until the client gives up.
    * `cut_body`: the connection ends in the middle of the answer.

    On data calls alone:

    * `list_null`: `{"list": null}`.
    * `token_revoked`: the token in use ends (40001). `token_stuck`: it ends, and the stable call keeps returning it.
    * `daily_quota`: 45009. `minute_quota`: 45011.
    * `late_yesterday`: the share of accounts and datasets whose yesterday is published only at `late_until`,
      Beijing time: mostly the list ends before it, less often the answer is 61503.

    `broken` has, by appid, the errcode of an account that always fails. Codes about the account itself (40125, 40164
    and the like) fail its token calls, others its data calls; `broken_data` fails its data calls with any code.

    On calls of the component:

    * `list_gaps`: the share of authorised accounts and mini programs without `refresh_token` in the list.
    * `list_ends_at`: the offset from which on the list is empty, although `total_count` is larger.
    * `stale_ticket`: `api_component_token` always answers 61006.

    `refused_ips` has, by appid, the addresses that an allow-list refuses, one or several in turn: token and data calls
    of an account answer 40164, all calls of the component 61004.

    `token_server` has, by appid, a fault of the token server, the component's appid included. `EMPTY`: no body. `HTML`:
    a sign-in page. `ERROR`: status 500. `LATE`: no answer until the client gives up. `WRONG_PATH`: JSON of another
    shape. `EXPIRED`: a token at its end (`expires_in` 0, then 42001). `STUCK`: always the same token, which WeChat
    refuses (40001). The last two affect tokens alone, not the ticket.

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
        # Only the rates in use, computed once: `draw` runs at each call.
        object.__setattr__(self, "rates", rates)

    def draw(self, appid: str, path: str, nth: int, *, data_call: bool) -> Fault | None:
        """Return the fault of an account's `nth` call of `path`, if any."""
        if not self.rates:
            return None
        point = Dice(self.seed, "fault", appid, path, nth).fraction()
        for fault, rate in self.rates:
            if point < rate:
                # A fault of data calls drawn for a token call is none: redrawing would change the rates of the others.
                return fault if data_call or fault not in _DATA_CALLS_ONLY else None
            point -= rate
        return None

    def late(self, appid: str, path: str, day: date) -> Late | None:
        """Return the answer about `day` until `late_until` of the day after, if it is late."""
        dice = Dice(self.seed, "late", appid, path, day)
        if dice.fraction() >= self.late_yesterday:
            return None
        return Late.REFUSED if dice.below(6) == 0 else Late.SHORT

    def list_gap(self, appid: str) -> Gap | None:
        """Return the form of an appid's entry without a refresh token, if it lacks one."""
        dice = Dice(self.seed, "list gap", appid)
        if dice.fraction() >= self.list_gaps:
            return None
        return Gap.EMPTY if dice.below(2) else Gap.ABSENT

    def token_errcode(self, appid: str) -> int | None:
        """Return the errcode of all token calls of the account, if it has one."""
        errcode = self.broken.get(appid)
        return errcode if errcode in _ON_TOKEN_CALLS else None

    def data_errcode(self, appid: str) -> int | None:
        """Return the errcode of all data calls of the account, if it has one."""
        errcode = self.broken.get(appid)
        return self.broken_data.get(appid) or (errcode if errcode not in _ON_TOKEN_CALLS else None)
