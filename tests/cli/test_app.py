"""The commands as a user runs them: in a process of their own, over real HTTP, into a real MongoDB."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from command import Ended, collector, configure, ended_of, line_with, started
from support import stored

from collector import __version__
from collector.sandbox import Faults, Sandbox, World
from collector.store.database import Database

WORLD = World(size=12)
IP, SECRET, RIGHT = (account.appid for account in WORLD.accounts[:3])
BROKEN = Faults(broken={IP: 40164, SECRET: 40125, RIGHT: 48001})


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(WORLD, faults=BROKEN) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, sandbox: Sandbox, mongod: str, database: Database) -> Path:
    """A folder with an `accounts.yaml` for the sandbox and the test's database."""
    configure(tmp_path, sandbox, mongod, database)
    return tmp_path


async def test_run(folder: Path, database: Database) -> None:
    """It stores days, and groups failures by remedy."""
    ended = await collector("run", cwd=folder)
    assert ended.code == 3
    assert ended.err == ""
    assert ended.out.startswith("12 accounts: 9 ok, 3 failed\n")
    assert "  1 account: allow 203.0.113.7 in the account's console" in ended.out
    assert len({account for account, _ in await stored(database)}) == 9


async def test_json(folder: Path) -> None:
    """One object is printed, and nothing else."""
    ended = await collector("run", "--json", cwd=folder)
    assert (ended.code, ended.err) == (3, "")
    assert ended.json["accounts"] == {"total": 12, "ok": 9, "pending": 0, "failed": 3, "skipped": 0}
    assert ended.json["exit"] == ended.code
    assert {failure["account"] for failure in ended.json["failures"]} == {IP, SECRET, RIGHT}


async def test_quiet(folder: Path) -> None:
    """Only failures are printed."""
    good = WORLD.accounts[5].name
    assert await collector("run", "-q", "--account", good, cwd=folder) == Ended(0, "", "")
    ended = await collector("run", "-q", cwd=folder)
    assert (ended.code, ended.err) == (3, "")
    assert ended.out.startswith("Failed: 3\n")


async def test_verbose(folder: Path) -> None:
    """Errcode, message and rid are printed."""
    ended = await collector("run", "-v", "--account", SECRET, "--account", WORLD.accounts[5].name, cwd=folder)
    assert ended.code == 3
    assert re.search(r"errcode 40125: invalid appsecret \(rid [0-9a-f-]{26}\)", ended.out)
    assert "account.failed" in ended.err


async def test_log_as_json_lines(folder: Path) -> None:
    ended = await collector("run", "-v", "--log-format", "json", "--account", SECRET, cwd=folder)
    (line,) = [json.loads(line) for line in ended.err.splitlines()]
    assert (line["event"], line["level"], line["errcode"]) == ("account.failed", "info", 40125)


async def test_only_account_fails(folder: Path) -> None:
    """A run whose only account fails has failed."""
    assert (await collector("run", "--account", SECRET, cwd=folder)).code == 1


async def test_dry_run(folder: Path, sandbox: Sandbox, database: Database) -> None:
    """The plan is printed, and nothing is asked."""
    ended = await collector("run", "--dry-run", cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[-1] == "12 accounts, 24 data calls. Nothing was asked."
    ended = await collector("run", "--dry-run", "--json", "--account", IP, cwd=folder)
    assert (ended.json["calls"], [plan["account"] for plan in ended.json["accounts"]]) == (2, [IP])
    assert sandbox.calls == []
    assert await stored(database) == {}


async def test_signal_drains(tmp_path: Path, mongod: str, database: Database) -> None:
    async with Sandbox(World(size=40), latency_s=0.2) as sandbox:
        configure(tmp_path, sandbox, mongod, database, extra="")
        (tmp_path / "few.yaml").write_text("run: {workers: 2}\n")
        process = await started("run", "--json", "-c", "accounts.yaml", "-c", "few.yaml", cwd=tmp_path)
        while not any(call.path.startswith("/datacube") for call in sandbox.calls):  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        ended = await ended_of(process)
    assert ended.code == 143
    assert ended.json["status"] == "stopped"
    assert ended.json["accounts"]["skipped"] > 30
    assert "stopping: calls in flight are finished and stored; a second signal ends at once" in ended.err
    found = await stored(database)
    assert len(found) == ended.json["days"] > 0


async def test_simultaneous_signals(tmp_path: Path, mongod: str, database: Database) -> None:
    """`timeout` sends its signal to the command, and at once to the group that the command is in."""
    async with Sandbox(World(size=4), latency_s=0.3) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        process = await started("run", "--json", cwd=tmp_path)
        while not sandbox.calls:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)  # of two of one kind the kernel itself might make one
        ended = await ended_of(process)
    assert ended.code in (130, 143)
    assert ended.json["status"] == "stopped"


async def test_second_signal_ends_at_once(tmp_path: Path, mongod: str, database: Database) -> None:
    async with Sandbox(World(size=4), faults=Faults(hang=1.0)) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        process = await started("run", cwd=tmp_path)
        while not sandbox.calls:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        await line_with("stopping", process)
        process.send_signal(signal.SIGINT)
        ended = await ended_of(process)
    assert ended.code == -signal.SIGINT


