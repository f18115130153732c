"""The sample that a new user begins with."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from collector.config import ApiSettings, MongoSettings, RunSettings, Settings, generate, sample
from collector.config.forms import FORMS, Section
from collector.config.schema import SECTIONS, ConfigFile
from collector.errors import ConfigError, Fault
from collector.model.accounts import (
    Account,
    Component,
    FromCommand,
    FromComponent,
    FromCredential,
    FromFile,
    FromUrl,
    Rate,
    TokenKind,
)

EXAMPLE = Path(__file__).parents[2] / "accounts.example.yaml"

ENVIRON = {"ACME_SECRET": "s1", "GLOBEX_SECRET": "s2"}
MORE = {
    "MONGODB_URI": "mongodb://db.example",
    "HOOLI_REFRESH_TOKEN": "r",
    "TOKENS_KEY": "k",
    "AGENCY_SECRET": "s3",
}
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


def test_the_sample_of_the_package_is_the_example_at_the_top() -> None:
    assert sample() == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_loads_as_it_is_and_shows_the_defaults(loaded: Callable[..., Settings]) -> None:
    assert loaded(sample(), ENVIRON, mode=0o644) == Settings(MongoSettings(), ApiSettings(), RunSettings(), ACCOUNTS)


def test_what_the_example_has_commented_out_is_valid_too(
    loaded: Callable[..., Settings], whole_sample: str, tmp_path: Path
) -> None:
    settings = loaded(whole_sample, ENVIRON | MORE)
    assert settings.mongodb.uri == SecretStr("mongodb://db.example")
    assert settings.api.proxy == SecretStr("http://proxy.example:3128")
    assert settings.api.ipv4_only
    rest: dict[str, Any] = {"rate_limit": Rate(5, 1), "since": date(2025, 1, 1), "daily_calls": 200}
    assert settings.accounts[2:] == (
        Account(
            "initech",
            "wx0000000000000001",
            FromFile(tmp_path / "secrets/initech"),
            proxy=FromCommand(("vault", "read", "-field=proxy", "secret/egress")),
            hosts=("https://sh.api.weixin.qq.com",),
            **rest,
        ),
        Account("umbrella", "wx0000000000000002", FromCredential("umbrella"), token=TokenKind.CLASSIC, **rest),
        Account(
            "hooli",
            "wx0000000000000003",
            None,
            token=FromComponent("agency"),
            authorizer_refresh_token=SecretStr("r"),
            **rest,
        ),
        Account(
            "soylent",
            "wx0000000000000004",
            None,
            token=FromUrl(
                SecretStr("https://tokens.internal/{appid}"),
                (("Authorization", SecretStr("Bearer k")),),
                "data.access_token",
                "data.expires_in",
            ),
            **rest,
        ),
        Account("wonka", "wx0000000000000005", None, token=FromCommand(("get-token", "{appid}"), "token"), **rest),
    )
    assert settings.components == (
        Component(
            "agency",
            "wx00000000000000c0",
            access_token=FromUrl(
                SecretStr("https://tokens.internal/component"), json="data.token", expires_json="data.expires_in"
            ),
            discover=True,
            exclude=frozenset({"wx0000000000000bad"}),
        ),
        Component(
            "agency-two",
            "wx00000000000000c1",
            secret=SecretStr("s3"),
            verify_ticket=FromCommand(("newest-ticket", "agency-two")),
        ),
    )
    include, classic = settings.warnings
    line = whole_sample.count("\n")
    assert include == (f"accounts.yaml:{line}: no file matches the pattern of `include`, accounts.d/*.yaml: correct it")
    assert "1 account fetches its token by the classic call" in classic


def test_every_line_of_the_example_is_a_setting_a_comment_in_words_or_blank(whole_sample: str) -> None:
    """A commented-out setting that isn't taken for one would go untested."""
    words = [line.strip() for line in whole_sample.splitlines() if line.strip().startswith("#")]
    assert words == [
        "# Save this as accounts.yaml, let nobody else read it (chmod 600 accounts.yaml), and fill in your accounts.",
        "#",
        "# ${VAR} stands for an environment variable, ${VAR:-default} for one that may be unset, $${ for a plain ${.",
        "# What is commented out shows a default or an example; take the `# ` away to use it.",
        "# Secrets from where they live; this holds for every secret, `uri` and `proxy` too.",
        "# Tokens without the account's secret; {appid} stands for the account's.",
    ]


def test_the_example_holds_every_key_that_there_is(whole_sample: str) -> None:
    models: list[type[Section]] = [ConfigFile, *SECTIONS.values(), *FORMS.values()]
    known = {key for model in models for key in model.known()}
    settings = re.sub("#.*", "", whole_sample)
    assert {key for key in known if not re.search(rf"(?<![\w-]){key}:(?: |$)", settings, re.MULTILINE)} == set()


def test_a_generated_file_is_the_sample_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yaml"
    generate(path)
    assert path.read_text(encoding="utf-8") == sample()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_file_is_written_over(write: Callable[..., Path]) -> None:
    path = write("mine")
    with pytest.raises(ConfigError) as caught:
        generate(path)
    assert caught.value.faults == (
        Fault("accounts.yaml", "the file exists already", "Name another one, or remove it."),
    )
    assert path.read_text() == "mine"


def test_where_no_file_can_be_written_the_reason_is_told(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError) as caught:
        generate(write("") / "below.yaml")
    message = "could not write the file: Not a directory"
    assert caught.value.faults == (Fault("accounts.yaml/below.yaml", message, "Name a folder where you may write."),)
