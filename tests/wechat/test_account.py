import asyncio
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses

from collector.days import Window
from collector.errors import TransientError
from collector.model import Account
from collector.wechat.account import MOST_IN_FLIGHT, AccountApi
from collector.wechat.client import TRIES, Client
from collector.wechat.waits import Stop

HOST = "https://wechat.test"
PATH = "/datacube/getusersummary"
WINDOW = Window(date(2026, 11, 17), date(2026, 11, 23))


@pytest.fixture
async def client(stop: Stop) -> AsyncIterator[Client]:
    async with Client.opened([HOST], timeout_s=5, proxy=None, connections=16, stop=stop) as opened:
        yield opened


@pytest.fixture
def web() -> Any:
    with aioresponses() as mocked:
        mocked.post(f"{HOST}/cgi-bin/stable_token", payload={"access_token": "T", "expires_in": 7200}, repeat=True)
        yield mocked


async def test_a_window_is_asked_by_its_first_and_last_day(
    web: Any, client: Client, account: Account, stop: Stop, clock: Any
) -> None:
    asked = []

    def answer(url: object, **kwargs: Any) -> CallbackResult:
        asked.append(kwargs["json"])
        return CallbackResult(payload={"list": [{"ref_date": "2026-11-23"}]})

    web.post(f"{HOST}{PATH}?access_token=T", callback=answer)
    rows = await AccountApi(account, client, stop=stop, clock=clock).rows(PATH, WINDOW)
    assert rows == [{"ref_date": "2026-11-23"}]
    assert asked == [{"begin_date": "2026-11-17", "end_date": "2026-11-23"}]


@pytest.mark.parametrize("value", [{}, "rows", 5, True])
async def test_a_list_that_is_none_is_tried_again_and_then_fails(
    web: Any, client: Client, account: Account, stop: Stop, clock: Any, value: object
) -> None:
    web.post(f"{HOST}{PATH}?access_token=T", payload={"list": value}, repeat=True)
    with pytest.raises(TransientError, match="isn't a list"):
        await AccountApi(account, client, stop=stop, clock=clock).rows(PATH, WINDOW)
    assert client.calls == TRIES


async def test_no_more_than_four_calls_are_in_flight(
    web: Any, client: Client, account: Account, stop: Stop, clock: Any
) -> None:
    in_flight: list[int] = [0]
    most = 0

    async def answer(url: object, **kwargs: Any) -> CallbackResult:
        nonlocal most
        in_flight[0] += 1
        most = max(most, in_flight[0])
        await asyncio.sleep(0.02)
        in_flight[0] -= 1
        return CallbackResult(payload={"list": []})

    web.post(f"{HOST}{PATH}?access_token=T", callback=answer, repeat=True)
    api = AccountApi(account, client, stop=stop, clock=clock)
    await asyncio.gather(*(api.rows(PATH, WINDOW) for _ in range(12)))
    assert most == MOST_IN_FLIGHT
