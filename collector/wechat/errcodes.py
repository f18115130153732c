"""Table of WeChat's errcodes: the reaction to each, and the remedy in plain words.

A new errcode is one row here and its number in `docs/errcodes.md`; a test compares the two. What a reaction leads to
is in `errors.Reaction`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from collector.errors import ApiError, CallError, ComponentError
from collector.kinds import CallKind, Reaction


@dataclass(frozen=True, slots=True)
class Meaning:
    """Meaning of one errcode: the reaction, and the remedy where it isn't that of the reaction.

    `wait_s` is how long a wait lasts whose end the reaction doesn't determine. `refuses_ip` says that the errmsg holds
    an IP of this host that isn't allowed; it stands for `{ip}` in the hint. `newest_missing` says that the window may
    be answered without its newest day.
    """

    reaction: Reaction
    hint: str = ""
    wait_s: int = 0
    refuses_ip: bool = False
    newest_missing: bool = False


_ALLOW_IP = "allow {ip} in the account's console; that takes effect in 5 to 10 minutes"
_REFUSED_IP = "the account's admin refused this IP; WeChat is asked again after "
_UNVERIFIED = "the account isn't verified, or the permission set for user analysis isn't granted"
_UNAUTHORISED = "the platform isn't authorised for user analysis: ask the client to grant permission set 2"
_WRONG_DAYS = "check this host's clock: WeChat doesn't accept the range of days"
_R = Reaction

ERRCODES: Mapping[int, Meaning] = {
    **dict.fromkeys((-1, 61450), Meaning(_R.RETRY)),
    **dict.fromkeys((40001, 40014, 42001), Meaning(_R.REFRESH)),
    **dict.fromkeys((42006, 61005, 61006, 61011), Meaning(_R.COMPONENT)),
    **dict.fromkeys((42007, 61023), Meaning(_R.LIST_AGAIN)),
    45011: Meaning(_R.SLOW),
    45009: Meaning(_R.STOP_FOR_DAY),
    61503: Meaning(_R.NOT_YET, newest_missing=True),
    **dict.fromkeys((89501, 89502, 89504, 89505), Meaning(_R.IP_UNCONFIRMED)),
    89503: Meaning(_R.IP_UNCONFIRMED, "the account's admin must confirm this IP: WeChat has asked for it"),
    89506: Meaning(_R.IP_REFUSED, _REFUSED_IP + "a day", wait_s=24 * 3600),
    89507: Meaning(_R.IP_REFUSED, _REFUSED_IP + "an hour", wait_s=3600),
    40013: Meaning(_R.ACCOUNT, "check the appid: WeChat doesn't know it"),
    40125: Meaning(_R.ACCOUNT, "the secret was reset or mistyped: copy it anew from the account's console"),
    **dict.fromkeys((40164, 45035), Meaning(_R.ACCOUNT, _ALLOW_IP, refuses_ip=True)),
    40243: Meaning(_R.ACCOUNT, "the secret is frozen: unfreeze it in the account's console"),
    41002: Meaning(_R.ACCOUNT, "the appid is missing: check the account's entry"),
    41004: Meaning(_R.ACCOUNT, "the secret is missing: check the account's entry"),
    48004: Meaning(_R.ACCOUNT, "WeChat has banned this call for the account: look into its console"),
    **dict.fromkeys((50002, 50004), Meaning(_R.ACCOUNT, "the account is restricted: look into its console")),
    61003: Meaning(_R.ACCOUNT, "the client withdrew its authorisation: ask it to authorise again"),
    # The platform's own allow-list, whoever made the call.
    61004: Meaning(_R.ACCOUNT, _ALLOW_IP.replace("the account's", "the platform's"), refuses_ip=True),
    47009: Meaning(_R.DATASET, "WeChat has taken this call offline"),
    48001: Meaning(_R.DATASET, _UNVERIFIED),
    **dict.fromkeys((48009, 50001), Meaning(_R.DATASET, "the account lacks the permission for this call")),
    61007: Meaning(_R.DATASET, _UNAUTHORISED),
    61502: Meaning(_R.DATASET, "WeChat doesn't know this dataset"),
    **dict.fromkeys((40002, 41001, 41018, 43002, 43003, 44002, 47001, 61451, 61500), Meaning(_R.BUG)),
    # Seen for a newest day that isn't published yet; on any other window it is a mistake.
    61501: Meaning(_R.BUG, _WRONG_DAYS, newest_missing=True),
}
_UNKNOWN = Meaning(_R.UNKNOWN)

ROTATING_HINT = "another system is rotating this account's token: share one token server, or use `token: stable` there"

# A refused credential on the token call is the secret itself; on other calls, the token that the call carries.
_REFUSED_CREDENTIAL = {CallKind.TOKEN: _R.ACCOUNT, CallKind.COMPONENT: _R.COMPONENT, CallKind.DATA: _R.REFRESH}

_IP_TEXT = re.compile(r"(?:invalid ip|requestip:)\s*((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f:]*:[0-9a-f:.]+)", re.IGNORECASE)
_RID = re.compile(r"\brid: ?([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})")
_TAIL = re.compile(r"\s*(?:rid: ?\S+|hint: ?\[[^\]]*\])")


def api_error(errcode: int, errmsg: str, kind: CallKind) -> ApiError:
    """Return the error of an answer with `errcode`: WeChat's text, the rid apart, the reaction and the remedy."""
    meaning = ERRCODES.get(errcode, _UNKNOWN)
    reaction = meaning.reaction
    if reaction is Reaction.REFRESH:
        reaction = _REFUSED_CREDENTIAL[kind]
    hint = meaning.hint or reaction.hint
    if meaning.refuses_ip:
        hint = hint.format(ip=_ip_in(errmsg) or "this host's IP")
    if kind is CallKind.COMPONENT:
        hint = hint.replace("the account's", "the platform's")
    rid = _RID.search(errmsg)
    text = _TAIL.sub("", errmsg).strip()
    error = ApiError(errcode, text, kind=kind, reaction=reaction, rid=rid[1] if rid else None, hint=hint)
    error.wait_s = meaning.wait_s
    error.newest_missing = meaning.newest_missing
    return error


def refused_ip(error: CallError) -> str | None:
    """Return the IP of this host that WeChat refused, if the error says so; behind NAT several occur."""
    if isinstance(error, ComponentError):
        return None  # it isn't the client's list that lacks the IP, but the platform's
    refuses_ip = ERRCODES.get(error.errcode or 0, _UNKNOWN).refuses_ip
    return _ip_in(error.errmsg) if refuses_ip else None


def _ip_in(errmsg: str) -> str | None:
    found = _IP_TEXT.search(errmsg)
    return found[1] if found else None
