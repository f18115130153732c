"""`collector config …`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from collector.cli.config_commands import app
from collector.config import sample
from collector.errors import ConfigError

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


def test_import() -> None:
    Path("sheet.csv").write_text("name,appid,secret\na,wx0000000000000001,s\n")
    ended = invoke("import", "sheet.csv", "--into", "d")
    assert ended.stdout == "1 file written into d; name them with `include: d/*.yaml`\n"
    assert Path("d/wx0000000000000001.yaml").exists()
