"""The options that commands share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from collector.cli import options
from collector.cli.options import Common, day, with_common_options
from collector.config import Selection

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
    assert common.output == (True, 2, True)


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
