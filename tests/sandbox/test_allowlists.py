"""Callers whose IP isn't on an allow-list."""

from collections.abc import Awaitable, Callable

import pytest
from sandbox.caller import CUMULATE, SUMMARY, WORLD, Caller, refusal, serve

from collector.sandbox import Faults

REFUSED, ALLOWED = (account.appid for account in WORLD.accounts[:2])
NAT = ("203.0.113.7", "203.0.113.8", "203.0.113.9")
RECORDED = "invalid ip {0} ipv6 ::ffff:{0}, not in whitelist"


async def test_token_calls_name_the_address() -> None:
    async with serve(faults=Faults(refused_ips={REFUSED: ["203.0.113.30"]})) as caller:
        refused = [refusal(await caller.stable()), refusal(await caller.classic())]
        assert await caller.errcode(SUMMARY, await caller.token(WORLD.accounts[1])) == 0
    assert refused == [(40164, RECORDED.format("203.0.113.30"))] * 2


async def test_addresses_take_turns() -> None:
    async with serve(faults=Faults(refused_ips={REFUSED: NAT})) as caller:
        refused = [refusal(await caller.stable())[1] for _ in range(4)]
    assert refused == [RECORDED.format(ip) for ip in (*NAT, NAT[0])]


async def test_accounts_share_the_turn() -> None:
    """Accounts with the same addresses are behind one NAT."""
    refused_ips = {account.appid: list(NAT) for account in WORLD.accounts[:3]}
    async with serve(faults=Faults(refused_ips=refused_ips)) as caller:
        refused = [refusal(await caller.stable(account))[1] for account in WORLD.accounts[:3]]
    assert refused == [RECORDED.format(ip) for ip in NAT]


async def test_ipv6_address_is_unchanged() -> None:
    async with serve(faults=Faults(refused_ips={REFUSED: ["2001:db8::7"]})) as caller:
        text = "invalid ip 2001:db8::7 ipv6 2001:db8::7, not in whitelist"
        assert refusal(await caller.stable()) == (40164, text)


async def test_no_addresses_refuse_nobody() -> None:
    async with serve(faults=Faults(refused_ips={REFUSED: []})) as caller:
        assert await caller.errcode(SUMMARY, await caller.token()) == 0


async def of_component(caller: Caller) -> str:
    return str((await caller.authorizer(await caller.component_token(), REFUSED))["authorizer_access_token"])


async def of_server(caller: Caller) -> str:
    status, body = await caller.serve_token(f"/tokens/{REFUSED}/plain")
    assert status == 200
    return body.decode().strip()


@pytest.mark.parametrize("token_of", [of_component, of_server])
async def test_data_calls_are_refused(
    token_of: Callable[[Caller], Awaitable[str]],
) -> None:
    """Tokens of other sources are refused at the data calls."""
    async with serve(faults=Faults(refused_ips={REFUSED: NAT})) as caller:
        token = await token_of(caller)
        refused = [refusal(await caller.data(path, token)) for path in (SUMMARY, CUMULATE)]
    assert refused == [(40164, RECORDED.format(ip)) for ip in NAT[:2]]


async def test_component_calls_are_refused() -> None:
    async with serve(faults=Faults(refused_ips={WORLD.component.appid: NAT})) as caller:
        answers = [
            await caller.log_in(),
            await caller.listed("x"),
            await caller.info("x", ALLOWED),
            await caller.authorizer("x", ALLOWED, WORLD.refresh_token(ALLOWED)),
        ]
    expected = [(61004, f"access clientip is not registered requestIP: {ip}") for ip in (*NAT, NAT[0])]
    assert [refusal(answer) for answer in answers] == expected
