"""Output of a check: the order of the accounts, the table of refused IPs, JSON, and what the command prints."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from command import Ended, collector
from support import Configured, FakeClock, RecordingWatch

from collector.commands.check import check
from collector.config import Selection
from collector.console import check as checked
from collector.kinds import WaitKind
from collector.model.checks import Checks
from collector.model.results import Outcome
from collector.model.state import AccountState, DatasetState
from collector.model.waits import Wait
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import Database
from collector.store.state import ACCOUNTS, replacement

SUMMARY, CUMULATE = "user_summary", "user_cumulate"
DATA_PATHS = ("/datacube/getusersummary", "/datacube/getusercumulate")
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)


def _sandbox(clock: FakeClock, world: World, **options: Any) -> Sandbox:
    return Sandbox(world, clock=clock.now, **options)


def _data_calls(sandbox: Sandbox) -> Counter[str | None]:
    return Counter(call.appid for call in sandbox.calls if call.path in DATA_PATHS)


def _names(checks: Checks) -> list[str]:
    return [each.name for each in checks.accounts]


async def _waiting(database: Database, states: Iterable[AccountState]) -> None:
    await database[ACCOUNTS].bulk_write([replacement(state, 1) for state in states])


async def test_failed_waiting_late_come_first(clock: FakeClock, configured: Configured, database: Database) -> None:
    """Failed accounts come first, then those that wait, then the late ones."""
    world = World(size=5)
    waits, refused, right = (world.accounts[place] for place in (1, 3, 4))
    datasets = {name: DatasetState(wait=Wait(WaitKind.NOT_BEFORE, MIDNIGHT)) for name in (SUMMARY, CUMULATE)}
    await _waiting(database, [AccountState(waits.appid, waits.name, datasets=datasets)])
    faults = Faults(broken={refused.appid: 40125, right.appid: 48001})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    assert _names(checks) == ["client-00003", "client-00004", "client-00001", "client-00000", "client-00002"]


async def test_one_table_of_refused_ips(clock: FakeClock, configured: Configured) -> None:
    world = World(size=500)
    addresses = ("203.0.113.7", "203.0.113.8", "203.0.113.9")
    refusing = world.accounts[::12][:40]
    faults = Faults(refused_ips={account.appid: addresses for account in refusing})
    async with _sandbox(clock, world, faults=faults) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
        calls = _data_calls(sandbox)
    assert (checks.result.exit, checks.result.calls) == (3, 460 * 2)
    assert set(calls.values()) == {2}
    text = checked.as_text(checks)
    table = text.rpartition("\n\n")[2].splitlines()[1:]
    seen = {each.account: each.refused_ips for each in checks.accounts if each.refused_ips}
    assert Counter(ip for ips in seen.values() for ip in ips) == dict(zip(addresses, (14, 13, 13), strict=True))
    assert [line.split("  ") for line in table] == [
        [account.name, account.appid, *seen[account.appid]] for account in refusing
    ]
    assert "Refused IPs of 40 accounts." in text
    assert f"Seen in all: {', '.join(addresses)}." in text


async def test_progress_is_reported(clock: FakeClock, configured: Configured) -> None:
    world, watch = World(size=3), RecordingWatch()
    async with _sandbox(clock, world, faults=Faults(broken={world.accounts[2].appid: 40125})) as sandbox:
        await check(configured(sandbox), Selection(), clock=clock, watch=watch)
    assert watch.begun == [3]
    assert Counter(result.outcome for result in watch.results) == {Outcome.OK: 2, Outcome.FAILED: 1}


async def test_json_form(clock: FakeClock, configured: Configured) -> None:
    world = World(size=2, sparse=False)
    sound, refused = world.accounts
    faults = Faults(refused_ips={refused.appid: ("203.0.113.7",)})
    async with _sandbox(clock, world, faults=faults, limits=Limits(daily=10)) as sandbox:
        checks = await check(configured(sandbox), Selection(), clock=clock)
    printed = orjson.loads(orjson.dumps(checked.as_json(checks)))
    failure = {
        "account": refused.appid,
        "name": refused.name,
        "dataset": None,
        "errmsg": "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
        "errcode": 40164,
        "rid": printed["failures"][0]["rid"],
        "hint": "allow 203.0.113.7 in the account's console; that takes effect in 5 to 10 minutes",
        "windows": 0,
        "accounts": 1,
    }
    assert printed == {
        "newest_published": "2026-11-23",
        "exit": 3,
        "database": checks.result.database,
        "totals": {"accounts": 2, "failed": 1, "waiting": 0, "late": 0, "ok": 1},
        "calls": 2,
        "token_calls": 4,
        "accounts": [
            {
                "account": refused.appid,
                "name": refused.name,
                "outcome": "failed",
                "token": "failed",
                "datasets": {name: {"verdict": "not_asked", "quota_left": None} for name in (SUMMARY, CUMULATE)},
                "late": False,
                "host": sandbox.url,
                "refused_ips": ["203.0.113.7"],
                "failures": [failure],
                "notices": [],
                "never_had_a_row": False,
            },
            {
                "account": sound.appid,
                "name": sound.name,
                "outcome": "ok",
                "token": "ok",
                "datasets": {name: {"verdict": "ok", "quota_left": 9} for name in (SUMMARY, CUMULATE)},
                "late": False,
                "host": sandbox.url,
                "refused_ips": [],
                "failures": [],
                "notices": [],
                "never_had_a_row": False,
            },
        ],
        "failures": [failure],
        "refused_ips": [{"account": refused.appid, "name": refused.name, "ips": ["203.0.113.7"]}],
    }
    assert len(printed["failures"][0]["rid"]) == 26


async def test_command_output(tmp_path: Path, mongod: str, database: Database) -> None:
    """The command prints tables, JSON, or with `-q` the failures alone."""
    world = World(size=4)
    refused, secret, *sound = world.accounts
    faults = Faults(broken={refused.appid: 40164, secret.appid: 40125})
    async with Sandbox(world, faults=faults) as sandbox:
        text = sandbox.config_yaml(mongodb_uri=mongod).replace("api:", f"  database: {database.name}\napi:", 1)
        file = tmp_path / "accounts.yaml"
        file.touch(mode=0o600)
        file.write_text(text)
        shown, as_json, quiet, well = await asyncio.gather(
            collector("check", cwd=tmp_path),
            collector("check", "--json", cwd=tmp_path),
            collector("check", "-q", cwd=tmp_path),
            collector("check", "-q", *(f"--account={account.name}" for account in sound), cwd=tmp_path),
        )
    assert (shown.code, shown.err) == (3, "")
    lines = shown.out.splitlines()
    assert [line.split()[:2] for line in lines[:5]] == [
        ["name", "token"],
        [refused.name, "failed"],
        [secret.name, "failed"],
        *([account.name, "ok"] for account in sound),
    ]
    assert lines[6].startswith("4 accounts: 2 failed, 2 ok; the newest published day is ")
    assert lines[-1].split() == [refused.name, refused.appid, "203.0.113.7"]
    assert (as_json.code, as_json.err, as_json.json["exit"]) == (3, "", 3)
    assert as_json.json["refused_ips"] == [{"account": refused.appid, "name": refused.name, "ips": ["203.0.113.7"]}]
    assert [each["name"] for each in as_json.json["accounts"][:2]] == [refused.name, secret.name]
    assert (quiet.code, quiet.err) == (3, "")
    assert quiet.out.splitlines()[-1].split() == [refused.name, refused.appid, "203.0.113.7"]
    assert not any(account.name in quiet.out for account in sound)
    assert well == Ended(0, "", "")
    assert await database.list_collection_names() == []
