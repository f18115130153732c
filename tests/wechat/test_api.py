import asyncio
import re
from datetime import date
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from structlog.testing import capture_logs
from yarl import URL

from collector.errors import TransientError
from collector.model.accounts import Account
from collector.model.days import Window
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.api import MOST_IN_FLIGHT, AccountApi
from collector.wechat.client import TRIES, Client, Route
from collector.wechat.session import Access

HOST = "https://wechat.test"
PATH = "/datacube/getusersummary"
WINDOW = Window(date(2026, 11, 17), date(2026, 11, 23))


@pytest.fixture
def web(web: Any) -> Any:
    """The web with tokens for whoever asks."""
    web.post(f"{HOST}/cgi-bin/stable_token", payload={"access_token": "T", "expires_in": 7200}, repeat=True)
    return web


@pytest.fixture
def api(account: Account, route: Route, secrets: Secrets, stop: Stop, clock: Any) -> AccountApi:
    return AccountApi(account, Access(route, secrets, clock=clock, stop=stop))


async def test_a_window_is_asked_by_its_first_and_last_day(web: Any, api: AccountApi) -> None:
    asked = []

    def answer(url: object, **kwargs: Any) -> CallbackResult:
        asked.append(kwargs["json"])
        return CallbackResult(payload={"list": [{"ref_date": "2026-11-23"}]})

    web.post(f"{HOST}{PATH}?access_token=T", callback=answer)
    rows = await api.rows(PATH, WINDOW)
    assert rows == [{"ref_date": "2026-11-23"}]
    assert asked == [{"begin_date": "2026-11-17", "end_date": "2026-11-23"}]


async def test_a_token_arrives_as_it_was_given_whatever_its_letters(api: AccountApi) -> None:
    token, arrived = "T+/=&%2B#?", []

    def answer(url: URL, **_: Any) -> CallbackResult:
        arrived.append(url.query["access_token"])
        return CallbackResult(payload={"list": []})

    with aioresponses() as web:
        web.post(f"{HOST}/cgi-bin/stable_token", payload={"access_token": token, "expires_in": 7200})
        web.post(re.compile(f"{HOST}{PATH}"), callback=answer, repeat=True)
        for _ in range(2):
            await api.rows(PATH, WINDOW)
    assert arrived == [token, token]


@pytest.mark.parametrize("value", [{}, "rows", 5, True])
async def test_a_list_that_is_none_is_tried_again_and_then_fails(
    web: Any, api: AccountApi, client: Client, value: object
) -> None:
    web.post(f"{HOST}{PATH}?access_token=T", payload={"list": value}, repeat=True)
    with pytest.raises(TransientError, match="isn't a list"):
        await api.rows(PATH, WINDOW)
    assert client.calls == TRIES


async def test_no_more_than_four_calls_are_in_flight(web: Any, api: AccountApi) -> None:
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
    await asyncio.gather(*(api.rows(PATH, WINDOW) for _ in range(12)))
    assert most == MOST_IN_FLIGHT


async def test_a_dataset_isnt_asked_again_and_again_for_want_of_a_token(client: Client, api: AccountApi) -> None:
    with aioresponses() as web:
        web.post(f"{HOST}/cgi-bin/stable_token", status=502, repeat=True)
        failed = await asyncio.gather(*(api.rows(PATH, WINDOW) for _ in range(8)), return_exceptions=True)
    assert {str(error) for error in failed} == {"HTTP 502 instead of an answer"}
    assert (client.calls, client.token_calls, client.retries) == (0, TRIES, TRIES - 1)


async def test_a_call_that_is_repeated_is_named_by_account_path_and_window(
    web: Any, account: Account, api: AccountApi
) -> None:
    url = f"{HOST}{PATH}?access_token=T"
    web.post(url, status=502)
    web.post(url, payload={"list": []})
    with capture_logs() as logs:
        await api.rows(PATH, WINDOW)
    (retried,) = [log for log in logs if log["event"] == "call.retried"]
    assert retried["call"] == f"{account} {PATH} 2026-11-17..2026-11-23"
