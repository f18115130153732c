import asyncio
import re
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aioresponses import CallbackResult
from structlog.testing import capture_logs
from support import FakeClock

from collector.breakers import POSTPONE_S, PROBE_EVERY_S
from collector.errors import ApiError, CallError, ComponentError, OriginError, PostponedError, TransientError
from collector.kinds import CallKind, Reaction
from collector.model.accounts import Account, Component, FromCommand, FromFile, FromUrl, Rate, Secret
from collector.model.state import Authorizer
from collector.secrets import commands
from collector.secrets.reader import Secrets
from collector.wechat.client import MAX_TRIES, Client
from collector.wechat.component import MAX_READINGS, PAGE, Authorized, ComponentApi
from collector.wechat.errcodes import api_error
from collector.wechat.routes import Route
from collector.wechat.tokens import Grant, Tokens

HOST = "https://wechat.test"
TICKETS = "http://tickets.internal/{appid}"
COMPONENT = Component("agency", "wx00000000000000c0", secret=Secret("secret-7"), verify_ticket=Secret("ticket-7"))
TOKEN, LIST = "api_component_token", "api_get_authorizer_list"
ONE, ACCOUNT_TOKEN = "api_get_authorizer_info", "api_authorizer_token"

FAILED = {"errcode": -1, "errmsg": "system error"}
REFUSED = {"errcode": 40001, "errmsg": "invalid credential"}
STALE = {"errcode": 61023, "errmsg": "refresh_token is invalid"}


def appid_of(number: int) -> str:
    return f"wx{number:016d}"


def account_of(number: int, refresh_token: Secret | FromFile | None = None) -> Account:
    return Account(f"account-{number}", appid_of(number), None, Rate(5, 1), authorizer_refresh_token=refresh_token)


class Platform:
    """WeChat's side of one third-party platform.

    `listed` is what its list says, `taken` the refresh tokens that WeChat takes. `scripted` are answers of a call that
    come before the usual ones, or what gives them. Notes every call: its name, its body, and the component token that
    it bore.
    """

    def __init__(self, web: Any, size: int) -> None:
        self.listed: dict[str, str | None] = {appid_of(number): f"refresh-{number}" for number in range(size)}
        self.taken = {appid: token for appid, token in self.listed.items() if token}
        self.total: int | None = None
        self.valid = "component-token-1"
        self.scripted: dict[str, list[Any]] = {}
        self.calls: list[tuple[str, dict[str, Any], str | None]] = []
        self.issued = 0
        self.seen: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        web.post(re.compile(rf"{HOST}/cgi-bin/component/.*"), callback=self._answer, repeat=True)

    @property
    def asked(self) -> Counter[str]:
        """Number of times each call was made."""
        return Counter(name for name, _, _ in self.calls)

    def bodies(self, name: str) -> list[dict[str, Any]]:
        """Return the bodies of a call, each without the platform's appid."""
        return [body for asked, body, _ in self.calls if asked == name]

    async def _answer(self, url: Any, **kwargs: Any) -> CallbackResult:
        name, body = url.path.rpartition("/")[2], dict(kwargs["json"])
        token = url.query.get("component_access_token")
        assert body.pop("component_appid") == COMPONENT.appid
        self.calls.append((name, body, token))
        self.seen[name].set()
        await asyncio.sleep(0)
        if self.scripted.get(name):
            scripted = self.scripted[name].pop(0)
            if callable(scripted):
                scripted = await scripted()
            return scripted if isinstance(scripted, CallbackResult) else CallbackResult(payload=scripted)
        if name == TOKEN:
            return CallbackResult(payload=self._component_token())
        return CallbackResult(payload=getattr(self, f"_{name}")(body) if token == self.valid else REFUSED)

    def _component_token(self) -> Any:
        self.issued += 1
        return {"component_access_token": f"component-token-{self.issued}", "expires_in": 7200}

    def _api_get_authorizer_list(self, body: dict[str, Any]) -> object:
        rows = [
            {"authorizer_appid": appid, "auth_time": 1} | ({} if token is None else {"refresh_token": token})
            for appid, token in self.listed.items()
        ]
        page = rows[body["offset"] : body["offset"] + min(body["count"], PAGE)]
        return {"total_count": len(rows) if self.total is None else self.total, "list": page}

    def _api_get_authorizer_info(self, body: dict[str, Any]) -> object:
        token = self.taken.get(body["authorizer_appid"])
        if token is None:
            return {"errcode": 61003, "errmsg": "component is not authorized by this account"}
        return {
            "authorizer_info": {"nick_name": f"nick of {body['authorizer_appid']}"},
            "authorization_info": {"authorizer_refresh_token": token},
        }

    def _api_authorizer_token(self, body: dict[str, Any]) -> object:
        appid = body["authorizer_appid"]
        if body["authorizer_refresh_token"] != self.taken.get(appid):
            return STALE
        return {
            "authorizer_access_token": f"access-{appid}",
            "expires_in": 7200,
            "authorizer_refresh_token": self.taken[appid],
        }


@pytest.fixture
def platform(web: Any) -> Platform:
    return Platform(web, 50)


@pytest.fixture
def api(platform: Platform, route: Route, secrets: Secrets, clock: FakeClock) -> ComponentApi:
    return ComponentApi(COMPONENT, route, secrets, clock=clock)


async def log_in(
    api: ComponentApi, route: Route, clock: FakeClock, accounts: Iterable[Account]
) -> Sequence[str | BaseException]:
    """Return the token or the error of each account, where all ask for their token at once."""

    async def token(account: Account) -> str:
        tokens = Tokens(Authorized(account, api), route.client, clock=clock, owner=str(account))
        return (await tokens.get()).value.get_secret_value()

    return await asyncio.gather(*map(token, accounts), return_exceptions=True)


