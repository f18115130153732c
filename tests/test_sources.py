"""A whole run that mixes all sources of secrets and tokens, with accounts of each kind that fail for their reasons."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from proxy import Proxy
from support import Documents, stored, truth

from collector.model.accounts import Secret
from collector.model.days import Window, newest_published
from collector.runtime import Clock
from collector.sandbox import Faults, Sandbox, TokenServerFault, World
from collector.store.database import open_database
from collector.store.location import Location

WORLD = World(size=27)
FETCH = """import os, sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + os.environ["KEY"]})
print(urllib.request.urlopen(request).read().decode())
"""
FAIL = "import os, sys; print('a fine line\\n  no such entry for', os.environ['KEY'], file=sys.stderr); sys.exit(3)\n"

FAULTS = Faults(
    broken={WORLD.accounts[11].appid: 40164},
    list_gaps=0.2,
    token_server={
        WORLD.accounts[place].appid: fault
        for place, fault in enumerate(
            (
                *(TokenServerFault.EMPTY, TokenServerFault.HTML, TokenServerFault.EXPIRED, TokenServerFault.LATE),
                *(TokenServerFault.WRONG_PATH, TokenServerFault.ERROR, TokenServerFault.STUCK),
            ),
            start=16,
        )
    },
)
SOUND = range(11)

WHY = {
    11: "allow 203.0.113.7 in the account's console; that takes effect in 5 to 10 minutes",
    12: "the file {folder}/gone can't be read (No such file or directory): correct the path, or let the collector's "
    "user read it",
    13: "everybody can read the secret in {folder}/open: run chmod o-r {folder}/open",
    14: "the command {python} failed with exit code 3: run it by hand to see why",
    15: "the account isn't among those that authorised the platform agency: ask the client to authorise it",
    16: "the server {url} gave nothing: see that the value is there",
    17: "the server {url} gave HTML instead of JSON: see what it answers, and correct the address",
    18: "the token that the server {url} gave has expired: see that it is renewed there",
    19: "the server {url} gives no answer (timed out): see that it runs and can be reached from here",
    20: "the JSON that the server {url} gave has no `data.access_token`: correct `json` or `expires_json`",
    21: "the server {url} gives no answer (HTTP 500): see that it runs and can be reached from here",
    22: "WeChat refuses the token that the server {url} gives: see that it holds the account's newest one, and that "
    "nothing else renews it",
    23: "the command {python} gave nothing: see that the value is there",
    24: "the proxy can't be reached (http://127.0.0.1:1): check `proxy`, and that it runs",
}
"""The remedy for each account that fails, by its place."""


@dataclass(frozen=True)
class Ran:
    """Output and documents of the run, and all secrets that it used."""

    code: int
    result: dict[str, Any]
    log: str
    documents: Documents
    state: str
    secrets: tuple[str, ...]
    words: dict[str, str]
    days: Window
    proxied: list[str]


def _accounts(words: dict[str, str], proxy: Proxy) -> list[dict[str, Any]]:
    """One account for each place, sound ones first."""
    url, python, folder = words["url"], words["python"], words["folder"]
    key = {"Authorization": "Bearer ${KEY}"}
    server = {"url": f"{url}/tokens/{{appid}}", "headers": key, "json": "data.access_token"}
    command = [python, f"{folder}/fetch.py", f"{url}/tokens/{{appid}}"]
    more: list[dict[str, Any]] = [
        {"secret": "${SECRET_0}"},
        {"secret": {"file": "secret-1"}},
        {"secret": {"credential": "secret-2"}, "token": "classic"},
        {"secret": {"command": [python, "-c", "import os; print(os.environ['SECRET_3'])"]}},
        {"token": {"component": "agency"}},
        {"token": {"component": "agency"}, "authorizer_refresh_token": "not-needed-since-the-list-has-it"},
        {"token": {**server, "expires_json": "data.expires_in"}},
        {"token": {"url": f"{url}/tokens/{{appid}}/plain", "headers": {"Authorization": {"file": "header"}}}},
        {"token": {"command": command, "json": "data.access_token", "expires_json": "data.expires_in"}},
        {"token": {"command": [python, f"{folder}/fetch.py", f"{url}/tokens/{{appid}}/plain"]}},
        {"secret": "${SECRET_10}", "proxy": {"file": "proxy"}, "hosts": [url]},
        {"secret": "${SECRET_11}"},
        {"secret": {"file": "gone"}},
        {"secret": {"file": "open"}},
        {"secret": {"command": [python, f"{folder}/fail.py"]}},
        {"token": {"component": "agency"}},
        *({"token": server} for _ in range(16, 18)),
        {"token": {**server, "expires_json": "data.expires_in"}},
        *({"token": server} for _ in range(19, 23)),
        {"token": {"command": [python, "-c", "pass"]}},
        {"secret": "${SECRET_24}", "proxy": f"http://u:{proxy.password}@127.0.0.1:1"},
        *({"token": {"component": "stale"}} for _ in range(25, 27)),
    ]
    return [
        {"name": account.name, "appid": account.appid, **each}
        for account, each in zip(WORLD.accounts, more, strict=True)
    ]


def _configure(folder: Path, sandbox: Sandbox, proxy: Proxy, words: dict[str, str], uri: str, since: str) -> None:
    component = WORLD.component
    texts = {
        "fetch.py": FETCH,
        "fail.py": FAIL,
        "secret-1": f"{WORLD.accounts[1].secret}\n",
        "secret-2": WORLD.accounts[2].secret,
        "header": f"Bearer {WORLD.token_server_key}\n",
        "open": WORLD.accounts[13].secret,
        "proxy": proxy.url,
        "uri": uri,
        "ticket": "a-ticket-of-last-week",
    }
    for name, text in texts.items():
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(text)
    (folder / "open").chmod(0o644)
    settings = {
        "mongodb": {"uri": {"file": "uri"}, "database": words["database"]},
        "api": {"hosts": [sandbox.url], "timeout": "0.5"},
        "defaults": {"since": since},
        "components": [
            {
                "name": "agency",
                "appid": component.appid,
                "secret": "${COMPONENT_SECRET}",
                "verify_ticket": {"url": f"{sandbox.url}/component-ticket", "json": "ticket"},
            },
            {
                "name": "stale",
                "appid": component.appid.replace("wx", "wx", 1)[:-1] + ("0" if component.appid[-1] != "0" else "1"),
                "secret": {"command": [sys.executable, "-c", "import os; print(os.environ['COMPONENT_SECRET'])"]},
                "verify_ticket": {"file": "ticket"},
            },
        ],
        "accounts": _accounts(words, proxy),
    }
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_bytes(orjson.dumps(settings))  # JSON is YAML


async def _run(folder: Path, uri: str) -> Ran:
    newest = newest_published(Clock().now(), WORLD.published_at)
    days = Window(newest - timedelta(days=13), newest)
    secrets = {f"SECRET_{place}": account.secret for place, account in enumerate(WORLD.accounts)}
    secrets |= {"KEY": WORLD.token_server_key, "COMPONENT_SECRET": WORLD.component.secret}
    proxy = Proxy("egress", f"password-{uuid.uuid4().hex}")
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(WORLD, faults=FAULTS))
        await stack.enter_async_context(proxy.serving())
        database = await stack.enter_async_context(open_database(Location(f"test_{uuid.uuid4().hex}", Secret(uri))))
        sandbox.withdraw(WORLD.accounts[15].appid)
        words = {"url": sandbox.url, "python": sys.executable, "folder": str(folder), "database": database.name}
        _configure(folder, sandbox, proxy, words, uri, str(days.begin))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector", "run", "-vv", "--json"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **secrets, "CREDENTIALS_DIRECTORY": str(folder)},
        )
        out, log = await process.communicate()
        documents, found = await stored(database), database["accounts"].find()
        state = str([each async for each in found]) + str([each async for each in database["runs"].find()])
        await database.client.drop_database(database.name)
    known = (*secrets.values(), proxy.password, WORLD.verify_ticket(), "a-ticket-of-last-week", "not-needed-since")
    refresh_tokens = tuple(WORLD.refresh_token(account.appid) for account in WORLD.accounts)
    words |= {"python": Path(sys.executable).name}
    assert process.returncode is not None
    assert out, log.decode()
    code, result = process.returncode, orjson.loads(out)
    return Ran(code, result, log.decode(), documents, state, (*known, *refresh_tokens), words, days, proxy.asked)


@pytest.fixture(scope="module")
def ran(mongod: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    with asyncio.Runner() as runner:
        yield runner.run(_run(tmp_path_factory.mktemp("sources"), mongod))


def test_sound_accounts_are_collected(ran: Ran) -> None:
    failed = [account.appid for place, account in enumerate(WORLD.accounts) if place not in SOUND]
    assert ran.documents == truth(WORLD, ran.days, without=failed)
    assert (ran.code, ran.result["accounts"]["failed"]) == (3, len(failed))


@pytest.mark.parametrize("place", WHY)
def test_each_failure_has_its_remedy(ran: Ran, place: int) -> None:
    appid = WORLD.accounts[place].appid
    (failure,) = [each for each in ran.result["failures"] if each["account"] == appid]
    assert (failure["dataset"], failure["hint"]) == (None, WHY[place].format(**ran.words))


def test_stale_platform_is_reported_once(ran: Ran) -> None:
    (failure,) = [each for each in ran.result["failures"] if each["name"] == "stale"]
    assert (failure["accounts"], failure["windows"], failure["errcode"]) == (2, 2, 61011)
    assert len(ran.result["failures"]) == len(WHY) + 1


def test_account_uses_its_own_proxy(ran: Ran) -> None:
    assert set(ran.proxied) == {"/cgi-bin/stable_token", "/datacube/getusersummary", "/datacube/getusercumulate"}
    assert ran.proxied.count("/cgi-bin/stable_token") == 1


def test_no_secret_leaks(ran: Ran) -> None:
    """No secret of any source and no token is logged, printed or stored."""
    everything = "\n".join([ran.log, str(ran.result), ran.state, str(ran.documents)])
    assert "account.failed" in ran.log
    assert "Traceback" not in everything
    assert [secret for secret in ran.secrets if secret in everything] == []
    assert not re.search(r"\b\d+_[\w-]{40,}", everything), "a token"
