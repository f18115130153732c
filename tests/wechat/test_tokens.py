import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from support import FakeClock

from collector.errors import ApiError, CallError, CallKind, Reaction
from collector.model import Account, TokenKind
from collector.wechat.client import Client
from collector.wechat.errcodes import ROTATING_HINT, api_error
from collector.wechat.tokens import Tokens
from collector.wechat.waits import Stop

HOST = "https://wechat.test"
STABLE = f"{HOST}/cgi-bin/stable_token"
REFUSAL = {"errcode": 40001, "errmsg": "invalid credential"}


@pytest.fixture
async def client(stop: Stop) -> AsyncIterator[Client]:
    async with Client.opened([HOST], timeout_s=5, proxy=None, connections=4, stop=stop) as opened:
        yield opened


class StableCall:
    """WeChat's stable call: gives `tokens` in order, the last one for ever, and notes what it was asked."""

    def __init__(self, *tokens: str, expires_in: Any = 7200) -> None:
        self.tokens = list(tokens)
        self.expires_in = expires_in
        self.asked: list[bool] = []

    def __call__(self, url: object, **kwargs: Any) -> CallbackResult:
        self.asked.append(kwargs["json"]["force_refresh"])
        token = self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]
        return CallbackResult(payload={"access_token": token, "expires_in": self.expires_in})


@pytest.fixture
def web() -> Any:
    with aioresponses() as mocked:
        yield mocked


def _refusal() -> ApiError:
    return api_error(40001, "invalid credential", CallKind.DATA)


async def test_many_calls_at_once_ask_for_one_token(web: Any, client: Client, account: Account, clock: Any) -> None:
    call = StableCall("T1")
    web.post(STABLE, callback=call, repeat=True)
    tokens = Tokens(account, client, clock=clock)
    got = await asyncio.gather(*(tokens.get() for _ in range(10)))
    assert {token.value.get_secret_value() for token in got} == {"T1"}
    assert call.asked == [False]
    assert client.token_calls == 1


async def test_the_classic_call_is_a_get_with_the_secret_in_its_query(
    web: Any, client: Client, account: Account, clock: Any
) -> None:
    query = f"appid={account.appid}&grant_type=client_credential&secret=s3cret-of-acme"
    web.get(f"{HOST}/cgi-bin/token?{query}", payload={"access_token": "C1", "expires_in": 7200})
    token = await Tokens(replace(account, token=TokenKind.CLASSIC), client, clock=clock).get()
    assert token.value.get_secret_value() == "C1"


async def test_a_token_near_its_end_is_renewed_but_at_most_every_ten_seconds(
    web: Any, client: Client, account: Account, clock: FakeClock
) -> None:
    call = StableCall("T1", "T2", "T3", expires_in=345)
    web.post(STABLE, callback=call, repeat=True)
    tokens = Tokens(account, client, clock=clock)
    await tokens.get()
    await clock.sleep(345 - 61)
    assert (await tokens.get()).value.get_secret_value() == "T1"
    await clock.sleep(2)
    call.expires_in = 30  # the same token goes on to its end
    assert (await tokens.get()).value.get_secret_value() == "T2"
    await clock.sleep(9)
    assert (await tokens.get()).value.get_secret_value() == "T2"
    await clock.sleep(1)
    assert (await tokens.get()).value.get_secret_value() == "T3"
    assert call.asked == [False] * 3


async def test_calls_refused_together_ask_the_source_once(
    web: Any, client: Client, account: Account, clock: Any
) -> None:
    call = StableCall("T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    tokens = Tokens(account, client, clock=clock)
    first = await tokens.get()
    newer = await asyncio.gather(*(tokens.after_refusal(first, _refusal()) for _ in range(4)))
    assert {token.value.get_secret_value() for token in newer} == {"T2"}
    assert call.asked == [False, False]


async def test_the_refused_token_given_again_is_forced_once(
    web: Any, client: Client, account: Account, clock: Any
) -> None:
    call = StableCall("T1", "T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    tokens = Tokens(account, client, clock=clock)
    newer = await tokens.after_refusal(await tokens.get(), _refusal())
    assert newer.value.get_secret_value() == "T2"
    assert call.asked == [False, False, True]


async def test_a_new_token_refused_at_once_fails_the_account(
    web: Any, client: Client, account: Account, clock: Any
) -> None:
    call = StableCall("T1", "T2")
    web.post(STABLE, callback=call, repeat=True)
    tokens = Tokens(account, client, clock=clock)
    first = await tokens.get()
    tokens.worked(first)
    second = await tokens.after_refusal(first, _refusal())
    tokens.worked(first)  # an answer that was under way when the token was replaced says nothing of the new one
    with pytest.raises(ApiError) as failed:
        await tokens.after_refusal(second, _refusal())
    assert failed.value.hint == ROTATING_HINT
    assert failed.value.reaction is Reaction.REFRESH
    assert call.asked == [False, False]


async def test_a_token_that_worked_may_be_refused_three_times_a_run(
    web: Any, client: Client, account: Account, clock: Any
) -> None:
    call = StableCall("T1", "T2", "T3", "T4", "T5")
    web.post(STABLE, callback=call, repeat=True)
    tokens = Tokens(account, client, clock=clock)
    token = await tokens.get()
    for _ in range(3):
        tokens.worked(token)
        token = await tokens.after_refusal(token, _refusal())
    tokens.worked(token)
    with pytest.raises(ApiError):
        await tokens.after_refusal(token, _refusal())


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "", "expires_in": 7200},
        {"access_token": 5, "expires_in": 7200},
        {"access_token": "T", "expires_in": "7200"},
        {"access_token": "T", "expires_in": True},
        {"access_token": "T"},
    ],
)
async def test_an_answer_that_is_no_token_fails_plainly(
    web: Any, client: Client, account: Account, clock: Any, answer: dict[str, object]
) -> None:
    web.post(STABLE, payload=answer, repeat=True)
    with pytest.raises(CallError, match="lacks access_token or expires_in") as failed:
        await Tokens(account, client, clock=clock).get()
    assert failed.value.kind is CallKind.TOKEN


async def test_a_wrong_secret_is_asked_once_and_no_more(web: Any, client: Client, account: Account, clock: Any) -> None:
    web.post(STABLE, payload=REFUSAL, repeat=True)
    with pytest.raises(ApiError) as failed:
        await Tokens(account, client, clock=clock).get()
    assert failed.value.reaction is Reaction.ACCOUNT
    assert client.token_calls == 1
