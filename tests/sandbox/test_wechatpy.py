"""wechatpy, a client of the platform that others wrote, takes the sandbox for WeChat."""

import asyncio
import sys
from datetime import date
from types import ModuleType
from typing import Any

import pytest
from sandbox.caller import WORLD, serve
from support import FakeClock

from collector.sandbox import World

BEGIN, END = "2026-11-17", "2026-11-23"

# wechatpy 1.8 calls a method of its own that it has marked as deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`_post` method of `WeChatClient` is deprecated:DeprecationWarning")


@pytest.fixture
def wechatpy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, without its crypto: that is for messages and payments alone, and wants another library."""
    crypto = ModuleType("wechatpy.crypto")
    vars(crypto).update(WeChatCrypto=lambda *_: None, WeChatRefundCrypto=None)
    monkeypatch.setitem(sys.modules, crypto.__name__, crypto)
    import wechatpy  # noqa: PLC0415 # once its crypto is out of the way
    import wechatpy.client.api  # noqa: PLC0415 # as above
    import wechatpy.component  # noqa: PLC0415 # as above

    monkeypatch.setattr(wechatpy.component, "WeChatCrypto", vars(crypto)["WeChatCrypto"])  # where it came too late
    return wechatpy


def aim(wechatpy: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all calls of wechatpy go to `url`."""
    monkeypatch.setattr(wechatpy.WeChatClient, "API_BASE_URL", f"{url}/cgi-bin/")
    monkeypatch.setattr(wechatpy.client.api.WeChatDataCube, "API_BASE_URL", f"{url}/datacube/")
    monkeypatch.setattr(wechatpy.component.WeChatComponent, "API_BASE_URL", f"{url}/cgi-bin")


def datasets(client: Any) -> tuple[Any, Any]:
    """The lists of both."""
    client._http.trust_env = False  # no proxy of this machine
    with client._http:
        return client.datacube.get_user_summary(BEGIN, END), client.datacube.get_user_cumulate(BEGIN, END)


def fetch(wechatpy: Any) -> tuple[Any, Any]:
    """Return the token call's answer and both datasets, as wechatpy gets them with an account's secret."""

    class Client(wechatpy.WeChatClient):  # type: ignore[misc] # it carries no types
        def fetch_access_token(self) -> Any:
            params = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
            return self._fetch_access_token(f"{self.API_BASE_URL}token", params)  # its own has the address in it

    client = Client(WORLD.accounts[0].appid, WORLD.accounts[0].secret)
    client._http.trust_env = False
    return client.fetch_access_token(), datasets(client)


def walk(wechatpy: Any, world: World) -> tuple[list[str], tuple[Any, Any]]:
    """Return the appids of the list and the last one's datasets, as wechatpy gets them with the component's secret."""
    secrets = world.component
    component = wechatpy.component.WeChatComponent(secrets.appid, secrets.secret, "", "", auto_retry=False)
    component._http.trust_env = False
    component.session.set("component_verify_ticket", secrets.verify_ticket)
    with component._http:
        pages = [component.get_authorizer_list(offset, 500) for offset in (0, 500, 1000)]
        entries = [entry for page in pages for entry in page["list"]]
        last = entries[-1]
        component.session.set(f"{last['authorizer_appid']}_refresh_token", last["refresh_token"])
        figures = datasets(component.get_client_by_appid(last["authorizer_appid"]))
    return [entry["authorizer_appid"] for entry in entries], figures


def expected(world: World, appid: str) -> tuple[Any, Any]:
    """Both datasets of an account, of summary its rows, of cumulate its totals."""
    truths = [world.truth(appid, date(2026, 11, day)) for day in range(17, 24)]
    return [row for truth in truths for row in truth.rows], [truth.cumulate_user for truth in truths]


async def test_wechatpy_with_a_secret(wechatpy: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(clock=clock.now) as caller:
        aim(wechatpy, caller.sandbox.url, monkeypatch)
        token, (summary, cumulate) = await asyncio.to_thread(fetch, wechatpy)
        paths = [(call.path, call.errcode) for call in caller.sandbox.calls]
    assert token["expires_in"] == 7200
    assert (summary, [row["cumulate_user"] for row in cumulate]) == expected(WORLD, WORLD.accounts[0].appid)
    assert paths == [("/cgi-bin/token", 0), ("/datacube/getusersummary", 0), ("/datacube/getusercumulate", 0)]


async def test_wechatpy_with_a_component(wechatpy: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(size=1200)
    async with serve(world, clock=clock.now) as caller:
        aim(wechatpy, caller.sandbox.url, monkeypatch)
        appids, (summary, cumulate) = await asyncio.to_thread(walk, wechatpy, world)
        paths = [(call.path, call.errcode) for call in caller.sandbox.calls]
    assert appids == list(world.account_of)
    assert (summary, [row["cumulate_user"] for row in cumulate]) == expected(world, appids[-1])
    assert paths == [
        ("/cgi-bin/component/api_component_token", 0),
        *[("/cgi-bin/component/api_get_authorizer_list", 0)] * 3,
        ("/cgi-bin/component/api_authorizer_token", 0),
        ("/datacube/getusersummary", 0),
        ("/datacube/getusercumulate", 0),
    ]
