from __future__ import annotations

import re
from dataclasses import replace

import pytest
from support import FakeClock

from collector.errors import UnreachableError
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import AccountResult, Outcome
from collector.run.reach import Reach
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.wechat.client import Client
from collector.wechat.routes import Route
from collector.wechat.session import Session

ACCOUNT = Account("a", "wx0", Secret("x"), Rate(5, 1))


@pytest.mark.parametrize(("accounts", "given_up_after"), [(100, 8), (3, 3)])
async def test_unreachable_wechat(stop: Stop, clock: FakeClock, accounts: int, given_up_after: int) -> None:
    """Twice as many accounts as there are workers, or all of few; but not once any host has answered."""
    results = [
        AccountResult(replace(ACCOUNT, appid=f"wx{number}"), Outcome.FAILED, unreachable=True)
        for number in range(accounts)
    ]
    async with Client.opened(timeout_s=1, connections=1, stop=stop) as client:
        client.trouble = "no connection"
        route = Route(client, ["https://a.test", "https://b.test"], None, Secrets())
        session = Session(route, Secrets(), clock=clock, stop=stop)
        reach = Reach(session, workers=4, accounts=accounts)
        for result in results[: given_up_after - 1]:
            reach.note(result)
        message = (
            f"Could not reach WeChat: {given_up_after} accounts tried https://a.test, https://b.test and none had an "
            "answer (no connection). Check this host's network, the proxy and api.hosts"
        )
        with pytest.raises(UnreachableError, match=f"^{re.escape(message)}$"):
            reach.note(results[given_up_after - 1])
        client.answered = True
        reach.note(results[0])
