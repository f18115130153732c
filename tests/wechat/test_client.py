import asyncio
import errno
import signal
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import CallbackResult
from structlog.testing import capture_logs
from support import FakeClock

from collector.errors import (
    ApiError,
    CallError,
    DatabaseError,
    HostError,
    OpenFilesError,
    StoppedError,
    TransientError,
    UsageError,
)
from collector.kinds import CallKind
from collector.model.accounts import Secret
from collector.runtime import Stop, WechatClock
from collector.secrets.reader import Secrets
from collector.wechat import client as module
from collector.wechat.answers import Request
from collector.wechat.client import MAX_TRIES, Client, ToWechat
from collector.wechat.routes import Route

ONE, TWO = "https://one.wechat.test", "https://two.wechat.test"
PATH = "/datacube/getusersummary"
TOKEN = "TOKEN-that-must-not-show"
URL = f"{ONE}{PATH}?access_token={TOKEN}"
URL_TWO = f"{TWO}{PATH}?access_token={TOKEN}"
REQUEST = Request(CallKind.DATA, "POST", PATH, "list", {"access_token": TOKEN}, {"begin_date": "2026-11-17"})


@pytest.fixture
def route(client: Client, secrets: Secrets) -> Route:
    return Route(client, [ONE, TWO], None, secrets)


async def test_answer(web: Any, client: Client, route: Route) -> None:
    web.post(URL, payload={"list": []}, headers={"Content-Type": "text/plain"})
    assert await route.request(REQUEST) == {"list": []}
    assert (client.calls, client.token_calls, client.answered) == (1, 0, True)


async def test_before_call_may_end_the_run(web: Any, client: Client, route: Route) -> None:
    """Nothing is sent then, neither to WeChat nor to a token server."""
    web.post(URL, payload={"list": []})
    web.get("https://tokens.test/", body=b"token")

    def lost() -> NoReturn:
        raise DatabaseError("the lease is lost")

    client.before_call = lost
    for call in (route.request(REQUEST), client.fetch(Secret("https://tokens.test/"), {})):
        with pytest.raises(DatabaseError, match="the lease is lost"):
            await call
    assert not web.requests


@pytest.mark.parametrize("errcode", [0, "0"])
async def test_errcode_zero(web: Any, route: Route, errcode: object) -> None:
    web.post(URL, payload={"errcode": errcode, "errmsg": "ok", "list": [1]})
    assert (await route.request(REQUEST))["list"] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        {"errcode": 48001, "errmsg": "api unauthorized"},
        {"errcode": "48001", "errmsg": "api unauthorized"},
        {"errcode": 48001, "errmsg": "api unauthorized", "list": []},
        {"base_resp": {"errcode": 48001, "errmsg": "api unauthorized"}},
        {"base_resp": {"ret": 48001, "err_msg": "api unauthorized"}},
        {"errcode": 48001, "errmsg": "api unauthorized", "base_resp": {}, "list": []},
        {"errcode": 0, "base_resp": {"errcode": 48001, "errmsg": "api unauthorized"}, "list": []},
    ],
)
async def test_wrapped_errcode(web: Any, route: Route, answer: object) -> None:
    web.post(URL, payload=answer)
    with pytest.raises(ApiError) as failed:
        await route.request(REQUEST)
    assert (failed.value.errcode, failed.value.errmsg) == (48001, "api unauthorized")


