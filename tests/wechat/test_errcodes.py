import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.errors import ApiError
from collector.kinds import TROUBLE_HINT, CallKind, Reaction, Scope, WaitKind
from collector.model.waits import Wait
from collector.run.reactions import scope_of, wait_ordered_by
from collector.wechat import errcodes
from collector.wechat.errcodes import ERRCODES, ROTATING_HINT, Meaning, api_error, refused_ip

PAYLOADS = Path(__file__).parents[1] / "payloads"
TABLE = Path(__file__).parents[2] / "docs" / "errcodes.md"


def _error(answer: Any, kind: CallKind = CallKind.DATA) -> ApiError:
    return api_error(answer["errcode"], answer["errmsg"], kind)


def test_page_matches_table() -> None:
    """The page of errcodes and the table in the code name the same."""
    rows = re.findall(r"^\| ([a-z ]+?) +\| ([-\d, ]+?) +\|", TABLE.read_text(), re.MULTILINE)
    page = {int(code): reaction for reaction, codes in rows for code in codes.split(",")}
    assert page == {code: meaning.reaction.label for code, meaning in ERRCODES.items()}


RECORDED = {
    "error_-1_plain": (Reaction.RETRY, "system error", None),
    "error_-1_rid": (Reaction.RETRY, "system error", "5f422231-52120df7-13fcb545"),
    "error_40001_rid": (
        Reaction.REFRESH,
        "invalid credential, access_token is invalid or not latest",
        "61a50aa8-092c7dea-7469a10a",
    ),
    "error_40001_rid_stable_hint": (
        Reaction.REFRESH,
        (
            "invalid credential, access_token is invalid or not latest, could get access_token by "
            "getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
        ),
        "6949fe38-0627ff0d-47df91c7",
    ),
    "error_40013": (Reaction.ACCOUNT, "invalid appid", None),
    "error_40013_rid": (Reaction.ACCOUNT, "invalid appid", "60a49653-65622386-5f01ca84"),
    "error_40125_rid": (Reaction.ACCOUNT, "invalid appsecret", "63cf14c3-1af7da21-37efbc86"),
    "error_40164_hint_v4v6": (
        Reaction.ACCOUNT,
        "invalid ip 203.0.113.1 ipv6 ::ffff:203.0.113.1, not in whitelist",
        None,
    ),
    "error_40164_rid_v4v6": (
        Reaction.ACCOUNT,
        "invalid ip 203.0.113.30 ipv6 ::ffff:203.0.113.30, not in whitelist",
        "658cff8e-7783352d-44cb33e5",
    ),
    "error_41002_hint": (Reaction.ACCOUNT, "appid missing", None),
    "error_42001_rid": (Reaction.REFRESH, "access_token expired", "627ca5cf-7e811ede-0fbc1f73"),
    "error_43002": (Reaction.BUG, "require POST method", None),
    "error_44002_hint": (Reaction.BUG, "empty post data", None),
    "error_45009_hint": (Reaction.STOP_FOR_DAY, "reach max api daily quota limit", None),
    "error_45009_rid": (Reaction.STOP_FOR_DAY, "reach max api daily quota limit", "64b279b3-2eddb111-78605a3e"),
    "error_45011": (Reaction.SLOW, "api minute-quota reach limit  mustslower  retry next minute", None),
    "error_47001_rid": (Reaction.BUG, "data format error", "61334bd2-26ac356f-0eb9e0f6"),
    "error_47009_offline": (Reaction.DATASET, "api offline", None),
    "error_48001_rid": (Reaction.DATASET, "api unauthorized", "6724b89c-1cea5696-76c26805"),
    "error_61003": (Reaction.ACCOUNT, "component is not authorized by this account hint", None),
    "error_61005": (Reaction.COMPONENT, "component ticket is expired", "64f69b23-60f73830-19f36488"),
    "error_61006": (Reaction.COMPONENT, "component ticket is invalid", "61b2c8e7-5746986a-4c6edd06"),
    "error_61007": (Reaction.DATASET, "api is unauthorized to component", None),
    "error_61011": (Reaction.COMPONENT, "invalid component", "65bc9b7a-5670d342-0e3cc29b"),
    "error_61023_hint": (Reaction.LIST_AGAIN, "refresh_token is invalid", None),
    "error_61023_rid": (Reaction.LIST_AGAIN, "refresh_token is invalid", "6142cae2-160a288b-589e1ad2"),
    "error_61501_hint": (Reaction.BUG, "date range error", None),
    "error_61501_rid": (Reaction.BUG, "date range error", "61b7f9e0-66c14e21-3f647b7e"),
}


