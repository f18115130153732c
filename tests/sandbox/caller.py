"""A client of a sandbox over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from collector.sandbox import Sandbox, SandboxAccount, World

WORLD = World(seed=7, size=4)
SUMMARY = "/datacube/getusersummary"
CUMULATE = "/datacube/getusercumulate"
OLD = ("2026-10-01", "2026-10-07")
COMPONENT_FOLDER = "/cgi-bin/component"

_ERRMSG = re.compile(r"(.+) rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}")


class Caller:
    """One client of one sandbox; `account` is the first of its world."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.account = sandbox.world.accounts[0]

    async def get(self, path: str, **query: str) -> Any:
        async with self.session.get(path, params=query) as response:
            return orjson.loads(await response.read())

    async def serve_token(self, path: str, key: str | None = None, method: str = "GET") -> tuple[int, bytes]:
        """Return the status and body of a token server's answer; without `key` with the right one."""
        headers = {"Authorization": f"Bearer {key or self.sandbox.world.token_server_key}"}
        async with self.session.request(method, path, headers=headers) as response:
            return response.status, await response.read()

    async def post(self, path: str, body: object = b"", **query: str) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.session.post(path, data=data, params=query) as response:
            return orjson.loads(await response.read())

    async def stable(self, account: SandboxAccount | None = None, /, **fields: object) -> Any:
        account = account or self.account
        credentials = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
        return await self.post("/cgi-bin/stable_token", {**credentials, **fields})

    async def classic(self, **query: str) -> Any:
        credentials = {"grant_type": "client_credential", "appid": self.account.appid, "secret": self.account.secret}
        return await self.get("/cgi-bin/token", **{**credentials, **query})

    async def token(self, account: SandboxAccount | None = None) -> str:
        return str((await self.stable(account))["access_token"])

    async def log_in(self, **fields: object) -> Any:
        """The answer to the component's login."""
        component = self.sandbox.world.component
        credentials = {
            "component_appid": component.appid,
            "component_appsecret": component.secret,
            "component_verify_ticket": component.verify_ticket,
        }
        return await self.post(f"{COMPONENT_FOLDER}/api_component_token", {**credentials, **fields})

    async def component_token(self) -> str:
        return str((await self.log_in())["component_access_token"])

    async def component(self, call: str, token: str, **fields: object) -> Any:
        """The answer to another call of the component."""
        body = {"component_appid": self.sandbox.world.component.appid, **fields}
        return await self.post(f"{COMPONENT_FOLDER}/{call}", body, component_access_token=token)

    async def listed(self, token: str, offset: int = 0, count: int = 500) -> Any:
        """One page of the authorised accounts."""
        return await self.component("api_get_authorizer_list", token, offset=offset, count=count)

    async def info(self, token: str, appid: str) -> Any:
        """Return the info of an authorised account."""
        return await self.component("api_get_authorizer_info", token, authorizer_appid=appid)

    async def authorizer(self, token: str, appid: str, refresh_token: str | None = None) -> Any:
        """The answer to the call for an account's token; without `refresh_token` with the valid one."""
        refresh_token = refresh_token or self.sandbox.refresh_token(appid)
        fields = {"authorizer_appid": appid, "authorizer_refresh_token": refresh_token}
        return await self.component("api_authorizer_token", token, **fields)

    async def data(self, path: str, token: str, days: tuple[str, str] = OLD) -> Any:
        return await self.post(path, {"begin_date": days[0], "end_date": days[1]}, access_token=token)

    async def errcode(self, path: str, token: str, days: tuple[str, str] = OLD) -> int:
        """The errcode of a data call; 0 when it gave a list."""
        answer = await self.data(path, token, days)
        return 0 if "list" in answer else refusal(answer)[0]


@asynccontextmanager
async def serve(world: World = WORLD, **options: Any) -> AsyncIterator[Caller]:
    """A client of a sandbox that serves `world`."""
    async with Sandbox(world, **options) as sandbox, aiohttp.ClientSession(sandbox.url) as session:
        yield Caller(sandbox, session)


def refusal(answer: dict[str, Any]) -> tuple[int, str]:
    """Return the errcode and the text of a refusal, and check its form."""
    assert answer.keys() == {"errcode", "errmsg"}
    match = _ERRMSG.fullmatch(answer["errmsg"])
    assert match
    return answer["errcode"], match[1]