async def test_refusal_tells_when_it_was_sent(web: Any, client: Client, route: Route, clock: FakeClock) -> None:
    """In WeChat's time, also of the first call, before which only the host's clock was known."""
    client.clock = wechat = WechatClock(clock)
    client.on_date = wechat.set

    def slowly(url: object, **kwargs: Any) -> CallbackResult:
        clock.instant += timedelta(seconds=3)
        payload = {"errcode": 45009, "errmsg": "reach max api daily quota limit"}
        return CallbackResult(payload=payload, headers={"Date": "Tue, 24 Nov 2026 16:00:01 GMT"})

    web.post(URL, callback=slowly)
    with pytest.raises(ApiError) as failed:
        await route.request(REQUEST)
    assert failed.value.sent_at == datetime(2026, 11, 24, 15, 59, 58, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b'{"list": [{"ref_date": "2026-11-',
        b"[]",
        b"null",
        b"{}",
        b'{"list": null}',
        b'{"errcode": 0, "errmsg": "ok"}',
        b'{"errcode": null, "list": []}',
        b'{"errcode": true, "list": []}',
        b'{"errcode": 0.5, "list": []}',
        b'{"errcode": 12345678901, "list": []}',
        b'{"errcode": "' + b"9" * 5000 + b'", "list": []}',
        b'{"list": NaN}',
        b'{"list": "\xff\xfe"}',
        b"[" * 5000,
    ],
)
async def test_malformed_body(web: Any, route: Route, body: bytes) -> None:
    web.post(URL, body=body)
    with pytest.raises(TransientError):
        await route.request(REQUEST)


async def test_control_characters(web: Any, route: Route) -> None:
    web.post(URL, body=b'{"list": ["a\x01\nb"]}')
    assert await route.request(REQUEST) == {"list": ["a\x01\nb"]}


async def test_endless_body(web: Any, route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 100)
    web.post(URL, body=b'{"list": ["' + b"x" * 100 + b'"]}')
    with pytest.raises(TransientError, match="a body of more than 100 bytes"):
        await route.request(REQUEST)


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
async def test_passing_statuses(web: Any, route: Route, status: int) -> None:
    web.post(URL, status=status, body="<html>")
    with pytest.raises(TransientError, match=f"HTTP {status} instead of an answer"):
        await route.request(REQUEST)


@pytest.mark.parametrize("status", [404, 403, 302, 204])
async def test_other_statuses(web: Any, client: Client, route: Route, status: int) -> None:
    web.post(URL, status=status, repeat=True)
    with pytest.raises(CallError, match=f"HTTP {status}") as failed:
        await client.retrying(lambda: route.request(REQUEST))
    assert not isinstance(failed.value, TransientError)
    assert (client.calls, client.retries) == (1, 0)


async def test_retry(web: Any, client: Client, route: Route) -> None:
    web.post(URL, status=502)
    web.post(URL, payload={"errcode": -1, "errmsg": "system error"})
    web.post(URL, payload={"list": []})
    assert await client.retrying(lambda: route.request(REQUEST)) == {"list": []}
    assert (client.calls, client.retries) == (3, 2)


async def test_retries_end(web: Any, client: Client, route: Route) -> None:
    web.post(URL, payload={"errcode": -1, "errmsg": "system error"}, repeat=True)
    with pytest.raises(CallError) as failed:
        await client.retrying(lambda: route.request(REQUEST))
    assert failed.value.errcode == -1
    assert (client.calls, client.retries) == (MAX_TRIES, MAX_TRIES - 1)


async def test_stop_ends_a_backoff(web: Any, client: Client, stop: Stop) -> None:
    async def call() -> None:
        stop.set(signal.SIGTERM)
        raise TransientError("no")

    with pytest.raises(StoppedError):
        await client.retrying(call)


def _connector_error(kind: type[aiohttp.ClientConnectorError]) -> aiohttp.ClientConnectorError:
    return kind(Mock(ssl=True, host="h", port=1), OSError(1, TOKEN))


