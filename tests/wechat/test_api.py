import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support import FAST, FakeClock
from yarl import URL

from collector.errors import TransientError
from collector.model.accounts import Account, Secret
from collector.model.days import Window
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.api import AccountApi
from collector.wechat.client import MAX_TRIES, Client
from collector.wechat.routes import Route
from collector.wechat.session import Session

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
    return AccountApi(account, Session(route, secrets, clock=clock, stop=stop))


async def test_window_in_the_body(web: Any, api: AccountApi) -> None:
    asked = []

    def answer(url: object, **kwargs: Any) -> CallbackResult:
        asked.append(kwargs["json"])
        return CallbackResult(payload={"list": [{"ref_date": "2026-11-23"}]})

    web.post(f"{HOST}{PATH}?access_token=T", callback=answer)
    rows = await api.rows(PATH, WINDOW)
    assert rows == [{"ref_date": "2026-11-23"}]
    assert asked == [{"begin_date": "2026-11-17", "end_date": "2026-11-23"}]


async def test_token_is_quoted(api: AccountApi) -> None:
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
async def test_malformed_list_is_retried(web: Any, api: AccountApi, client: Client, value: object) -> None:
    web.post(f"{HOST}{PATH}?access_token=T", payload={"list": value}, repeat=True)
    with pytest.raises(TransientError, match="isn't a list"):
        await api.rows(PATH, WINDOW)
    assert client.calls == MAX_TRIES


async def test_missing_token_isnt_retried_per_call(client: Client, api: AccountApi) -> None:
    with aioresponses() as web:
        web.post(f"{HOST}/cgi-bin/stable_token", status=502, repeat=True)
        failed = await asyncio.gather(*(api.rows(PATH, WINDOW) for _ in range(8)), return_exceptions=True)
    assert {str(error) for error in failed} == {"HTTP 502 instead of an answer"}
    assert (client.calls, client.token_calls, client.retries) == (0, MAX_TRIES, MAX_TRIES - 1)


async def test_retry_is_logged(web: Any, account: Account, api: AccountApi) -> None:
    url = f"{HOST}{PATH}?access_token=T"
    web.post(url, status=502)
    web.post(url, payload={"list": []})
    with capture_logs() as logs:
        await api.rows(PATH, WINDOW)
    (retried,) = [log for log in logs if log["event"] == "call.retried"]
    assert retried["call"] == f"{account} {PATH} 2026-11-17..2026-11-23"


class PassingClock(FakeClock):
    """Clock that moves on by `step_s` with each look at it, as if each turn were awaited for a while."""

    step_s = 0.0

    def monotonic(self) -> float:
        self.instant += timedelta(seconds=self.step_s)
        return super().monotonic()


@given(st.floats(0, 90), st.integers(-10, 200), st.integers(1, 6))
@settings(max_examples=50)
def test_each_turn_makes_a_call(step_s: float, expires_in: int, calls: int) -> None:
    """A token that comes due while its call waits for its turn doesn't cost the turn."""

    async def ask() -> tuple[int, int]:
        clock, stop = PassingClock(datetime(2026, 11, 24, 2, 30, tzinfo=UTC)), Stop()
        clock.step_s = step_s
        async with Client.opened(timeout_s=5, connections=4, stop=stop) as client:
            route = Route(client, [HOST], None, Secrets())
            account = Account("a", "wx0123456789abcdef", Secret("x"), FAST)
            api = AccountApi(account, Session(route, Secrets(), clock=clock, stop=stop))
            with aioresponses() as web:
                token = {"access_token": "T", "expires_in": expires_in}
                web.post(f"{HOST}/cgi-bin/stable_token", payload=token, repeat=True)
                web.post(f"{HOST}{PATH}?access_token=T", payload={"list": []}, repeat=True)
                async with asyncio.timeout(5):  # before, it took for ever
                    await asyncio.gather(*(api.rows(PATH, WINDOW) for _ in range(calls)))
            return client.calls, client.retries

    assert asyncio.run(ask()) == (calls, 0)