def access(*numbers: int) -> list[str]:
    return [f"access-{appid_of(number)}" for number in numbers]


def shown(error: BaseException) -> str:
    """All that an error shows of itself, wherever it may be printed."""
    parts = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
    return "\n".join(parts)


def the_one(found: Sequence[str | BaseException]) -> ComponentError:
    """The `ComponentError` that all of `found` are."""
    assert {type(error) for error in found} == {ComponentError}
    (said,) = {
        (error.errmsg, error.errcode, error.hint, error.appid, error.name, error.reaction, error.kind)
        for error in found
        if isinstance(error, ComponentError)
    }
    assert said[3:] == (COMPONENT.appid, "agency", Reaction.COMPONENT, CallKind.COMPONENT)
    error = found[0]
    assert isinstance(error, ComponentError)
    return error


# Once for all accounts


async def test_one_list_for_all_accounts(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    """Fifty accounts at once need one platform token and one list."""
    assert await log_in(api, route, clock, map(account_of, range(50))) == access(*range(50))
    assert platform.asked == {TOKEN: 1, LIST: 1, ACCOUNT_TOKEN: 50}
    assert platform.bodies(TOKEN) == [{"component_appsecret": "secret-7", "component_verify_ticket": "ticket-7"}]
    assert {token for name, _, token in platform.calls if name != TOKEN} == {"component-token-1"}
    assert platform.bodies(ACCOUNT_TOKEN)[7] == {
        "authorizer_appid": appid_of(7),
        "authorizer_refresh_token": "refresh-7",
    }
    assert (route.client.calls, route.client.token_calls, route.client.retries) == (0, 52, 0)


@pytest.mark.parametrize(("size", "offsets"), [(0, [0]), (1, [0]), (500, [0]), (501, [0, 500]), (1200, [0, 500, 1000])])
async def test_pages_of_500(
    web: Any, route: Route, secrets: Secrets, clock: FakeClock, size: int, offsets: list[int]
) -> None:
    platform = Platform(web, size)
    api = ComponentApi(COMPONENT, route, secrets, clock=clock)
    listings = await asyncio.gather(*(api.authorizers() for _ in range(3)))
    assert all(listing is listings[0] for listing in listings)
    assert listings[0].refresh_tokens == platform.listed
    assert listings[0].is_whole
    assert platform.bodies(LIST) == [{"offset": offset, "count": 500} for offset in offsets]


async def test_refused_token_of_an_account(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """A refused token of an account is fetched again, without reading the list again."""
    tokens = Tokens(Authorized(account_of(3), api), route.client, clock=clock, owner="x")
    platform.scripted[ACCOUNT_TOKEN] = [{"authorizer_access_token": "first", "expires_in": 7200}]
    refusal = api_error(40001, "invalid credential", CallKind.DATA)
    again = await tokens.after_refusal(await tokens.get(), refusal)
    with pytest.raises(ApiError) as failed:
        await tokens.after_refusal(again, refusal)
    assert "see that no other system renews this account's token" in failed.value.hint
    assert platform.asked == {TOKEN: 1, LIST: 1, ACCOUNT_TOKEN: 2}


# Refresh tokens


async def test_gap_in_the_list(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    """An account without a refresh token in the list is looked up alone."""
    platform.listed[appid_of(2)] = None
    platform.listed[appid_of(4)] = ""
    assert await log_in(api, route, clock, map(account_of, range(6))) == access(*range(6))
    await api.grant(account_of(2))
    assert platform.bodies(ONE) == [{"authorizer_appid": appid_of(2)}, {"authorizer_appid": appid_of(4)}]


async def test_lookup_isnt_repeated(platform: Platform, api: ComponentApi, route: Route) -> None:
    """An account that was looked up isn't looked up again when its token call is retried."""
    platform.listed[appid_of(2)] = None
    platform.scripted[ACCOUNT_TOKEN] = [FAILED]
    await route.client.retrying(lambda: api.grant(account_of(2)))
    assert platform.asked == {TOKEN: 1, LIST: 1, ONE: 1, ACCOUNT_TOKEN: 2}


async def test_newer_refresh_token(platform: Platform, api: ComponentApi) -> None:
    """A refresh token that comes with a token replaces the one before."""
    newer = {"authorizer_access_token": "A", "expires_in": 7200, "authorizer_refresh_token": "refresh-newer"}
    platform.scripted[ACCOUNT_TOKEN] = [newer]
    platform.taken[appid_of(3)] = "refresh-newer"
    for _ in range(2):
        await api.grant(account_of(3))
    assert [body["authorizer_refresh_token"] for body in platform.bodies(ACCOUNT_TOKEN)] == [
        "refresh-3",
        "refresh-newer",
    ]


async def test_list_before_configuration(platform: Platform, api: ComponentApi, tmp_path: Path) -> None:
    await api.grant(account_of(3, FromFile(tmp_path / "never-read")))
    assert platform.bodies(ACCOUNT_TOKEN)[0]["authorizer_refresh_token"] == "refresh-3"


@pytest.fixture
def in_file(tmp_path: Path) -> FromFile:
    """The refresh token of account 99, which isn't in the list, in a file."""
    path = tmp_path / "refresh"
    path.write_text("refresh-99\n")
    path.chmod(0o600)
    return FromFile(path)


async def test_configured_token_without_entry(platform: Platform, api: ComponentApi, in_file: FromFile) -> None:
    """An account of which WeChat says that it isn't authorised uses its configured refresh token."""
    platform.scripted[ONE] = [{"errcode": 61003, "errmsg": "component is not authorized by this account"}]
    platform.taken[appid_of(99)] = "refresh-99"
    assert (await api.grant(account_of(99, in_file))).value == Secret(f"access-{appid_of(99)}")
    assert platform.asked == {TOKEN: 1, LIST: 1, ONE: 1, ACCOUNT_TOKEN: 1}


async def test_configured_token_for_a_gap(platform: Platform, api: ComponentApi, in_file: FromFile) -> None:
    """An account for which WeChat has no refresh token uses its configured one."""
    platform.listed[appid_of(99)] = None
    platform.taken[appid_of(99)] = "refresh-99"
    platform.scripted[ONE] = [{"authorizer_info": {}, "authorization_info": {"authorizer_refresh_token": ""}}]
    assert (await api.grant(account_of(99, in_file))).value == Secret(f"access-{appid_of(99)}")


async def test_configured_token_without_list(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock, in_file: FromFile
) -> None:
    """Without a list, accounts with a configured refresh token still get their tokens."""
    platform.scripted[LIST] = [{"errcode": 48001, "errmsg": "api unauthorized"}]
    platform.taken[appid_of(99)] = "refresh-99"
    accounts = [account_of(1), account_of(99, in_file), account_of(2)]
    first, second, third = await log_in(api, route, clock, accounts)
    assert second == f"access-{appid_of(99)}"
    error = the_one([first, third])
    assert (error.errcode, error.errmsg) == (48001, "api unauthorized")
    assert platform.asked == {TOKEN: 1, LIST: 1, ACCOUNT_TOKEN: 1}


async def test_account_not_in_the_list(platform: Platform, api: ComponentApi) -> None:
    with pytest.raises(OriginError) as failed:
        await api.grant(account_of(99))
    assert str(failed.value) == (
        "the account isn't among those that authorised the platform agency: ask the client to authorise it"
    )
    assert platform.asked == {TOKEN: 1, LIST: 1, ONE: 1}


async def test_list_lacks_an_account(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    """An account that a list lacks, but that is still authorised, gets its token; others need no more calls."""
    del platform.listed[appid_of(2)]
    assert await log_in(api, route, clock, map(account_of, range(4))) == access(*range(4))
    assert platform.asked == {TOKEN: 1, LIST: 1, ONE: 1, ACCOUNT_TOKEN: 4}


async def test_lookup_gives_the_refresh_token(platform: Platform, api: ComponentApi) -> None:
    """A refresh token that discovery was given isn't asked for again."""
    del platform.listed[appid_of(2)]
    await api.authorizers()
    await api.authorizer(appid_of(2))
    await api.grant(account_of(2))
    assert platform.asked == {TOKEN: 1, LIST: 1, ONE: 1, ACCOUNT_TOKEN: 1}


async def test_withdrawn_but_listed(platform: Platform, api: ComponentApi) -> None:
    """An account that the list still has, and that has withdrawn, fails with WeChat's own answer."""
    platform.listed[appid_of(99)] = None
    with pytest.raises(ApiError) as failed:
        await api.grant(account_of(99))
    assert failed.value.errcode == 61003


# Refresh tokens that WeChat doesn't take


async def test_authorised_again(platform: Platform, api: ComponentApi) -> None:
    """An account that authorised again is found when the list is read once more."""
    await api.authorizers()
    platform.listed[appid_of(3)] = platform.taken[appid_of(3)] = "refresh-newer"
    assert (await api.grant(account_of(3))).value == Secret(f"access-{appid_of(3)}")
    assert [body["authorizer_refresh_token"] for body in platform.bodies(ACCOUNT_TOKEN)] == [
        "refresh-3",
        "refresh-newer",
    ]
    assert platform.asked == {TOKEN: 1, LIST: 2, ACCOUNT_TOKEN: 2}


async def test_same_refresh_token_again(platform: Platform, api: ComponentApi, route: Route) -> None:
    platform.taken[appid_of(3)] = "unknown"
    with pytest.raises(ApiError) as failed:
        await route.client.retrying(lambda: api.grant(account_of(3)))
    assert (failed.value.errcode, failed.value.reaction) == (61023, Reaction.LIST_AGAIN)
    assert failed.value.hint == "the client must authorise the platform again"
    assert platform.asked == {TOKEN: 1, LIST: 2, ACCOUNT_TOKEN: 1}


async def test_newer_refresh_token_refused(platform: Platform, api: ComponentApi) -> None:
    await api.authorizers()
    platform.listed[appid_of(3)], platform.taken[appid_of(3)] = "refresh-newer", "unknown"
    with pytest.raises(ApiError) as failed:
        await api.grant(account_of(3))
    assert failed.value.errcode == 61023
    assert platform.asked == {TOKEN: 1, LIST: 2, ACCOUNT_TOKEN: 2}


async def test_account_has_left_the_list(platform: Platform, api: ComponentApi) -> None:
    await api.authorizers()
    del platform.listed[appid_of(3)], platform.taken[appid_of(3)]
    with pytest.raises(OriginError, match="isn't among those that authorised the platform agency"):
        await api.grant(account_of(3))


async def test_many_refused_share_a_reading(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    await api.authorizers()
    for number in range(0, 50, 2):
        platform.listed[appid_of(number)] = platform.taken[appid_of(number)] = f"refresh-newer-{number}"
    platform.taken[appid_of(1)] = "unknown"
    found = await log_in(api, route, clock, map(account_of, range(50)))
    assert [error.errcode for error in found if isinstance(error, ApiError)] == [61023]
    assert [token for token in found if isinstance(token, str)] == access(0, *range(2, 50))
    assert platform.asked == {TOKEN: 1, LIST: 2, ACCOUNT_TOKEN: 50 + 25}


async def test_list_is_new_for_a_minute(platform: Platform, api: ComponentApi, clock: FakeClock) -> None:
    """A list that was read again is read once more only after a minute."""
    for number, asked in ((0, 2), (1, 2), (2, 3)):
        platform.listed[appid_of(number)] = "refresh-newer"  # the one that WeChat takes is older
        platform.taken[appid_of(number)] = "unknown"
        with pytest.raises(ApiError):
            await api.grant(account_of(number))
        assert platform.asked[LIST] == asked
        await clock.sleep(30)


async def test_list_read_again_meanwhile(platform: Platform, api: ComponentApi, clock: FakeClock) -> None:
    """A list that another account has read again meanwhile isn't read once more."""
    refused = asyncio.Event()

    async def late() -> object:
        await refused.wait()
        return STALE

    platform.scripted[ACCOUNT_TOKEN] = [late]
    slow = asyncio.create_task(api.grant(account_of(0)))
    await platform.seen[ACCOUNT_TOKEN].wait()
    for number in (0, 1):
        platform.listed[appid_of(number)] = platform.taken[appid_of(number)] = "refresh-newer"
    await api.grant(account_of(1))
    await clock.sleep(90)
    refused.set()
    assert (await slow).value == Secret(f"access-{appid_of(0)}")
    assert platform.asked == {TOKEN: 1, LIST: 2, ACCOUNT_TOKEN: 4}


async def test_failed_second_reading(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    """A failed second reading is tried by one account, and fails all that need it."""
    await api.authorizers()
    platform.taken |= {appid_of(number): "unknown" for number in range(10)}
    platform.scripted[LIST] = [FAILED] * 100
    found = await log_in(api, route, clock, map(account_of, range(50)))
    assert the_one(found[:10]).errcode == -1
    assert found[10:] == access(*range(10, 50))
    assert platform.asked == {TOKEN: 1, LIST: 1 + MAX_TRIES, ACCOUNT_TOKEN: 50}


# Lists in trouble


async def test_list_ends_early(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    """Accounts missing from a list that ends early are looked up alone."""
    del platform.listed[appid_of(5)]
    platform.total = 50
    with capture_logs() as logs:
        found = await log_in(api, route, clock, [*map(account_of, range(6)), account_of(99)])
    assert found[:6] == access(*range(6))
    assert isinstance(found[6], OriginError)
    assert not (await api.authorizers()).is_whole
    assert platform.bodies(LIST) == [{"offset": 0, "count": 500}, {"offset": 49, "count": 500}]
    assert platform.bodies(ONE) == [{"authorizer_appid": appid_of(5)}, {"authorizer_appid": appid_of(99)}]
    assert logs == [
        {
            "event": "authorizers.cut",
            "log_level": "warning",
            "component": "agency (wx00000000000000c0)",
            "listed": 49,
            "total": 50,
        }
    ]


async def test_list_repeats_itself(platform: Platform, api: ComponentApi) -> None:
    row = {"authorizer_appid": appid_of(0), "refresh_token": "refresh-0"}
    platform.scripted[LIST] = [{"total_count": 10**5, "list": [row]}] * 100
    listing = await api.authorizers()
    assert (listing.refresh_tokens, listing.is_whole) == ({appid_of(0): "refresh-0"}, False)
    assert platform.asked[LIST] == 2


async def test_page_is_retried_alone(web: Any, route: Route, secrets: Secrets, clock: Any) -> None:
    platform = Platform(web, 501)
    first = platform._api_get_authorizer_list({"offset": 0, "count": 500})
    platform.scripted[LIST] = [first, FAILED, CallbackResult(status=502), {"total_count": 501}]
    api = ComponentApi(COMPONENT, route, secrets, clock=clock)
    assert (await api.authorizers()).refresh_tokens == platform.listed
    assert [body["offset"] for body in platform.bodies(LIST)] == [0, 500, 500, 500, 500]


@pytest.mark.parametrize(
    "answer",
    [
        {"total_count": 1, "list": {}},
        {"total_count": 1, "list": "rows"},
        {"total_count": 1, "list": [None]},
        {"total_count": 1, "list": ["wx"]},
        {"total_count": 1, "list": [{}]},
        {"total_count": 1, "list": [{"authorizer_appid": 5}]},
        {"total_count": "1", "list": []},
        {"total_count": None, "list": []},
        {"list": []},
    ],
)
async def test_malformed_list(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock, answer: object
) -> None:
    platform.scripted[LIST] = [answer] * 100
    error = the_one(await log_in(api, route, clock, map(account_of, range(5))))
    assert (str(error), error.errcode) == ("the list of authorised accounts isn't of its form", None)
    assert platform.asked == {TOKEN: 1, LIST: MAX_TRIES}


# The platform's own token


@pytest.mark.parametrize("errcode", [40001, 40014, 42001, 42006, 61005, 61006, 61011])
async def test_refused_platform_token(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock, errcode: int
) -> None:
    platform.scripted[LIST] = [{"errcode": errcode, "errmsg": "refused"}]
    platform.valid = "component-token-2"
    assert await log_in(api, route, clock, map(account_of, range(5))) == access(*range(5))
    assert platform.asked == {TOKEN: 2, LIST: 2, ACCOUNT_TOKEN: 5}
    assert {token for name, _, token in platform.calls[3:] if name != TOKEN} == {"component-token-2"}


@pytest.mark.parametrize("errcode", [40001, 40014, 42001, 42006, 61005, 61006, 61011])
async def test_platform_token_refused_again(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock, errcode: int
) -> None:
    """A platform token that is refused again fails all accounts without another call."""
    platform.scripted[LIST] = [{"errcode": errcode, "errmsg": "refused"}] * 100
    with_its_own = account_of(1, FromFile(Path("/nowhere/never-read")))
    error = the_one(await log_in(api, route, clock, [account_of(0), with_its_own]))
    assert (error.errcode, error.errmsg) == (errcode, "refused")
    assert error.hint == (
        "the platform agency has no valid token: see that its ticket arrives, and that nothing else renews its token"
    )
    the_one(await log_in(api, route, clock, map(account_of, range(50))))
    assert platform.asked == {TOKEN: 2, LIST: 2}


async def test_platform_token_refused_later(platform: Platform, api: ComponentApi) -> None:
    for number in range(3):
        platform.valid = f"component-token-{number + 1}"
        await api.grant(account_of(number))
    assert platform.asked == {TOKEN: 3, LIST: 1, ACCOUNT_TOKEN: 5}


async def test_platform_token_refused_to_many(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """A component token refused to many at once is asked for once more."""
    await api.authorizers()
    platform.valid = "component-token-2"
    assert await log_in(api, route, clock, map(account_of, range(50))) == access(*range(50))
    assert platform.asked == {TOKEN: 2, LIST: 1, ACCOUNT_TOKEN: 100}
    assert route.client.retries == 50


async def test_platform_token_fails_many(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    """A component token refused again to many at once fails them all the same."""
    await api.authorizers()
    platform.valid = "unknown"
    error = the_one(await log_in(api, route, clock, map(account_of, range(50))))
    assert error.errcode == 40001
    assert platform.asked == {TOKEN: 2, LIST: 1, ACCOUNT_TOKEN: 100}


@pytest.mark.parametrize("errcode", [40125, 40013, 40164, 61004, 61005, 61006, 61011])
async def test_no_platform_token(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock, errcode: int
) -> None:
    """A component token that isn't given is asked for once and told to all."""
    platform.scripted[TOKEN] = [{"errcode": errcode, "errmsg": "refused"}] * 100
    for _ in range(2):
        error = the_one(await log_in(api, route, clock, map(account_of, range(25))))
    assert (error.errcode, error.hint) == (errcode, api_error(errcode, "refused", CallKind.COMPONENT).hint)
    assert platform.asked == {TOKEN: 1}


async def test_platform_token_is_retried_once(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    platform.scripted[TOKEN] = [CallbackResult(status=502)] * 100
    for _ in range(2):
        error = the_one(await log_in(api, route, clock, map(account_of, range(25))))
    assert (str(error), error.unreachable) == ("HTTP 502 instead of an answer", False)
    assert platform.asked == {TOKEN: MAX_TRIES}


async def test_unreachable_wechat(web: Any, route: Route, secrets: Secrets, clock: FakeClock) -> None:
    """When WeChat is out of reach the accounts of a platform count as unreachable."""
    web.post(f"{HOST}/cgi-bin/component/{TOKEN}", exception=ConnectionResetError(), repeat=True)
    api = ComponentApi(COMPONENT, route, secrets, clock=clock)
    for accounts in ([account_of(0), account_of(1)], [account_of(2, Secret("refresh-2"))]):
        error = the_one(await log_in(api, route, clock, accounts))
        assert error.unreachable
    assert route.client.token_calls == MAX_TRIES


async def test_refused_ip_fails_one_account(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """A refused IP fails one account only, since others may use another IP."""
    await api.authorizers()
    refused = {"errcode": 61004, "errmsg": "access clientip is not registered requestIP: 203.0.113.7"}
    platform.scripted[ACCOUNT_TOKEN] = [refused]
    first, *others = await log_in(api, route, clock, map(account_of, range(5)))
    assert isinstance(first, ApiError)
    assert first.hint == "allow 203.0.113.7 in the platform's console; that takes effect in 5 to 10 minutes"
    assert others == access(1, 2, 3, 4)


async def test_list_changes_meanwhile(web: Any, route: Route, secrets: Secrets, clock: FakeClock) -> None:
    platform = Platform(web, 1200)
    api = ComponentApi(COMPONENT, route, secrets, clock=clock)

    async def first_leaves() -> object:
        answer = platform._api_get_authorizer_list({"offset": 0, "count": PAGE})
        del platform.listed[appid_of(0)]
        return answer

    platform.scripted[LIST] = [first_leaves]
    listing = await api.authorizers()
    assert (list(listing.refresh_tokens), listing.is_whole) == (list(platform.listed), True)


async def test_list_always_changes(web: Any, route: Route, secrets: Secrets, clock: FakeClock) -> None:
    platform = Platform(web, 1200)
    api = ComponentApi(COMPONENT, route, secrets, clock=clock)
    platform.scripted[LIST] = [
        {"total_count": total, "list": [{"authorizer_appid": f"wx{total}"}]} for total in range(1000, 1100)
    ]
    assert not (await api.authorizers()).is_whole
    assert platform.asked[LIST] == 2 * MAX_READINGS


@pytest.mark.parametrize("call", [TOKEN, LIST])
async def test_wait_of_a_platform(platform: Platform, api: ComponentApi, call: str) -> None:
    """A wait that WeChat orders the platform is each account's own wait, and no failure."""
    platform.scripted[call] = [{"errcode": 45009, "errmsg": "reach max api daily quota limit"}]
    for number in range(2):
        with pytest.raises(ApiError) as caught:
            await api.grant(account_of(number))
        assert (caught.value.errcode, caught.value.reaction) == (45009, Reaction.STOP_FOR_DAY)
    assert platform.asked[call] == 1


async def test_refusal_of_one_account(platform: Platform, api: ComponentApi, route: Route, clock: FakeClock) -> None:
    await api.authorizers()
    platform.scripted[ACCOUNT_TOKEN] = [{"errcode": 61003, "errmsg": "not authorized"}, FAILED]
    first, *others = await log_in(api, route, clock, map(account_of, range(5)))
    assert isinstance(first, ApiError)
    assert (first.errcode, first.reaction, first.kind) == (61003, Reaction.ACCOUNT, CallKind.COMPONENT)
    assert others == access(1, 2, 3, 4)


async def test_platform_token_is_renewed(platform: Platform, api: ComponentApi, clock: FakeClock) -> None:
    await api.grant(account_of(0))
    await clock.sleep(7200 - 59)
    platform.valid = "component-token-2"
    await api.grant(account_of(1))
    assert platform.asked == {TOKEN: 2, LIST: 1, ACCOUNT_TOKEN: 2}


# Where the platform's token and its ticket come from


async def test_platform_token_of_a_server(
    web: Any, platform: Platform, route: Route, secrets: Secrets, clock: FakeClock
) -> None:
    """A platform token that a server gives isn't fetched from WeChat."""
    origin = FromUrl(Secret("http://tokens.internal/{appid}"), json="token", expires_json="left")
    web.get(f"http://tokens.internal/{COMPONENT.appid}", payload={"token": "component-token-1", "left": 600})
    component = Component("agency", COMPONENT.appid, access_token=origin)
    api = ComponentApi(component, route, secrets, clock=clock)
    assert await log_in(api, route, clock, map(account_of, range(5))) == access(*range(5))
    assert platform.asked == {LIST: 1, ACCOUNT_TOKEN: 5}


async def test_server_repeats_a_refused_token(
    platform: Platform, route: Route, secrets: Secrets, clock: FakeClock, tmp_path: Path
) -> None:
    """A platforms server that goes on giving a refused token is asked twice."""
    command = FromCommand(("sh", "-c", f"echo >>{tmp_path}/count; echo component-token-0"))
    api = ComponentApi(Component("agency", COMPONENT.appid, access_token=command), route, secrets, clock=clock)
    error = the_one(await log_in(api, route, clock, map(account_of, range(50))))
    assert error.hint.startswith("the platform agency has no valid token: ")
    assert ((tmp_path / "count").read_text(), platform.asked) == ("\n\n", {LIST: 1})


async def test_platform_server_that_restarts(
    web: Any, platform: Platform, route: Route, secrets: Secrets, clock: FakeClock
) -> None:
    """The tries of one account are in vain, and the next one gets its token."""
    for _ in range(MAX_TRIES):
        web.get("http://tokens.internal/", status=503)
    web.get("http://tokens.internal/", body=platform.valid)
    component = Component("agency", COMPONENT.appid, access_token=FromUrl(Secret("http://tokens.internal/")))
    api = ComponentApi(component, route, secrets, clock=clock)
    (postponed,) = await log_in(api, route, clock, [account_of(0)])
    assert isinstance(postponed, PostponedError)
    clock.instant += timedelta(seconds=PROBE_EVERY_S)
    assert await log_in(api, route, clock, map(account_of, range(3))) == access(0, 1, 2)


async def _in_turn(api: ComponentApi, clock: FakeClock, turns: int) -> list[str]:
    """Ask for the token of one account after the other, one a second; return what each has got."""
    found = []
    for turn in range(turns):
        clock.instant += timedelta(seconds=1)
        try:
            await Authorized(account_of(turn % 50), api).grant()
            found.append("token")
        except (PostponedError, CallError) as error:
            found.append(type(error).__name__)
    return found


@pytest.mark.parametrize("away_s", [12, 150])
@pytest.mark.parametrize("key", ["access_token", "verify_ticket"])
async def test_platform_server_comes_back(
    web: Any, client: Client, secrets: Secrets, clock: FakeClock, key: str, away_s: int
) -> None:
    """However long the server of a platform's token or ticket is away, accounts get their tokens once it is back."""
    url, back = "http://tokens.internal/platform", clock.instant + timedelta(seconds=away_s)
    platform = Platform(web, 50)
    value = platform.valid if key == "access_token" else "ticket-7"

    def answer(*_: Any, **__: Any) -> CallbackResult:
        return CallbackResult(status=200 if clock.now() >= back else 503, body=value)

    web.get(url, callback=answer, repeat=True)
    component = replace(COMPONENT, **{key: FromUrl(Secret(url))})  # type: ignore[arg-type]
    api = ComponentApi(component, Route(client, [HOST], None, secrets), secrets, clock=clock)
    found = await _in_turn(api, clock, 200)
    assert found[0] == "PostponedError"
    assert set(found[away_s + PROBE_EVERY_S :]) == {"token"}


async def test_slow_command_of_a_platform(
    web: Any, client: Client, secrets: Secrets, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command that took too long for one account is run again for the next one."""
    monkeypatch.setattr(commands, "COMMAND_S", 0.2)
    script = f"test -e {tmp_path}/back || sleep 5; echo component-token-1"
    component = replace(COMPONENT, access_token=FromCommand(("sh", "-c", script)))
    api = ComponentApi(component, Route(client, [HOST], None, secrets), secrets, clock=clock)
    Platform(web, 50)
    assert await _in_turn(api, clock, 1) == ["ComponentError"]
    (tmp_path / "back").touch()
    assert set(await _in_turn(api, clock, 3)) == {"token"}


async def test_unresponsive_platform_server(
    web: Any, platform: Platform, route: Route, secrets: Secrets, clock: FakeClock
) -> None:
    web.get("http://tokens.internal/", status=503, repeat=True)
    component = Component("agency", COMPONENT.appid, access_token=FromUrl(Secret("http://tokens.internal/")))
    api = ComponentApi(component, route, secrets, clock=clock)
    postponed = await log_in(api, route, clock, map(account_of, range(50)))
    assert {type(error) for error in postponed} == {PostponedError}
    assert (route.client.token_calls, platform.calls) == (MAX_TRIES, [])
    clock.instant += timedelta(seconds=POSTPONE_S)
    error = the_one(await log_in(api, route, clock, map(account_of, range(50))))
    assert str(error) == "the server http://tokens.internal gives no answer (HTTP 503)"
    assert not error.unreachable  # that is about WeChat
    assert (route.client.token_calls, platform.calls) == (MAX_TRIES + 1, [])


async def test_ticket_is_read_each_time(
    platform: Platform, route: Route, secrets: Secrets, clock: FakeClock, tmp_path: Path
) -> None:
    """The ticket is read again for each platform token, the secret once."""
    ticket, secret = tmp_path / "ticket", tmp_path / "secret"
    for path in (ticket, secret):
        path.write_text("first")
        path.chmod(0o600)
    component = replace(COMPONENT, secret=FromFile(secret), verify_ticket=FromFile(ticket))
    api = ComponentApi(component, route, secrets, clock=clock)
    await api.authorizers()
    ticket.write_text("second")
    secret.write_text("second")
    platform.valid = "component-token-2"
    await api.grant(account_of(0))
    assert platform.bodies(TOKEN) == [
        {"component_appsecret": "first", "component_verify_ticket": "first"},
        {"component_appsecret": "first", "component_verify_ticket": "second"},
    ]


TICKETS_FROM = [
    FromUrl(Secret(TICKETS)),
    FromUrl(Secret(f"{TICKETS}/json"), json="data.ticket"),
    FromCommand(("echo", "ticket-of-{appid}")),
    FromCommand(("echo", '{"data": {"ticket": "ticket-of-{appid}"}}'), json="data.ticket"),
]


@pytest.mark.parametrize("origin", TICKETS_FROM)
async def test_ticket_by_server_or_command(
    web: Any,
    platform: Platform,
    route: Route,
    secrets: Secrets,
    clock: FakeClock,
    origin: FromUrl | FromCommand,
) -> None:
    """A ticket comes from a server or a command with the platforms appid."""
    ticket = f"ticket-of-{COMPONENT.appid}"
    web.get(TICKETS.replace("{appid}", COMPONENT.appid), body=f"{ticket}\n")
    web.get(f"{TICKETS}/json".replace("{appid}", COMPONENT.appid), payload={"data": {"ticket": ticket}})
    api = ComponentApi(replace(COMPONENT, verify_ticket=origin), route, secrets, clock=clock)
    await api.authorizers()
    assert platform.bodies(TOKEN) == [{"component_appsecret": "secret-7", "component_verify_ticket": ticket}]


@pytest.mark.parametrize("component", [replace(COMPONENT, secret=None), replace(COMPONENT, verify_ticket=None)])
async def test_platform_without_credentials(
    platform: Platform, route: Route, secrets: Secrets, clock: FakeClock, component: Component
) -> None:
    api = ComponentApi(component, route, secrets, clock=clock)
    error = the_one(await log_in(api, route, clock, [account_of(0)]))
    assert error.hint == (
        "the platform agency has no way to its token: give it an `access_token`, or a `secret` and a `verify_ticket`"
    )
    assert platform.calls == []


async def test_no_ticket(platform: Platform, route: Route, secrets: Secrets, clock: FakeClock, tmp_path: Path) -> None:
    component = replace(COMPONENT, verify_ticket=FromFile(tmp_path / "gone"))
    api = ComponentApi(component, route, secrets, clock=clock)
    error = the_one(await log_in(api, route, clock, map(account_of, range(5))))
    assert "gone can't be read" in error.hint
    assert platform.calls == []


# What an account is


async def test_authorizer(platform: Platform, api: ComponentApi) -> None:
    """A mini program is recognised by a key that only its answer has."""
    platform.scripted[ONE] = [
        {"authorizer_info": {"nick_name": "Acme 鞋", "service_type_info": {"id": 2}}},
        {"authorizer_info": {"nick_name": "Acme 小程序", "MiniProgramInfo": {"network": {}}}},
    ]
    assert [await api.authorizer(appid_of(number)) for number in (0, 1)] == [
        Authorizer("agency", "Acme 鞋"),
        Authorizer("agency", "Acme 小程序", mini_program=True),
    ]


@pytest.mark.parametrize("info", [[], "x", {}, {"nick_name": None}, {"nick_name": 5}])
async def test_authorizer_without_a_name(platform: Platform, api: ComponentApi, info: object) -> None:
    platform.scripted[ONE] = [{"authorizer_info": info}]
    with pytest.raises(CallError) as failed:
        await api.authorizer(appid_of(0))
    assert str(failed.value) == "the answer about an authorised account has no nick_name"
    assert failed.value.kind is CallKind.COMPONENT


@pytest.mark.parametrize("about", [None, [], "x", {}, {"authorizer_refresh_token": 5}])
async def test_lookup_without_refresh_token(platform: Platform, api: ComponentApi, about: object) -> None:
    platform.listed[appid_of(0)] = None
    platform.scripted[ONE] = [{"authorizer_info": {}, "authorization_info": about}]
    with pytest.raises(OriginError, match="isn't among those that authorised"):
        await api.grant(account_of(0))


@pytest.mark.parametrize(
    "answer",
    [
        {"authorizer_access_token": "", "expires_in": 7200},
        {"authorizer_access_token": 5, "expires_in": 7200},
        {"authorizer_access_token": "access-7", "expires_in": "7200"},
        {"authorizer_access_token": "access-7"},
        {"expires_in": 7200},
    ],
)
async def test_malformed_token_of_an_account(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock, answer: object
) -> None:
    await api.authorizers()
    platform.scripted[ACCOUNT_TOKEN] = [answer] * MAX_TRIES
    (error,) = await log_in(api, route, clock, [account_of(0)])
    assert isinstance(error, TransientError)
    assert await log_in(api, route, clock, [account_of(1)]) == access(1)


@pytest.mark.parametrize("newer", [None, "", 5, ["x"]])
async def test_no_newer_refresh_token(platform: Platform, api: ComponentApi, newer: object) -> None:
    answer = {"authorizer_access_token": "A", "expires_in": 7200, "authorizer_refresh_token": newer}
    platform.scripted[ACCOUNT_TOKEN] = [answer]
    assert await api.grant(account_of(3)) == Grant(Secret("A"), 7200)
    assert (await api.authorizers()).refresh_tokens[appid_of(3)] == "refresh-3"


# Nothing secret


@pytest.mark.parametrize("name", [TOKEN, LIST, ONE, ACCOUNT_TOKEN])
async def test_errors_show_no_secret(platform: Platform, api: ComponentApi, client: Client, name: str) -> None:
    sent = {
        TOKEN: ("secret-7", "ticket-7"),
        LIST: ("component-token-1",),
        ONE: ("component-token-1",),
        ACCOUNT_TOKEN: ("component-token-1", "refresh-0"),
    }[name]
    platform.scripted[name] = [{"errcode": 99999, "errmsg": f"invalid {' '.join(sent)}"}] * 100
    if name == ONE:
        platform.listed[appid_of(0)] = None
    with pytest.raises(CallError) as failed:
        await client.retrying(lambda: api.grant(account_of(0)))
    assert failed.value.errmsg == f"invalid {' '.join('***' for _ in sent)}"
    assert not [secret for secret in sent if secret in shown(failed.value)]


async def test_repr_of_a_listing(api: ComponentApi) -> None:
    assert "refresh-" not in repr(await api.authorizers())


async def test_cancelled_account_leaves_the_list(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    first = asyncio.create_task(api.grant(account_of(0)))
    others = asyncio.create_task(log_in(api, route, clock, map(account_of, range(1, 5))))
    await platform.seen[LIST].wait()
    first.cancel()
    assert await others == access(1, 2, 3, 4)
    assert platform.asked == {TOKEN: 1, LIST: 2, ACCOUNT_TOKEN: 4}


async def test_traceback_of_a_failed_platform_doesnt_grow(
    platform: Platform, api: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """A platform that fails for thousands of accounts raises an exception of its own to each."""
    platform.scripted[TOKEN] = [{"errcode": 61004, "errmsg": "not registered"}]
    frames = []
    for number in range(1_000):
        (error,) = await log_in(api, route, clock, [account_of(number % 50)])
        assert isinstance(error, CallError)
        frames.append(sum(1 for _ in traceback.walk_tb(error.__traceback__)))
    assert frames[-1] == frames[1]


async def test_postponement_isnt_final(web: Any, client: Client, secrets: Secrets, clock: FakeClock) -> None:
    """A platform whose token server is unresponsive is asked again by the next account once it is back."""
    url = "http://tokens.internal/platform"
    component = replace(COMPONENT, access_token=FromUrl(Secret(url)))
    api = ComponentApi(component, Route(client, [HOST], None, secrets), secrets, clock=clock)
    platform = Platform(web, 1)
    client.breakers.of("the server http://tokens.internal", "").failed(TransientError("no answer"), at_once=True)
    for _ in range(2):
        with pytest.raises(PostponedError):
            await Authorized(account_of(0), api).grant()
    clock.instant += timedelta(seconds=PROBE_EVERY_S)
    web.get(url, body=platform.valid)
    assert (await Authorized(account_of(0), api).grant()).value.get_secret_value()


# Handed over to another process


@pytest.fixture
def other(platform: Platform, route: Route, secrets: Secrets, clock: FakeClock) -> ComponentApi:
    """The platform in another process."""
    return ComponentApi(COMPONENT, route, secrets, clock=clock)


async def test_handover(
    platform: Platform, api: ComponentApi, other: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """The other process needs neither the platform's token nor its list; it gets no other account's refresh token."""
    handover = await api.hand_over([appid_of(3), "wx of nobody"])
    assert (handover.expires_in_s, {*handover.refresh_tokens}) == (7200, {appid_of(3)})
    assert "refresh-3" not in repr(handover)
    assert "component-token-1" not in repr(handover)
    other.take_over(handover)
    assert await log_in(other, route, clock, [account_of(3)]) == access(3)
    assert platform.asked == {TOKEN: 1, LIST: 1, ACCOUNT_TOKEN: 1}


async def test_refresh_token_that_was_handed_over_is_refused(
    platform: Platform, api: ComponentApi, other: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """A newer one is asked for with one call about the account, not with the whole list."""
    other.take_over(await api.hand_over([appid_of(3), appid_of(4)]))
    platform.taken[appid_of(3)] = "newer"
    assert await log_in(other, route, clock, [account_of(3), account_of(4)]) == access(3, 4)
    assert platform.asked == {TOKEN: 1, LIST: 1, ONE: 1, ACCOUNT_TOKEN: 3}


async def test_newer_token_of_the_platform_stays(
    platform: Platform, api: ComponentApi, other: ComponentApi, route: Route, clock: FakeClock
) -> None:
    """The token that was handed over before doesn't take the place of the one that replaced it here."""
    other.take_over(await api.hand_over([appid_of(3)]))
    platform.valid = "component-token-2"
    assert await log_in(other, route, clock, [account_of(3)]) == access(3)
    other.take_over(await api.hand_over([appid_of(4)]))
    assert await log_in(other, route, clock, [account_of(4)]) == access(4)
    assert platform.asked[TOKEN] == 2