FAULTS = [
    (_connector_error(aiohttp.ClientConnectorSSLError), "its certificate isn't trusted"),
    (_connector_error(aiohttp.ClientConnectorDNSError), "its name isn't known"),
    (_connector_error(aiohttp.ClientProxyConnectionError), "the proxy can't be reached"),
    (_connector_error(aiohttp.ClientConnectorError), "no connection"),
    (aiohttp.ClientHttpProxyError(Mock(), (), status=407), "the proxy refused with HTTP 407"),
    (aiohttp.ServerDisconnectedError(), "the connection broke"),
    (ConnectionResetError(), "the connection broke"),
    (TimeoutError(), "timed out"),
    (aiohttp.ServerTimeoutError(), "timed out"),
    (aiohttp.ClientPayloadError(f"cut {TOKEN}"), "the answer broke off"),
    (aiohttp.InvalidURL(f"https://x/?access_token={TOKEN}"), "the connection broke"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_connection_errors_hold_no_token(
    web: Any, client: Client, route: Route, fault: Exception, said: str
) -> None:
    web.post(URL, exception=fault)
    with pytest.raises(HostError) as failed:
        await route.request(REQUEST)
    assert str(failed.value) == f"{ONE} gave no answer ({said})"
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None
    assert not client.answered


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize(
    "kind",
    [aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError, aiohttp.ClientProxyConnectionError],
)
async def test_too_many_open_files(
    web: Any, client: Client, secrets: Secrets, kind: type[aiohttp.ClientConnectorError], number: int
) -> None:
    """This host's limit of open files is told as such: no host is left for it, and the call is retried."""
    web.post(URL, exception=kind(Mock(ssl=True, host="h", port=1), OSError(number, "too many")), repeat=True)
    route = Route(client, [ONE, TWO], Secret("http://p:1"), secrets)
    with pytest.raises(OpenFilesError, match="too many open files") as failed, capture_logs() as logs:
        await client.retrying(lambda: route.request(REQUEST))
    assert "host.left" not in [log["event"] for log in logs]
    assert (client.calls, client.trouble, failed.value.unreachable) == (MAX_TRIES, "", False)
    assert failed.value.hint == (
        "this host's limit of open files is reached: raise it with ulimit -n, or LimitNOFILE= in the unit, or lower "
        "run.workers"
    )


async def test_failover(web: Any, client: Client, route: Route) -> None:
    """After a connection error the next host is asked for the rest of the run."""
    web.post(URL, exception=ConnectionResetError())
    web.post(URL_TWO, payload={"list": [2]}, repeat=True)
    for _ in range(2):
        assert (await client.retrying(lambda: route.request(REQUEST)))["list"] == [2]
    assert (client.calls, client.retries) == (3, 1)


async def test_calls_failing_together(web: Any, client: Client, route: Route) -> None:
    together = asyncio.Barrier(4)

    async def wait_for_the_others(url: object, **kwargs: object) -> None:
        await together.wait()

    web.post(URL, callback=wait_for_the_others, exception=ConnectionResetError(), repeat=True)
    web.post(URL_TWO, payload={"list": [2]}, repeat=True)
    answers = await asyncio.gather(*(client.retrying(lambda: route.request(REQUEST)) for _ in range(4)))
    assert [answer["list"] for answer in answers] == [[2]] * 4
    assert client.calls == 8


@pytest.mark.parametrize(
    "errmsg", [f"invalid credential {TOKEN} rid: 5f422231-52120df7-13fcb545", f"{TOKEN}{TOKEN}", f"x={TOKEN}&y"]
)
async def test_repeated_token_is_masked(web: Any, route: Route, errmsg: str) -> None:
    web.post(URL, payload={"errcode": 40001, "errmsg": errmsg})
    with pytest.raises(ApiError) as failed:
        await route.request(REQUEST)
    assert TOKEN not in repr(failed.value) + str(failed.value) + failed.value.errmsg
    assert "***" in failed.value.errmsg


async def test_repeated_long_token_is_masked(web: Any, route: Route) -> None:
    token = "T" * 510
    web.post(f"{ONE}{PATH}?access_token={token}", payload={"errcode": 40001, "errmsg": f"invalid {token}"})
    with pytest.raises(ApiError) as failed:
        await route.request(replace(REQUEST, query={"access_token": token}))
    assert failed.value.errmsg == "invalid ***"


def test_repr_of_a_request() -> None:
    assert TOKEN not in repr(REQUEST)
    assert "s3cret" not in repr(replace(REQUEST, body={"secret": "s3cret"}))


async def test_request_options(web: Any, stop: Stop, secrets: Secrets) -> None:
    """No redirect is followed; proxy and time-out are those given."""
    web.post(URL, payload={"list": []})
    async with Client.opened(timeout_s=3, connections=4, stop=stop) as client:
        await Route(client, [ONE], Secret("http://p:1"), secrets).request(REQUEST)
        with await client.connections.turn(ToWechat(ONE, "http://p:1")) as session:
            assert session.timeout.total == 3
    (sent,) = next(iter(web.requests.values()))
    assert (sent.kwargs["proxy"], sent.kwargs["allow_redirects"]) == ("http://p:1", False)


async def test_failover_wraps_around(web: Any, client: Client, route: Route) -> None:
    web.post(URL, exception=ConnectionResetError())
    web.post(URL_TWO, exception=ConnectionResetError())
    web.post(URL, payload={"list": [1]})
    assert (await client.retrying(lambda: route.request(REQUEST)))["list"] == [1]


async def test_no_call_after_the_stop(web: Any, client: Client, route: Route, stop: Stop) -> None:
    stop.set(signal.SIGTERM)
    with pytest.raises(StoppedError):
        await client.retrying(lambda: route.request(REQUEST))
    assert client.calls == 0


async def test_token_calls_are_counted(web: Any, client: Client, route: Route) -> None:
    web.post(f"{ONE}/cgi-bin/stable_token", payload={"access_token": "T"})
    await route.request(Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, {"secret": "s"}))
    assert (client.calls, client.token_calls) == (0, 1)


# WeChat's time


DATE = {"Date": "Tue, 24 Nov 2026 03:00:00 GMT"}
ELEVEN = datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.fixture
def dates(client: Client) -> list[datetime]:
    """The times that the client was given."""
    seen: list[datetime] = []
    client.on_date = seen.append
    return seen


@pytest.mark.parametrize("payload", [{"list": []}, {"errcode": 40013, "errmsg": "invalid appid"}])
async def test_date_of_an_answer(web: Any, route: Route, dates: list[datetime], payload: object) -> None:
    """The first answer of WeChat's gives its time, an error too; the next ones don't."""
    web.post(URL, payload=payload, headers=DATE, repeat=True)
    for _ in range(2):
        with suppress(ApiError):
            await route.request(REQUEST)
    assert dates == [ELEVEN]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 502, "headers": DATE},
        {"status": 403, "headers": DATE},
        {"body": "<html>", "headers": DATE},
        {"payload": {"list": []}},
        {"payload": {"list": []}, "headers": {"Date": "today"}},
        {"payload": {"list": []}, "headers": {"Date": "Tue, 99 Nov 2026 03:00:00 GMT"}},
    ],
)
async def test_no_date_of_what_isnt_an_answer(
    web: Any, route: Route, dates: list[datetime], answer: dict[str, Any]
) -> None:
    """A proxy's page, and an answer without a readable date, leave it to the next answer."""
    web.post(URL, **answer)
    web.post(URL, payload={"list": []}, headers=DATE)
    with suppress(CallError):
        await route.request(REQUEST)
    assert dates == []
    await route.request(REQUEST)
    assert dates == [ELEVEN]


async def test_no_date_of_a_token_server(web: Any, client: Client, dates: list[datetime]) -> None:
    web.get("http://tokens.test/", body="TOKEN", headers=DATE)
    await client.fetch(Secret("http://tokens.test/"), {})
    assert dates == []


async def test_error_of_on_date_passes_through(web: Any, client: Client, route: Route) -> None:
    """An error that ends the run isn't retried, and meets every call that is in flight."""
    web.post(URL, payload={"list": []}, headers=DATE, repeat=True)

    def refuse(_: datetime) -> NoReturn:
        raise UsageError("the clock is wrong")

    client.on_date = refuse
    for _ in range(2):
        with pytest.raises(UsageError, match="the clock is wrong"):
            await client.retrying(lambda: route.request(REQUEST))
    assert (client.calls, client.retries) == (2, 0)
