"""wechatpy, a client of the platform that others wrote, takes the sandbox for WeChat."""

import asyncio
import sys
from datetime import date
from types import ModuleType
from typing import Any

import pytest
from sandbox.caller import WORLD, serve
from support import FakeClock

# wechatpy 1.8 calls a method of its own that it has marked as deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:`_post` method of `WeChatClient` is deprecated:DeprecationWarning")


def fetch(url: str, monkeypatch: pytest.MonkeyPatch, begin: str, end: str) -> tuple[Any, Any, Any]:
    """What wechatpy gets from `url`: the answer to its token call, and the lists of both datasets."""
    crypto = ModuleType("wechatpy.crypto")  # for messages and payments alone, and it wants another library
    vars(crypto).update(WeChatCrypto=None, WeChatRefundCrypto=None)
    monkeypatch.setitem(sys.modules, crypto.__name__, crypto)
    from wechatpy import WeChatClient  # noqa: PLC0415 # once its crypto is out of the way
    from wechatpy.client.api import WeChatDataCube  # noqa: PLC0415 # as above

    class Client(WeChatClient):  # type: ignore[misc] # it carries no types
        API_BASE_URL = f"{url}/cgi-bin/"

        def fetch_access_token(self) -> Any:
            params = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
            return self._fetch_access_token(f"{self.API_BASE_URL}token", params)  # its own has the address in it

    monkeypatch.setattr(WeChatDataCube, "API_BASE_URL", f"{url}/datacube/")
    client = Client(WORLD.accounts[0].appid, WORLD.accounts[0].secret)
    client._http.trust_env = False  # no proxy of this machine
    with client._http:
        token = client.fetch_access_token()
        return token, client.datacube.get_user_summary(begin, end), client.datacube.get_user_cumulate(begin, end)


async def test_wechatpy_gets_a_token_and_both_datasets(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(clock=clock.now) as caller:
        token, summary, cumulate = await asyncio.to_thread(
            fetch, caller.sandbox.url, monkeypatch, "2026-11-17", "2026-11-23"
        )
        paths = [(call.path, call.errcode) for call in caller.sandbox.calls]
    truths = [WORLD.truth(WORLD.accounts[0].appid, date(2026, 11, day)) for day in range(17, 24)]
    assert token["expires_in"] == 7200
    assert summary == [row for truth in truths for row in truth.rows]
    assert [row["cumulate_user"] for row in cumulate] == [truth.cumulate_user for truth in truths]
    assert paths == [("/cgi-bin/token", 0), ("/datacube/getusersummary", 0), ("/datacube/getusercumulate", 0)]
