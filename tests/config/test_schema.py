"""Fields and their defaults."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from collector.config import Settings, load, shown
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.model.accounts import Account, Rate, TokenKind

KEY = "0123456789abcdef" * 2

SECRET = SecretStr(KEY)

ONE = f"accounts: [{{name: a, appid: wx0000000000000001, secret: {KEY}}}]\n"

A = Account("a", "wx0000000000000001", SECRET, Rate(5, 1))


def entry(name: str, number: int, *more: str) -> str:
    return "  - {" + ", ".join([f"name: {name}, appid: wx{number:016x}, secret: {KEY}", *more]) + "}\n"


def defaults(rate_limit: Rate, since: date) -> dict[str, Any]:
    unset = {"daily_calls": None, "egress": None}
    return {"rate_limit": rate_limit, "token": TokenKind.STABLE, "since": since, **unset}


def test_defaults(loaded: Callable[..., Settings]) -> None:
    assert loaded(ONE) == Settings(
        mongodb=MongoSettings(uri=None, database="wechat"),
        api=ApiSettings(hosts=("https://api.weixin.qq.com", "https://api2.weixin.qq.com"), timeout=10.0, proxy=None),
        run=RunSettings(workers=64, lookback=7, published_at=time(8, 0)),
        accounts=(A,),
        warnings=(),
    )


def test_every_setting(loaded: Callable[..., Settings]) -> None:
    content = f"""
mongodb:
  uri: mongodb+srv://db.example/?tls=true
  database: figures
api:
  hosts: [http://127.0.0.1:8080/, https://a.example]
  timeout: 2.5
  proxy: https://u:p@proxy.example:3128/
run:
  workers: 8
  lookback: 14
  published_at: 10:00
defaults:
  rate_limit: 30/min
  token: stable
  since: 2025-01-01
accounts:
  - name: "no"
    appid: wx0123456789abcdef
    secret: 01234567890123456789012345678901
    tags: [yes, 1]
    rate_limit: 2/s
    since: 2024-02-29
    enabled: false
  - {{name: 服务号　甲, appid: wx0000000000000002, secret: {KEY}}}
"""
    assert loaded(content) == Settings(
        mongodb=MongoSettings(uri=SecretStr("mongodb+srv://db.example/?tls=true"), database="figures"),
        api=ApiSettings(
            hosts=("http://127.0.0.1:8080", "https://a.example"),
            timeout=2.5,
            proxy=SecretStr("https://u:p@proxy.example:3128"),
        ),
        run=RunSettings(workers=8, lookback=14, published_at=time(10)),
        accounts=(
            Account(
                "no",
                "wx0123456789abcdef",
                SecretStr("01234567890123456789012345678901"),
                Rate(2, 1),
                since=date(2024, 2, 29),
                tags=("yes", "1"),
                enabled=False,
            ),
            Account("服务号　甲", "wx0000000000000002", SECRET, Rate(30, 60), since=date(2025, 1, 1)),
        ),
        defaults=defaults(Rate(30, 60), date(2025, 1, 1)),
    )


@pytest.mark.parametrize(("text", "enabled"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_enabled(loaded: Callable[..., Settings], text: str, enabled: bool) -> None:
    """It is true or false as YAML writes them."""
    accounts = loaded("accounts:\n" + entry("a", 1, f"enabled: {text}")).accounts
    assert [account.enabled for account in accounts] == [enabled]


def test_empty_section(loaded: Callable[..., Settings]) -> None:
    """A section whose lines are all commented out counts as left out."""
    content = "mongodb:\napi:\nrun:\ndefaults:\n" + ONE.replace(f"secret: {KEY}", f"secret: {KEY}, tags: ")
    assert loaded(content) == loaded(ONE)


def test_data_dir_is_relative_to_its_file(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("mongodb: {data_dir: data}\n" + ONE, "etc/a.yaml")
    settings = load([path], {}, datetime(2026, 11, 24, tzinfo=UTC))
    assert settings.mongodb.data_dir == tmp_path / "etc" / "data"
    assert shown(settings)["mongodb"] == {"database": "wechat", "data_dir": f"{tmp_path}/etc/data"}
