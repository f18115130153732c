from datetime import timedelta
from typing import Any

import pytest
from sandbox.caller import SUMMARY, WORLD, Caller, refusal, serve
from support import FakeClock

from collector.sandbox import Faults, World

FOLDER = "/cgi-bin/component"
COMPONENT = WORLD.component
ACCOUNT = WORLD.accounts[1]
LOGIN = {
    "component_appid": COMPONENT.appid,
    "component_appsecret": COMPONENT.secret,
    "component_verify_ticket": COMPONENT.verify_ticket,
}
REFRESH = {"authorizer_appid": ACCOUNT.appid, "authorizer_refresh_token": WORLD.refresh_token(ACCOUNT.appid)}


async def login(caller: Caller) -> str:
    answer = await caller.post(f"{FOLDER}/api_component_token", LOGIN)
    assert answer["expires_in"] == 7200
    return str(answer["component_access_token"])


async def ask(caller: Caller, call: str, token: str, **fields: object) -> Any:
    body = {"component_appid": COMPONENT.appid, **fields}
    return await caller.post(f"{FOLDER}/{call}", body, component_access_token=token)


async def test_an_authorizer_token_opens_the_datasets() -> None:
    async with serve() as caller:
        answer = await ask(caller, "api_authorizer_token", await login(caller), **REFRESH)
        token = answer.pop("authorizer_access_token")
        assert answer == {"expires_in": 7200, "authorizer_refresh_token": REFRESH["authorizer_refresh_token"]}
        assert await caller.errcode(SUMMARY, token) == 0
        assert caller.sandbox.calls[-1].appid == ACCOUNT.appid


async def test_an_authorizer_token_needs_no_secret_of_the_account() -> None:
    async with serve(faults=Faults(broken={ACCOUNT.appid: 40243})) as caller:
        answer = await ask(caller, "api_authorizer_token", await login(caller), **REFRESH)
        assert await caller.errcode(SUMMARY, answer["authorizer_access_token"]) == 0


@pytest.mark.parametrize(
    ("field", "errcode"),
    [("component_appid", 61011), ("component_appsecret", 40125), ("component_verify_ticket", 61006)],
)
async def test_the_component_token_wants_all_its_credentials(field: str, errcode: int) -> None:
    async with serve() as caller:
        assert refusal(await caller.post(f"{FOLDER}/api_component_token", {**LOGIN, field: "x"}))[0] == errcode


async def test_the_list_comes_in_pages() -> None:
    world = World(seed=7, size=5)
    async with serve(world) as caller:
        token = await login(caller)
        pages = [await ask(caller, "api_get_authorizer_list", token, offset=offset, count=3) for offset in (0, 3, 6)]
    assert [page["total_count"] for page in pages] == [5, 5, 5]
    assert [[row["authorizer_appid"] for row in page["list"]] for page in pages] == [
        [account.appid for account in world.accounts[:3]],
        [account.appid for account in world.accounts[3:]],
        [],
    ]
    assert pages[0]["list"][1] == {
        "authorizer_appid": ACCOUNT.appid,
        "refresh_token": REFRESH["authorizer_refresh_token"],
        "auth_time": 1_500_000_000,
    }


@pytest.mark.parametrize(("offset", "count"), [(0, 501), (0, 0), (-1, 1), (0, None), ("0", 1)])
async def test_a_page_has_1_to_500_accounts(offset: object, count: object) -> None:
    async with serve() as caller:
        answer = await ask(caller, "api_get_authorizer_list", await login(caller), offset=offset, count=count)
    assert refusal(answer)[0] == 61451


async def test_the_one_account_says_what_was_granted() -> None:
    async with serve() as caller:
        answer = await ask(caller, "api_get_authorizer_info", await login(caller), authorizer_appid=ACCOUNT.appid)
    assert answer == {
        "authorizer_info": {
            "nick_name": ACCOUNT.name,
            "service_type_info": {"id": 2},
            "verify_type_info": {"id": 0},
        },
        "authorization_info": {
            **REFRESH,
            "func_info": [{"funcscope_category": {"id": 2}}],
        },
    }


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"authorizer_appid": "wx0000000000000000"}, 61003),
        ({"authorizer_refresh_token": "x"}, 61023),
        ({"component_appid": "x"}, 61011),
    ],
)
async def test_a_wrong_authorization_is_refused(fields: dict[str, str], errcode: int) -> None:
    async with serve() as caller:
        answer = await ask(caller, "api_authorizer_token", await login(caller), **{**REFRESH, **fields})
    assert refusal(answer)[0] == errcode


async def test_component_and_account_tokens_do_not_open_each_others_calls() -> None:
    async with serve() as caller:
        account, component = await caller.token(), await login(caller)
        refused = await ask(caller, "api_authorizer_token", account, **REFRESH)
        assert refusal(refused)[0] == 40001
        assert await caller.errcode(SUMMARY, component) == 40001


async def test_a_component_token_replaces_the_one_before_it(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        first, second = await login(caller), await login(caller)
        clock.instant += timedelta(seconds=300)
        answers = [await ask(caller, "api_authorizer_token", token, **REFRESH) for token in (first, second)]
    assert refusal(answers[0])[0] == 40001
    assert "authorizer_access_token" in answers[1]
