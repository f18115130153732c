"""The token server beside WeChat: tokens that others look after."""

from datetime import timedelta
from typing import Any

import aiohttp
import orjson
import pytest
from sandbox.caller import CUMULATE, SUMMARY, WORLD, Caller, refusal, serve
from support import FakeClock

from collector.sandbox import Call, Fault, Faults, Limits, TokenServerFault, World

APPID = WORLD.accounts[0].appid
COMPONENT = WORLD.component.appid
PATH = f"/tokens/{APPID}"
PATHS = [PATH, f"{PATH}/plain", "/component-token", "/component-ticket"]


def spoilt(fault: TokenServerFault, appid: str = APPID) -> Faults:
    return Faults(token_server={appid: fault})


async def served(caller: Caller, path: str) -> dict[str, Any]:
    """The JSON of a good answer."""
    status, body = await caller.serve_token(path)
    assert status == 200
    answer = orjson.loads(body)
    assert isinstance(answer, dict)
    return answer


async def plain(caller: Caller) -> str:
    status, body = await caller.serve_token(f"{PATH}/plain")
    assert status == 200
    return body.decode()


async def test_token_opens_the_datasets(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        answer = await served(caller, PATH)
        token = answer["data"].pop("access_token")
        assert answer == {"code": 0, "data": {"expires_in": 7200}}
        assert [await caller.errcode(path, token) for path in (SUMMARY, CUMULATE)] == [0, 0]
        assert caller.sandbox.calls[-1].appid == APPID


async def test_plain_token_and_a_newline() -> None:
    async with serve() as caller:
        assert await plain(caller) == (await served(caller, PATH))["data"]["access_token"] + "\n"


async def test_same_token_until_its_end(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        first = (await served(caller, PATH))["data"]
        clock.instant += timedelta(seconds=7199)
        last = (await served(caller, PATH))["data"]
        clock.instant += timedelta(seconds=0.5)
        renewed = (await served(caller, PATH))["data"]
    assert last == {**first, "expires_in": 1}
    assert renewed["access_token"] != first["access_token"]
    assert renewed["expires_in"] == 7200


async def test_tokens_by_account() -> None:
    async with serve() as caller:
        paths = [f"/tokens/{account.appid}" for account in WORLD.accounts]
        tokens = {(await served(caller, path))["data"]["access_token"] for path in paths}
        others = {await caller.token(account) for account in WORLD.accounts}
    assert len(tokens | others) == 2 * len(WORLD.accounts)


async def test_other_kinds_dont_end_it(clock: FakeClock) -> None:
    async with serve(clock=clock.now, limits=Limits(classic_grace_s=0)) as caller:
        token = (await served(caller, PATH))["data"]["access_token"]
        await caller.classic()
        await caller.stable(force_refresh=True)
        await caller.authorizer(await caller.component_token(), APPID)
        assert await caller.errcode(SUMMARY, token) == 0


async def test_new_token_after_a_revocation() -> None:
    async with serve(faults=Faults(token_revoked=1.0)) as caller:
        first = (await served(caller, PATH))["data"]["access_token"]
        assert await caller.errcode(SUMMARY, first) == 40001
        assert (await served(caller, PATH))["data"]["access_token"] != first


@pytest.mark.parametrize("path", [PATH, f"{PATH}/plain", "/tokens/wx0000000000000000"])
async def test_key_for_accounts(path: str) -> None:
    """And who hasn't the key learns nothing about which accounts there are."""
    async with serve() as caller:
        wrong = await caller.serve_token(path, "0" * 32)
        async with caller.session.get(path) as response:
            without = response.status, await response.read()
    assert wrong == without == (401, b'{"code":401,"message":"unauthorized"}')


async def test_no_key_for_the_component() -> None:
    async with serve() as caller:
        assert (await caller.get("/component-token"))["code"] == 0
        assert (await caller.get("/component-ticket")).keys() == {"ticket"}


async def test_unknown_account_is_a_404() -> None:
    """A mini program is unknown too."""
    world = World(mini_programs=1)
    async with serve(world) as caller:
        for appid in ("wx0000000000000000", *world.mini_program_appids):
            expected = (404, b'{"code":404,"message":"no such account"}')
            assert await caller.serve_token(f"/tokens/{appid}") == expected


@pytest.mark.parametrize("path", PATHS)
async def test_only_get_is_answered(path: str) -> None:
    async with serve() as caller:
        assert await caller.serve_token(path, method="POST") == (405, b'{"code":405,"message":"use GET"}')


@pytest.mark.parametrize("path", ["/tokens", "/tokens/", f"{PATH}/", f"{PATH}/other", "/component-token/"])
async def test_other_paths_are_not_found(path: str) -> None:
    async with serve() as caller:
        assert await caller.serve_token(path) == (404, b"")


async def test_component_token_is_kept(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        first, second = [await served(caller, "/component-token") for _ in range(2)]
        assert first == second
        assert first["data"]["expires_in"] == 7200
        clock.instant += timedelta(seconds=301)
        assert (await caller.listed(first["data"]["token"]))["total_count"] == 4


async def test_component_token_is_the_latest() -> None:
    async with serve() as caller:
        token = await caller.component_token()
        assert (await served(caller, "/component-token"))["data"]["token"] == token


async def test_component_token_after_its_end() -> None:
    async with serve() as caller:
        old = (await served(caller, "/component-token"))["data"]["token"]
        caller.sandbox.end_component_token()
        new = (await served(caller, "/component-token"))["data"]["token"]
        answers = [await caller.listed(token) for token in (old, new)]
    assert refusal(answers[0])[0] == 40001
    assert answers[1]["total_count"] == 4


async def test_component_token_with_a_stale_ticket() -> None:
    async with serve(faults=Faults(stale_ticket=True)) as caller:
        token = (await served(caller, "/component-token"))["data"]["token"]
        assert (await caller.listed(token))["total_count"] == 4


async def test_ticket_is_the_current_one() -> None:
    async with serve() as caller:
        first = await served(caller, "/component-ticket")
        caller.sandbox.renew_ticket()
        second = await served(caller, "/component-ticket")
        assert first == {"ticket": WORLD.component.verify_ticket}
        assert (await caller.log_in(component_verify_ticket=second["ticket"]))["expires_in"] == 7200


@pytest.mark.parametrize("path", PATHS)
async def test_fault_without_a_body(path: str) -> None:
    faults = Faults(token_server=dict.fromkeys((APPID, COMPONENT), TokenServerFault.EMPTY))
    async with serve(faults=faults) as caller:
        assert await caller.serve_token(path) == (200, b"")


@pytest.mark.parametrize("path", PATHS)
async def test_fault_with_a_sign_in_page(path: str) -> None:
    faults = Faults(token_server=dict.fromkeys((APPID, COMPONENT), TokenServerFault.HTML))
    async with serve(faults=faults) as caller:
        status, body = await caller.serve_token(path)
    assert (status, body[:6]) == (200, b"<html>")


@pytest.mark.parametrize("path", PATHS)
async def test_fault_with_status_500(path: str) -> None:
    faults = Faults(token_server=dict.fromkeys((APPID, COMPONENT), TokenServerFault.ERROR))
    async with serve(faults=faults) as caller:
        assert await caller.serve_token(path) == (500, b'{"code":500,"message":"internal error"}')


async def test_fault_without_an_answer() -> None:
    async with serve(faults=spoilt(TokenServerFault.LATE)) as caller:
        headers = {"Authorization": f"Bearer {WORLD.token_server_key}"}
        with pytest.raises(TimeoutError):
            async with caller.session.get(PATH, headers=headers, timeout=aiohttp.ClientTimeout(total=0.1)):
                pass
        (call,) = caller.sandbox.calls
    assert (call.appid, call.status, call.fault) == (APPID, None, TokenServerFault.LATE)


async def test_fault_of_another_shape() -> None:
    async with serve(faults=spoilt(TokenServerFault.WRONG_PATH)) as caller:
        answer = await served(caller, PATH)
        assert answer.keys() == {"code", "result"}
        assert await caller.errcode(SUMMARY, answer["result"]["value"]) == 0
        assert orjson.loads(await plain(caller)) == answer


async def test_fault_of_an_expired_token() -> None:
    async with serve(faults=spoilt(TokenServerFault.EXPIRED)) as caller:
        data = (await served(caller, PATH))["data"]
        assert data["expires_in"] == 0
        assert await caller.errcode(SUMMARY, data["access_token"]) == 42001
        assert await caller.errcode(SUMMARY, (await plain(caller)).strip()) == 42001


async def test_fault_of_a_stuck_token() -> None:
    async with serve(faults=spoilt(TokenServerFault.STUCK)) as caller:
        first = (await served(caller, PATH))["data"]
        assert await caller.errcode(SUMMARY, first["access_token"]) == 40001
        second = (await served(caller, PATH))["data"]
    assert second["access_token"] == first["access_token"]
    assert min(first["expires_in"], second["expires_in"]) > 7000


async def test_fault_of_a_stuck_component_token() -> None:
    async with serve(faults=spoilt(TokenServerFault.STUCK, COMPONENT)) as caller:
        tokens = [(await served(caller, "/component-token"))["data"]["token"] for _ in range(2)]
        assert refusal(await caller.listed(tokens[0]))[0] == 40001
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("fault", TokenServerFault)
async def test_fault_concerns_one_appid(fault: TokenServerFault) -> None:
    async with serve(faults=spoilt(fault, WORLD.accounts[1].appid)) as caller:
        token = (await served(caller, PATH))["data"]["access_token"]
        assert await caller.errcode(SUMMARY, token) == 0
        assert await caller.errcode(SUMMARY, await caller.token(WORLD.accounts[1])) == 0


def test_fault_names() -> None:
    """A fault of the server isn't WeChat's fault of the same name."""
    faults: list[object] = [*TokenServerFault]
    assert [fault for fault in faults if fault in list(Fault)] == []


async def test_no_faults_of_wechat() -> None:
    async with serve(faults=Faults(html=1.0)) as caller:
        assert (await served(caller, PATH))["code"] == 0


async def test_requests_are_recorded() -> None:
    async with serve(faults=spoilt(TokenServerFault.ERROR)) as caller:
        for path in (*PATHS, "/tokens/wx0000000000000000"):
            await caller.serve_token(path)
        await caller.serve_token(PATH, "wrong")
        calls = caller.sandbox.calls
    seen: list[tuple[str | None, str, int, TokenServerFault | None]] = [
        (APPID, PATH, 500, TokenServerFault.ERROR),
        (APPID, f"{PATH}/plain", 500, TokenServerFault.ERROR),
        (COMPONENT, "/component-token", 200, None),
        (COMPONENT, "/component-ticket", 200, None),
        (None, "/tokens/wx0000000000000000", 404, None),
        (APPID, PATH, 401, None),
    ]
    assert calls == [
        Call(call.arrived_s, appid, path, None, None, status, 0, fault)
        for call, (appid, path, status, fault) in zip(calls, seen, strict=True)
    ]
