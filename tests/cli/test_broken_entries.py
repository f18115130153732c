"""One client's mistake in the configuration is that client's: whole commands over real HTTP, into a real MongoDB."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from command import Ended, collector
from support import stored

from collector.model.shards import Shard, shard_of
from collector.sandbox import Sandbox, World
from collector.store.database import Database
from collector.store.runs import RUNS
from collector.store.state import ACCOUNTS, load

WORLD = World(size=7)
UNSET, RATE, KEY, FILE, *SOUND = WORLD.accounts
FAULTS: dict[str, dict[str, Any]] = {
    UNSET.appid: {"secret": "${NOT_SET_ANYWHERE}"},
    RATE.appid: {"rate_limit": "fast", "tags": ["retail"]},
    KEY.appid: {"tag": ["retail"], "egress": "hk"},
}

Configure = Callable[..., None]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(WORLD) as opened:
        yield opened


@pytest.fixture
def configure(tmp_path: Path, sandbox: Sandbox, mongod: str, database: Database) -> Configure:
    """Write one file with all accounts but FILE, which has one of its own in `d`; `faults` change their entries."""
    (tmp_path / "d").mkdir()
    main, own = tmp_path / "accounts.yaml", tmp_path / "d/own.yaml"
    for path in (main, own):
        path.touch(mode=0o600)

    def write(faults: dict[str, dict[str, Any]] | None = None, own_file: str | None = None, **more: Any) -> None:
        accounts = [
            {"name": each.name, "appid": each.appid, "secret": each.secret} | (faults or {}).get(each.appid, {})
            for each in WORLD.accounts
        ]
        file = accounts.pop(WORLD.accounts.index(FILE))
        own.write_text(own_file or json.dumps({"accounts": [file]}))
        mongodb = {"uri": mongod, "database": database.name}
        lines = [f"{json.dumps(account)}" for account in accounts]  # one a line, from line 2 on
        main.write_text(
            "accounts: [\n"
            + ",\n".join(lines)
            + "]\ninclude: d/*.yaml\n"
            + "".join(f"{key}: {json.dumps(value)}\n" for key, value in {"mongodb": mongodb, **more}.items())
            + f"api: {{hosts: ['{sandbox.url}']}}\n"
        )

    return write


@pytest.fixture
def broken(configure: Configure) -> Configure:
    """The configuration with three broken entries, and a file that is no YAML."""
    configure(FAULTS, "accounts: [\n")
    return configure


async def test_run(broken: Configure, tmp_path: Path, database: Database) -> None:
    """All others are collected, and each failure has its file, line and remedy."""
    ended = await collector("run", "--json", cwd=tmp_path)
    assert (ended.code, ended.err) == (3, "")
    counts = ended.json["accounts"]
    assert (counts["total"], counts["ok"] + counts["pending"], counts["failed"]) == (7, 3, 4)
    main, own = tmp_path / "accounts.yaml", tmp_path / "d/own.yaml"
    failures = {
        (each["account"], each["name"], each["dataset"], each["errcode"]): (each["errmsg"], each["hint"])
        for each in ended.json["failures"]
    }
    assert failures[UNSET.appid, UNSET.name, None, None] == (
        f"{main}:2: the variable NOT_SET_ANYWHERE isn't set",
        f"{main}:2: the variable NOT_SET_ANYWHERE isn't set. Set NOT_SET_ANYWHERE in the environment.",
    )
    assert failures[RATE.appid, RATE.name, None, None][0] == f"{main}:3: `rate_limit` can't be 'fast'"
    assert failures[KEY.appid, KEY.name, None, None][0] == f"{main}:4: `tag` isn't known here"
    assert failures[None, str(own), None, None][0].startswith(f"{own}:1: this isn't YAML")
    assert {account for account, _ in await stored(database)} == {each.appid for each in SOUND}
    summary = await collector("run", "-q", cwd=tmp_path)
    assert (summary.code, summary.out.splitlines()[0]) == (3, "Failed: 4")
    for message, hint in failures.values():
        assert message in hint
        assert f"  1 account: {hint}" in summary.out
    assert f"{own}: {own}:1: this isn't YAML" in (await collector("run", "-v", cwd=tmp_path)).out
    (last, *_) = await database[RUNS].find().sort("began", 1).to_list(None)
    assert (last["accounts"]["failed"], len(last["failures"])) == (4, 4)


async def test_state_and_status(broken: Configure, tmp_path: Path, database: Database) -> None:
    """The state has the fault as the last error of both datasets, until the entry is mended."""
    broken()
    assert (await collector("run", "-q", cwd=tmp_path)).code in (0, 75)
    broken(FAULTS, "accounts: [\n")
    await collector("run", cwd=tmp_path)
    documents = {each["_id"]: each for each in await database[ACCOUNTS].find().to_list(None)}
    message = f"{tmp_path}/accounts.yaml:3: `rate_limit` can't be 'fast'"
    errors = [documents[RATE.appid][name]["last_error"] for name in ("user_summary", "user_cumulate")]
    assert [error["errmsg"] for error in errors] == [message] * 2
    ended = await collector("status", "--json", cwd=tmp_path)
    facts = {(each["account"], each["name"]): each for each in ended.json["accounts"]}
    failing = {key: each for key, each in facts.items() if each["standing"] == "failing"}
    own = (None, f"{tmp_path}/d/own.yaml")
    assert failing.keys() == {(UNSET.appid, UNSET.name), (RATE.appid, RATE.name), (KEY.appid, KEY.name), own}
    rate = failing[RATE.appid, RATE.name]
    assert rate["last_error"]["errmsg"] == message
    assert rate["newest"]["user_cumulate"] is not None
    assert (rate["tags"], rate["missing_days"], failing[own]["missing_days"]) == (["retail"], 0, 0)
    assert ended.json["no_longer_configured"] == []  # FILE may be in the file that can't be read
    broken()
    mended = await collector("run", "--json", cwd=tmp_path)
    assert (mended.json["failures"], mended.json["calls"]) == ([], 0)
    assert not any(
        dataset.last_error for state in (await load(database)).values() for dataset in state.datasets.values()
    )


async def test_error_since(broken: Configure, tmp_path: Path, database: Database) -> None:
    """An entry has failed since the first run that met its fault."""
    await collector("run", cwd=tmp_path)
    first = (await load(database))[UNSET.appid].dataset("user_summary").last_error
    await collector("run", cwd=tmp_path)
    again = (await load(database))[UNSET.appid].dataset("user_summary").last_error
    assert first
    assert again
    assert (again.since, again.at > first.at) == (first.since, True)


async def test_damaged_state(broken: Configure, tmp_path: Path, database: Database) -> None:
    """A document that can't be used is a repair's to replace."""
    document = {"_id": UNSET.appid, "version": 99}
    await database[ACCOUNTS].insert_one(document)
    assert (await collector("run", cwd=tmp_path)).code == 3
    assert await database[ACCOUNTS].find_one({"_id": UNSET.appid}) == document


async def test_selection(broken: Configure, tmp_path: Path) -> None:
    """Names, appids and tags that can be read count; where only broken entries are selected, nothing can be done."""
    by_name, by_tag, both, sound, unknown = await asyncio.gather(
        collector("run", "--json", "--account", UNSET.name, cwd=tmp_path),
        collector("check", "--json", "--tag", "retail", cwd=tmp_path),
        collector("run", "--dry-run", "--account", KEY.appid, "--account", SOUND[0].name, cwd=tmp_path),
        collector("verify", "--account", SOUND[0].name, "--account", UNSET.name, cwd=tmp_path),
        collector("run", "--account", FILE.name, cwd=tmp_path),
    )
    assert (by_name.code, [each["account"] for each in by_name.json["failures"]]) == (1, [UNSET.appid])
    assert (by_tag.code, [each["account"] for each in by_tag.json["accounts"]]) == (1, [RATE.appid])
    assert (both.code, both.out.splitlines()[-1]) == (0, "1 account, 2 data calls. Nothing was asked.")
    assert "account.left_out" in both.err
    assert "`tag` isn't known here" in both.err
    assert (sound.code, sound.out.splitlines()[-1]) == (0, "2 accounts verified: state and documents agree.")
    assert unknown.code == 2
    assert f"; it may be in {tmp_path}/d/own.yaml, which can't be read" in unknown.err


async def test_backfill(broken: Configure, tmp_path: Path) -> None:
    ended = await collector("backfill", "--since", "2026-01-01", "--json", "--tag", "retail", cwd=tmp_path)
    assert (ended.code, ended.json["accounts"]["failed"], ended.json["calls"]) == (1, 1, 0)


async def test_check(broken: Configure, tmp_path: Path) -> None:
    """It lists broken entries as failed."""
    ended = await collector("check", "--json", cwd=tmp_path)
    assert (ended.code, ended.json["totals"]["failed"]) == (3, 4)
    listed = {(each["account"], each["outcome"]) for each in ended.json["accounts"]}
    failed = {(each.appid, "failed") for each in (UNSET, RATE, KEY)}
    assert listed == {*failed, (None, "failed"), *((each.appid, "ok") for each in SOUND)}
    shown = await collector("check", "-q", cwd=tmp_path)
    assert "the variable NOT_SET_ANYWHERE isn't set. Set NOT_SET_ANYWHERE in the environment." in shown.out


async def test_validate_and_show(broken: Configure, tmp_path: Path) -> None:
    """Any fault at all is one to them; `show` prints what is sound first."""
    validated = await collector("config", "validate", cwd=tmp_path)
    assert (validated.code, validated.out) == (78, "")
    assert validated.err.startswith("collector: 4 faults in the configuration:\n")
    shown = await collector("config", "show", "--json", cwd=tmp_path)
    assert (shown.code, shown.err) == (78, validated.err)
    assert [account["name"] for account in shown.json["accounts"]] == [each.name for each in SOUND]


async def test_duplicates(configure: Configure, tmp_path: Path, database: Database) -> None:
    """Both fail, and neither is collected."""
    configure({RATE.appid: {"name": UNSET.name}, FILE.appid: {"appid": KEY.appid}})
    ended = await collector("run", "--json", cwd=tmp_path)
    assert (ended.code, ended.json["accounts"]["total"], ended.json["accounts"]["failed"]) == (3, 7, 4)
    failed = [(each["account"], each["name"]) for each in ended.json["failures"]]
    twice = [(KEY.appid, KEY.name), (KEY.appid, FILE.name)]
    assert sorted(failed) == sorted([(UNSET.appid, UNSET.name), (RATE.appid, UNSET.name), *twice])
    assert {account for account, _ in await stored(database)} == {each.appid for each in SOUND}


async def test_disabled(configure: Configure, tmp_path: Path) -> None:
    """A fault of an account that isn't collected anyway fails nothing, but is one of the configuration."""
    configure({UNSET.appid: {"secret": "${NOT_SET_ANYWHERE}", "enabled": "false"}})
    ended = await collector("run", "--json", cwd=tmp_path)
    assert (ended.json["accounts"]["total"], ended.json["failures"]) == (6, [])
    assert (await collector("status", "--json", cwd=tmp_path)).json["totals"]["disabled"] == 1
    assert (await collector("config", "validate", cwd=tmp_path)).code == 78


