"""The table of WeChat's errcodes: what the collector does about each, and the remedy in plain words.

The one place where reactions are chosen. `docs/errcodes.md` shows the same table to people, and a test
holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from collector.errors import TROUBLE_HINT, ApiError, CallError, CallKind, Reaction

_TABLE: dict[Reaction, tuple[int, ...]] = {
    Reaction.RETRY: (-1, 61450),
    Reaction.REFRESH: (40001, 40014, 42001),
    Reaction.COMPONENT: (42006, 61005, 61006, 61011),
    Reaction.LIST_AGAIN: (42007, 61023),
    Reaction.SLOW: (45011,),
    Reaction.STOP_FOR_DAY: (45009,),
    Reaction.LATER: (61503, 89501, 89502, 89503, 89504, 89505),
    Reaction.NOT_BEFORE: (89506, 89507),
    Reaction.ACCOUNT: (40013, 40125, 40164, 40243, 41002, 41004, 45035, 48004, 50002, 50004, 61003, 61004),
    Reaction.DATASET: (47009, 48001, 48009, 50001, 61007, 61502),
    Reaction.BUG: (40002, 41001, 41018, 43002, 43003, 44002, 47001, 61451, 61500, 61501),
}

REACTIONS: Mapping[int, Reaction] = MappingProxyType(
    {errcode: reaction for reaction, errcodes in _TABLE.items() for errcode in errcodes}
)

NOT_BEFORE_S: Mapping[int, int] = MappingProxyType({89506: 24 * 3600, 89507: 3600})
"""Seconds for which the admin's refusal of this host's IP holds."""

ROTATING_HINT = "another system is rotating this account's token: share one token server, or use `token: stable` there"

_HINTS: Mapping[int, str] = MappingProxyType(
    {
        40013: "check the appid: WeChat doesn't know it",
        40125: "the secret was reset or mistyped: copy it anew from the account's console",
        40243: "the secret is frozen: unfreeze it in the account's console",
        41002: "the appid is missing: check the account's entry",
        41004: "the secret is missing: check the account's entry",
        47009: "WeChat has taken this call offline",
        48001: "the account isn't verified, or the permission set for user analysis isn't granted",
        48004: "WeChat has banned this call for the account: look into its console",
        48009: "the account lacks the permission for this call",
        50001: "the account lacks the permission for this call",
        50002: "the account is restricted: look into its console",
        50004: "the account is restricted: look into its console",
        61003: "the client withdrew its authorisation: ask it to authorise again",
        61007: "the platform isn't authorised for user analysis: ask the client to grant permission set 2",
        61501: "check this host's clock: WeChat doesn't accept the range of days",
        61502: "WeChat doesn't know this dataset",
        89503: "the account's admin must confirm this IP: WeChat has asked for it",
        89506: "the account's admin refused this IP; WeChat is asked again after a day",
        89507: "the account's admin refused this IP; WeChat is asked again after an hour",
    }
)
_DEFAULT_HINTS: Mapping[Reaction, str] = MappingProxyType(
    {
        Reaction.RETRY: TROUBLE_HINT,
        Reaction.ACCOUNT: "check the account's secret: WeChat doesn't take it for this appid",
        Reaction.COMPONENT: "the third-party platform's own ticket or token is stale",
        Reaction.LIST_AGAIN: "the client must authorise the platform again",
        Reaction.SLOW: "calls came too fast for this account: lower its rate_limit",
        Reaction.STOP_FOR_DAY: "the account's quota is used up; the next Beijing day brings a new one",
        Reaction.LATER: "not there yet: the next run asks again",
        Reaction.BUG: "the collector asked wrongly: please report this with the rid",
        Reaction.UNKNOWN: "an errcode that the collector doesn't know: ask WeChat's support with the rid",
    }
)

_REFUSED_CREDENTIAL: Mapping[CallKind, Reaction] = MappingProxyType(
    {CallKind.TOKEN: Reaction.ACCOUNT, CallKind.COMPONENT: Reaction.COMPONENT, CallKind.DATA: Reaction.REFRESH}
)

_IP_CODES = frozenset({40164, 45035, 61004})
_PLATFORM_IP = 61004
_IP_TEXT = re.compile(r"(?:invalid ip|requestip:)\s*((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f:]*:[0-9a-f:.]+)", re.IGNORECASE)
_RID = re.compile(r"\brid: ?([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})")
_TAIL = re.compile(r"\s*(?:rid: ?\S+|hint: ?\[[^\]]*\])")


def api_error(errcode: int, errmsg: str, kind: CallKind) -> ApiError:
    """The error that an answer with `errcode` amounts to: WeChat's text, the rid apart, the reaction and the remedy."""
    rid = _RID.search(errmsg)
    reaction = _reaction(errcode, kind)
    return ApiError(
        errcode,
        _TAIL.sub("", errmsg).strip(),
        kind=kind,
        reaction=reaction,
        rid=rid[1] if rid else None,
        hint=_hint(errcode, errmsg, reaction, kind),
    )


def refused_ip(error: CallError) -> str | None:
    """The IP of ours that WeChat doesn't let in, if that is what the error says; behind NAT several occur."""
    found = _IP_TEXT.search(error.errmsg) if error.errcode in _IP_CODES else None
    return found[1] if found else None


def _reaction(errcode: int, kind: CallKind) -> Reaction:
    """A refused credential on the token call is the secret itself; on a call of a platform or for data, its token."""
    reaction = REACTIONS.get(errcode, Reaction.UNKNOWN)
    if reaction is Reaction.REFRESH:
        return _REFUSED_CREDENTIAL[kind]
    return reaction


def _hint(errcode: int, errmsg: str, reaction: Reaction, kind: CallKind) -> str:
    hint = _HINTS.get(errcode) or _DEFAULT_HINTS.get(reaction, "")
    if errcode in _IP_CODES:
        ip = _IP_TEXT.search(errmsg)
        where = ip[1] if ip else "this host's IP"
        hint = f"allow {where} in the account's console; WeChat takes 5 to 10 minutes to heed it"
    if kind is CallKind.COMPONENT or errcode == _PLATFORM_IP:
        return hint.replace("the account's", "the platform's")
    return hint
