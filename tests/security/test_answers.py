"""No answer of a server becomes a file, a command, a query, a field's path, or a terminal's control sequence."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fuzz.server import Asked, Server
from support import FakeClock

from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY, fold
from collector.errors import DatabaseError, LeaseHeldError, RowError
from collector.kinds import CallKind
from collector.model.accounts import Component, FromCommand
from collector.model.days import Window
from collector.model.state import AccountState, Day, Update
from collector.runtime import Stop
from collector.secrets.reader import Secrets
from collector.store.database import Database, prepare
from collector.store.held import Held
from collector.store.leases import lease
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, read_states
from collector.store.writer import Writer
from collector.wechat.answers import Request
from collector.wechat.client import Client
from collector.wechat.component import ComponentApi
from collector.wechat.routes import Route

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
DAY = date(2026, 11, 23)
OPERATORS: list[Any] = [{"$gt": ""}, {"$ne": None}, {"$where": "sleep(1)"}, ["$a"], "$cumulate_user", "$$ROOT"]


# Rows


@pytest.mark.parametrize("odd", OPERATORS)
@pytest.mark.parametrize("key", ["user_source", "new_user", "cancel_user", "cumulate_user"])
def test_operator_is_no_figure(key: str, odd: object) -> None:
    row = {"ref_date": str(DAY), "user_source": 0, "new_user": 1, "cancel_user": 2, "cumulate_user": 3}
    dataset = DATASETS[CUMULATE if key == "cumulate_user" else SUMMARY]
    assert not fold(dataset, [row | {key: odd}], Window(DAY, DAY)).days


@pytest.mark.parametrize("odd", OPERATORS)
def test_operator_is_no_date(odd: object) -> None:
    with pytest.raises(RowError):
        fold(DATASETS[CUMULATE], [{"ref_date": odd, "cumulate_user": 3}], Window(DAY, DAY))


ODD_FIELDS: Mapping[str, Any] = {
    "$where": "while (true) {}",
    "$function": {"body": "function() {}", "args": [], "lang": "js"},
    "$set": {"account": "other"},
    "$unset": "",
    "__proto__": {"polluted": True},
    "constructor": {"prototype": {}},
    "_id": {"$oid": "0" * 24},
    "account": "other",
    "sources": [{"user_source": 1}],
    "fetched_at.user_summary": 0,
    "sources.0.new_user": 9,
    ".": "..",
    "": {"": ""},
    "k" * 300_000: "v",
    "text": "$cumulate_user",
    "$$NOW": "$$REMOVE",
}


async def test_special_field_names_are_plain_names(
    database: Database,
) -> None:
    """Names that mean something to MongoDB or JavaScript are names of a source's fields, and nothing else."""
    await prepare(database)
    row = {"ref_date": str(DAY), "user_source": 0, "new_user": 1, "cancel_user": 2}
    came = fold(DATASETS[SUMMARY], [{**ODD_FIELDS, **row, "nul\0l": 1, "new_user\0": 7}], Window(DAY, DAY))
    await _write(database, Day("wx1", "acme", DAY, {SUMMARY: came.days[DAY]}, NOW))
    (stored,) = [
        each async for each in database[USER_DAILY].find({}, {"_id": False, "date": False, "fetched_at": False})
    ]
    source = {**ODD_FIELDS, "null": 1, "user_source": 0, "new_user": 1, "cancel_user": 2}
    figures = {"new_user": 1, "cancel_user": 2, "net_user": -1}
    key = {"account": "wx1", "ref_date": str(DAY), "name": "acme"}
    assert stored == {**key, **figures, "sources": [source]}


async def test_field_path_is_stored_as_text(database: Database) -> None:
    """Even where an update is a pipeline, in which `$name` would be a field."""
    odd = {"new_user": "$account", "sources": [{"a": "$$ROOT", "$add": [1, 2]}]}
    days = [
        Day("$name", "$account", DAY, {CUMULATE: {"cumulate_user": "$name"}}, NOW, {SUMMARY: odd}),
        Day("$$ROOT", "$$REMOVE", DAY, {}, NOW, {SUMMARY: odd}),
    ]
    await _write(database, *days)
    left_out = dict.fromkeys(("_id", "date", "fetched_at", "ref_date"), False)
    found = database[USER_DAILY].find({}, left_out).sort("account", -1)
    assert [each async for each in found] == [
        {"account": "$name", "name": "$account", "cumulate_user": "$name", **odd},
        {"account": "$$ROOT", "name": "$$REMOVE", **odd},
    ]