async def test_labels_and_shards(broken: Configure, tmp_path: Path) -> None:
    """An entry is in the part of its label and its appid; a file that can't be read is in all of them."""
    labelled, without = await asyncio.gather(
        collector("check", "--json", "--egress", "hk", cwd=tmp_path),
        collector("check", "--json", "--egress", "-", cwd=tmp_path),
    )
    assert (labelled.code, {each["account"] for each in labelled.json["accounts"]}) == (1, {KEY.appid, None})
    others = {each.appid for each in (UNSET, RATE, *SOUND)}
    assert (without.code, {each["account"] for each in without.json["accounts"]}) == (3, {None, *others})
    shard = Shard(shard_of(UNSET.appid, 5), 5)
    ended = await collector("run", "--json", "--shard", str(shard), cwd=tmp_path)
    own = {each.appid for each in (UNSET, RATE, KEY) if each.appid in shard}
    assert {each["account"] for each in ended.json["failures"]} == {None, *own}
    assert ended.json["accounts"]["total"] == 1 + len(own) + sum(each.appid in shard for each in SOUND)


@pytest.mark.parametrize(
    "more", [{"run": {"workers": "many"}}, {"defaults": {"secret": "s"}}, {"bogus": 1}, {"components": [{"name": "c"}]}]
)
async def test_what_concerns_everybody(configure: Configure, tmp_path: Path, more: dict[str, Any]) -> None:
    """It ends with 78 before any call, with all other faults."""
    configure(FAULTS, "accounts: [\n", **more)
    ended = await collector("run", "--json", cwd=tmp_path)
    assert (ended.code, ended.out) == (78, "")
    assert "NOT_SET_ANYWHERE" in ended.err


async def test_no_sound_account(configure: Configure, tmp_path: Path, sandbox: Sandbox) -> None:
    configure({each.appid: {"secret": "${NOT_SET_ANYWHERE}"} for each in WORLD.accounts})
    ended = await collector("run", cwd=tmp_path)
    assert ended == Ended(78, "", ended.err)
    assert ended.err.startswith("collector: 7 faults in the configuration:\n")
    assert sandbox.calls == []