@pytest.mark.parametrize(("name", "expected"), RECORDED.items())
def test_recorded_errors(name: str, expected: tuple[Reaction, str, str | None], payload: Any) -> None:
    error = _error(payload(name))
    assert (error.reaction, error.errmsg, error.rid) == expected
    assert error.errcode == payload(name)["errcode"]


def test_recorded_errors_are_complete() -> None:
    assert {path.stem for path in PAYLOADS.glob("error_*.json")} == RECORDED.keys()


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_refused_secret_on_token_call(errcode: int) -> None:
    assert api_error(errcode, "invalid credential", CallKind.TOKEN).reaction is Reaction.ACCOUNT
    assert api_error(errcode, "invalid credential", CallKind.DATA).reaction is Reaction.REFRESH


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_refused_token_of_a_platform(errcode: int) -> None:
    error = api_error(errcode, "invalid credential", CallKind.COMPONENT)
    assert error.reaction is Reaction.COMPONENT
    assert error.hint == "the third-party platform's own ticket or token is stale"


@pytest.mark.parametrize("errcode", sorted(ERRCODES.keys() - {40001, 40014, 42001}))
def test_other_errcodes_mean_the_same_on_all_calls(errcode: int) -> None:
    assert {api_error(errcode, "x", kind).reaction for kind in CallKind} == {ERRCODES[errcode].reaction}


def test_unknown_errcode() -> None:
    error = api_error(99999, "what is this", CallKind.DATA)
    assert (error.reaction, str(error)) == (Reaction.UNKNOWN, "99999 what is this")
    assert "WeChat's support" in error.hint


@pytest.mark.parametrize("errcode", sorted(ERRCODES))
@pytest.mark.parametrize("kind", CallKind)
def test_every_errcode_has_a_hint(errcode: int, kind: CallKind) -> None:
    if ERRCODES[errcode].reaction is Reaction.REFRESH and kind is CallKind.DATA:
        return  # a newer token is the remedy; the second refusal brings a hint of its own
    assert api_error(errcode, "x", kind).hint


def test_every_refusal_by_an_admin_has_a_length() -> None:
    refusals = {code for code, meaning in ERRCODES.items() if meaning.reaction is Reaction.IP_REFUSED}
    assert refusals == {code for code, meaning in ERRCODES.items() if meaning.wait_s}


IP_MESSAGES = [
    ("invalid ip 203.0.113.1 ipv6 ::ffff:203.0.113.1, not in whitelist", "203.0.113.1"),
    ("invalid ip 2001:db8::7, not in whitelist", "2001:db8::7"),
    ("access clientip is not registered requestIP: 198.51.100.9 hint: [x]", "198.51.100.9"),
    ("access clientip is not registered", None),
]


@pytest.mark.parametrize(("errmsg", "ip"), IP_MESSAGES)
@pytest.mark.parametrize(("errcode", "whose"), [(40164, "account's"), (45035, "account's"), (61004, "platform's")])
def test_refused_ip_stands_in_the_hint(errcode: int, whose: str, errmsg: str, ip: str | None) -> None:
    error = api_error(errcode, errmsg, CallKind.TOKEN)
    assert refused_ip(error) == ip
    where = ip or "this host's IP"
    assert error.hint == f"allow {where} in the {whose} console; that takes effect in 5 to 10 minutes"


def test_other_errors_have_no_refused_ip() -> None:
    assert refused_ip(api_error(48001, "invalid ip 203.0.113.1", CallKind.DATA)) is None


@pytest.mark.parametrize("kind", CallKind)
def test_error_knows_its_kind_of_call(kind: CallKind) -> None:
    assert api_error(48001, "api unauthorized", kind).kind is kind


@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_stale_token_has_no_hint(errcode: int) -> None:
    assert api_error(errcode, "access_token expired", CallKind.DATA).hint == ""