async def _write(database: Database, *days: Day) -> None:
    async with Writer(database, Held(1)) as writer:
        for day in days:
            await writer.put(Update([day], AccountState(day.account, day.name)))
    assert writer.rejected == {}


# What platforms list


@pytest.mark.parametrize("appid", [*OPERATORS[:4], 5, None, True, "", "wx 1", "wx\n1", "\x1b[2J", "wx\u202e1"])
async def test_odd_appid_refuses_the_list(appid: object, stop: Stop) -> None:
    said = json.dumps({"total_count": 1, "list": [{"authorizer_appid": appid, "refresh_token": "R"}]}).encode()
    component = Component("agency", "wx00000000000000c0", access_token=FromCommand(("echo", "T")))
    server = Server(lambda asked: said)
    async with server.serving() as address, Client.opened(timeout_s=5, connections=1, stop=stop) as client:
        api = ComponentApi(component, Route(client, [address], None, Secrets()), Secrets(), clock=FakeClock(NOW))
        with pytest.raises(Exception, match="the list of authorised accounts isn't of its form"):
            await api.authorizers()


async def test_token_is_quoted_in_addresses(stop: Stop) -> None:
    odd = "T&begin_date=x#y?/../%2e%2e;a=b+c"
    asked: list[str] = []

    def answer(question: Asked) -> bytes:
        asked.append(question.path)
        assert question.query == {"access_token": odd}
        return b'{"list": []}'

    async with Server(answer).serving() as address, Client.opened(timeout_s=5, connections=1, stop=stop) as client:
        request = Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": odd}, {})
        await Route(client, [address], None, Secrets()).request(request)
    assert asked == ["/datacube/getusersummary"]


# Terminals

RING = "\x1b]0;pwned\x07\x1b[2J\x1b[8m\x9b31m\r\b\x7f"
"""A title, a blank screen, hidden letters, a colour, and ways to overwrite a line."""

OURS = re.compile("\x1b\\[[0-9;]*m|\x1b\\[[0-9]*[AK]|\x1b\\[\\?25[lh]|\r")
"""Control sequences of our own bars and colours."""

NICK = f"../../etc/[bold]x[/bold] {RING}\u202egnp.exe\u2066\u200b\n0 accounts: all ok $name"
ERRMSG = f"[red]no[/red] {RING}\u202eyes\n1 account: 1 ok rid: 5f422231-52120df7-13fcb545"
SHOWN_NICK = "../../etc/[bold]x[/bold]"
APPIDS = ["wx/../../up", "wx;touch$IFS/tmp/x", "$where", "wx00000000000000a1"]


def _days(asked: Asked) -> list[str]:
    first, last = (date.fromisoformat(asked.body[key]) for key in ("begin_date", "end_date"))
    return [str(first + timedelta(days=n)) for n in range((last - first).days + 1)]


def _hostile(asked: Asked) -> bytes:
    """Answer as a platform whose accounts have hostile names; the last one's data are refused with a hostile text."""
    call = asked.path.rpartition("/")[2]
    known: dict[str, dict[str, Any]] = {
        "api_get_authorizer_list": {
            "total_count": len(APPIDS),
            "list": [{"authorizer_appid": appid, "refresh_token": "R"} for appid in APPIDS],
        },
        "api_get_authorizer_info": {"authorizer_info": {"nick_name": NICK}},
        "api_authorizer_token": {"authorizer_access_token": asked.body.get("authorizer_appid"), "expires_in": 7200},
        "get": {"quota": {"remain": 5}},
    }
    said = known.get(call, {"errcode": 50002, "errmsg": ERRMSG})
    if call.startswith("getuser") and asked.query["access_token"] != APPIDS[-1]:
        row = {"user_source": 0, "new_user": 1, "cancel_user": 0, "cumulate_user": 5, NICK: NICK}
        said = {"list": [{"ref_date": day, **row} for day in _days(asked)]}
    return json.dumps(said).encode()


