"""Certificates are checked, nothing disables that, and a server with an untrusted one receives nothing."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer.main
from fuzz.server import Server, http, says
from security.tls import TlsServer, Tunnel, pem_file
from support import FakeClock, run

from collector import config
from collector.cli.app import app
from collector.config import Settings
from collector.errors import CallError, ConfigError, DatabaseError, HostError, OriginError
from collector.kinds import CallKind
from collector.model.accounts import FromUrl, Secret
from collector.secrets.reader import Secrets
from collector.store import database as database_module
from collector.store.database import Database, open_database
from collector.store.location import Location
from collector.wechat.answers import Request
from collector.wechat.client import Client
from collector.wechat.external_tokens import External
from collector.wechat.routes import Route

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
ACCOUNT = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"
TOKEN, SECRET, KEY = "TOKEN-7", "s3cret-7", "Bearer key-7"
DATA = Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": TOKEN}, {"begin_date": "x"})
FOR_A_TOKEN = Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, {"secret": SECRET})
REMEDY = "see who answers there; if that is right, make this host trust the authority that signed its certificate"


def _keys(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for value in schema.values():
            yield from _keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keys(value)


def _options(command: Any) -> Iterator[str]:
    yield from (name for option in command.params for name in option.opts)
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)


HOSTILE = {
    "PYTHONHTTPSVERIFY": "0",
    "SSL_VERIFY": "false",
    "AIOHTTP_SSL": "0",
    "CURL_CA_BUNDLE": "",
    "REQUESTS_CA_BUNDLE": "",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
}
PROBE = """
import asyncio, sys
from collector.errors import CallError
from collector.kinds import CallKind
from collector.secrets.reader import Secrets
from collector.wechat.answers import Request
from collector.wechat.client import Client
from collector.wechat.routes import Route
from collector.runtime import Stop

async def main():
    async with Client.opened(timeout_s=5, connections=1, stop=Stop()) as client:
        request = Request(CallKind.TOKEN, "POST", "/cgi-bin/stable_token", "access_token", {}, {"secret": "s3cret-7"})
        print(await Route(client, [sys.argv[1]], None, Secrets()).request(request))

try:
    asyncio.run(main())
except CallError as error:
    print(error)
"""


async def _probed(address: str, environ: Mapping[str, str]) -> str:
    """Return the output of a process with this environment that asks `address`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROBE, address),
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return (await process.communicate())[0].decode()


def test_no_option_weakens_certificates() -> None:
    """`--dask-cert` names a certificate that a cluster asks for."""
    named = {*_keys(config.json_schema()), *_options(typer.main.get_command(app))} - {"--dask-cert"}
    assert {"hosts", "proxy", "url", "--config"} <= named
    assert [name for name in named if re.search("tls|ssl|cert|insecure|verify(?!_ticket)|check(?!_clock)", name)] == []


def test_key_to_disable_checks_is_a_fault(loaded: Callable[..., Settings]) -> None:
    for key in ("verify", "verify_ssl", "ssl", "insecure"):
        with pytest.raises(ConfigError, match=f"`{key}` isn't known here"):
            loaded(f"api: {{{key}: false}}\n{ACCOUNT}")


@pytest.mark.parametrize("request_", [DATA, FOR_A_TOKEN], ids=["data", "token"])
async def test_untrusted_wechat(client: Client, tmp_path: Path, request_: Request) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server, Tunnel().serving() as tunnel:
        for proxy in (None, Secret(f"http://127.0.0.1:{tunnel.port}")):
            with pytest.raises(HostError) as failed:
                await Route(client, [server.url], proxy, Secrets()).request(request_)
            assert str(failed.value) == f"{server.url} gave no answer (its certificate isn't trusted)"
            assert (
                failed.value.hint
                == f"the certificate of {server.url} isn't trusted, so nothing was sent to it: {REMEDY}"
            )
    assert (server.received, len(tunnel.opened)) == (b"", 1)


