"""`--egress` and `--shard` as a user gives them: whole commands over real HTTP, into a real MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import Ended, collector, configure
from support import stored

from collector.model.shards import Shard, shard_of
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database
from collector.store.runs import RUNS

WORLD = World(size=6)
HK, SH, *PLAIN = WORLD.accounts
EMPTY = Shard(min({*range(1, 8)} - {shard_of(account.appid, 7) for account in WORLD.accounts}), 7)
"""A shard that holds no account."""


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(WORLD, faults=Faults(broken={SH.appid: 40164, PLAIN[0].appid: 40164})) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox, mongod: str, database: Database) -> Path:
    """A folder with an `accounts.yaml` of which two accounts have labels."""
    configure(tmp_path, sandbox, mongod, database)
    file = tmp_path / "accounts.yaml"
    text = file.read_text()
    for account, label in ((HK, "hk"), (SH, "sh")):
        appid = f'appid: "{account.appid}"'
        assert appid in text
        text = text.replace(appid, f"{appid}\n    egress: {label}")
    file.write_text(text)
    return tmp_path


async def test_run_of_labels(folder: Path, database: Database) -> None:
    ended = await collector("run", "--json", "--egress", "hk", "--egress", "-", cwd=folder)
    assert (ended.code, ended.json["accounts"]["total"]) == (3, 5)
    assert {account for account, _ in await stored(database)} == {each.appid for each in (HK, *PLAIN[1:])}


async def test_backfill_of_shards(folder: Path, database: Database) -> None:
    """All shards together have each account once."""
    since = str(datetime.now(UTC).date() - timedelta(days=20))
    totals = []
    for number in (1, 2):
        ended = await collector("backfill", "--since", since, "--json", f"--shard={number}/2", cwd=folder)
        totals.append(ended.json["accounts"]["total"])
    assert totals == [sum(each.appid in Shard(number, 2) for each in WORLD.accounts) for number in (1, 2)]
    assert len({account for account, _ in await stored(database)}) == 4


async def test_dry_run_of_a_part(folder: Path, sandbox: Sandbox) -> None:
    options = ("run", "--dry-run", "--json")
    label, shard, empty = await asyncio.gather(
        collector(*options, "--egress", "hk", cwd=folder),
        collector(*options, "--shard", "index/2", cwd=folder, JOB_COMPLETION_INDEX="1"),
        collector("run", "--dry-run", "--shard", str(EMPTY), cwd=folder),
    )
    assert [each["account"] for each in label.json["accounts"]] == [HK.appid]
    of_shard = [each.appid for each in WORLD.accounts if each.appid in Shard(2, 2)]
    assert [each["account"] for each in shard.json["accounts"]] == of_shard
    assert (empty.code, empty.out.splitlines()[-1]) == (0, "0 accounts, 0 data calls. Nothing was asked.")
    assert sandbox.calls == []


async def test_empty_shard(folder: Path, database: Database) -> None:
    """It is no failure, and a run as any other."""
    told = await collector("run", "--shard", str(EMPTY), cwd=folder)
    assert told == Ended(0, f"No account is in shard {EMPTY}: nothing to do.\n", "")
    assert await collector("run", "-q", "--shard", str(EMPTY), cwd=folder) == Ended(0, "", "")
    as_json = await collector("run", "--json", "--shard", str(EMPTY), cwd=folder)
    assert (as_json.code, as_json.json["status"], as_json.json["accounts"]["total"]) == (0, "ok", 0)
    assert await database[RUNS].count_documents({"exit": 0, "accounts.total": 0}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["run", "--egress", "hkk"], "has the egress label 'hkk' (did you mean hk?)"),
        (["check", "--egress", "hk", "--account", SH.name], "none of the accounts named has the egress label 'hk'"),
        (["run", "--shard", "3/2"], "there is no shard 3 of 2: they are counted from 1"),
        (["run", "--shard", str(EMPTY), "--account", HK.name], f", not in {EMPTY}"),
        (["backfill", "--since", "2026-01-01", "--shard", "index/2"], "$JOB_COMPLETION_INDEX isn't set"),
        (["check", "--shard", "1/2"], "No such option"),
        (["verify", "--egress", "hk"], "No such option"),
    ],
)
async def test_usage_errors(folder: Path, sandbox: Sandbox, options: list[str], message: str) -> None:
    ended = await collector(*options, cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert sandbox.calls == []


async def test_check_by_labels(folder: Path) -> None:
    ended = await collector("check", cwd=folder)
    assert ended.code == 3
    tables = ended.out[ended.out.index("Refused IPs") :]
    assert tables.index("Egress sh: 1 account.") < tables.index("Without an egress label: 1 account.")
    ended = await collector("check", "--json", "--egress", "sh", cwd=folder)
    assert [(each["account"], each["egress"]) for each in ended.json["refused_ips"]] == [(SH.appid, "sh")]
    assert len(ended.json["accounts"]) == 1