@dataclass
class Site:
    """A folder with the configuration of a user whose platform is hostile."""

    folder: Path

    async def collector(self, command: str) -> str:
        """Run a command; return all that it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector", *command.split()),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return (await process.communicate())[0].decode()

    async def on_a_terminal(self, command: str) -> str:
        """Run a command on a terminal; return all that it shows."""
        ours, theirs = pty.openpty()
        environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "collector", *command.split()),
            cwd=self.folder,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = await asyncio.to_thread(_all_of, ours)
        await process.wait()
        return shown.decode()


def _all_of(terminal: int) -> bytes:
    shown = b""
    with open(terminal, "rb", buffering=0) as file:
        try:
            while data := file.read(65_536):
                shown += data
        except OSError:  # the other end is closed
            pass
    return shown


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    return Site(folder)


def _configure(site: Site, address: str, uri: str, database: str) -> None:
    settings = {
        "mongodb": {"uri": uri, "database": database},
        "api": {"hosts": [address], "timeout": 5},
        "defaults": {"token": {"command": ["touch", f"{site.folder}/made-{{appid}}"]}},
        "components": [
            {
                "name": "agency",
                "appid": "wx00000000000000c0",
                "access_token": {"command": ["echo", "COMPONENT-TOKEN"]},
                "discover": "true",
            }
        ],
    }
    path = site.folder / "accounts.yaml"
    path.touch(mode=0o600)
    path.write_text(json.dumps(settings))


def _is_harmless(text: str) -> bool:
    """Return whether a text has no control characters but line ends, and none that changes the direction of writing."""
    return all(letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs") for letter in text)


async def test_hostile_names_on_a_terminal(site: Site, mongod: str, database: Database) -> None:
    first = ["run -vv", "run -v --log-format json"]
    then = ["check -v", "status --gaps --max-age 0", "verify", "run --dry-run"]
    async with Server(_hostile).serving() as address:
        _configure(site, address, mongod, database.name)
        before = sorted(site.folder.parents[1].rglob("*"))
        printed = {command: await site.collector(command) for command in first}
        printed |= zip(then, await asyncio.gather(*map(site.collector, then)), strict=True)
        shown = [await site.on_a_terminal("run -v")]
    assert {name: text for name, text in printed.items() if not _is_harmless(text)} == {}
    assert all(SHOWN_NICK in text for text in (*printed.values(), *shown))
    assert not any("\x1b[8m" in text for text in shown)
    assert [text for text in shown if not _is_harmless(OURS.sub("", text))] == []
    assert sorted(site.folder.parents[1].rglob("*")) == before
    assert await database[ACCOUNTS].distinct("_id") == sorted(APPIDS)
    assert len(await database[USER_DAILY].distinct("account")) == len(APPIDS) - 1


async def test_hostile_documents_on_a_terminal(database: Database) -> None:
    await database[ACCOUNTS].insert_one({"_id": f"wx{RING}", "version": 0})
    _, unusable = await read_states(database)
    said = [state.remedy for state in unusable.values()]
    odd = [{"account": f"a{RING}", "ref_date": f"b{RING}"}] * 2
    await database[USER_DAILY].insert_many([dict(each) for each in odd])
    with pytest.raises(DatabaseError) as doubled:
        await prepare(database)
    said.append(str(doubled.value))
    owner = {"run": f"r{RING}", "command": f"c{RING}", "host": f"h{RING}", "pid": 1}
    await database["leases"].insert_one(
        {"_id": "run", **owner, "since": NOW, "expires": datetime(2999, 1, 1, tzinfo=UTC)}
    )
    with pytest.raises(LeaseHeldError) as held:
        async with lease(database, "mine", "run"):
            pass
    said.append(str(held.value))
    assert [text for text in said if not _is_harmless(text)] == []