def test_refusal_by_an_admin_lasts_a_day_or_an_hour() -> None:
    assert {errcode: api_error(errcode, "x", CallKind.DATA).wait_s for errcode in (89506, 89507, 89503)} == {
        89506: 86_400,
        89507: 3_600,
        89503: 0,
    }


def test_missing_newest_day() -> None:
    assert {code for code in ERRCODES if api_error(code, "x", CallKind.DATA).newest_missing} == {61501, 61503}


def test_new_errcode_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new errcode that waits until tomorrow needs one row and no other change."""
    monkeypatch.setattr(errcodes, "ERRCODES", {**ERRCODES, 40999: Meaning(Reaction.STOP_FOR_DAY)})
    error = api_error(40999, "no more today", CallKind.DATA)
    wait = wait_ordered_by(error, datetime(2026, 11, 24, 3, tzinfo=UTC))
    assert wait == Wait(WaitKind.QUOTA, datetime(2026, 11, 24, 16, tzinfo=UTC), 40999)
    assert scope_of(error) is Scope.DATASET
    assert error.hint == "the account's quota is used up; the next Beijing day brings a new one"


LACKS = "the account lacks the permission for this call"
RESTRICTED = "the account is restricted: look into its console"
REPORT = "the collector asked wrongly: please report this with the rid"
STALE = "the third-party platform's own ticket or token is stale"
AUTHORISE = "the client must authorise the platform again"
LATER = "not there yet: the next run asks again"
SECRET = "check the account's secret: WeChat doesn't take it for this appid"
REMEDIES = {
    **dict.fromkeys([42006, 61005, 61006, 61011], STALE),
    **dict.fromkeys([42007, 61023], AUTHORISE),
    **dict.fromkeys([61503, 89501, 89502, 89504, 89505], LATER),
    **dict.fromkeys([40002, 41001, 41018, 43002, 43003, 44002, 47001, 61451, 61500], REPORT),
    **dict.fromkeys([48009, 50001], LACKS),
    **dict.fromkeys([50002, 50004], RESTRICTED),
    **dict.fromkeys([-1, 61450], TROUBLE_HINT),
    40001: SECRET,
    40013: "check the appid: WeChat doesn't know it",
    40014: SECRET,
    40125: "the secret was reset or mistyped: copy it anew from the account's console",
    40243: "the secret is frozen: unfreeze it in the account's console",
    41002: "the appid is missing: check the account's entry",
    41004: "the secret is missing: check the account's entry",
    42001: SECRET,
    45009: "the account's quota is used up; the next Beijing day brings a new one",
    45011: "calls came too fast for this account: lower its rate_limit",
    47009: "WeChat has taken this call offline",
    48001: "the account isn't verified, or the permission set for user analysis isn't granted",
    48004: "WeChat has banned this call for the account: look into its console",
    61003: "the client withdrew its authorisation: ask it to authorise again",
    61007: "the platform isn't authorised for user analysis: ask the client to grant permission set 2",
    61501: "check this host's clock: WeChat doesn't accept the range of days",
    61502: "WeChat doesn't know this dataset",
    89503: "the account's admin must confirm this IP: WeChat has asked for it",
    89506: "the account's admin refused this IP; WeChat is asked again after a day",
    89507: "the account's admin refused this IP; WeChat is asked again after an hour",
    99999: "an errcode that the collector doesn't know: ask WeChat's support with the rid",
}


@pytest.mark.parametrize(("errcode", "remedy"), REMEDIES.items())
def test_hint_of_each_errcode(errcode: int, remedy: str) -> None:
    assert api_error(errcode, "x", CallKind.TOKEN).hint == remedy


def test_hints_are_complete() -> None:
    refused_ips = {40164, 45035, 61004}
    assert REMEDIES.keys() == ERRCODES.keys() - refused_ips | {99999}


@pytest.mark.parametrize(
    ("kind", "whose"),
    [(CallKind.TOKEN, "account's"), (CallKind.DATA, "account's"), (CallKind.COMPONENT, "platform's")],
)
def test_hint_names_the_caller(kind: CallKind, whose: str) -> None:
    remedy = f"the secret was reset or mistyped: copy it anew from the {whose} console"
    assert api_error(40125, "invalid appsecret", kind).hint == remedy


def test_hint_for_a_rotated_token() -> None:
    assert ROTATING_HINT == (
        "another system is rotating this account's token: share one token server, or use `token: stable` there"
    )
