"""The settings as they are shown: everything in effect, and no secret."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from collector.config import Settings, load, show_yaml, shown
from collector.config.yamlfile import dumped, read

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SMALL = "accounts: [{name: a, appid: wx0000000000000001, secret: l3ak}]\n"
LARGE = """
mongodb: {uri: "mongodb://u:l3ak@h1:27017,h2/l3ak?x=l3ak", database: figures}
api: {proxy: "http://u:l3ak@egress:3128/", timeout: 2.5, ipv4_only: true, hosts: [https://a.example]}
run: {workers: 8, lookback: 14, published_at: "10:00"}
language: en
defaults:
  token: {url: "http://l3ak@t.internal:8080/l3ak?l3ak", headers: {X-Key: l3ak, Y: {file: /y}}, json: a.b,
    expires_json: c}
  since: 2025-01-01
components:
  - {name: agency, appid: wx00000000000000c0, access_token: {command: [get, l3ak, "-x"], json: t}, discover: true,
     exclude: [wx0000000000000ddd, wx0000000000000aaa, wx0000000000000bbb, wx0000000000000ccc], egress: sh}
  - {name: two, appid: wx00000000000000c2, secret: l3ak, verify_ticket: {url: http://t/l3ak}}
  - {name: three, appid: wx00000000000000c3, secret: {credential: c}, verify_ticket: l3ak}
accounts:
  - {name: a, appid: wx0000000000000001, secret: l3ak, token: classic, tags: [x, "1"], enabled: false}
  - {name: "$${b}", appid: wx0000000000000002, secret: {file: /s}, proxy: "http://u:l3ak@p",
     rate_limit: 30/min, daily_calls: 9, egress: hk}
  - {name: c, appid: wx0000000000000003, token: {component: agency}, authorizer_refresh_token: l3ak,
     proxy: {command: [p, l3ak]}, hosts: [https://h.example], since: 2024-01-01}
"""
TOKEN = {
    "url": "http://***@t.internal:8080/***",
    "headers": {"X-Key": "***", "Y": {"file": "/y"}},
    "json": "a.b",
    "expires_json": "c",
}


def test_defaults(loaded: Callable[..., Settings]) -> None:
    assert shown(loaded(SMALL)) == {
        "mongodb": {"database": "wechat"},
        "api": {
            "hosts": ["https://api.weixin.qq.com", "https://api2.weixin.qq.com"],
            "timeout": 10,
            "ipv4_only": False,
            "check_clock": True,
        },
        "run": {"workers": 64, "processes": 1, "lookback": 7, "published_at": "08:00"},
        "defaults": {"rate_limit": "5/s", "token": "stable"},
        "accounts": [
            {
                "name": "a",
                "appid": "wx0000000000000001",
                "secret": "***",
                "token": "stable",
                "rate_limit": "5/s",
                "enabled": True,
            }
        ],
    }


def test_every_setting(loaded: Callable[..., Settings]) -> None:
    """All settings are shown, and no secret."""
    settings = shown(loaded(LARGE))
    assert settings == {
        "mongodb": {"uri": "mongodb://***@h1:27017,h2/***", "database": "figures"},
        "api": {
            "hosts": ["https://a.example"],
            "timeout": 2.5,
            "proxy": "http://***@egress:3128",
            "ipv4_only": True,
            "check_clock": True,
        },
        "run": {"workers": 8, "processes": 1, "lookback": 14, "published_at": "10:00"},
        "defaults": {"rate_limit": "5/s", "token": TOKEN, "since": "2025-01-01"},
        "components": [
            {
                "name": "agency",
                "appid": "wx00000000000000c0",
                "access_token": {"command": ["get", "***", "***"], "json": "t"},
                "discover": True,
                "exclude": [f"wx0000000000000{letter * 3}" for letter in "abcd"],
                "egress": "sh",
            },
            {
                "name": "two",
                "appid": "wx00000000000000c2",
                "secret": "***",
                "verify_ticket": {"url": "http://t/***"},
                "discover": False,
            },
            {
                "name": "three",
                "appid": "wx00000000000000c3",
                "secret": {"credential": "c"},
                "verify_ticket": "***",
                "discover": False,
            },
        ],
        "language": "en",
        "accounts": [
            {
                "name": "a",
                "appid": "wx0000000000000001",
                "secret": "***",
                "token": "classic",
                "rate_limit": "5/s",
                "since": "2025-01-01",
                "tags": ["x", "1"],
                "enabled": False,
            },
            {
                "name": "${b}",
                "appid": "wx0000000000000002",
                "secret": {"file": "/s"},
                "token": TOKEN,
                "rate_limit": "30/min",
                "proxy": "http://***@p",
                "since": "2025-01-01",
                "daily_calls": 9,
                "egress": "hk",
                "enabled": True,
            },
            {
                "name": "c",
                "appid": "wx0000000000000003",
                "token": {"component": "agency"},
                "authorizer_refresh_token": "***",
                "rate_limit": "5/s",
                "proxy": {"command": ["p", "***"]},
                "hosts": ["https://h.example"],
                "since": "2024-01-01",
                "egress": "sh",
                "enabled": True,
            },
        ],
    }
    assert json.loads(json.dumps(settings)) == settings


def test_unknown_form_of_an_address(loaded: Callable[..., Settings]) -> None:
    """It is masked as a whole."""
    settings = loaded(SMALL)
    odd = replace(settings, mongodb=settings.mongodb.model_copy(update={"uri": SecretStr("l3ak")}))
    assert shown(odd)["mongodb"] == {"uri": "***", "database": "wechat"}


def test_order_of_keys(loaded: Callable[..., Settings]) -> None:
    """Keys have the order of the file."""
    settings = shown(loaded(LARGE))
    assert list(settings) == ["mongodb", "api", "run", "defaults", "components", "language", "accounts"]
    assert list(settings["accounts"][2])[:4] == ["name", "appid", "token", "authorizer_refresh_token"]


def test_round_trip(loaded: Callable[..., Settings]) -> None:
    """The YAML is a configuration again."""
    text = show_yaml(loaded(LARGE))
    assert "l3ak" not in text
    again = loaded(text)
    assert shown(again) == shown(loaded(LARGE))
    assert show_yaml(again) == text


def test_yaml(loaded: Callable[..., Settings]) -> None:
    assert show_yaml(loaded(SMALL.replace("name: a", "name: 服务号"))).endswith(
        "defaults:\n"
        "  rate_limit: 5/s\n"
        "  token: stable\n"
        "accounts:\n"
        "- name: 服务号\n"
        "  appid: wx0000000000000001\n"
        "  secret: '***'\n"
        "  token: stable\n"
        "  rate_limit: 5/s\n"
        "  enabled: true\n"
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.sampled_from("abc"), TEXTS | st.lists(TEXTS), min_size=1))
def test_any_text(values: dict[str, str | list[str]]) -> None:
    """Any text is read as it was dumped."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        path.write_text(dumped(values), encoding="utf-8", newline="")
        assert read(path, {}).values == values


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100).filter(str.strip)


@given(NAMES, TEXTS.filter(str.strip))
def test_any_name(name: str, tag: str) -> None:
    """Whatever its name, an account is shown as a configuration."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        account = {"name": name, "appid": "wx0000000000000001", "secret": "***", "tags": [tag]}
        path.write_text(dumped({"accounts": [account]}), encoding="utf-8", newline="")
        settings = load([path], {}, NOW)
        path.write_text(show_yaml(settings), encoding="utf-8", newline="")
        assert load([path], {}, NOW).accounts == settings.accounts
        assert (settings.accounts[0].name, settings.accounts[0].tags) == (name, (tag,))
