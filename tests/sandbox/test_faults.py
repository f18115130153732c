import asyncio
from collections import Counter
from datetime import UTC, date, datetime, time
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox.caller import CUMULATE, OLD, SUMMARY, WORLD, Caller, refusal, serve
from support import FakeClock

from collector.sandbox import Fault, Faults, World

APPID = WORLD.accounts[0].appid
TOKEN_CALL = "/cgi-bin/stable_token"
WINDOW = ("2026-11-22", "2026-11-23")
DATA_FAULTS = {Fault.LIST_NULL, Fault.TOKEN_REVOKED, Fault.TOKEN_STUCK, Fault.DAILY_QUOTA, Fault.MINUTE_QUOTA}


def only(fault: str, rate: float = 1.0) -> Faults:
    return Faults(**{fault: rate})  # type: ignore[arg-type] # the name of a rate


async def raw(caller: Caller) -> tuple[int, str, bytes]:
    """Return the status, content type and body of a token call."""
    account = caller.account
    body = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
    async with caller.session.post(TOKEN_CALL, json=body) as response:
        return response.status, response.headers["Content-Type"], await response.read()


async def test_system_error_is_minus_one() -> None:
    async with serve(faults=only("system_error")) as caller:
        assert refusal(await caller.stable()) == (-1, "system error")


@pytest.mark.parametrize(("fault", "status"), [("http_5xx", 502), ("html", 200)])
async def test_gateway_answers_with_a_page(fault: str, status: int) -> None:
    async with serve(faults=only(fault)) as caller:
        seen, content_type, body = await raw(caller)
    assert (seen, content_type) == (status, "text/html")
    assert body.startswith(b"<html>")


async def test_reset_ends_without_an_answer() -> None:
    async with serve(faults=only("reset")) as caller:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await raw(caller)


async def test_cut_body_ends_in_the_middle() -> None:
    async with serve(faults=only("cut_body")) as caller:
        with pytest.raises(aiohttp.ClientPayloadError):
            await raw(caller)


async def test_hanging_call() -> None:
    """The call ends when the client gives up."""
    async with serve(faults=only("hang")) as caller:
        idle = len(asyncio.all_tasks())
        with pytest.raises(TimeoutError):
            async with caller.session.post(TOKEN_CALL, json={"appid": APPID}, timeout=aiohttp.ClientTimeout(total=0.5)):
                pass
        assert [call.status for call in caller.sandbox.calls] == [None]
        async with asyncio.timeout(2):
            while len(asyncio.all_tasks()) > idle:  # noqa: ASYNC110 # nobody tells when a server's task ends
                await asyncio.sleep(0)


@pytest.mark.parametrize(("fault", "errcode"), [("daily_quota", 45009), ("minute_quota", 45011)])
async def test_quotas_at_any_data_call(fault: str, errcode: int) -> None:
    async with serve(faults=only(fault)) as caller:
        assert await caller.errcode(SUMMARY, await caller.token()) == errcode


async def test_list_can_be_null() -> None:
    async with serve(faults=only("list_null")) as caller:
        assert await caller.data(SUMMARY, await caller.token()) == {"list": None}


async def test_token_revoked() -> None:
    """The stable call returns another token."""
    async with serve(faults=only("token_revoked")) as caller:
        first = await caller.token()
        assert await caller.errcode(SUMMARY, first) == 40001
        assert await caller.token() != first


async def test_token_stuck() -> None:
    """The stable call returns the dead token until forced."""
    async with serve(faults=only("token_stuck")) as caller:
        first = await caller.token()
        assert await caller.errcode(SUMMARY, first) == 40001
        assert await caller.token() == first
        forced = (await caller.stable(force_refresh=True))["access_token"]
        assert forced != first
        assert await caller.token() == forced


async def test_no_token_to_revoke() -> None:
    async with serve(faults=only("token_revoked")) as caller:
        assert refusal(await caller.post(SUMMARY, {"appid": APPID}))[0] == 41001


async def test_no_fault_without_an_account() -> None:
    async with serve(faults=only("system_error")) as caller:
        refused = await caller.stable(appid="wx0000000000000000")
    assert refusal(refused)[0] == 40013


@given(st.integers(0, 2**32), st.sampled_from(Fault), st.integers(1, 1000))
def test_rates_of_one_and_zero(seed: int, fault: Fault, nth: int) -> None:
    always = Faults(seed=seed, **{fault.value: 1.0})  # type: ignore[arg-type] # the name of a rate
    assert always.draw(APPID, SUMMARY, nth, data_call=True) is fault
    assert always.draw(APPID, TOKEN_CALL, nth, data_call=False) is (None if fault in DATA_FAULTS else fault)
    assert Faults(seed=seed).draw(APPID, SUMMARY, nth, data_call=True) is None


def test_faults_come_at_their_rates() -> None:
    faults = Faults(reset=0.1, html=0.2)
    drawn = Counter(faults.draw(APPID, SUMMARY, nth, data_call=True) for nth in range(5000))
    shares = {fault: count / 5000 for fault, count in drawn.items()}
    assert shares == pytest.approx({None: 0.7, Fault.RESET: 0.1, Fault.HTML: 0.2}, abs=0.03)


