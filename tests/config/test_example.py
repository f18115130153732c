"""The sample that a new user copies."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

from pydantic import SecretStr

from collector.config import ApiSettings, MongoSettings, RunSettings, Settings
from collector.model import Account, Rate

EXAMPLE = (Path(__file__).parents[2] / "accounts.example.yaml").read_text()
ENVIRON = {"ACME_SECRET": "s1", "GLOBEX_SECRET": "s2", "MONGODB_URI": "mongodb://db.example"}
ACCOUNTS = (
    Account("acme-shoes", "wx0123456789abcdef", SecretStr("s1"), Rate(5, 1), tags=("retail",)),
    Account(
        "globex-tea",
        "wxfedcba9876543210",
        SecretStr("s2"),
        Rate(30, 60),
        since=date(2024, 6, 1),
        tags=("retail", "food"),
        enabled=False,
    ),
)


def test_the_example_loads_as_it_is_and_shows_the_defaults(loaded: Callable[..., Settings]) -> None:
    assert loaded(EXAMPLE, ENVIRON, mode=0o644) == Settings(MongoSettings(), ApiSettings(), RunSettings(), ACCOUNTS)


def test_what_the_example_has_commented_out_is_valid_too(loaded: Callable[..., Settings]) -> None:
    settings = loaded(re.sub(r"(?m)^( *)# ([a-z]+: )", r"\1\2", EXAMPLE), ENVIRON)
    assert settings.mongodb.uri == SecretStr("mongodb://db.example")
    assert settings.api.proxy == SecretStr("http://proxy.example:3128")
    assert settings.accounts[0].since == date(2025, 1, 1)
    assert settings.warnings == (f"accounts.yaml:{EXAMPLE.count(chr(10))}: no file matches the pattern of `include`",)


def test_the_example_holds_every_key_that_there_is(loaded: Callable[..., Settings]) -> None:
    keys = set(re.findall(r"(?m)^ *(?:# |- )?([a-z_]+):(?: |$)", EXAMPLE))
    fields = {*MongoSettings.model_fields, *ApiSettings.model_fields, *RunSettings.model_fields}
    account = {"name", "appid", "secret", "tags", "enabled", "rate_limit", "token", "since", "daily_calls"}
    assert keys == fields | account | {"mongodb", "api", "run", "defaults", "accounts", "include"}
