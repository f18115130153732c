"""Slips of the keyboard and names that a terminal can't show: plain words, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import collector, configure

from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database

ONE = "accounts: [{name: a, appid: wx0123456789abcdef, secret: 0123456789abcdef0123456789abcdef}]\n"


@pytest.mark.parametrize("value", [("--wait", "abc"), ("--wait", "-3"), ("--wait", "99999999999"), ("--wait=1e3",)])
async def test_wait_that_is_none(tmp_path: Path, value: tuple[str, ...]) -> None:
    ended = await collector("run", *value, cwd=tmp_path)
    given = value[-1].removeprefix("--wait=")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == (
        f"Error: Invalid value for '--wait': '{given}' is not a number of seconds from 0 to 604,800: write it as 600"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (("runs", "--last", "0"), "'--last': '0' is not a whole number from 1 up"),
        (("runs", "--last", "few"), "'--last': 'few' is not a whole number from 1 up"),
        (("status", "--max-age", "-1"), "'--max-age': '-1' is not a whole number from 0 up"),
        (("status", "--max-run-age", "1.5"), "'--max-run-age': '1.5' is not a whole number from 1 up"),
        (("sandbox", "--port", "99999"), "'--port': '99999' is not a whole number from 0 to 65,535"),
        (("sandbox", "--accounts", "0"), "'--accounts': '0' is not a whole number from 1 to 10,000"),
        (
            ("sandbox", "--latency", "slow"),
            "'--latency': 'slow' is not a number of seconds from 0 to 604,800: write it as 600",
        ),
        (("export", "out.csv", "--per", "month"), "'--per': 'month' is none of the choices: write day or source"),
        (("export", "-", "--format", "CSV"), "'--format': 'CSV' is none of the choices: write csv, parquet or xlsx"),
        (("run", "--log-format", "xml"), "'--log-format': 'xml' is none of the choices: write text or json"),
    ],
)
async def test_value_that_is_none(tmp_path: Path, call: tuple[str, ...], message: str) -> None:
    ended = await collector(*call, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == f"Error: Invalid value for {message}"


@pytest.mark.parametrize(
    "section",
    [
        "mongodb: {uri: 'mongodb://h:99999/'}",
        "api: {hosts: ['https://h:99999']}",
        "api: {proxy: 'http://h:99999'}",
        "defaults: {token: {url: 'http://h:99999/'}}",
    ],
)
async def test_port_that_no_host_has(tmp_path: Path, section: str) -> None:
    file = tmp_path / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(f"{section}\n{ONE}")
    ended = await collector("run", cwd=tmp_path)
    assert (ended.code, ended.out) == (78, "")
    assert "has a port that isn't a number from 1 to 65535\n    Write " in ended.err


async def test_option_that_mongodb_does_not_know(tmp_path: Path, mongod: str, database: Database) -> None:
    """A warning, ours alone."""
    async with Sandbox(World(size=1)) as sandbox:
        configure(tmp_path, sandbox, f"{mongod}/?foo=1", database)
        ended = await collector("run", cwd=tmp_path)
    assert ended.code in {0, 75}
    assert ended.err.count("`foo` isn't an option of MongoDB's, and has no effect; correct it, or take it out") == 1
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "-v"),
        ("run", "-q"),
        ("run", "--dry-run"),
        ("status",),
        ("check",),
        ("run", "--account", "nobody😀"),
        ("config", "show"),
    ],
    ids=" ".join,
)
async def test_emoji_under_gbk(tmp_path: Path, mongod: str, database: Database, arguments: tuple[str, ...]) -> None:
    """Characters that the encoding lacks are escaped; Chinese isn't."""
    world = World(size=2)
    broken = world.accounts[0]
    async with Sandbox(world, faults=Faults(broken={broken.appid: 40125})) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        file = tmp_path / "accounts.yaml"
        file.write_text(file.read_text().replace(broken.name, "客户😀"), encoding="utf-8")
        await collector("run", cwd=tmp_path)
        # stdout and stderr go through iconv: a byte that isn't GBK would be an error of it.
        ended = await collector(
            *arguments, cwd=tmp_path, redirected="> >(iconv -f gbk -t utf-8) 2>&1", PYTHONIOENCODING="gbk"
        )
    assert ended.err == ""
    assert "Traceback" not in ended.out
    assert "\\u0001f600" in ended.out.lower()
