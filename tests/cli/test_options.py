"""The options that commands share."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from collector.cli import options
from collector.cli.options import Common, Output, day, seconds, shard, with_common_options
from collector.config import Selection, load
from collector.errors import UsageError
from collector.model.shards import Shard

ONE = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"


def command_of(called: list[Any]) -> Any:
    """Make a command line of one command, which notes its arguments in `called`."""
    app = typer.Typer()

    @app.command()
    @with_common_options
    def look(common: Common, own: Annotated[int, typer.Option("--own", help="Own.")] = 0) -> None:
        """Look at it."""
        called.append((common, own))

    return app


def test_common_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command gets its own options, and the values of the shared ones."""
    file = tmp_path / "a.yaml"
    file.write_text(ONE)
    called: list[Any] = []
    configured: list[Any] = []
    monkeypatch.setattr(options, "configure_logging", lambda *given, quiet: configured.append((*given, quiet)))
    arguments = ["--own", "3", "-c", str(file), "--account", "a", "--tag", "x", "--tag", "y", "--json", "-vv", "-q"]
    ended = CliRunner().invoke(command_of(called), [*arguments, "--log-format", "json"])
    assert ended.exit_code == 0, ended.output
    ((common, own),) = called
    assert (own, configured) == (3, [(2, "json", True)])
    assert [account.name for account in common.settings.accounts] == ["a"]
    assert common.selection == Selection(["a"], ["x", "y"])
    assert common.output == (True, 2, True, "json")


def test_help_of_a_command() -> None:
    """A command's own options come before the shared ones."""
    shown = CliRunner().invoke(command_of([]), ["--help"]).output
    assert "Look at it." in shown
    order = [shown.index(option) for option in ("--own", "--config", "--account", "--tag", "--json", "--log-format")]
    assert order == sorted(order)


def test_day() -> None:
    assert day("2026-01-31") == date(2026, 1, 31)
    for text in ("2026-02-30", "yesterday", ""):
        with pytest.raises(typer.BadParameter, match="is not a day: write it as 2026-01-31"):
            day(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2", "'2' is not a shard: write it as 1/4, the first of four"),
        ("-1/4", "'-1/4' is not a shard"),
        ("1/4/5", "'1/4/5' is not a shard"),
        ("١/٤", "is not a shard"),
        ("1/9999999999", "is not a shard"),
        ("1/0", "'1/0' divides into 0 shards: use from 1 to 1,000,000"),
        ("1/1000001", "'1/1000001' divides into 1,000,001 shards: use from 1 to 1,000,000"),
        ("0/4", "there is no shard 0 of 4: they are counted from 1"),
        ("5/4", "there is no shard 5 of 4: they are counted from 1"),
        ("index/4", r"\$JOB_COMPLETION_INDEX isn't set: write K/N elsewhere"),
    ],
)
def test_bad_shard(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    with pytest.raises(typer.BadParameter, match=message):
        shard(text)


def test_shard() -> None:
    assert (shard("1/4"), shard("4/4"), shard("1/1000000")) == (Shard(1, 4), Shard(4, 4), Shard(1, 1_000_000))


def test_shard_of_an_indexed_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes counts the pods of a Job from 0."""
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "3")
    assert (shard("index/4"), shard("1/4")) == (Shard(4, 4), Shard(1, 4))
    with pytest.raises(typer.BadParameter) as caught:
        shard("index/3")
    assert str(caught.value) == "$JOB_COMPLETION_INDEX is 3: set `completions` of the Job to 3, or write index/4"
    for index in ("-1", "x", "１"):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", index)
        with pytest.raises(typer.BadParameter, match=f"JOB_COMPLETION_INDEX is '{index}', not a number"):
            shard("index/4")


@pytest.mark.parametrize("text", ["abc", "-3", "", "nan", "inf", "1e9", "604801", "9" * 400, "٣"])
def test_bad_wait(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a number of seconds from 0 to 604,800: write it as 600"):
        seconds(text)


def test_wait() -> None:
    assert [seconds(text) for text in ("0", "600", "1.5", "604800")] == [0, 600, 1.5, 604_800]


def test_part_of_the_accounts(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(ONE.replace("secret", "egress: hk, secret"))
    common = Common(load([file], {}, datetime.now(UTC)), Selection(["a"], ["x"]), Output(False, 0, False))
    assert common.within(None) == common
    part = common.within(["hk", "-"], Shard(1, 2)).selection
    assert part == Selection(["a"], ["x"], frozenset({"hk", None}), Shard(1, 2))
    with pytest.raises(UsageError, match="'hkk'"):
        common.within(["hkk"])
