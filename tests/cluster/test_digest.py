"""Digest of what a configuration asks for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import config
from collector.cluster.digest import digest_of
from collector.config.schema import SECTIONS

APPID, OTHER, PLATFORM = (f"wx{number:016x}" for number in (1, 2, 3))
ACCOUNT = {"name": "a", "appid": APPID, "secret": "x"}
COMPONENT = {"name": "agency", "appid": PLATFORM, "access_token": {"url": "https://tokens.test/p"}, "discover": True}
CONTENT: dict[str, Any] = {
    "mongodb": {"uri": "mongodb://one.test"},
    "accounts": [ACCOUNT, {"name": "b", "appid": OTHER, "token": {"component": "agency"}}],
    "components": [COMPONENT],
}


COMPARED = {
    "mongodb": {"database"},
    "api": set[str](),
    "run": {"lookback", "published_at"},
    "defaults": {"rate_limit", "since", "daily_calls", "egress"},
    "components": {"name", "appid", "discover", "exclude", "egress"},
    "accounts": {
        *("name", "appid", "enabled", "tags", "egress"),
        *("rate_limit", "since", "daily_calls", "token"),
    },
}
LEFT_OUT = {
    "mongodb": {"uri", "data_dir"},
    "api": {"hosts", "timeout", "proxy", "ipv4_only", "check_clock"},
    "run": {"workers", "processes"},
    "defaults": {"token"},  # each account has its own by then
    "components": {"access_token", "secret", "verify_ticket"},
    "accounts": {"secret", "authorizer_refresh_token", "proxy", "hosts"},
}


def test_each_key_is_compared_or_left_out() -> None:
    """A new key must be decided on: do all hosts have to agree about it?"""
    keys = {name: set(section.known()) for name, section in SECTIONS.items()}
    assert {name: COMPARED[name] | LEFT_OUT[name] for name in keys} == keys


@pytest.fixture
def digest(tmp_path: Path) -> Any:
    def of(**sections: Any) -> str:
        file = tmp_path / "accounts.yaml"
        file.write_text(json.dumps(CONTENT | sections))
        return digest_of(config.load([file], {}, datetime.now(UTC)))

    return of


@pytest.mark.parametrize(
    "sections",
    [
        {"mongodb": {"uri": "mongodb://user:pw@two.test"}},
        {"api": {"hosts": ["http://127.0.0.1:1"], "proxy": "http://proxy.test:3128", "timeout": 3}},
        {"run": {"workers": 3, "processes": 4}},
        {
            "accounts": [
                CONTENT["accounts"][1],
                {**ACCOUNT, "secret": {"file": "/run/secrets/a"}, "proxy": "http://p:1"},
            ]
        },
        {"components": [{**COMPONENT, "access_token": {"command": ["vault", "read"]}}]},
    ],
)
def test_places_and_secrets_may_differ(digest: Any, sections: dict[str, Any]) -> None:
    assert digest(**sections) == digest()


@pytest.mark.parametrize(
    "sections",
    [
        {"mongodb": {"uri": "mongodb://one.test", "database": "other"}},
        {"run": {"lookback": 8}},
        {"run": {"published_at": "08:30"}},
        {"defaults": {"rate_limit": "4/s"}},
        {"defaults": {"since": "2026-01-01"}},
        {"defaults": {"daily_calls": 9}},
        {"defaults": {"egress": "hk"}},
        *(
            {"accounts": [{**ACCOUNT, **change}, CONTENT["accounts"][1]]}
            for change in (
                {"name": "c"},
                {"appid": "wx00000000000000ff"},
                {"egress": "hk"},
                {"rate_limit": "1/min"},
                {"since": "2026-01-01"},
                {"daily_calls": 9},
                {"token": "classic"},
                {"token": {"url": "https://tokens.test/a"}},
                {"tags": ["retail"]},
                {"enabled": False},
            )
        ),
        {"accounts": [ACCOUNT]},
        {"components": [{**COMPONENT, "appid": "wx00000000000000ff"}]},
        {"components": [COMPONENT, {**COMPONENT, "name": "other", "appid": "wx00000000000000ff"}]},
        {"components": [{**COMPONENT, "discover": False}]},
        {"components": [{**COMPONENT, "exclude": [OTHER]}]},
        {"components": [{**COMPONENT, "egress": "hk"}]},
    ],
)
def test_what_is_asked_must_agree(digest: Any, sections: dict[str, Any]) -> None:
    assert digest(**sections) != digest()