@pytest.mark.parametrize("other", [{"seed": 1}, {"appid": WORLD.accounts[1].appid}, {"path": CUMULATE}])
def test_faults_follow_from_their_key(other: dict[str, Any]) -> None:
    """The key is seed, account, path and count."""

    def sequence(seed: int = 0, appid: str = APPID, path: str = SUMMARY) -> list[Fault | None]:
        faults = Faults(seed=seed, reset=0.3, html=0.3)
        return [faults.draw(appid, path, nth, data_call=True) for nth in range(50)]

    assert sequence() == sequence()
    assert sequence() != sequence(**other)


async def test_same_calls_same_faults() -> None:
    async def met() -> list[Any]:
        async with serve(faults=Faults(seed=5, list_null=0.3, daily_quota=0.3)) as caller:
            token = await caller.token()
            for _ in range(20):
                await caller.data(SUMMARY, token)
            return [call.fault for call in caller.sandbox.calls[1:]]

    first = await met()
    assert first == await met()
    assert set(first) == {None, Fault.LIST_NULL, Fault.DAILY_QUOTA}


def test_rates_above_one_are_an_error() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        Faults(reset=0.6, html=0.6)


@pytest.mark.parametrize("errcode", [40164, 40125, 40243])
async def test_broken_account_at_token_calls(errcode: int) -> None:
    async with serve(faults=Faults(broken={APPID: errcode})) as caller:
        broken = await caller.stable(), await caller.classic()
        healthy = await caller.token(WORLD.accounts[1])
        assert await caller.errcode(SUMMARY, healthy) == 0
    assert [refusal(answer)[0] for answer in broken] == [errcode, errcode]


async def test_refused_ip_is_named() -> None:
    async with serve(faults=Faults(broken={APPID: 40164})) as caller:
        text = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"
        assert refusal(await caller.stable()) == (40164, text)


@pytest.mark.parametrize("faults", [Faults(broken={APPID: 48001}), Faults(broken_data={APPID: 40164})])
async def test_broken_account_at_data_calls(faults: Faults) -> None:
    (errcode,) = (*faults.broken.values(), *faults.broken_data.values())
    async with serve(faults=faults) as caller:
        mine, other = [await caller.token(account) for account in WORLD.accounts[:2]]
        assert [await caller.errcode(path, mine) for path in (SUMMARY, CUMULATE)] == [errcode, errcode]
        assert await caller.errcode(SUMMARY, other) == 0


async def test_errcode_without_a_text() -> None:
    async with serve(faults=Faults(broken={APPID: 99999})) as caller:
        assert refusal(await caller.data(SUMMARY, await caller.token())) == (99999, "error")


async def test_late_yesterday(clock: FakeClock) -> None:
    """The list stops short, or 61503 says so; older days aren't touched."""
    world = World(size=30)
    async with serve(world, clock=clock.now, faults=Faults(late_yesterday=1.0, late_until=time(11))) as caller:
        tokens = [await caller.token(account) for account in world.accounts]
        answers = [await caller.data(CUMULATE, token, WINDOW) for token in tokens]
        clock.instant = datetime(2026, 11, 24, 3, tzinfo=UTC)  # 11:00 in Beijing
        punctual = [await caller.data(CUMULATE, token, WINDOW) for token in tokens]
    seen = Counter(answer.get("errcode") or answer["list"][-1]["ref_date"] for answer in answers)
    assert seen.keys() == {61503, "2026-11-22"}
    assert seen["2026-11-22"] > 2 * seen[61503]
    assert {answer["list"][-1]["ref_date"] for answer in punctual} == {"2026-11-23"}


async def test_only_yesterday_is_late(clock: FakeClock) -> None:
    async with serve(clock=clock.now, faults=Faults(late_yesterday=1.0)) as caller:
        token = await caller.token()
        answers = [await caller.data(CUMULATE, token, days) for days in (OLD, ("2026-11-20", "2026-11-22"))]
    assert [answer["list"][-1]["ref_date"] for answer in answers] == ["2026-10-07", "2026-11-22"]


def test_late_by_account_and_dataset() -> None:
    faults, yesterday = Faults(late_yesterday=0.5), date(2026, 11, 23)
    late = {
        tuple(faults.late(account.appid, path, yesterday) is None for path in (SUMMARY, CUMULATE))
        for account in World(size=40).accounts
    }
    assert late == {(True, True), (True, False), (False, True), (False, False)}


async def test_late_day_asked_again(clock: FakeClock) -> None:
    async with serve(World(size=20), clock=clock.now, faults=Faults(late_yesterday=0.5)) as caller:
        tokens = [await caller.token(account) for account in caller.sandbox.world.accounts]
        first, second = [[await caller.errcode(CUMULATE, token, WINDOW) for token in tokens] for _ in range(2)]
    assert first == second
