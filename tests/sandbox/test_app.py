import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
import pytest
import yaml
from sandbox.caller import CUMULATE, OLD, SUMMARY, WORLD, serve

from collector.sandbox import Call, Fault, Faults, Sandbox, World

APPID = WORLD.accounts[0].appid
CREDENTIALS = {"grant_type": "client_credential", "appid": APPID, "secret": WORLD.accounts[0].secret}


async def test_requests_are_recorded() -> None:
    faults = Faults(broken_data={APPID: 48001})
    began = time.monotonic()
    async with serve(faults=faults) as caller:
        token = await caller.token()
        await caller.data(CUMULATE, token)
        async with caller.session.get("/nothing") as response:
            await response.read()
        calls = caller.sandbox.calls
    arrivals = [call.arrived_s for call in calls]
    assert began < arrivals[0] < arrivals[1] < arrivals[2] < time.monotonic()
    assert calls == [
        Call(arrivals[0], APPID, "/cgi-bin/stable_token", None, None, 200, 0, None),
        Call(arrivals[1], APPID, CUMULATE, *OLD, 200, 48001, None),
        Call(arrivals[2], None, "/nothing", None, None, 404, 0, None),
    ]


async def test_fault_and_status_are_recorded() -> None:
    async with (
        serve(faults=Faults(http_5xx=1.0)) as caller,
        caller.session.post("/cgi-bin/stable_token", json=CREDENTIALS),
    ):
        (call,) = caller.sandbox.calls
    assert (call.appid, call.status, call.errcode, call.fault) == (APPID, 502, 0, Fault.HTTP_5XX)


async def test_recording_can_be_off() -> None:
    async with serve(record=False) as caller:
        await caller.token()
        assert caller.sandbox.calls == []


async def test_unknown_path_is_a_404() -> None:
    """An empty 404, whatever the faults."""
    async with (
        serve(faults=Faults(system_error=1.0)) as caller,
        caller.session.post(f"/cgi-bin{SUMMARY}", json=CREDENTIALS) as response,
    ):
        assert (response.status, await response.read()) == (404, b"")
        assert caller.sandbox.calls[0].fault is None


async def test_content_type_is_wechats() -> None:
    async with serve() as caller, caller.session.get("/cgi-bin/token") as response:
        assert response.headers["Content-Type"] == "application/json; encoding=utf-8"


@pytest.mark.parametrize("faults", [Faults(), Faults(http_5xx=1.0), Faults(cut_body=1.0)], ids=["ok", "502", "cut"])
async def test_date_is_the_clocks(faults: Faults) -> None:
    now = datetime(2026, 11, 24, 1, 2, 3, 999_999, tzinfo=UTC)
    async with Sandbox(WORLD, faults=faults, clock=lambda: now) as sandbox:
        assert await _dates(sandbox) == ["Date: Tue, 24 Nov 2026 01:02:03 GMT"]


@pytest.mark.parametrize("faults", [Faults(), Faults(http_5xx=1.0), Faults(cut_body=1.0)], ids=["ok", "502", "cut"])
async def test_date_can_be_left_out(faults: Faults) -> None:
    async with Sandbox(WORLD, faults=faults, sends_date=False) as sandbox:
        assert await _dates(sandbox) == []


async def _dates(sandbox: Sandbox) -> list[str]:
    """The `Date` headers of a token call's answer, as they are on the wire."""
    account = sandbox.world.accounts[0]
    query = f"grant_type=client_credential&appid={account.appid}&secret={account.secret}"
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(f"GET /cgi-bin/token?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    head, _, _ = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return [line for line in head.split("\r\n") if line.lower().startswith("date:")]


async def test_latency_delays_an_answer() -> None:
    async with serve(latency_s=0.05) as caller:
        began = time.monotonic()
        await caller.token()
        assert time.monotonic() - began >= 0.05


async def test_hanging_calls_end_with_the_sandbox() -> None:
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:

        async def hang(url: str) -> None:
            with suppress(aiohttp.ClientError):
                await session.post(f"{url}/cgi-bin/stable_token", json=CREDENTIALS)

        async with Sandbox(WORLD, faults=Faults(hang=1.0)) as sandbox:
            hanging = group.create_task(hang(sandbox.url))
            while not sandbox.calls:  # noqa: ASYNC110 # a list tells nobody that it has grown
                await asyncio.sleep(0)
            began = time.monotonic()
        assert time.monotonic() - began < 2
        await asyncio.wait_for(hanging, 2)


async def test_port_can_be_chosen() -> None:
    async with Sandbox(WORLD) as first:
        port = first.port
    async with Sandbox(WORLD, port=port) as second:
        assert second.url == f"http://127.0.0.1:{port}"


async def test_port_in_use_is_an_error() -> None:
    async with Sandbox(WORLD) as sandbox:
        with pytest.raises(OSError, match="address already in use"):
            await Sandbox(WORLD, port=sandbox.port).__aenter__()


async def test_configuration() -> None:
    world = World(size=2)
    async with Sandbox(world) as sandbox:
        text = sandbox.config_yaml()
    assert yaml.safe_load(text) == {
        "api": {"hosts": [sandbox.url]},
        "run": {"published_at": "08:00"},
        "accounts": [
            {"name": account.name, "appid": account.appid, "secret": account.secret} for account in world.accounts
        ],
    }


async def test_configuration_options() -> None:
    async with Sandbox(World(size=1)) as sandbox:
        config = yaml.safe_load(sandbox.config_yaml(mongodb_uri="mongodb://localhost/?a=b", since="2026-01-01"))
    assert config["mongodb"] == {"uri": "mongodb://localhost/?a=b"}
    assert config["defaults"] == {"since": "2026-01-01"}