async def test_usage_errors(folder: Path) -> None:
    """They exit with 2, and print nothing on stdout."""
    ended = await collector("run", "--json", "--account", "cleint-00005", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("collector: no account has the name or appid 'cleint-00005' (did you mean client-00005")
    assert (await collector("run", "--no-such-option", cwd=folder)).code == 2


async def test_ignore_waits_needs_accounts(folder: Path) -> None:
    ended = await collector("run", "--ignore-waits", "--tag", "retail", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "collector: --ignore-waits needs --account: name each account whose wait is over\n"
    sound = WORLD.accounts[5].name
    ended = await collector("run", "--ignore-waits", "--account", sound, cwd=folder)
    assert (ended.code, ended.out.splitlines()[0]) == (0, "1 account: 1 ok")


async def test_faults_of_the_configuration(tmp_path: Path) -> None:
    """They exit with 78, each with its line."""
    file = tmp_path / "accounts.yaml"
    file.write_text(
        "defaults: {rate_limit: fast}\n"
        "accounts:\n"
        "  - {name: a, appid: wx0123456789abcdef, secret: '${NOT_SET_ANYWHERE}'}\n"
        "  - {name: b, appid: wx0123456789abcdef, secret: ''}\n"
    )
    ended = await collector("run", "--json", cwd=tmp_path)
    assert (ended.code, ended.out) == (78, "")
    assert ended.err.startswith("collector: 5 faults in the configuration:\n")
    for line in (1, 3, 4):
        assert f"accounts.yaml:{line}: " in ended.err


async def test_one_fault_has_no_heading(tmp_path: Path) -> None:
    ended = await collector("run", "-c", "missing.yaml", cwd=tmp_path)
    assert ended.code == 78
    assert ended.err.startswith("collector: missing.yaml: ")


async def test_no_mongod_and_no_uri(folder: Path) -> None:
    """The message names both remedies."""
    (folder / "local.yaml").write_text((folder / "accounts.yaml").read_text().partition("api:")[2].join(["api:", ""]))
    ended = await collector("run", "-c", "local.yaml", cwd=folder, COLLECTOR_MONGOD="/nowhere/mongod")
    assert ended.code == 1
    assert "$COLLECTOR_MONGOD is /nowhere/mongod, which isn't an executable file" in ended.err


async def test_unreachable_database(folder: Path, sandbox: Sandbox) -> None:
    """An address that has never answered is given up after 15 seconds, with exit 1."""
    (folder / "wrong.yaml").write_text("mongodb: {uri: 'mongodb://u:pa55word@127.0.0.1:1'}\n")
    async with asyncio.timeout(40):
        ended = await collector("run", "--json", "-c", "accounts.yaml", "-c", "wrong.yaml", cwd=folder)
    assert (ended.code, ended.json["status"]) == (1, "failed")
    assert "check mongodb.uri" in ended.json["error"]
    assert "leave mongodb.uri out to use a local mongod" in ended.err
    assert "pa55word" not in ended.out + ended.err
    assert sandbox.calls == []


async def test_warnings_are_logged(folder: Path) -> None:
    (folder / "classic.yaml").write_text("defaults: {token: classic}\n")
    arguments = ("run", "-c", "accounts.yaml", "-c", "classic.yaml", "--account", WORLD.accounts[5].name)
    ended = await collector(*arguments, cwd=folder)
    assert "[warning  ] accounts.yaml:9: 12 accounts fetch their token by the classic call" in ended.err
    assert (await collector(*arguments, "-q", cwd=folder)).err == ""


async def test_version_and_help(tmp_path: Path) -> None:
    assert await collector("--version", cwd=tmp_path) == Ended(0, f"collector {__version__}\n", "")
    ended = await collector("--help", cwd=tmp_path)
    assert ended.code == 0
    assert "Commands:" in ended.out


async def test_sandbox_prints_a_configuration(tmp_path: Path, mongod: str, database: Database) -> None:
    """`run` accepts it."""
    process = await started("sandbox", "--port", "0", "--accounts", "3", cwd=tmp_path)
    assert process.stderr
    assert process.stdout
    told = (await process.stderr.readline()).decode()
    assert told.startswith("collector: a pretend WeChat listens on http://127.0.0.1:")
    text = (await process.stdout.read(100_000)).decode()
    file = tmp_path / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(f"mongodb: {{uri: '{mongod}', database: {database.name}}}\n{text}")
    ended = await collector("run", cwd=tmp_path)
    process.send_signal(signal.SIGINT)
    assert (ended.code, ended.err) == (0, "")
    assert await process.wait() == 0
    assert len(await stored(database)) == 21


async def test_sandbox_on_a_taken_port(tmp_path: Path, sandbox: Sandbox) -> None:
    ended = await collector("sandbox", "--port", str(sandbox.port), cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"collector: port {sandbox.port} is not available (")


async def test_reader_that_leaves_early(folder: Path, database: Database) -> None:
    """It changes neither the stored days nor the exit code."""
    command = f"{sys.executable} -m collector run --account {WORLD.accounts[5].name} | true; echo ${{PIPESTATUS[0]}}"
    shell = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=subprocess.PIPE, cwd=folder)
    assert (await shell.communicate())[0] == b"0\n"
    assert len(await stored(database)) == 7


async def test_demo(tmp_path: Path) -> None:
    """It names the broken accounts, shows a document, and leaves nothing behind but a report on all accounts."""
    ended = await collector("demo", cwd=tmp_path, TMPDIR=str(tmp_path), LC_ALL="C", COLLECTOR_LANG="")
    assert ended.code == 0
    assert "52 accounts: 49 ok, 3 failed" in ended.out
    for remedy in ("allow 203.0.113.7", "the secret was reset or mistyped", "the account isn't verified"):
        assert remedy in ended.out
    assert '"cumulate_user"' in ended.out
    assert ended.out.endswith("collector demo --keep` keeps it, for other commands to try.\n")
    report = tmp_path / "collector-demo.html"
    assert f"A report on its accounts, to be opened in a browser: {report}\n" in ended.out
    assert "<h1>52 个公众号</h1>" in report.read_text(encoding="utf-8")
    assert [path.name for path in sorted(tmp_path.iterdir())] == [report.name]  # noqa: ASYNC240 - a few files


async def test_demo_without_the_extra(tmp_path: Path) -> None:
    """It says what to install for the report, and goes on."""
    (tmp_path / "jinja2.py").write_text("raise ModuleNotFoundError")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ended = await collector("demo", cwd=tmp_path, PYTHONPATH=path)
    assert ended.code == 0
    assert "No report was written: a page needs the extra `report`: " in ended.out
    assert ended.out.endswith("collector demo --keep` keeps it, for other commands to try.\n")


async def test_demo_without_a_mongod(tmp_path: Path) -> None:
    ended = await collector("demo", cwd=tmp_path, COLLECTOR_MONGOD="/nowhere/mongod")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("collector: $COLLECTOR_MONGOD is /nowhere/mongod, which isn't an executable file")


async def test_no_secret_is_printed(folder: Path, sandbox: Sandbox, mongod: str, database: Database) -> None:
    """Whole runs with failures of all kinds: logs, output, tracebacks and stored documents are searched."""
    faults = Faults(
        seed=5, system_error=0.04, reset=0.04, cut_body=0.04, html=0.04, token_revoked=0.1, broken=dict(BROKEN.broken)
    )
    written = []
    async with Sandbox(WORLD, faults=faults) as troubled:
        configure(folder, troubled, mongod, database)
        for options in (["-vv"], ["-vv", "--log-format", "json", "--json"], ["--dry-run"]):
            ended = await collector("run", *options, cwd=folder)
            written.append(ended.out + ended.err)
    (folder / "gone.yaml").write_text(
        f"api: {{hosts: ['http://127.0.0.1:1'], proxy: 'http://u:{SECRET}@127.0.0.1:2'}}\n"
    )
    await database["accounts"].delete_many({})
    ended = await collector("run", "-vv", "-c", "accounts.yaml", "-c", "gone.yaml", cwd=folder)
    assert ended.code == 1
    written.append(ended.out + ended.err)
    written += [str(document) async for document in database["user_daily"].find()]
    everything = "\n".join(written)
    assert "account.failed" in everything
    assert "Traceback" not in everything
    for account in WORLD.accounts:
        assert account.secret not in everything
    assert not re.search(r"\b\d+_[\w-]{100,}", everything), "an access_token"
    assert f"u:{SECRET}@" not in everything


@pytest.mark.parametrize(("command", "signals"), [("check", 1), ("run", 2)])
async def test_helper_commands_end_too(folder: Path, sandbox: Sandbox, command: str, signals: int) -> None:
    """No helper command outlives the collector."""
    account = WORLD.accounts[5]
    own = f"accounts: [{{name: a, appid: {account.appid}, secret: {{command: [sh, -c, 'echo $$ >pid; sleep 60']}}}}]\n"
    (folder / "own.yaml").write_text(f"api: {{hosts: ['{sandbox.url}']}}\n{own}")
    configuration = (folder / "accounts.yaml").read_text().partition("accounts:")[0]
    (folder / "base.yaml").write_text(configuration)
    os.mkfifo(folder / "pid", 0o600)
    process = await started(command, "-c", "base.yaml", "-c", "own.yaml", cwd=folder)
    pid = int(await asyncio.to_thread((folder / "pid").read_text))
    for _ in range(signals):
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
    ended = await ended_of(process)
    assert ended.code == (143 if signals == 1 else -signal.SIGTERM)
    assert _is_gone(pid)


def _is_gone(pid: int) -> bool:
    """Return True once a process has ended, even if nobody has waited for it."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().split()[2] == "Z"


async def test_help_without_a_command(tmp_path: Path) -> None:
    ended = await collector(cwd=tmp_path)
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    assert "Usage: " in ended.out + ended.err