async def test_run_with_untrusted_wechat_names_the_cause(
    loaded: Callable[..., Settings], tmp_path: Path, mongod: str, database: Database
) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        settings = loaded(
            f"mongodb: {{uri: '{mongod}', database: {database.name}}}\napi: {{hosts: ['{server.url}']}}\n{ACCOUNT}"
        )
        result = await run(settings, FakeClock(NOW))
    assert result.error == (
        f"Could not reach WeChat: 1 account tried {server.url} and none had an answer (its certificate isn't "
        "trusted). Check this host's network, the proxy and api.hosts"
    )
    assert server.received == b""


async def test_untrusted_proxy(client: Client, tmp_path: Path) -> None:
    """An untrusted proxy receives nothing, and the message names it."""
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        proxy = Secret(server.url.replace("://", "://user:password-7@"))
        with pytest.raises(HostError) as failed:
            await Route(client, ["https://wechat.invalid"], proxy, Secrets()).request(FOR_A_TOKEN)
    assert failed.value.hint == (
        f"the proxy's certificate isn't trusted ({server.url}): check `proxy`, and that it runs"
    )
    assert server.received == b""


async def test_untrusted_token_server(client: Client, tmp_path: Path) -> None:
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        origin = FromUrl(Secret(f"{server.url}/path-7"), (("Authorization", Secret(KEY)),))
        with pytest.raises(CallError) as failed:
            await External(origin, "wx1", client, Secrets()).grant()
    assert failed.value.hint == (f"the server {server.url} gives no answer (its certificate isn't trusted): {REMEDY}")
    assert server.received == b""


@pytest.mark.usefixtures("_impatient")
async def test_untrusted_mongodb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "SELECTION_TIMEOUT_MS", 300)
    async with TlsServer(pem_file(tmp_path)).serving() as server:
        uri = f"mongodb://user:password-7@localhost:{server.port}/?tls=true"
        with pytest.raises(DatabaseError, match="certificate verify failed") as failed:
            async with open_database(Location("x", Secret(uri))):
                pass
        assert server.received == b""
        with pytest.raises(DatabaseError):
            async with open_database(Location("x", Secret(f"{uri}&tlsInsecure=true"))):
                pass
    assert server.received != b""  # the check of the certificate was all that protected the password
    assert "password-7" not in str(failed.value)


async def test_environment_cannot_disable_checks(tmp_path: Path) -> None:
    """The environment can name an authority, and disable nothing."""
    pem = pem_file(tmp_path)
    proxy = "http://127.0.0.1:1"  # proxies of the environment are ignored too
    hostile = HOSTILE | {"https_proxy": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy}
    trusted = hostile | {"SSL_CERT_FILE": str(pem)}
    async with TlsServer(pem, b'{"access_token": "T"}').serving() as server:
        by_ip = server.url.replace("localhost", "127.0.0.1")  # not in the certificate
        for address, environ in ((server.url, hostile), (by_ip, trusted)):
            said = await _probed(address, environ)
            assert said == f"{address} gave no answer (its certificate isn't trusted)\n"
        assert server.received == b""
        assert await _probed(server.url, trusted) == "{'access_token': 'T'}\n"
    assert SECRET.encode() in server.received


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirect_is_not_followed(client: Client, status: str) -> None:
    far = Server(lambda asked: b"{}")
    async with far.serving() as elsewhere:
        headers = (f"Location: {elsewhere}/?to=you", f"Refresh: 0; url={elsewhere}", "Connection: close")
        server = Server(lambda asked: says(http(b'{"access_token": "T"}', *headers, status=status)))
        async with server.serving() as address:
            for request in (DATA, FOR_A_TOKEN):
                with pytest.raises(CallError, match=f"HTTP {status[:3]} instead of an answer"):
                    await Route(client, [address], None, Secrets()).request(request)
            with pytest.raises(OriginError, match=f"answered HTTP {status[:3]}"):
                await External(FromUrl(Secret(address), (("X", Secret(KEY)),)), "wx1", client, Secrets()).grant()
    assert (len(server.asked), far.asked) == (3, [])
