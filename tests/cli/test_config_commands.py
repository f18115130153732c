"""`collector config …`."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
from typer.testing import CliRunner, Result

from collector.cli.config_commands import app
from collector.config import sample
from collector.errors import ConfigError, UsageError

ACCOUNT = "{{name: a{0}, appid: wx000000000000000{0}, secret: '${{S:-s3cret0123456789abcdef0123456789}}'{1}}}"
TWO = f"accounts: [{ACCOUNT.format(1, '')}, {ACCOUNT.format(2, ', enabled: false')}]\n"
PLATFORM = "components: [{name: c, appid: wx00000000000000c0, access_token: {url: 'https://t'}}]\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without any configuration around it."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLLECTOR_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def write(text: str) -> None:
    Path("accounts.yaml").write_text(text)
    Path("accounts.yaml").chmod(0o600)


def test_generate() -> None:
    assert invoke("generate").output == sample()
    ended = invoke("generate", "new.yaml")
    assert ended.output == ("wrote new.yaml: fill in your accounts, then run `collector config validate -c new.yaml`\n")
    assert Path("new.yaml").read_text() == sample()


@pytest.mark.parametrize(
    ("text", "counts"), [(TWO, "1 account, 1 disabled"), (TWO + PLATFORM, "1 account, 1 disabled, 1 platform")]
)
def test_validate(text: str, counts: str) -> None:
    write(text)
    ended = invoke("validate")
    assert (ended.exit_code, ended.stdout) == (0, f"the configuration is valid: {counts}\n")


def test_validate_prints_warnings() -> None:
    write(TWO + "include: d/*.yaml")
    ended = invoke("validate")
    warning = f"{Path.cwd()}/accounts.yaml:2: no file matches the pattern of `include`, d/*.yaml: correct it"
    assert (ended.exit_code, ended.stderr) == (0, f"collector: {warning}\n")


def test_validate_faults() -> None:
    write("accounts: [x]")
    assert isinstance(invoke("validate").exception, ConfigError)


def test_show() -> None:
    write(TWO)
    shown = invoke("show", "--json").stdout
    assert [account["name"] for account in json.loads(shown)["accounts"]] == ["a1", "a2"]
    assert "s3cret" not in shown + invoke("show").stdout
    assert "  database: wechat\n" in invoke("show").stdout


def test_schema() -> None:
    assert json.loads(invoke("schema").stdout)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


HEAD = "name,appid,secret\n"
ROWS = [f"a{n},wx{n:016x},s\n" for n in range(10)]


@pytest.fixture
def imported() -> None:
    """Ten accounts in the folder `d`."""
    Path("sheet.csv").write_text(HEAD + "".join(ROWS))
    assert invoke("import", "sheet.csv", "--into", "d").exit_code == 0


def import_(*options: str, rows: list[str]) -> Result:
    Path("sheet.csv").write_text(HEAD + "".join(rows))
    return invoke("import", "sheet.csv", "--into", "d", *options)


def is_disabled(number: int) -> bool:
    return "enabled: false" in Path(f"d/wx{number:016x}.yaml").read_text()


def test_import() -> None:
    ended = import_(rows=[ROWS[1]])
    assert ended.stdout == "d: 1 new\nname the files with `include: d/*.yaml`\n"
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert Path("d/wx0000000000000001.yaml").exists()


def test_import_leaves_out_faults(imported: None) -> None:
    """Each is named, nothing is blocked by it, and the exit is 3."""
    ended = import_(rows=["b,wx,s\n", "c,wx00000000000000c0,s\n", "other,wx0000000000000001,s\n"])
    assert (ended.exit_code, ended.stdout.splitlines()[0]) == (3, "d: 1 new")
    assert ended.stderr == (
        "collector: left out: 2\n"
        "sheet.csv:2: `appid` isn't of the right form\n"
        "    Write the AppID from the account's console: wx and 16 digits of 0-9 and a-f.\n"
        "sheet.csv:4: d/wx0000000000000001.yaml has other values for this account: `name`\n"
        "    See what changes, and write it, with --update.\n"
    )


def test_import_updates_after_yes(imported: None) -> None:
    """Without a terminal and without --yes the changes are shown, and nothing is written."""
    shown = "Gone from the sheet, to be disabled: 1\n  a0 (wx0000000000000000)\n\n"
    ended = import_("--update", rows=ROWS[1:])
    why = "collector: nothing was written: without a terminal, --update needs --yes\n"
    assert (ended.exit_code, ended.stdout, ended.stderr, is_disabled(0)) == (3, shown, why, False)
    ended = import_("--update", "--yes", rows=ROWS[1:])
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, f"{shown}d: 1 disabled\n", "")
    assert is_disabled(0)
    ended = import_("--update", rows=ROWS[1:])
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "d: nothing to write\n", "")


@pytest.mark.parametrize(("answer", "exit_code"), [("y", 0), ("n", 3), ("", 3)])
def test_import_asks_on_a_terminal(imported: None, answer: str, exit_code: int) -> None:
    Path("sheet.csv").write_text(HEAD + "".join(ROWS[1:]))
    controller, terminal = os.openpty()
    os.write(controller, f"{answer}\n".encode())
    command = [sys.executable, "-m", "collector", "config", "import", "sheet.csv", "--into", "d", "--update"]
    ended = subprocess.run(command, stdin=terminal, capture_output=True, text=True, check=False)
    assert (ended.returncode, is_disabled(0)) == (exit_code, not exit_code)
    answered = "" if exit_code == 0 else "collector: nothing was written\n"
    assert ended.stderr == f"Write these changes? [y/N]:{answered}"


def test_import_asks_for_more_than_a_yes_where_many_are_gone(imported: None) -> None:
    ended = import_("--update", rows=ROWS[2:])
    assert (ended.exit_code, is_disabled(0)) == (3, False)
    assert ended.stderr == (
        "collector: nothing was written: 2 of 10 accounts would be disabled, more than a tenth. If that is meant, "
        "add --yes\n"
    )
    assert import_("--update", "--yes", rows=ROWS[2:]).stdout.endswith("d: 2 disabled\n")


def test_import_wants_update_with_yes() -> None:
    assert isinstance(import_("--yes", rows=ROWS).exception, UsageError)


def test_import_for_a_group() -> None:
    """Where the group can't pass the folders above, the command says how to let it in."""
    Path.cwd().chmod(0o700)
    name = grp.getgrgid(os.getegid()).gr_name
    ended = import_("--group", name, "--secrets-dir", "s", rows=ROWS)
    assert ended.exit_code == 0
    assert [Path(path).stat().st_mode & 0o777 for path in ("d", "s", "s/wx0000000000000001")] == [0o750, 0o750, 0o640]
    for folder in ("d", "s"):
        assert f"collector: the group {name} can't read {folder}: run chgrp {name} /" in ended.stderr


def test_import_for_a_group_writes_nothing() -> None:
    """A folder that isn't there isn't closed."""
    name = grp.getgrgid(os.getegid()).gr_name
    ended = import_("--update", "--group", name, rows=ROWS)
    assert (ended.exit_code, Path("d").exists()) == (3, False)
    assert ended.stderr == "collector: nothing was written: without a terminal, --update needs --yes\n"


def test_import_knows_the_day_in_beijing() -> None:
    """It is tomorrow there, from 16:00 UTC on."""
    Path("sheet.csv").write_text("name,appid,secret,since\na,wx0000000000000001,s,2026-11-24\n")
    with time_machine.travel(datetime(2026, 11, 23, 20, tzinfo=UTC).timestamp(), tick=False):
        assert invoke("import", "sheet.csv", "--into", "d").exit_code == 0


def test_import_of_one_more(imported: None) -> None:
    """The folder is named in the configuration already."""
    ended = import_(rows=[*ROWS, "b,wx00000000000000c0,s\n"])
    assert (ended.exit_code, ended.stdout) == (0, "d: 1 new\n")
